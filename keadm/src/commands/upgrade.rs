//! `keadm upgrade edge` (spec edge-keadm-mapper 7.7): back-up, new binary, health check; and the old one again when that fails.

use std::path::Path;

use anyhow::{Context as _, anyhow};

use super::LIB;
use super::edge::{Backup, Event, Node};
use crate::args::UpgradeEdge;
use crate::bundle::{Bundle, EDGECORE};
use crate::hint::WithHint as _;
use crate::host::{Host, PROGRAM};
use crate::printer::Printer;
use crate::web::{Network, Web};

/// Where the new binary of a bundle is until it is installed.
const UNPACKED: &str = "/var/lib/kubeedge/upgrade";

pub(super) async fn run(upgrade: UpgradeEdge, printer: &Printer) -> anyhow::Result<()> {
    let host = super::host(upgrade.acting.dry_run, printer);
    let bundle = upgrade.bundle.as_deref().map(|file| super::open_bundle(file, printer)).transpose()?;
    let folder = if bundle.is_some() { UNPACKED.into() } else { super::bin_dir(upgrade.bin_dir.clone())? };
    let new = folder.join("edgecore");
    let confirm = || super::asked_on_the_terminal("upgrade");
    let upgrading = Upgrading {
        host: host.as_ref(),
        web: &Network,
        new: &new,
        bundle: bundle.as_ref(),
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
    /// Where the new binary comes from first.
    bundle: Option<&'a Bundle>,
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
        printer.step(format_args!("{from} is installed, {to} is in {}", self.source()));
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
        let done = self.from_to(&node, &from, &to).await;
        if self.bundle.is_some() {
            host.remove(Path::new(UNPACKED))?;
        }
        done?;
        if !host.is_dry_run() {
            printer.step(format_args!("this node runs {to}; `keadm rollback edge` goes back to {from}"));
        }
        super::run_script(host, upgrade.scripts.post_run.as_deref(), printer)
    }

    /// From one version to another; when that does not work, back, and why.
    async fn from_to(&self, node: &Node<'_>, from: &str, to: &str) -> anyhow::Result<()> {
        if let Some(bundle) = self.bundle {
            self.unpack(node, bundle, to)?;
        }
        let was_ready = node.is_ready().await;
        let backup = node.back_up(from)?;
        if let Err(error) = self.switch(node, was_ready).await {
            let error = self.go_back(node, &backup, was_ready, error).await;
            node.report(Event::Upgrade, from, to, Some(&error))?;
            return Err(error);
        }
        node.report(Event::Upgrade, from, to, None)
    }

    /// Takes the new binary out of the bundle, and looks whether it runs here.
    fn unpack(&self, node: &Node<'_>, bundle: &Bundle, to: &str) -> anyhow::Result<()> {
        self.host.make_dir(Path::new(LIB))?;
        self.host.make_dir(Path::new(UNPACKED))?;
        self.host.unpack(bundle, EDGECORE, self.new, PROGRAM)?;
        if self.host.is_dry_run() {
            return Ok(());
        }
        let found = self.usable(node)?;
        if found == to {
            return Ok(());
        }
        Err(anyhow!("the bundle says that it has {to}, and its edgecore is {found}"))
            .hint(|| "get another bundle: this one was not put together well".to_owned())
    }

    /// The version of the new binary, which must be the one that is asked for.
    fn wanted(&self, node: &Node<'_>) -> anyhow::Result<String> {
        let found = match self.bundle {
            Some(bundle) => bundle.entry(EDGECORE).map(|_| bundle.version())?,
            None if self.host.exists(self.new) => self.usable(node)?,
            None => {
                return Err(anyhow!("{} is not there", self.new.display())).hint(|| {
                    "give the folder with the new edgecore with --bin-dir, or a bundle with --bundle: nothing is downloaded"
                        .to_owned()
                });
            }
        };
        match &self.upgrade.to_version {
            Some(wanted) if wanted.trim_start_matches('v') != found.trim_start_matches('v') => {
                Err(anyhow!("{} is {found}, not {wanted}", self.source()))
                    .usage(|| "give another --bin-dir or --bundle, or leave --toVersion out".to_owned())
            }
            _ => Ok(found),
        }
    }

    /// The version of the new binary, which so shows that it runs here.
    fn usable(&self, node: &Node<'_>) -> anyhow::Result<String> {
        node.version(self.new)
            .context("the new binary cannot be used")
            .hint(|| "is it for the processor of this machine, and complete?".to_owned())
    }

    /// What the user has given.
    fn source(&self) -> std::path::Display<'_> {
        self.bundle.map_or(self.new, Bundle::path).display()
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
