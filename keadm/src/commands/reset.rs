//! `keadm reset` (spec edge-keadm-mapper 7.6)

mod cluster;

use std::fmt::Display;
use std::path::{Path, PathBuf};

use chassis::config::parse_str;
use proto::config::edgecore::EdgeCore;

use super::join::INSTALLED;
use super::{CLOUDCORE_YAML, EDGECORE_YAML, ETC, LIB, LOG};
use crate::args::{Reset, Role};
use crate::hint::WithHint as _;
use crate::host::{Daemon, Host};
use crate::printer::Printer;
use crate::services;

/// What a node has besides what both have: where older versions of stock kept volumes, and where they are now.
const EDGE_FOLDERS: [&str; 2] = ["/var/lib/edged", "/var/lib/kubelet"];

/// What `join` may have installed.
const PROGRAMS: [&str; 2] = ["/usr/local/bin/edgecore", "/usr/local/bin/keadm"];

pub(super) async fn run(reset: Reset, printer: &Printer) -> anyhow::Result<()> {
    let host = super::host(reset.dry_run, printer);
    Resetting {
        host: host.as_ref(),
        reset: &reset,
        printer,
        confirm: &|| super::asked_on_the_terminal("reset"),
    }
    .all()
    .await
    .or_hint(|| "run it again when the cause is gone: what is done already is left out".to_owned())
}

/// One run of the command.
struct Resetting<'a> {
    host: &'a dyn Host,
    reset: &'a Reset,
    printer: &'a Printer,
    confirm: &'a dyn Fn() -> anyhow::Result<bool>,
}

