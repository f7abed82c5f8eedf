//! `keadm upgrade edge` (spec edge-keadm-mapper 7.7): back-up, new binary, health check; and the old one again when that fails.

use std::path::Path;

use anyhow::{Context as _, anyhow};

use super::edge::{Backup, Event, Node};
use crate::args::UpgradeEdge;
use crate::hint::WithHint as _;
use crate::host::{Host, PROGRAM};
use crate::printer::Printer;
use crate::web::{Network, Web};

pub(super) async fn run(upgrade: UpgradeEdge, printer: &Printer) -> anyhow::Result<()> {
    let host = super::host(upgrade.acting.dry_run, printer);
    let new = super::bin_dir(upgrade.bin_dir.clone())?.join("edgecore");
    let confirm = || super::asked_on_the_terminal("upgrade");
    let upgrading = Upgrading {
        host: host.as_ref(),
        web: &Network,
        new: &new,
        upgrade: &upgrade,
        printer,
        confirm: &confirm,
    };
    upgrading.all().await.or_hint(|| "`keadm debug diagnose node` says how the node is".to_owned())
}

/// One run of the command.
struct Upgrading<'a> {
    host: &'a dyn Host,
    web: &'a dyn Web,
    new: &'a Path,
    upgrade: &'a UpgradeEdge,
    printer: &'a Printer,
    confirm: &'a dyn Fn() -> anyhow::Result<bool>,
}

impl Upgrading<'_> {
    async fn all(&self) -> anyhow::Result<()> {
        let Self { host, upgrade, printer, .. } = *self;
        let node = Node::find(host, self.web, printer, &upgrade.config)?;
        super::check_root(host)?;
        let (from, to) = (node.installed(), self.wanted(&node)?);
        printer.step(format_args!("{from} is installed, {to} is in {}", self.new.display()));
        if from == to && !upgrade.force {
            printer.already("that is the same version: nothing is done; --force does it anyway");
            return Ok(());
        }
        let asks = !upgrade.force && upgrade.upgrade_id.is_none() && !host.is_dry_run();
        if asks && !(self.confirm)()? {
            return Err(anyhow!("not confirmed, nothing was changed"))
                .hint(|| "answer y, or use --force".to_owned());
        }
        super::run_script(host, upgrade.scripts.pre_run.as_deref(), printer)?;
        let was_ready = node.is_ready().await;
        let backup = node.back_up(&from)?;
        if let Err(error) = self.switch(&node, was_ready).await {
            let error = self.go_back(&node, &backup, was_ready, error).await;
            node.report(Event::Upgrade, &from, &to, Some(&error))?;
            return Err(error);
        }
        node.report(Event::Upgrade, &from, &to, None)?;
        if !host.is_dry_run() {
            printer.step(format_args!("this node runs {to}; `keadm rollback edge` goes back to {from}"));
        }
        super::run_script(host, upgrade.scripts.post_run.as_deref(), printer)
    }

    /// The version of the new binary, which must be the one that is asked for.
    fn wanted(&self, node: &Node<'_>) -> anyhow::Result<String> {
        if !self.host.exists(self.new) {
            return Err(anyhow!("{} is not there", self.new.display())).hint(|| {
                "give the folder with the new edgecore with --bin-dir: nothing is downloaded".to_owned()
            });
        }
        let found = node
            .version(self.new)
            .context("the new binary cannot be used")
            .hint(|| "is it for the processor of this machine, and complete?".to_owned())?;
        match &self.upgrade.to_version {
            Some(wanted) if wanted.trim_start_matches('v') != found.trim_start_matches('v') => {
                Err(anyhow!("{} is {found}, not {wanted}", self.new.display()))
                    .usage(|| "give another --bin-dir, or leave --toVersion out".to_owned())
            }
            _ => Ok(found),
        }
    }

    async fn switch(&self, node: &Node<'_>, was_ready: bool) -> anyhow::Result<()> {
        node.stop().await?;
        // Somebody may have put it there already.
        if self.new != node.daemon.program {
            self.printer.step(format_args!("installing {}", node.daemon.program.display()));
            self.host.copy(self.new, &node.daemon.program, PROGRAM)?;
        }
        node.start(was_ready).await
    }

    async fn go_back(
        &self,
        node: &Node<'_>,
        backup: &Backup,
        was_ready: bool,
        why: anyhow::Error,
    ) -> anyhow::Error {
        self.printer.step(format_args!("it does not work: {why:#}"));
        let back = async {
            node.stop().await?;
            node.restore(backup)?;
            node.start(was_ready).await
        };
        match back.await {
            Ok(()) => why.context(format!("the upgrade failed, and {} runs again", backup.version)),
            Err(error) => why.context(format!(
                "the upgrade failed, and so did going back to {} ({error:#}); it is in {}",
                backup.version,
                backup.folder.display()
            )),
        }
    }
}

#[cfg(test)]
mod tests;
