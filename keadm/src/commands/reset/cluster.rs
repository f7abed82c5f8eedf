//! What `keadm init` has put into a cluster goes again.

use std::path::{Path, PathBuf};

use crate::args::Reset;
use crate::cluster;
use crate::commands::CLOUDCORE_YAML;
use crate::commands::init::cluster::KUBECONFIG;
use crate::hint::WithHint as _;
use crate::host::{Host, Look};
use crate::printer::Printer;
use crate::rollout::{Removal, plan_removal};

/// What goes.
#[derive(Debug)]
pub(super) struct Plan(Vec<Removal>);

impl Plan {
    /// Says what goes. None where there is no cluster to look at.
    pub(super) async fn of(
        host: &dyn Host,
        reset: &Reset,
        printer: &Printer,
    ) -> anyhow::Result<Option<Self>> {
        let Some(file) = kubeconfig(host, reset.kube_config.clone()) else { return Ok(None) };
        printer.step(format_args!("looking at the cluster of {}", file.display()));
        let client = cluster::client(&file).await;
        let client = client.hint(|| "give the kubeconfig of the cluster with --kube-config".to_owned())?;
        let plan = plan_removal(&client, printer).await?;
        for removal in &plan {
            printer.already(format_args!("to be removed: {}", removal.title()));
        }
        if plan.is_empty() {
            printer.already("nothing of keadm's is there");
        } else {
            printer.already("with the namespace go the CA and the join token: nodes have to join anew");
            printer.already("definitions of custom resources stay, and with them your devices");
        }
        Ok(Some(Self(plan)))
    }

    /// Removes it; how many steps did not work.
    pub(super) async fn run(&self, host: &dyn Host, printer: &Printer) -> usize {
        let mut failed = 0;
        for removal in &self.0 {
            if host.is_dry_run() {
                continue;
            }
            printer.step(format_args!("removing {}", removal.title()));
            if let Err(error) = removal.run().await {
                printer.already(format_args!("could not: {error:#}"));
                failed += 1;
            }
        }
        failed
    }
}

/// The one that is given; else stock's, unless CloudCore is on this machine: then that is the one to reset, and a cluster that
/// this machine happens to know is somebody else's business.
fn kubeconfig(look: &dyn Look, given: Option<PathBuf>) -> Option<PathBuf> {
    let stock = || {
        let is_known = look.exists(Path::new(KUBECONFIG)) && !look.exists(Path::new(CLOUDCORE_YAML));
        is_known.then(|| KUBECONFIG.into())
    };
    given.or_else(stock)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Facts;

    #[test]
    fn a_cluster_is_touched_when_it_is_named_or_there_is_nothing_else() {
        let machine = |files: &[&str]| Facts {
            files: files.iter().map(|file| (PathBuf::from(file), String::new())).collect(),
            ..Facts::default()
        };
        for (given, files, expected) in [
            (None, &[][..], None),
            (None, &[KUBECONFIG][..], Some(KUBECONFIG)),
            (None, &[KUBECONFIG, CLOUDCORE_YAML][..], None),
            (Some("/given"), &[KUBECONFIG, CLOUDCORE_YAML][..], Some("/given")),
        ] {
            let found = kubeconfig(&machine(files), given.map(PathBuf::from));
            assert_eq!(found, expected.map(PathBuf::from), "{given:?} {files:?}");
        }
    }
}
