//! A CloudCore and the Kubernetes API that it uses, in a folder and on ports of their own.

use std::fs::File;
use std::net::{TcpListener, UdpSocket};
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
use crate::dialect::Dialect;
use crate::hub::page;

/// Everything is on this machine.
const LOOPBACK: &str = "127.0.0.1";
/// A hub that takes longer does not start.
const START: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(50);
/// Time for a hub to say goodbye to its nodes.
const STOP: Duration = Duration::from_secs(30);
/// Names of configuration and log.
const HUB: &str = "hub";
const API: &str = "api";
/// Lines of its log that are shown when something went wrong.
const TAIL: usize = 20;

/// A running hub. Dropping it kills it and removes its folder.
#[derive(Debug)]
pub(super) struct CloudCore {
    folder: tempfile::TempDir,
    binary: PathBuf,
    hub: Child,
    ports: Ports,
    api: Api,
}

/// Where the Kubernetes API is.
#[derive(Debug)]
enum Api {
    /// In the hub.
    Inside,
    /// In another CloudCore that has no nodes, as a cluster would be.
    Beside {
        /// Ends with this.
        _process: Box<Child>,
        ports: Ports,
    },
}

#[derive(Debug, Clone, Copy)]
struct Ports {
    websocket: u16,
    quic: u16,
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
        let quic = UdpSocket::bind((LOOPBACK, 0)).context("no free UDP port")?.local_addr()?.port();
        Ok(Self { websocket: ports[0], quic, https: ports[1], admin: ports[2], api: ports[3] })
    }

    fn metrics(&self) -> String {
        format!("http://{LOOPBACK}:{}/metrics", self.admin)
    }
}

impl CloudCore {
    /// Starts `binary`, or the one beside this program, for so many nodes.
    pub(super) async fn start(
        binary: Option<&Path>,
        nodes: u32,
        dialect: Dialect,
        api_inside: bool,
    ) -> anyhow::Result<Self> {
        let binary = match binary {
            Some(binary) => binary.to_owned(),
            None => std::env::current_exe()?.with_file_name("cloudcore"),
        };
        anyhow::ensure!(binary.exists(), "{} is not there: `make build` builds it", binary.display());
        let folder = tempfile::tempdir()?;
        let ports = Ports::find()?;
        let mut hub = settings(folder.path(), ports, nodes, Some(dialect));
        let api = if api_inside {
            embed(&mut hub, folder.path(), ports.api);
            Api::Inside
        } else {
            let ports = Ports::find()?;
            let mut api = settings(folder.path(), ports, nodes, None);
            embed(&mut api, folder.path(), ports.api);
            write(folder.path(), API, &api)?;
            let mut process = spawn(&binary, folder.path(), API)?;
            until_joinable(&mut process, folder.path(), API).await?;
            hub.kube_api_config.kube_config = kubeconfig(folder.path()).to_string_lossy().into_owned();
            Api::Beside { _process: Box::new(process), ports }
        };
        write(folder.path(), HUB, &hub)?;
        let mut process = spawn(&binary, folder.path(), HUB)?;
        until_joinable(&mut process, folder.path(), HUB).await?;
        let hub = Self { folder, binary, hub: process, ports, api };
        hub.until_ready().await?;
        Ok(hub)
    }

    /// Where nodes connect.
    pub(super) fn server(&self, dialect: Dialect) -> String {
        let port = match dialect {
            Dialect::Stock | Dialect::Native => self.ports.websocket,
            Dialect::Quic => self.ports.quic,
        };
        format!("{LOOPBACK}:{port}")
    }

    pub(super) fn https(&self) -> String {
        format!("{LOOPBACK}:{}", self.ports.https)
    }

    /// Its metrics, and those of the API.
    pub(super) fn metrics(&self) -> Vec<String> {
        match &self.api {
            Api::Inside => vec![self.ports.metrics()],
            Api::Beside { ports, .. } => vec![self.ports.metrics(), ports.metrics()],
        }
    }

    pub(super) fn kubeconfig(&self) -> PathBuf {
        kubeconfig(self.folder.path())
    }

    pub(super) fn pid(&self) -> anyhow::Result<i32> {
        Ok(i32::try_from(self.hub.id().context("cloudcore has ended")?)?)
    }

    /// As after a power cut: killed, and started again at once.
    pub(super) async fn restart(&mut self) -> anyhow::Result<i32> {
        self.hub.kill().await.context("kill cloudcore")?;
        self.hub = spawn(&self.binary, self.folder.path(), HUB)?;
        self.pid()
    }

