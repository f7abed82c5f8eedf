//! `keadm config-update` (spec edge-keadm-mapper 7.7): new values, checked before anything is touched, and the old ones again when
//! EdgeCore does not work with them.

use anyhow::Context as _;

use super::edge::Node;
use super::installation::{Event, Installation};
use crate::args::ConfigUpdate;
use crate::hint::WithHint as _;
use crate::host::{Host, SECRET};
use crate::printer::Printer;
use crate::settings;
use crate::web::{Network, Web};

pub(super) async fn run(update: ConfigUpdate, printer: &Printer) -> anyhow::Result<()> {
    let host = super::host(update.acting.dry_run, printer);
    change(host.as_ref(), &Network, &update, printer)
        .await
        .or_hint(|| "`keadm debug diagnose node` says how the node is".to_owned())
}

async fn change(
    host: &dyn Host,
    web: &dyn Web,
    update: &ConfigUpdate,
    printer: &Printer,
) -> anyhow::Result<()> {
    let node = Node::find(host, web, printer, &update.config)?;
    let values = update.other_sets.values(&update.set, &update.values);
    if values.is_empty() {
        return Err(anyhow::anyhow!("there is nothing to change"))
            .usage(|| "keadm config-update --set modules.edgeHub.heartbeat=30".to_owned());
    }
    let config = settings::with_values(&node.config, &values, host, |config| config.validate())?;
    super::check_root(host)?;
    let changes = settings::changes(&node.config, &config)?;
    if changes.is_empty() {
        printer.already("that is what the configuration says already: nothing is done");
        return Ok(());
    }
    let file = node.core.daemon.config.as_path();
    let before = host.read(file)?.context("the configuration has gone")?;
    super::run_script(host, update.scripts.pre_run.as_deref(), printer)?;
    printer.step(format_args!("writing {}", file.display()));
    changes.iter().for_each(|change| printer.already(change));
    // It holds the token.
    host.write(file, &chassis::config::to_yaml(&config)?, SECRET)?;
    if !update.no_restart {
        let (core, updated) = (&node.core, node.with(config));
        let was_ready = core.is_ready().await;
        if let Err(error) = restart(&updated.core, was_ready).await {
            let error = undo(core, &before, error).await;
            return core.conclude(Event::ConfigUpdate, &core.installed(), &core.installed(), Err(error));
        }
        core.conclude(Event::ConfigUpdate, &core.installed(), &core.installed(), Ok(()))?;
    }
    super::run_script(host, update.scripts.post_run.as_deref(), printer)
}

async fn restart(node: &Installation<'_>, was_ready: bool) -> anyhow::Result<()> {
    node.stop().await?;
    node.start(was_ready).await
}

async fn undo(node: &Installation<'_>, before: &str, why: anyhow::Error) -> anyhow::Error {
    node.printer.step(format_args!("it does not work: {why:#}"));
    let file = &node.daemon.config;
    node.printer.step(format_args!("writing {} as it was", file.display()));
    let back = async {
        node.host.write(file, before, SECRET)?;
        restart(node, false).await
    };
    match back.await {
        Ok(()) => why.context("EdgeCore does not work with these values; it runs with the old ones again"),
        Err(error) => {
            why.context(format!("EdgeCore works neither with these values nor with the old ones ({error:#})"))
        }
    }
}

#[cfg(test)]
mod tests;
