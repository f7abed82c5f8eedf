//! `keadm upgrade cloud` in a cluster: the manifests of the new version, and those of the one before again when it does not become ready.

use anyhow::anyhow;
use serde_json::json;

use crate::args::UpgradeCloud;
use crate::cluster;
use crate::commands::init::cluster::{Install, kubeconfig};
use crate::commands::manifest;
use crate::hint::WithHint as _;
use crate::host::Look;
use crate::manifests::{self, Overrides};
use crate::printer::Printer;
use crate::rollout::{Known, Release, UnderWay, Waiting};

pub(super) async fn run(upgrade: &UpgradeCloud, look: &dyn Look, printer: &Printer) -> anyhow::Result<()> {
    let file = kubeconfig(look, upgrade.kube_config.clone())?;
    let client = cluster::client(&file).await;
    let client = client.hint(|| "give the kubeconfig of the cluster with --kube-config".to_owned())?;
    let known = Known::read(&client).await?;
    let overrides = overrides(upgrade, look, &known)?;
    let (values, given) = (overrides.values()?, overrides.given()?);
    let extra = manifest::extra(look, &upgrade.chart)?;
    if upgrade.print_final_values {
        printer.line(chassis::config::to_yaml(&values)?.trim_end());
    }
    let install = Install { client, force: upgrade.force, values, given, extra, printer };
    let to = install.release()?;
    match &known.current {
        Some(from) => printer.step(format_args!("{} is installed, {} is to be", from.version, to.version)),
        None => printer.note("keadm does not know what is installed: there will be nothing to go back to"),
    }
    if upgrade.dry_run {
        return install.show().await;
    }
    if let Some(UnderWay::Installing(begun)) = &known.under_way {
        printer.note(format_args!(
            "the installation of {} was begun and did not come to its end",
            begun.version
        ));
    }
    if known.has(&to) && !upgrade.force {
        printer.already("that is the same: nothing is done; --force does it anyway");
        return Ok(());
    }
    if !upgrade.force && !crate::commands::asked_on_the_terminal("upgrade")? {
        return Err(anyhow!("not confirmed, nothing was changed"))
            .hint(|| "answer y, or use --force".to_owned());
    }
    switch(install, &to, known, printer).await
}

/// What the flags say, over what was said before. The defaults are of the new version.
pub(super) fn overrides(upgrade: &UpgradeCloud, look: &dyn Look, known: &Known) -> anyhow::Result<Overrides> {
    let mut overrides = manifest::overrides(look, &upgrade.chart, &upgrade.advertise_address, &upgrade.set)?;
    // The tag is not what is to stay.
    overrides.version.get_or_insert_with(|| manifests::TAG.to_owned());
    if let Some(given) = known.given() {
        overrides.files.insert(0, ("the values of the last time".into(), chassis::config::to_yaml(given)?));
    }
    Ok(overrides)
}

pub(super) async fn switch(
    mut install: Install<'_>,
    to: &Release,
    known: Known,
    printer: &Printer,
) -> anyhow::Result<()> {
    install.check().await?;
    let client = install.client.clone();
    let Err(why) = install.roll_out(&known).await else {
        install.settle(&known).await?;
        printer.step(format_args!(
            "the cluster runs {}; `keadm rollback cloud --kube-config FILE` goes back",
            to.version
        ));
        return printer.result(&json!({"version": to.version}));
    };
    printer.step(format_args!("it does not work: {why:#}"));
    let Some(from) = &known.current else {
        return Err(why.context("the upgrade failed, and nothing is known to go back to"));
    };
    printer.step(format_args!("putting {} back", from.version));
    let back = async {
        from.put_back(&client, printer).await?;
        printer.step("waiting for cloudcore to be ready");
        Waiting::new(&client, printer).until_ready().await?;
        known.followed_by(from).keep(&client).await
    };
    Err(match back.await {
        Ok(()) => why.context(format!("the upgrade failed, and {} runs again", from.version)),
        Err(error) => {
            why.context(format!("the upgrade failed, and so did going back to {} ({error:#})", from.version))
        }
    })
}

#[cfg(test)]
mod tests;
