//! CloudCore and EdgeCore: their configuration and their start.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;
use kube::Client;
use proto::config::Sensitive;
use proto::config::cloudcore::CloudCore;
use proto::config::edgecore::EdgeCore;

use super::{Layout, NODE, Options, Ports, image, preflight};
use crate::cluster;
use crate::hint::WithHint as _;
use crate::printer::Printer;
use crate::processes::Background;

/// A daemon is ready within a second or two; this is for a machine that is busy with something else.
const START: Duration = Duration::from_secs(60);
/// How often a daemon is asked whether it is ready.
const LOOK: Duration = Duration::from_millis(50);

/// Starts CloudCore when it is not running, and waits until it can be joined.
pub(super) async fn start_cloudcore(
    layout: &Layout,
    options: &Options,
    ports: Ports,
    printer: &Printer,
) -> anyhow::Result<()> {
    let process = layout.cloudcore();
    if let Some(pid) = process.pid() {
        printer.already(format_args!("cloudcore is running, pid {pid}"));
        return Ok(());
    }
    let taken = [
        (ports.websocket, "cloudcore, the nodes' channel"),
        (ports.https, "cloudcore, joining"),
        (ports.cloud_admin, "cloudcore, admin"),
    ];
    for (port, what) in taken {
        preflight::check_port(port, what)?;
    }
    printer.step("starting cloudcore with the embedded control plane");
    let config = cloud_config(layout, options, ports);
    let file = layout.path("cloud/cloudcore.yaml");
    write_config(&file, &config)?;
    process.start(Command::new(options.bin_dir.join("cloudcore")).arg("--config").arg(file))?;
    let theirs = layout.path("cloud/embedded/admin.kubeconfig");
    let source = options.kubeconfig.as_deref().unwrap_or(&theirs);
    within("cloudcore has a join token", &process, || async {
        fs::copy(source, layout.kubeconfig())
            .with_context(|| format!("copy {} to {}", source.display(), layout.kubeconfig().display()))?;
        token(layout).await
    })
    .await
    .map(drop)
}

/// Starts EdgeCore when it is not running. The first time it joins with a token.
pub(super) async fn start_edgecore(
    layout: &Layout,
    options: &Options,
    ports: Ports,
    printer: &Printer,
) -> anyhow::Result<()> {
    let process = layout.edgecore();
    if let Some(pid) = process.pid() {
        printer.already(format_args!("edgecore is running, pid {pid}"));
        return Ok(());
    }
    preflight::check_port(ports.edge_admin, "edgecore, admin")?;
    preflight::check_port(ports.edge_kubelet, "edgecore, logs and exec")?;
    let file = layout.path("edge/edgecore.yaml");
    if !file.exists() {
        printer.step(format_args!("joining edge node {NODE}"));
        let token = token(layout).await.hint(|| "a node needs the cloud once, to join".to_owned())?;
        write_config(&file, &edge_config(layout, ports, token))?;
    }
    printer.step("starting edgecore");
    process.start(Command::new(options.bin_dir.join("edgecore")).arg("--config").arg(file))?;
    Ok(())
}

fn text(path: std::path::PathBuf) -> String {
    path.to_string_lossy().into_owned()
}

fn cloud_config(layout: &Layout, options: &Options, ports: Ports) -> CloudCore {
    let mut config = CloudCore::default();
    config.common_config.monitor_server.bind_address = format!("127.0.0.1:{}", ports.cloud_admin);
    let hub = &mut config.modules.cloud_hub;
    hub.advertise_address = vec!["127.0.0.1".to_owned()];
    // A demo is for this machine alone.
    hub.websocket.address = "127.0.0.1".to_owned();
    hub.websocket.port = ports.websocket;
    hub.https.address = "127.0.0.1".to_owned();
    hub.https.port = ports.https;
    hub.tls_ca_file = text(layout.path("cloud/ca/rootCA.crt"));
    hub.tls_ca_key_file = text(layout.path("cloud/ca/rootCA.key"));
    hub.tls_cert_file = text(layout.path("cloud/certs/server.crt"));
    hub.tls_private_key_file = text(layout.path("cloud/certs/server.key"));
    match &options.kubeconfig {
        Some(kubeconfig) => config.kube_api_config.kube_config = kubeconfig.to_string_lossy().into_owned(),
        None => {
            let embedded = &mut config.modules.embedded;
            embedded.enable = true;
            embedded.data_dir = text(layout.path("cloud/embedded"));
            embedded.port = ports.api;
        }
    }
    config
}

