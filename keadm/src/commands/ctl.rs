//! `keadm ctl` (spec edge-keadm-mapper 7.10). Stock asks its API at the edge; here EdgeCore's local server and the node's store answer,
//! and the container runtime, so that all of it works while the cloud is away.

mod describe;
mod exec;
mod terminal;

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::{Context as _, anyhow};
use chassis::config::parse_str;
use http::Method;
use k8s_openapi::api::core::v1::Pod;
use proto::config::edgecore::EdgeCore;
use serde_json::json;

use crate::args::{
    Confirm, CtlAction, EdgeConfig, Edit, Get, Held, Logs, Restart, Thing, UnholdUpgrade, Which,
};
use crate::edge_store::EdgeStore;
use crate::hint::WithHint as _;
use crate::host::{Host, Look, System};
use crate::listing;
use crate::local::{Local, with_query};
use crate::printer::Printer;

/// Group of devices.
const DEVICES: &str = proto::api::device::GROUP;
/// Says which container is meant when none is named.
const DEFAULT_CONTAINER: &str = "kubectl.kubernetes.io/default-container";

pub(super) async fn run(action: CtlAction, printer: &Printer) -> anyhow::Result<()> {
    match action {
        CtlAction::Confirm(confirm) => agree(confirm, printer).await,
        CtlAction::Describe(describe) => {
            let found = objects(describe.thing, &describe.which, &describe.config).await?;
            printer.data(&found, || describe::all(describe.thing, &found))
        }
        CtlAction::Edit(edit) => refuse_edit(&edit),
        CtlAction::Exec(exec) => exec::run(exec, printer).await,
        CtlAction::Get(get) => list(get, printer).await,
        CtlAction::Logs(logs) => print_logs(logs, printer).await,
        CtlAction::Restart(restart) => {
            let host = super::host(restart.acting.dry_run, printer);
            restart_pods(host.as_ref(), restart, printer).await
        }
        CtlAction::UnholdUpgrade(unhold) => let_go(unhold, printer).await,
    }
}

/// EdgeCore's configuration; the defaults where there is no file.
pub(super) fn configuration(config: &EdgeConfig, look: &dyn Look) -> anyhow::Result<EdgeCore> {
    let file = &config.config;
    let Some(text) = look.read(file)? else { return Ok(EdgeCore::default()) };
    parse_str(&text)
        .with_context(|| format!("{} is not valid", file.display()))
        .hint(|| "correct it; `edgecore` says the same when it starts".to_owned())
}

async fn objects(thing: Thing, which: &Which, config: &EdgeConfig) -> anyhow::Result<Vec<serde_json::Value>> {
    let config = configuration(config, &System)?;
    let (all, what) = match thing {
        Thing::Pod => (Local::of(&config)?.pods().await?, "pod"),
        Thing::Device => {
            let store = EdgeStore::open(&PathBuf::from(&config.database.data_source))?;
            (store.objects("device")?, "device")
        }
    };
    listing::chosen(all, which, what)
}

async fn list(get: Get, printer: &Printer) -> anyhow::Result<()> {
    let found = objects(get.thing, &get.which, &get.config).await?;
    let (group, kind) = match get.thing {
        Thing::Pod => ("", "Pod"),
        Thing::Device => (DEVICES, "Device"),
    };
    listing::print(&found, group, kind, get.format, get.which.all_namespaces, printer)
}

fn refuse_edit(edit: &Edit) -> anyhow::Result<()> {
    let Edit { name, namespace, .. } = edit;
    Err(anyhow!("a device cannot be changed at the edge yet: that takes the API at the edge (metaServer)"))
        .hint(|| format!("in the cloud: `kubectl edit device {name} -n {namespace}`"))
}

async fn print_logs(logs: Logs, printer: &Printer) -> anyhow::Result<()> {
    let local = Local::of(&configuration(&logs.config, &System)?)?;
    let pod = local.pod(&logs.namespace, &logs.pod).await?;
    let container = container(&pod, logs.container.as_deref())?;
    let (since, tail, limit) =
        (logs.since_second.to_string(), logs.tail.to_string(), logs.limit_bytes.to_string());
    let query = [
        (logs.follow, "follow", "true"),
        (logs.previous, "previous", "true"),
        (logs.timestamps, "timestamps", "true"),
        (logs.since_second > 0, "sinceSeconds", since.as_str()),
        (logs.since_time.is_some(), "sinceTime", logs.since_time.as_deref().unwrap_or_default()),
        (logs.tail >= 0, "tailLines", tail.as_str()),
        (logs.limit_bytes > 0, "limitBytes", limit.as_str()),
    ];
    let query: Vec<(&str, &str)> =
        query.iter().filter(|(is_given, ..)| *is_given).map(|(_, name, value)| (*name, *value)).collect();
    let path = format!("/containerLogs/{}/{}/{container}", logs.namespace, logs.pod);
    local
        .read(Method::GET, &with_query(&path, &query), "", &mut |piece| {
            // A container may write anything, and a pipe may be closed at the other end.
            if printer.writes_to_stdout() {
                std::io::stdout().write_all(piece).context("print the log")
            } else {
                printer.raw(&String::from_utf8_lossy(piece));
                Ok(())
            }
        })
        .await
}

