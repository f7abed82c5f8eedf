//! `keadm backup edge` and `keadm rollback edge` (spec edge-keadm-mapper 7.7)

use crate::args::{BackupEdge, RollbackEdge};
use crate::hint::WithHint as _;
use crate::host::Host;
use crate::printer::Printer;
use crate::web::{Network, Web};

use super::edge::{Event, Node};

pub(super) fn back_up(backup: &BackupEdge, printer: &Printer) -> anyhow::Result<()> {
    let host = super::host(backup.acting.dry_run, printer);
    let host = host.as_ref();
    let node = Node::find(host, &Network, printer, &backup.config)?;
    super::check_root(host)?;
    super::run_script(host, backup.scripts.pre_run.as_deref(), printer)?;
    let version = node.installed();
    let made =
        node.back_up(&version).hint(|| "is there room on the disk? `keadm debug check disk`".to_owned());
    node.report(Event::Backup, &version, &version, made.as_ref().err())?;
    made?;
    super::run_script(host, backup.scripts.post_run.as_deref(), printer)
}

pub(super) async fn run(rollback: RollbackEdge, printer: &Printer) -> anyhow::Result<()> {
    let host = super::host(rollback.acting.dry_run, printer);
    go_back(host.as_ref(), &Network, &rollback, printer)
        .await
        .or_hint(|| "`keadm debug diagnose node` says how the node is".to_owned())
}

async fn go_back(
    host: &dyn Host,
    web: &dyn Web,
    rollback: &RollbackEdge,
    printer: &Printer,
) -> anyhow::Result<()> {
    let node = Node::find(host, web, printer, &rollback.config)?;
    super::check_root(host)?;
    let backup = node.backup(rollback.historical_version.as_deref())?;
    super::run_script(host, rollback.scripts.pre_run.as_deref(), printer)?;
    let (from, to) = (node.installed(), backup.version.clone());
    let done = async {
        node.stop().await?;
        node.restore(&backup)?;
        // A stock EdgeCore does not say whether it is connected.
        node.start(false).await
    };
    let done = done.await;
    node.report(Event::Rollback, &from, &to, done.as_ref().err())?;
    done?;
    if !host.is_dry_run() {
        printer.step(format_args!("this node runs {to} again"));
    }
    super::run_script(host, rollback.scripts.post_run.as_deref(), printer)
}

#[cfg(test)]
mod tests;
