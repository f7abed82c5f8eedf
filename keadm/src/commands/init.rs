//! `keadm init`: on this machine (`--embedded`), or into a cluster ([`cluster`]).

pub(super) mod cluster;

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use chassis::config::parse_str;
use proto::config::cloudcore::CloudCore;

use super::{CLOUDCORE_YAML, EDGECORE_YAML, ETC, LIB, LOG};
use crate::args::{InCluster, Init};
use crate::hint::WithHint as _;
use crate::host::{Daemon, Host, PUBLIC, System};
use crate::printer::Printer;
use crate::web::{Network, Web};
use crate::{services, settings, wait};

/// CloudCore is ready within seconds; this is for a machine that is busy with something else.
const READY: Duration = Duration::from_secs(60);

pub(super) async fn run(init: Init, printer: &Printer) -> anyhow::Result<()> {
    if !init.embedded {
        return cluster::run(&init, &System, printer).await;
    }
    let daemon = Daemon {
        name: "cloudcore",
        program: super::bin_dir(init.bin_dir.clone())?.join("cloudcore"),
        config: CLOUDCORE_YAML.into(),
    };
    let host = super::host(init.dry_run, printer);
    install(host.as_ref(), &Network, &daemon, &init, printer)
        .await
        .or_hint(|| "`keadm reset cloud` undoes what was done".to_owned())
}

async fn install(
    host: &dyn Host,
    web: &dyn Web,
    daemon: &Daemon,
    init: &Init,
    printer: &Printer,
) -> anyhow::Result<()> {
    if init.cluster != InCluster::default() {
        return Err(anyhow::anyhow!("there are flags that are for a cluster, and --embedded needs none"))
            .usage(|| "leave out --embedded; or all of --kube-config, --values and the like".to_owned());
    }
    let config = configuration(host, init)?;
    super::check_root(host)?;
    if host.exists(Path::new(EDGECORE_YAML)) {
        return Err(anyhow::anyhow!("this machine is an edge node: {EDGECORE_YAML} is there"))
            .hint(|| "use another machine, or `keadm reset edge` first".to_owned());
    }
    if init.force && host.is_running(daemon.name)? {
        services::stop(host, daemon, printer).await?;
    } else {
        super::check_daemon(host, daemon, "--force, or `keadm reset cloud`,")?;
    }
    printer.step("creating folders");
    for folder in [ETC, "/etc/kubeedge/config", LIB, LOG] {
        host.make_dir(Path::new(folder))?;
    }
    printer.step(format_args!("writing {CLOUDCORE_YAML}"));
    super::show_differences(&config, printer)?;
    host.write(&daemon.config, &chassis::config::to_yaml(&config)?, PUBLIC)?;
    services::start(host, daemon, printer)?;
    if host.is_dry_run() {
        return Ok(());
    }
    wait_until_ready(host, web, daemon, &config, printer).await?;
    say_what_next(&config, printer);
    Ok(())
}

/// What the file says already, else the defaults, with what the flags say over it.
fn configuration(host: &dyn Host, init: &Init) -> anyhow::Result<CloudCore> {
    let mut config = match host.read(Path::new(CLOUDCORE_YAML))? {
        Some(text) => parse_str(&text)
            .with_context(|| format!("{CLOUDCORE_YAML} is there and not valid"))
            .hint(|| "correct it, or remove it for a new one".to_owned())?,
        None => CloudCore::default(),
    };
    config.modules.embedded.enable = true;
    if !init.advertise_address.is_empty() {
        config.modules.cloud_hub.advertise_address.clone_from(&init.advertise_address);
    }
    settings::with_sets(&config, &init.set, |config| {
        config.fill_from_host(&chassis::host::local_ip().to_string());
        config.validate()
    })
}

fn kubeconfig(config: &CloudCore) -> String {
    format!("{}/admin.kubeconfig", config.modules.embedded.data_dir)
}

async fn wait_until_ready(
    host: &dyn Host,
    web: &dyn Web,
    daemon: &Daemon,
    config: &CloudCore,
    printer: &Printer,
) -> anyhow::Result<()> {
    printer.step("waiting for cloudcore to be ready");
    let kubeconfig = kubeconfig(config);
    let admin = &config.common_config.monitor_server.bind_address;
    wait::until(host, daemon, READY, printer, async || {
        wait::present(host, &[&kubeconfig])?;
        wait::ready(web, admin).await
    })
    .await
}

fn say_what_next(config: &CloudCore, printer: &Printer) {
    let kubeconfig = kubeconfig(config);
    let hub = &config.modules.cloud_hub;
    let named = hub.advertise_address.first().filter(|address| !address.is_empty()).cloned();
    let address = named.unwrap_or_else(|| chassis::host::local_ip().to_string());
    printer.step("cloudcore is ready");
    printer.line(format_args!("kubectl: kubectl --kubeconfig {kubeconfig} get nodes"));
    printer.line(format_args!("token:   keadm gettoken --kube-config {kubeconfig}"));
    printer.line(format_args!(
        "a node:  keadm join --cloudcore-ipport {address}:{} --certport {} --token TOKEN",
        hub.websocket.port, hub.https.port
    ));
}

#[cfg(test)]
mod tests;
