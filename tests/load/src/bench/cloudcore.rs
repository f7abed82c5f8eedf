//! A CloudCore with the embedded API, in a folder and on ports of its own.

use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use proto::config::cloudcore as config;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

use crate::cluster;

/// Everything is on this machine.
const LOOPBACK: &str = "127.0.0.1";
/// A hub that takes longer does not start.
const START: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(50);
/// Time for a hub to say goodbye to its nodes.
const STOP: Duration = Duration::from_secs(30);
/// Lines of its log that are shown when something went wrong.
const TAIL: usize = 20;

/// A running hub. Dropping it kills it and removes its folder.
#[derive(Debug)]
pub(super) struct CloudCore {
    folder: tempfile::TempDir,
    binary: PathBuf,
    child: Child,
    ports: Ports,
}

#[derive(Debug, Clone, Copy)]
struct Ports {
    websocket: u16,
    https: u16,
    admin: u16,
    api: u16,
}

impl Ports {
    /// Free ones: all are bound before the first is let go.
    fn find() -> anyhow::Result<Self> {
        let bound = [(); 4].map(|()| TcpListener::bind((LOOPBACK, 0)));
        let mut ports = Vec::new();
        for listener in &bound {
            let listener = listener.as_ref().map_err(|error| anyhow::anyhow!("no free port: {error}"))?;
            ports.push(listener.local_addr()?.port());
        }
        Ok(Self { websocket: ports[0], https: ports[1], admin: ports[2], api: ports[3] })
    }
}

impl CloudCore {
    /// Starts `binary`, or the one beside this program, for so many nodes.
    pub(super) async fn start(binary: Option<&Path>, nodes: u32) -> anyhow::Result<Self> {
        let binary = match binary {
            Some(binary) => binary.to_owned(),
            None => std::env::current_exe()?.with_file_name("cloudcore"),
        };
        anyhow::ensure!(binary.exists(), "{} is not there: `make build` builds it", binary.display());
        let folder = tempfile::tempdir()?;
        let ports = Ports::find()?;
        let yaml = chassis::config::to_yaml(&settings(folder.path(), ports, nodes))?;
        std::fs::write(folder.path().join("cloudcore.yaml"), yaml)?;
        let child = spawn(&binary, folder.path())?;
        let mut hub = Self { folder, binary, child, ports };
        hub.wait().await?;
        Ok(hub)
    }

    pub(super) fn server(&self) -> String {
        format!("{LOOPBACK}:{}", self.ports.websocket)
    }

    pub(super) fn https(&self) -> String {
        format!("{LOOPBACK}:{}", self.ports.https)
    }

    pub(super) fn metrics(&self) -> String {
        format!("http://{LOOPBACK}:{}/metrics", self.ports.admin)
    }

    pub(super) fn kubeconfig(&self) -> PathBuf {
        self.folder.path().join("embedded/admin.kubeconfig")
    }

    pub(super) fn pid(&self) -> anyhow::Result<i32> {
        Ok(i32::try_from(self.child.id().context("cloudcore has ended")?)?)
    }

    /// As after a power cut: killed, and started again at once.
    pub(super) async fn restart(&mut self) -> anyhow::Result<i32> {
        self.child.kill().await.context("kill cloudcore")?;
        self.child = spawn(&self.binary, self.folder.path())?;
        self.pid()
    }

    pub(super) async fn stop(mut self) -> anyhow::Result<ExitStatus> {
        kill(Pid::from_raw(self.pid()?), Signal::SIGTERM).context("stop cloudcore")?;
        match timeout(STOP, self.child.wait()).await {
            Ok(status) => Ok(status?),
            Err(_) => {
                self.child.kill().await?;
                anyhow::bail!("cloudcore did not stop within {STOP:?} and was killed")
            }
        }
    }

    pub(super) fn log_tail(&self) -> String {
        let text = std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(TAIL)..].join("\n")
    }

    /// Until nodes can join.
    async fn wait(&mut self) -> anyhow::Result<()> {
        let end = Instant::now() + START;
        loop {
            let found = match cluster::client(&self.kubeconfig()).await {
                Ok(client) => cluster::join_token(&client).await.map(drop),
                Err(error) => Err(error),
            };
            let Err(error) = found else { return Ok(()) };
            if let Some(status) = self.child.try_wait()? {
                anyhow::bail!("cloudcore ended with {status}:\n{}", self.log_tail());
            }
            if Instant::now() >= end {
                return Err(error).with_context(|| format!("cloudcore does not start:\n{}", self.log_tail()));
            }
            sleep(LOOK).await;
        }
    }
}

fn spawn(binary: &Path, folder: &Path) -> anyhow::Result<Child> {
    let log = File::options().create(true).append(true).open(folder.join("log"))?;
    Command::new(binary)
        .arg("--config")
        .arg(folder.join("cloudcore.yaml"))
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("start {}", binary.display()))
}

fn settings(folder: &Path, ports: Ports, nodes: u32) -> config::CloudCore {
    let path = |name: &str| folder.join(name).to_string_lossy().into_owned();
    let mut settings = config::CloudCore::default();
    settings.common_config.monitor_server.bind_address = format!("{LOOPBACK}:{}", ports.admin);
    // A line for every node that comes and goes would be measured too.
    settings.logging.level = "warn".to_owned();
    let hub = &mut settings.modules.cloud_hub;
    hub.node_limit = nodes.saturating_add(nodes / 10 + 100);
    hub.advertise_address = vec![LOOPBACK.to_owned()];
    hub.websocket.address = LOOPBACK.to_owned();
    hub.websocket.port = ports.websocket;
    hub.https.address = LOOPBACK.to_owned();
    hub.https.port = ports.https;
    hub.unixsocket.enable = false;
    hub.tls_ca_file = path("ca.crt");
    hub.tls_ca_key_file = path("ca.key");
    hub.tls_cert_file = path("server.crt");
    hub.tls_private_key_file = path("server.key");
    let embedded = &mut settings.modules.embedded;
    embedded.enable = true;
    embedded.data_dir = path("embedded");
    embedded.port = ports.api;
    settings
}
