//! `keadm upgrade` (spec edge-keadm-mapper 7.7): back-up, new binary, health check; and the old one again when that fails.

mod cluster;

use std::path::Path;

use anyhow::{Context as _, anyhow};

use super::edge::Node;
use super::installation::{Backup, Event, Installation};
use super::{LIB, cloud};
use crate::args::{Role, Scripts, UpgradeCloud, UpgradeEdge};
use crate::bundle::{Bundle, EDGECORE};
use crate::hint::WithHint as _;
use crate::host::PROGRAM;
use crate::printer::Printer;
use crate::services;
use crate::web::Network;

/// Where the new binary of a bundle is until it is installed.
const UNPACKED: &str = "/var/lib/kubeedge/upgrade";

pub(super) async fn edge(upgrade: UpgradeEdge, printer: &Printer) -> anyhow::Result<()> {
    let host = super::host(upgrade.acting.dry_run, printer);
    let bundle = upgrade.bundle.as_deref().map(|file| super::open_bundle(file, printer)).transpose()?;
    let folder = if bundle.is_some() { UNPACKED.into() } else { super::bin_dir(upgrade.bin_dir.clone())? };
    let node = Node::find(host.as_ref(), &Network, printer, &upgrade.config)?;
    let (new, order) = (folder.join("edgecore"), Order::of_edge(&upgrade));
    let confirm = || super::asked_on_the_terminal("upgrade");
    let upgrading =
        Upgrading { core: &node.core, new: &new, bundle: bundle.as_ref(), order, confirm: &confirm };
    upgrading.all().await.or_hint(|| "`keadm debug diagnose node` says how the node is".to_owned())
}

pub(super) async fn cloud(upgrade: UpgradeCloud, printer: &Printer) -> anyhow::Result<()> {
    let host = super::host(upgrade.dry_run, printer);
    if upgrade.kube_config.is_some() || !cloud::is_here(host.as_ref()) {
        return cluster::run(&upgrade, host.as_ref(), printer).await;
    }
    let new = super::bin_dir(upgrade.bin_dir.clone())?.join("cloudcore");
    let core = cloud::find(host.as_ref(), &Network, printer)?;
    let order = Order::of_cloud(&upgrade)?;
    let confirm = || super::asked_on_the_terminal("upgrade");
    let upgrading = Upgrading { core: &core, new: &new, bundle: None, order, confirm: &confirm };
    upgrading.all().await.or_hint(|| format!("{} says how it is", services::log_of(core.host, &core.daemon)))
}

/// What the user wants.
struct Order<'a> {
    /// The version that the new binary must have.
    version: Option<&'a str>,
    /// Also when it is the same.
    force: bool,
    asks: bool,
    scripts: Scripts,
}

impl<'a> Order<'a> {
    fn of_edge(upgrade: &'a UpgradeEdge) -> Self {
        Self {
            version: upgrade.to_version.as_deref(),
            force: upgrade.force,
            asks: !upgrade.force && upgrade.upgrade_id.is_none(),
            scripts: upgrade.scripts.clone(),
        }
    }

    /// On this machine, where there is no chart.
    fn of_cloud(upgrade: &'a UpgradeCloud) -> anyhow::Result<Self> {
        if upgrade.is_for_cluster() {
            return Err(anyhow!("there are flags that are for a cluster, and CloudCore is on this machine"))
                .usage(|| "leave them out; or give the cluster with --kube-config".to_owned());
        }
        Ok(Self {
            version: upgrade.chart.kubeedge_version.as_deref(),
            force: upgrade.force,
            asks: !upgrade.force,
            scripts: Scripts::default(),
        })
    }
}

/// One run of the command on this machine.
struct Upgrading<'a> {
    core: &'a Installation<'a>,
    new: &'a Path,
    /// Where the new binary comes from first.
    bundle: Option<&'a Bundle>,
    order: Order<'a>,
    confirm: &'a dyn Fn() -> anyhow::Result<bool>,
}