fn edge_config(layout: &Layout, ports: Ports, token: String) -> EdgeCore {
    let mut config = EdgeCore::default();
    config.common_config.monitor_server.bind_address = format!("127.0.0.1:{}", ports.edge_admin);
    config.database.data_source = text(layout.path("edge/edgecore.db"));
    let hub = &mut config.modules.edge_hub;
    hub.token = Sensitive(token);
    hub.http_server = format!("https://127.0.0.1:{}", ports.https);
    hub.websocket.server = format!("127.0.0.1:{}", ports.websocket);
    hub.tls_ca_file = text(layout.path("edge/ca/rootCA.crt"));
    hub.tls_cert_file = text(layout.path("edge/certs/server.crt"));
    hub.tls_private_key_file = text(layout.path("edge/certs/server.key"));
    // What needs a broker.
    config.modules.event_bus.enable = false;
    config.modules.device_twin.dmi_sock_path = text(layout.sockets());
    let edged = &mut config.modules.edged;
    edged.hostname_override = NODE.to_owned();
    edged.root_directory = text(layout.path("edge/kubelet"));
    edged.pod_sandbox_image = image::PAUSE.to_owned();
    let kubelet = &mut edged.tailored_kubelet_config;
    kubelet.read_only_port = ports.edge_kubelet;
    kubelet.pod_logs_dir = text(layout.path("edge/pod-logs"));
    kubelet.static_pod_path = text(layout.path("edge/manifests"));
    kubelet.container_runtime_endpoint = format!("unix://{}", layout.containerd_socket().display());
    kubelet.image_service_endpoint = kubelet.container_runtime_endpoint.clone();
    // A machine to try things on may well be nearly full; that is no reason to turn pods away.
    for signal in ["nodefs.available", "nodefs.inodesFree", "imagefs.available", "imagefs.inodesFree"] {
        kubelet.eviction_hard.insert(signal.to_owned(), "0%".to_owned());
    }
    // Nor to remove the images that were brought here for pods that are yet to come: there is no registry.
    kubelet.image_gc_high_threshold_percent = 100;
    // Containers of two demos on one machine must not meet in one cgroup.
    kubelet.cgroup_root = format!("/{}", layout.id);
    config
}

/// Writes a configuration, for root alone: the edge's holds the token.
fn write_config<T: serde::Serialize>(file: &Path, config: &T) -> anyhow::Result<()> {
    let yaml = chassis::config::to_yaml(config)?;
    certs::files::write_atomically(file, yaml.as_bytes(), certs::files::MODE_SECRET)?;
    Ok(())
}

async fn token(layout: &Layout) -> anyhow::Result<String> {
    cluster::join_token(client(layout).await?).await
}

/// A client with the demo's kubeconfig.
pub(super) async fn client(layout: &Layout) -> anyhow::Result<Client> {
    cluster::client(&layout.kubeconfig()).await
}

/// Asks again until it works, as long as the process lives.
pub(super) async fn within<T, F>(what: &str, process: &Background, ask: impl Fn() -> F) -> anyhow::Result<T>
where
    F: Future<Output = anyhow::Result<T>>,
{
    let end = tokio::time::Instant::now() + START;
    loop {
        let last = match ask().await {
            Ok(found) => return Ok(found),
            Err(error) => error,
        };
        process.still_runs()?;
        if tokio::time::Instant::now() >= end {
            return Err(last)
                .context(format!("not within {START:?}: {what} (see {})", process.log().display()));
        }
        tokio::time::sleep(LOOK).await;
    }
}
