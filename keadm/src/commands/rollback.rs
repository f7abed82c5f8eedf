//! `keadm backup` and `keadm rollback` (spec edge-keadm-mapper 7.7)

mod cluster;

use anyhow::anyhow;

use crate::args::{BackupCloud, BackupEdge, Role, RollbackCloud, RollbackEdge, Scripts};
use crate::hint::WithHint as _;
use crate::host::Host;
use crate::printer::Printer;
use crate::services;
use crate::web::{Network, Web};

use super::cloud;
use super::edge::Node;
use super::installation::{Event, Installation};

pub(super) fn back_up_edge(backup: &BackupEdge, printer: &Printer) -> anyhow::Result<()> {
    let host = super::host(backup.acting.dry_run, printer);
    let node = Node::find(host.as_ref(), &Network, printer, &backup.config)?;
    back_up(&node.core, &backup.scripts)
}

pub(super) fn back_up_cloud(backup: &BackupCloud, printer: &Printer) -> anyhow::Result<()> {
    let host = super::host(backup.acting.dry_run, printer);
    back_up(&cloud::find(host.as_ref(), &Network, printer)?, &backup.scripts)
}

fn back_up(core: &Installation<'_>, scripts: &Scripts) -> anyhow::Result<()> {
    super::check_root(core.host)?;
    super::run_script(core.host, scripts.pre_run.as_deref(), core.printer)?;
    let version = core.installed();
    let made =
        core.back_up(&version).hint(|| "is there room on the disk? `keadm debug check disk`".to_owned());
    core.conclude(Event::Backup, &version, &version, made.map(drop))?;
    super::run_script(core.host, scripts.post_run.as_deref(), core.printer)
}

pub(super) async fn edge(rollback: RollbackEdge, printer: &Printer) -> anyhow::Result<()> {
    let host = super::host(rollback.acting.dry_run, printer);
    go_back_edge(host.as_ref(), &Network, &rollback, printer)
        .await
        .or_hint(|| "`keadm debug diagnose node` says how the node is".to_owned())
}

async fn go_back_edge(
    host: &dyn Host,
    web: &dyn Web,
    rollback: &RollbackEdge,
    printer: &Printer,
) -> anyhow::Result<()> {
    let node = Node::find(host, web, printer, &rollback.config)?;
    let back = Back { version: rollback.historical_version.as_deref(), with_database: true };
    go_back(&node.core, &back, &rollback.scripts).await
}

pub(super) async fn cloud(rollback: RollbackCloud, printer: &Printer) -> anyhow::Result<()> {
    let host = super::host(rollback.acting.dry_run, printer);
    if rollback.kube_config.is_some() || !cloud::is_here(host.as_ref()) {
        return cluster::run(&rollback, host.as_ref(), printer).await;
    }
    go_back_cloud(host.as_ref(), &Network, &rollback, printer).await
}

async fn go_back_cloud(
    host: &dyn Host,
    web: &dyn Web,
    rollback: &RollbackCloud,
    printer: &Printer,
) -> anyhow::Result<()> {
    let core = cloud::find(host, web, printer)?;
    if rollback.database && core.parts.database.is_none() {
        return Err(anyhow!("--database: this CloudCore has no database, its control plane is elsewhere"))
            .usage(|| {
                "leave --database out; `modules.embedded.enable` of cloudcore.yaml says whether it has one"
                    .to_owned()
            });
    }
    let back = Back { version: rollback.historical_version.as_deref(), with_database: rollback.database };
    go_back(&core, &back, &rollback.scripts).await.or_hint(|| {
        format!(
            "{} says how it is. An older CloudCore that cannot read what a newer one has written takes the database of the \
             back-up: --database",
            services::log_of(host, &core.daemon)
        )
    })
}

/// To what.
struct Back<'a> {
    version: Option<&'a str>,
    with_database: bool,
}

async fn go_back(core: &Installation<'_>, back: &Back<'_>, scripts: &Scripts) -> anyhow::Result<()> {
    super::check_root(core.host)?;
    let backup = core.backup(back.version)?;
    super::run_script(core.host, scripts.pre_run.as_deref(), core.printer)?;
    let (from, to) = (core.installed(), backup.version.clone());
    let done = async {
        core.stop().await?;
        core.restore(&backup, back.with_database)?;
        // A stock EdgeCore does not say whether it is connected.
        core.start(core.parts.side == Role::Cloud).await
    };
    let done = done.await;
    core.conclude(Event::Rollback, &from, &to, done)?;
    if !core.host.is_dry_run() {
        core.printer.step(format_args!("this {} runs {to} again", core.parts.side.noun()));
    }
    super::run_script(core.host, scripts.post_run.as_deref(), core.printer)
}

#[cfg(test)]
mod tests;