impl Resetting<'_> {
    async fn all(&self) -> anyhow::Result<()> {
        let Some(role) = self.role()? else {
            self.printer.already("this machine is neither cloud nor edge node: there is nothing to reset");
            return Ok(());
        };
        let cluster = match role {
            Role::Cloud => cluster::Plan::of(self.host, self.reset, self.printer).await?,
            Role::Edge => None,
        };
        if cluster.is_none() || self.is_local()? {
            super::check_root(self.host)?;
        }
        let asks = !self.reset.force && !self.host.is_dry_run();
        if asks && !(self.confirm)()? {
            return Err(anyhow::anyhow!("not confirmed, nothing was changed"))
                .hint(|| "answer y, or use --force".to_owned());
        }
        super::run_script(self.host, self.reset.pre_run.as_deref(), self.printer)?;
        let failed = match role {
            Role::Cloud => {
                let is_here = cluster.is_none() || self.is_local()?;
                let failed = match cluster {
                    Some(plan) => plan.run(self.host, self.printer).await,
                    None => 0,
                };
                failed + if is_here { self.cloud().await } else { 0 }
            }
            Role::Edge => self.edge().await,
        };
        super::run_script(self.host, self.reset.post_run.as_deref(), self.printer)?;
        anyhow::ensure!(failed == 0, "{failed} steps did not work, see above");
        if self.host.is_dry_run() {
            return Ok(());
        }
        self.printer.step("this machine is as it was before");
        if role == Role::Edge {
            self.printer.already("the cluster still has the node: `kubectl delete node NAME` removes it");
        }
        Ok(())
    }

    /// What the user says, else what is there.
    fn role(&self) -> anyhow::Result<Option<Role>> {
        if self.reset.role.is_some() {
            return Ok(self.reset.role);
        }
        let is = |file: &str, name: &str| -> anyhow::Result<bool> {
            Ok(self.host.exists(Path::new(file)) || self.host.is_running(name)?)
        };
        match (is(CLOUDCORE_YAML, "cloudcore")?, is(EDGECORE_YAML, "edgecore")?) {
            (true, true) => Err(anyhow::anyhow!("this machine is both cloud and edge node"))
                .usage(|| "say which: `keadm reset cloud` or `keadm reset edge`".to_owned()),
            (true, false) => Ok(Some(Role::Cloud)),
            (false, true) => Ok(Some(Role::Edge)),
            (false, false) => Ok(self.reset.kube_config.as_ref().map(|_| Role::Cloud)),
        }
    }

    /// Whether there is a CloudCore on this machine, or something of one: an edge node has the same folders.
    fn is_local(&self) -> anyhow::Result<bool> {
        let is_there = |path: &str| self.host.exists(Path::new(path));
        let leftovers = !is_there(EDGECORE_YAML) && [ETC, LIB, LOG].into_iter().any(is_there);
        Ok(is_there(CLOUDCORE_YAML) || leftovers || self.host.is_running("cloudcore")?)
    }

    async fn cloud(&self) -> usize {
        let stopped = self.stop("cloudcore", CLOUDCORE_YAML).await;
        usize::from(!stopped) + self.remove(&[ETC, LIB, LOG])
    }

    async fn edge(&self) -> usize {
        let config = self.edge_config();
        // First, or the node would start these pods again.
        let manifests = Path::new(&config.modules.edged.tailored_kubelet_config.static_pod_path);
        let listed = self.host.list(manifests);
        let mut failed = usize::from(!self.worked("list static pods", &listed));
        for manifest in listed.unwrap_or_default() {
            self.printer.step(format_args!("removing static pod {}", manifest.display()));
            failed += usize::from(!self.worked("remove a static pod", &self.host.remove(&manifest)));
        }
        failed += usize::from(!self.stop("edgecore", EDGECORE_YAML).await);
        // On a machine that never was an edge node, pods and kubelet's folder belong to somebody else.
        let was_node = self.host.exists(Path::new(EDGECORE_YAML));
        let runtime = &config.modules.edged.tailored_kubelet_config.container_runtime_endpoint;
        let runtime = self.reset.remote_runtime_endpoint.as_ref().unwrap_or(runtime);
        let socket = PathBuf::from(runtime.strip_prefix("unix://").unwrap_or(runtime));
        if was_node && self.host.exists(&socket) {
            self.printer.step("removing pods");
            failed += usize::from(!self.worked("remove pods", &self.host.remove_pods(&socket).await));
            let groups = self.host.remove_groups(&config.modules.edged.tailored_kubelet_config.cgroup_root);
            failed += usize::from(!self.worked("remove the control groups of pods", &groups));
        }
        let folders: &[&str] = if was_node { &EDGE_FOLDERS } else { &[] };
        failed + self.remove(&self.programs()) + self.remove(&[ETC, LIB, LOG]) + self.remove(folders)
    }

    /// Those that `join` has taken out of a bundle. Nothing else is removed, whatever the list says.
    fn programs(&self) -> Vec<&'static str> {
        let list = self.host.read(Path::new(INSTALLED)).ok().flatten().unwrap_or_default();
        PROGRAMS.into_iter().filter(|program| list.lines().any(|line| line == *program)).collect()
    }

    /// What the node was told, for where its things are; the defaults when that cannot be read.
    fn edge_config(&self) -> EdgeCore {
        let text = self.host.read(Path::new(EDGECORE_YAML)).ok().flatten();
        text.and_then(|text| parse_str(&text).ok()).unwrap_or_default()
    }

    async fn stop(&self, name: &'static str, config: &str) -> bool {
        // What it was started from does not matter for ending it.
        let daemon = Daemon { name, program: PathBuf::new(), config: config.into() };
        let stopped = services::stop(self.host, &daemon, self.printer).await;
        self.worked(format_args!("stop {name}"), &stopped.and_then(|()| self.is_gone(name)))
    }

    fn is_gone(&self, name: &str) -> anyhow::Result<()> {
        let remains = !self.host.is_dry_run() && self.host.is_running(name)?;
        anyhow::ensure!(!remains, "one that keadm did not start still runs");
        Ok(())
    }

    fn remove(&self, folders: &[&str]) -> usize {
        let there = folders.iter().map(Path::new).filter(|folder| self.host.exists(folder));
        let failed = there.filter(|folder| {
            self.printer.step(format_args!("removing {}", folder.display()));
            !self.worked(format_args!("remove {}", folder.display()), &self.host.remove(folder))
        });
        failed.count()
    }

    /// As in stock, what does not work is said, and the rest is done.
    fn worked<T>(&self, what: impl Display, result: &anyhow::Result<T>) -> bool {
        if let Err(error) = result {
            self.printer.already(format_args!("could not {what}: {error:#}"));
        }
        result.is_ok()
    }
}

#[cfg(test)]
mod tests;
