//! `keadm rollback cloud` in a cluster: what was installed before, as the cluster itself knows it.

use anyhow::anyhow;
use kube::Client;
use serde_json::json;

use crate::args::RollbackCloud;
use crate::cluster;
use crate::commands::init::cluster::kubeconfig;
use crate::hint::WithHint as _;
use crate::host::Host;
use crate::printer::Printer;
use crate::rollout::{Known, UnderWay, Waiting};

pub(super) async fn run(rollback: &RollbackCloud, host: &dyn Host, printer: &Printer) -> anyhow::Result<()> {
    if rollback.database || rollback.scripts.pre_run.is_some() || rollback.scripts.post_run.is_some() {
        return Err(anyhow!("there are flags that are for a CloudCore on this machine")).usage(|| {
            "leave out --database, --pre-run and --post-run: a cluster keeps its own database".to_owned()
        });
    }
    let file = kubeconfig(host, rollback.kube_config.clone())?;
    let client = cluster::client(&file).await;
    let client = client.hint(|| "give the kubeconfig of the cluster with --kube-config".to_owned())?;
    go_back(rollback, &client, printer).await
}

async fn go_back(rollback: &RollbackCloud, client: &Client, printer: &Printer) -> anyhow::Result<()> {
    let known = Known::read(client).await?;
    let Some(before) = known.before() else {
        return Err(anyhow!("keadm does not know what was installed before")).hint(|| {
            "it knows after `keadm upgrade cloud`; `kubectl -n kubeedge rollout undo deployment cloudcore` goes back without it"
                .to_owned()
        });
    };
    let wanted = rollback.historical_version.as_deref().map(|version| version.trim_start_matches('v'));
    if wanted.is_some_and(|wanted| wanted != before.version.trim_start_matches('v')) {
        return Err(anyhow!("what was installed before is {}", before.version))
            .usage(|| "a cluster knows one version before: leave --historical-version out".to_owned());
    }
    match (&known.under_way, &known.current) {
        (Some(UnderWay::Installing(begun)), _) => printer.step(format_args!(
            "the installation of {} did not come to its end, {} was before",
            begun.version, before.version
        )),
        (Some(UnderWay::GoingBack), _) => {
            printer
                .step(format_args!("going back to {} did not come to its end: it goes on", before.version));
        }
        (None, Some(now)) => {
            printer.step(format_args!("{} is installed, {} was before", now.version, before.version));
        }
        (None, None) => printer.step(format_args!("{} was before", before.version)),
    }
    if rollback.acting.dry_run {
        printer.already(format_args!("would apply {} objects of {}", before.objects.len(), before.version));
        return Ok(());
    }
    known.going_back().keep(client).await?;
    before.put_back(client, printer).await?;
    printer.step("waiting for cloudcore to be ready");
    Waiting::new(client, printer).until_ready().await?;
    // Only now: one that has failed before goes the same way when it is repeated.
    known.followed_by(before).keep(client).await?;
    printer.step(format_args!("the cluster runs {} again", before.version));
    printer.result(&json!({"version": before.version}))
}

#[cfg(test)]
mod tests;
