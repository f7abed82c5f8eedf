//! `keadm gettoken`

use std::path::{Path, PathBuf};

use kube::Client;

use crate::args::{GetToken, KubeConfig};
use crate::cluster;
use crate::hint::WithHint as _;
use crate::host::{Look, System};
use crate::printer::Printer;

/// Where kubeconfigs are looked for: stock's default first.
const KUBECONFIGS: [&str; 2] = ["/root/.kube/config", "/var/lib/kubeedge/embedded/admin.kubeconfig"];

pub(super) async fn run(gettoken: GetToken, printer: &Printer) -> anyhow::Result<()> {
    let (client, file) = connect(gettoken.cluster).await?;
    let token = cluster::join_token(client).await;
    let token = token.hint(|| {
        format!(
            "CloudCore makes the token when it starts: is it running in the cluster of {}?",
            file.display()
        )
    })?;
    printer.data(&serde_json::json!({"token": token}), || token.clone())
}

/// The cluster that was given, else the one that this machine is likely to know; and the file that says so.
pub(super) async fn connect(given: KubeConfig) -> anyhow::Result<(Client, PathBuf)> {
    let file = kubeconfig(given.kube_config, &System);
    let client = cluster::client(&file).await;
    let client = client.hint(|| "give the kubeconfig of the cluster with --kube-config".to_owned())?;
    Ok((client, file))
}

fn kubeconfig(given: Option<PathBuf>, look: &dyn Look) -> PathBuf {
    let [first, ..] = KUBECONFIGS;
    let there = || KUBECONFIGS.iter().find(|file| look.exists(Path::new(file)));
    given.unwrap_or_else(|| PathBuf::from(there().unwrap_or(&first)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Facts;

    #[test]
    fn the_kubeconfig_is_the_given_one_else_stocks_else_ours() {
        let machine = |files: &[&str]| Facts {
            files: files.iter().map(|file| (PathBuf::from(file), String::new())).collect(),
            ..Facts::default()
        };
        let [stock, ours] = KUBECONFIGS;
        for (given, files, expected) in [
            (Some("/given"), &KUBECONFIGS[..], "/given"),
            (None, &KUBECONFIGS[..], stock),
            (None, &[ours], ours),
            (None, &[], stock),
        ] {
            assert_eq!(kubeconfig(given.map(PathBuf::from), &machine(files)), Path::new(expected));
        }
    }
}