    pub(super) async fn stop(mut self) -> anyhow::Result<ExitStatus> {
        kill(Pid::from_raw(self.pid()?), Signal::SIGTERM).context("stop cloudcore")?;
        match timeout(STOP, self.hub.wait()).await {
            Ok(status) => Ok(status?),
            Err(_) => {
                self.hub.kill().await?;
                anyhow::bail!("cloudcore did not stop within {STOP:?} and was killed")
            }
        }
    }

    pub(super) fn log_tail(&self) -> String {
        log_tail(self.folder.path(), HUB)
    }

    /// Until nodes can come in.
    async fn until_ready(&self) -> anyhow::Result<()> {
        let url = format!("http://{LOOPBACK}:{}/readyz", self.ports.admin);
        let end = Instant::now() + START;
        while let Err(error) = page(&url).await {
            if Instant::now() >= end {
                return Err(error).with_context(|| format!("cloudcore does not start:\n{}", self.log_tail()));
            }
            sleep(LOOK).await;
        }
        Ok(())
    }
}

/// Until the API answers and has the join token.
async fn until_joinable(process: &mut Child, folder: &Path, name: &str) -> anyhow::Result<()> {
    let end = Instant::now() + START;
    loop {
        let found = match cluster::client(&kubeconfig(folder)).await {
            Ok(client) => cluster::join_token(&client).await.map(drop),
            Err(error) => Err(error),
        };
        let Err(error) = found else { return Ok(()) };
        let log = || format!("cloudcore does not start:\n{}", log_tail(folder, name));
        if let Some(status) = process.try_wait()? {
            anyhow::bail!("{}\nit ended with {status}", log());
        }
        if Instant::now() >= end {
            return Err(error).with_context(log);
        }
        sleep(LOOK).await;
    }
}

fn kubeconfig(folder: &Path) -> PathBuf {
    folder.join("embedded/admin.kubeconfig")
}

fn log_tail(folder: &Path, name: &str) -> String {
    let text = std::fs::read_to_string(folder.join(name).with_extension("log")).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(TAIL)..].join("\n")
}

fn write(folder: &Path, name: &str, settings: &config::CloudCore) -> anyhow::Result<()> {
    let yaml = chassis::config::to_yaml(settings)?;
    Ok(std::fs::write(folder.join(name).with_extension("yaml"), yaml)?)
}

fn spawn(binary: &Path, folder: &Path, name: &str) -> anyhow::Result<Child> {
    let log = File::options().create(true).append(true).open(folder.join(name).with_extension("log"))?;
    Command::new(binary)
        .arg("--config")
        .arg(folder.join(name).with_extension("yaml"))
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("start {}", binary.display()))
}

/// A CloudCore on these ports that takes nodes of one dialect, or none.
fn settings(folder: &Path, ports: Ports, nodes: u32, dialect: Option<Dialect>) -> config::CloudCore {
    let path = |name: &str| folder.join(name).to_string_lossy().into_owned();
    let mut settings = config::CloudCore::default();
    settings.common_config.monitor_server.bind_address = format!("{LOOPBACK}:{}", ports.admin);
    // A line for every node that comes and goes would be measured too.
    settings.logging.level = "warn".to_owned();
    let hub = &mut settings.modules.cloud_hub;
    hub.node_limit = nodes.saturating_add(nodes / 10 + 100);
    hub.advertise_address = vec![LOOPBACK.to_owned()];
    hub.websocket.enable = matches!(dialect, Some(Dialect::Stock | Dialect::Native));
    hub.websocket.address = LOOPBACK.to_owned();
    hub.websocket.port = ports.websocket;
    hub.quic.enable = dialect == Some(Dialect::Quic);
    hub.quic.address = LOOPBACK.to_owned();
    hub.quic.port = ports.quic;
    hub.https.address = LOOPBACK.to_owned();
    hub.https.port = ports.https;
    hub.unixsocket.enable = false;
    hub.tls_ca_file = path("ca.crt");
    hub.tls_ca_key_file = path("ca.key");
    hub.tls_cert_file = path("server.crt");
    hub.tls_private_key_file = path("server.key");
    settings
}

/// Gives it the Kubernetes API.
fn embed(settings: &mut config::CloudCore, folder: &Path, port: u16) {
    let embedded = &mut settings.modules.embedded;
    embedded.enable = true;
    embedded.data_dir = folder.join("embedded").to_string_lossy().into_owned();
    embedded.port = port;
}