/// The container that is meant, as kubectl finds it.
pub(super) fn container(pod: &Pod, given: Option<&str>) -> anyhow::Result<String> {
    let spec = pod.spec.as_ref().context("the pod has no spec")?;
    let ordinary = spec.containers.iter().map(|container| container.name.as_str());
    let early = spec.init_containers.iter().flatten().map(|container| container.name.as_str());
    let names: Vec<&str> = ordinary.clone().chain(early).collect();
    let annotated = pod.metadata.annotations.as_ref().and_then(|all| all.get(DEFAULT_CONTAINER));
    let wanted = given.or_else(|| annotated.map(String::as_str));
    match (wanted, spec.containers.len()) {
        (Some(wanted), _) if names.contains(&wanted) => Ok(wanted.to_owned()),
        (Some(wanted), _) => Err(anyhow!("the pod has no container {wanted:?}"))
            .hint(|| format!("it has: {}", names.join(", "))),
        (None, 1) => Ok(ordinary.collect()),
        (None, _) => Err(anyhow!("the pod has several containers"))
            .usage(|| format!("say which with -c: {}", names.join(", "))),
    }
}

async fn restart_pods(host: &dyn Host, restart: Restart, printer: &Printer) -> anyhow::Result<()> {
    if restart.thing == Thing::Device {
        return Err(anyhow!("a device is not restarted")).usage(|| "keadm ctl restart pod NAME".to_owned());
    }
    super::check_root(host)?;
    let config = configuration(&restart.config, host)?;
    let runtime = &config.modules.edged.tailored_kubelet_config.container_runtime_endpoint;
    let socket = PathBuf::from(runtime.strip_prefix("unix://").unwrap_or(runtime));
    for name in &restart.names {
        printer.step(format_args!("stopping the containers of pod {}/{name}", restart.namespace));
        let stopped = host.stop_containers(&socket, &restart.namespace, name).await;
        let stopped =
            stopped.hint(|| "`keadm debug check runtime` looks at the container runtime".to_owned())?;
        if stopped == 0 && !host.is_dry_run() {
            return Err(anyhow!("no container of pod {}/{name} runs on this node", restart.namespace))
                .hint(|| "`keadm ctl get pod -A` lists the pods of this node".to_owned());
        }
        if !host.is_dry_run() {
            printer
                .already(format_args!("{stopped} stopped; EdgeCore starts them anew, as restartPolicy says"));
        }
    }
    printer.result(&json!({"restarted": restart.names}))
}

async fn let_go(unhold: UnholdUpgrade, printer: &Printer) -> anyhow::Result<()> {
    let config = configuration(&unhold.config, &System)?;
    let local = Local::of(&config)?;
    let (path, body) = match unhold.what {
        Held::Pod => {
            let name = unhold.name.unwrap_or_default();
            ("/api/v1/pods/unhold-upgrade", format!("{}/{name}", unhold.namespace))
        }
        Held::Node => {
            let own = node_name(&config);
            ("/api/v1/nodes/unhold-upgrade", unhold.name.unwrap_or(own))
        }
    };
    if unhold.acting.dry_run {
        printer.already(format_args!("would let {body} go"));
        return Ok(());
    }
    let said = local.post(path, &body).await.or_hint(|| {
        "`keadm ctl describe pod NAME` shows whether it is held: its annotation edge.kubeedge.io/hold-upgrade is \
         \"true\", and it is Pending"
            .to_owned()
    })?;
    printer.line(said);
    Ok(())
}

/// As EdgeCore calls itself.
fn node_name(config: &EdgeCore) -> String {
    let mut config = config.clone();
    config.fill_from_host(&chassis::host::host_name(), "127.0.0.1");
    config.modules.edged.hostname_override
}

async fn agree(confirm: Confirm, printer: &Printer) -> anyhow::Result<()> {
    let config = configuration(&confirm.config, &System)?;
    if confirm.acting.dry_run {
        printer.already("would agree to the upgrade that waits");
        return Ok(());
    }
    let said = Local::of(&config)?.post("/api/v1/taskupgrade/confirm-upgrade", "").await;
    said.or_hint(|| {
        "no upgrade waits on this node: a NodeUpgradeJob with requireConfirmation does (modules.taskManager)"
            .to_owned()
    })?;
    printer.step("the upgrade goes on");
    Ok(())
}

#[cfg(test)]
mod tests;
