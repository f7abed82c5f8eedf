//! The real daemons with configurations of a test's own: a CloudCore with its own control plane, and its nodes.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic as tests may")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use proto::config::Sensitive;
use proto::config::cloudcore::CloudCore;
use proto::config::edgecore::EdgeCore;
use tempfile::TempDir;

use crate::kubectl::Kubectl;
use crate::ports;
use crate::process::Process;
use crate::site::{binaries, get};
use crate::wait::until;

/// For whatever another process does; a machine that also compiles is slow.
pub const SOON: Duration = Duration::from_secs(60);

/// A CloudCore with its own control plane, in a folder and on ports of its own.
#[derive(Debug)]
pub struct Cloud {
    /// Where it keeps everything.
    pub dir: TempDir,
    /// CloudCore.
    pub process: Process,
    /// kubectl for its API.
    pub kubectl: Kubectl,
    /// Address of its admin HTTP.
    pub admin: String,
    /// Port of the channel.
    pub websocket: u16,
    /// Port that nodes join at.
    pub https: u16,
    /// The join token.
    pub token: String,
}

impl Cloud {
    /// With the defaults.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// With what `adjust` makes of the configuration.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start_with(adjust: impl FnOnce(&mut CloudCore)) -> Self {
        let dir = TempDir::new().unwrap();
        let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
        let [admin, api, websocket, https, forwarding] = ports::free().unwrap();
        let mut config = CloudCore::default();
        let admin = format!("127.0.0.1:{admin}");
        config.common_config.monitor_server.bind_address.clone_from(&admin);
        let hub = &mut config.modules.cloud_hub;
        hub.advertise_address = vec!["127.0.0.1".to_owned()];
        (hub.websocket.address, hub.websocket.port) = ("127.0.0.1".to_owned(), websocket);
        (hub.https.address, hub.https.port) = ("127.0.0.1".to_owned(), https);
        (hub.forwarding.address, hub.forwarding.port) = ("127.0.0.1".to_owned(), forwarding);
        (hub.tls_ca_file, hub.tls_ca_key_file) = (path("ca.crt"), path("ca.key"));
        let embedded = &mut config.modules.embedded;
        (embedded.enable, embedded.data_dir, embedded.port) = (true, path("api"), api);
        adjust(&mut config);
        let process = start("cloudcore", &config, dir.path());
        let kubectl = Kubectl::new(&dir.path().join("api/admin.kubeconfig"));
        let path = "{.data.tokendata}";
        let encoded = until("a join token", SOON, || async {
            kubectl
                .run(&["-n", "kubeedge", "get", "secret", "tokensecret", "-o", &format!("jsonpath={path}")])
                .await
        })
        .await
        .unwrap();
        let token = String::from_utf8(decode(&encoded)).unwrap();
        Self { dir, process, kubectl, admin, websocket, https, token }
    }

    /// The configuration of a node of this cloud, with everything in a folder of its own.
    ///
    /// # Panics
    /// When there is no room for it.
    #[must_use]
    pub fn edge(&self, node: &str) -> EdgeCore {
        let dir = self.dir.path().join(node);
        std::fs::create_dir_all(&dir).unwrap();
        let path = |name: &str| dir.join(name).to_str().unwrap().to_owned();
        let [admin, kubelet_port] = ports::free().unwrap();
        let mut config = EdgeCore::default();
        config.common_config.monitor_server.bind_address = format!("127.0.0.1:{admin}");
        config.database.data_source = path("edgecore.db");
        let hub = &mut config.modules.edge_hub;
        hub.token = Sensitive(self.token.clone());
        hub.http_server = format!("https://127.0.0.1:{}", self.https);
        hub.websocket.server = format!("127.0.0.1:{}", self.websocket);
        (hub.tls_ca_file, hub.tls_cert_file) = (path("ca.crt"), path("node.crt"));
        hub.tls_private_key_file = path("node.key");
        config.modules.event_bus.enable = false;
        config.modules.device_twin.enable = false;
        let edged = &mut config.modules.edged;
        edged.hostname_override = node.to_owned();
        edged.root_directory = path("kubelet");
        let kubelet = &mut edged.tailored_kubelet_config;
        kubelet.read_only_port = kubelet_port;
        (kubelet.pod_logs_dir, kubelet.static_pod_path) = (path("logs"), path("manifests"));
        kubelet.container_runtime_endpoint = format!("unix://{}", path("containerd.sock"));
        kubelet.image_service_endpoint = kubelet.container_runtime_endpoint.clone();
        config
    }

    /// Waits for a line of CloudCore's log with all these parts.
    ///
    /// # Panics
    /// When it does not come.
    pub async fn logs(&self, parts: &[&str]) {
        until("CloudCore says it", SOON, || async {
            let output = self.process.output()?;
            let found = output.lines().any(|line| parts.iter().all(|part| line.contains(part)));
            anyhow::ensure!(found, "no line with {parts:?} in:\n{output}");
            Ok(())
        })
        .await
        .unwrap();
    }
}

fn decode(base64: &str) -> Vec<u8> {
    serde_json::from_value::<k8s_openapi::ByteString>(base64.into()).unwrap().0
}

/// Writes a configuration file.
///
/// # Panics
/// When it cannot be written.
pub fn write<T: serde::Serialize>(config: &T, dir: &Path) -> PathBuf {
    let file = dir.join("config.yaml");
    std::fs::write(&file, chassis::config::to_yaml(config).unwrap()).unwrap();
    file
}

/// A daemon with this configuration file.
///
/// # Panics
/// When it is not built.
#[must_use]
pub fn command(name: &str, config: &Path) -> Command {
    let mut command = Command::new(binaries().unwrap().join(name));
    command.arg("--config").arg(config);
    command
}

/// Starts a daemon.
///
/// # Panics
/// When it is not built.
pub fn start<T: serde::Serialize>(name: &str, config: &T, dir: &Path) -> Process {
    Process::start(name, &mut command(name, &write(config, dir)), dir).unwrap()
}

/// What a daemon shows at `/debug/state`.
///
/// # Errors
/// When it does not answer.
pub async fn state(address: &str) -> anyhow::Result<serde_json::Value> {
    let answer = get(address, "/debug/state").await?;
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    Ok(serde_json::from_str(body)?)
}

/// What a daemon shows at `/metrics`.
///
/// # Errors
/// When it does not answer.
pub async fn metrics(address: &str) -> anyhow::Result<String> {
    get(address, "/metrics").await
}
