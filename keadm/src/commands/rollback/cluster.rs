//! `keadm rollback cloud` in a cluster: what was installed before, as the cluster itself knows it.

use anyhow::anyhow;
use serde_json::json;

use crate::args::RollbackCloud;
use crate::cluster;
use crate::commands::init::cluster::kubeconfig;
use crate::hint::WithHint as _;
use crate::host::Host;
use crate::printer::Printer;
use crate::rollout::{Known, Waiting};

pub(super) async fn run(rollback: &RollbackCloud, host: &dyn Host, printer: &Printer) -> anyhow::Result<()> {
    if rollback.database || rollback.scripts.pre_run.is_some() || rollback.scripts.post_run.is_some() {
        return Err(anyhow!("there are flags that are for a CloudCore on this machine")).usage(|| {
            "leave out --database, --pre-run and --post-run: a cluster keeps its own database".to_owned()
        });
    }
    let file = kubeconfig(host, rollback.kube_config.clone())?;
    let client = cluster::client(&file).await;
    let client = client.hint(|| "give the kubeconfig of the cluster with --kube-config".to_owned())?;
    let known = Known::read(&client).await?;
    let (Some(now), Some(before)) = (&known.current, &known.previous) else {
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
    printer.step(format_args!("{} is installed, {} was before", now.version, before.version));
    if rollback.acting.dry_run {
        printer.already(format_args!("would apply {} objects of {}", before.objects.len(), before.version));
        return Ok(());
    }
    known.followed_by(before).keep(&client).await?;
    before.put_back(&client, printer).await?;
    printer.step("waiting for cloudcore to be ready");
    Waiting::new(&client, printer).until_ready().await?;
    printer.step(format_args!("the cluster runs {} again", before.version));
    printer.result(&json!({"version": before.version}))
}