impl Upgrading<'_> {
    async fn all(&self) -> anyhow::Result<()> {
        let Self { core, order, .. } = self;
        let (host, printer) = (core.host, core.printer);
        super::check_root(host)?;
        let (from, to) = (core.installed(), self.wanted()?);
        printer.step(format_args!("{from} is installed, {to} is in {}", self.source()));
        if from == to && !order.force {
            printer.already("that is the same version: nothing is done; --force does it anyway");
            return Ok(());
        }
        if order.asks && !host.is_dry_run() && !(self.confirm)()? {
            return Err(anyhow!("not confirmed, nothing was changed"))
                .hint(|| "answer y, or use --force".to_owned());
        }
        super::run_script(host, order.scripts.pre_run.as_deref(), printer)?;
        let done = self.exchange(&from, &to).await;
        let cleared = self.bundle.map_or(Ok(()), |_| host.remove(Path::new(UNPACKED)));
        if let Err(left) = cleared {
            // What counts is how the daemon is.
            printer.note(format_args!("{UNPACKED} is left, and can go ({left:#})"));
        }
        done?;
        if !host.is_dry_run() {
            let side = core.parts.side;
            printer.step(format_args!(
                "this {} runs {to}; `keadm rollback {}` goes back to {from}",
                side.noun(),
                side.word()
            ));
        }
        super::run_script(host, order.scripts.post_run.as_deref(), printer)
    }

    /// From one version to another; when that does not work, back, and why.
    async fn exchange(&self, from: &str, to: &str) -> anyhow::Result<()> {
        if let Some(bundle) = self.bundle {
            self.unpack(bundle, to)?;
        }
        let was_ready = self.core.is_ready().await;
        let backup = match self.core.parts.side {
            // It is away for a moment only; what it hears meanwhile, the cloud knows.
            Role::Edge => self.core.back_up(from)?,
            Role::Cloud => self.back_up_at_rest(from).await?,
        };
        if let Err(error) = self.switch(was_ready).await {
            let error = self.go_back(&backup, was_ready, error).await;
            return self.core.conclude(Event::Upgrade, from, to, Err(error));
        }
        self.core.conclude(Event::Upgrade, from, to, Ok(()))
    }

    /// What a cloud takes in between its back-up and its end would be lost by going back: so it has ended before.
    async fn back_up_at_rest(&self, from: &str) -> anyhow::Result<Backup> {
        let core = self.core;
        core.stop().await?;
        core.back_up(from).map_err(|why| match services::resume(core.host, &core.daemon, core.printer) {
            Ok(()) => why,
            Err(error) => {
                why.context(format!("{} is stopped, and does not start ({error:#})", core.daemon.name))
            }
        })
    }

    /// Takes the new binary out of the bundle, and looks whether it runs here.
    fn unpack(&self, bundle: &Bundle, to: &str) -> anyhow::Result<()> {
        let host = self.core.host;
        host.make_dir(Path::new(LIB))?;
        host.make_dir(Path::new(UNPACKED))?;
        host.unpack(bundle, EDGECORE, self.new, PROGRAM)?;
        if host.is_dry_run() {
            return Ok(());
        }
        let found = self.usable()?;
        if found == to {
            return Ok(());
        }
        Err(anyhow!("the bundle says that it has {to}, and its edgecore is {found}"))
            .hint(|| "get another bundle: this one was not put together well".to_owned())
    }

    /// The version of the new binary, which must be the one that is asked for.
    fn wanted(&self) -> anyhow::Result<String> {
        let found = match self.bundle {
            Some(bundle) => bundle.entry(EDGECORE).map(|_| bundle.version())?,
            None if self.core.host.exists(self.new) => self.usable()?,
            None => {
                let bundle = match self.core.parts.side {
                    Role::Edge => ", or a bundle with --bundle",
                    Role::Cloud => "",
                };
                return Err(anyhow!("{} is not there", self.new.display())).hint(|| {
                    let name = self.core.daemon.name;
                    format!(
                        "give the folder with the new {name} with --bin-dir{bundle}: nothing is downloaded"
                    )
                });
            }
        };
        match self.order.version {
            Some(wanted) if wanted.trim_start_matches('v') != found.trim_start_matches('v') => {
                Err(anyhow!("{} is {found}, not {wanted}", self.source())).usage(|| {
                    "give the folder or bundle with that version, or leave the version out".to_owned()
                })
            }
            _ => Ok(found),
        }
    }

    /// The version of the new binary, which so shows that it runs here.
    fn usable(&self) -> anyhow::Result<String> {
        self.core
            .version(self.new)
            .context("the new binary cannot be used")
            .hint(|| "is it for the processor of this machine, and complete?".to_owned())
    }

    /// What the user has given.
    fn source(&self) -> std::path::Display<'_> {
        self.bundle.map_or(self.new, Bundle::path).display()
    }

    async fn switch(&self, was_ready: bool) -> anyhow::Result<()> {
        let core = self.core;
        if core.parts.side == Role::Edge {
            core.stop().await?;
        }
        // Somebody may have put it there already.
        if self.new != core.daemon.program {
            core.printer.step(format_args!("installing {}", core.daemon.program.display()));
            core.host.copy(self.new, &core.daemon.program, PROGRAM)?;
        }
        core.start(was_ready).await
    }

    async fn go_back(&self, backup: &Backup, was_ready: bool, why: anyhow::Error) -> anyhow::Error {
        let core = self.core;
        core.printer.step(format_args!("it does not work: {why:#}"));
        let back = async {
            core.stop().await?;
            core.restore(backup, true)?;
            core.start(was_ready).await
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
