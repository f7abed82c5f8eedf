//! One Kubernetes API and several CloudCores on it, behind load balancers, as an operator would have them in a cluster.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic as tests may")]

use std::path::PathBuf;

use nix::sys::signal::Signal;
use proto::config::cloudcore::CloudCore;
use proto::config::edgecore::EdgeCore;

use crate::balancer::Balancer;
use crate::daemons::{Cloud, SOON, metrics, start, state};
use crate::ports;
use crate::process::Process;
use crate::service::{Answer, Ask};
use crate::wait::until;

/// Opens every rule.
pub const TOKEN: &str = "0123456789abcdef-everything";

/// The API, the CloudCores, and what stands before them.
#[derive(Debug)]
pub struct Replicas {
    /// Has the API; no node connects to it.
    pub api: Cloud,
    /// In front of the ports that nodes connect to.
    pub channel: Balancer,
    /// In front of the ports that nodes join at.
    pub joining: Balancer,
    /// The CloudCores.
    pub all: Vec<Replica>,
}

/// One CloudCore.
#[derive(Debug)]
pub struct Replica {
    /// Its name, which is in the name of its Lease.
    pub name: String,
    config: CloudCore,
    dir: PathBuf,
    process: Option<Process>,
}

/// Where the router of a replica listens.
#[derive(Debug, Clone, Copy)]
pub struct Router {
    port: u16,
}

impl Replicas {
    /// Starts the API and `count` CloudCores with routers, and waits until they are ready.
    ///
    /// # Panics
    /// When they do not start.
    pub async fn start(count: usize) -> Self {
        Self::start_with(count, |_| {}).await
    }

    /// With what `adjust` makes of the configuration of each.
    ///
    /// # Panics
    /// When they do not start.
    pub async fn start_with(count: usize, adjust: impl Fn(&mut CloudCore)) -> Self {
        let api = Cloud::start().await;
        let mut all: Vec<Replica> = (1..=count).map(|number| Replica::of(&api, number)).collect();
        for replica in &mut all {
            adjust(&mut replica.config);
            replica.start();
        }
        let ports = |port: fn(&CloudCore) -> u16| all.iter().map(|replica| port(&replica.config)).collect();
        let channel: Vec<u16> = ports(|config| config.modules.cloud_hub.websocket.port);
        let joining: Vec<u16> = ports(|config| config.modules.cloud_hub.https.port);
        let (channel, joining) = (Balancer::start(&channel).await, Balancer::start(&joining).await);
        let replicas = Self { api, channel, joining, all };
        for replica in &replicas.all {
            replica.ready().await;
        }
        replicas
    }

    /// The configuration of a node that comes through the balancers.
    ///
    /// # Panics
    /// When there is no room for it.
    #[must_use]
    pub fn edge(&self, node: &str) -> EdgeCore {
        let mut config = self.api.edge(node);
        let hub = &mut config.modules.edge_hub;
        hub.http_server = format!("https://127.0.0.1:{}", self.joining.port);
        hub.websocket.server = format!("127.0.0.1:{}", self.channel.port);
        config
    }

    /// Waits until a node is connected to one of them, and says to which.
    ///
    /// # Panics
    /// When it does not come.
    pub async fn holder(&self, node: &str) -> usize {
        until(&format!("{node} is connected"), SOON, || async {
            for (index, replica) in self.all.iter().enumerate() {
                if let Ok(state) = state(replica.admin()).await
                    && state["cloudhub"].get(node).is_some()
                {
                    return Ok(index);
                }
            }
            anyhow::bail!("no replica has it")
        })
        .await
        .unwrap()
    }
}

impl Replica {
    fn of(api: &Cloud, number: usize) -> Self {
        let name = format!("replica-{number}");
        let dir = api.dir.path().join(&name);
        std::fs::create_dir_all(&dir).unwrap();
        let path = |name: &str| dir.join(name).to_str().unwrap().to_owned();
        let tokens = path("tokens");
        std::fs::write(&tokens, format!("{TOKEN},everything\n")).unwrap();
        let [admin, websocket, https, forwarding, router] = ports::free().unwrap();
        let mut config = CloudCore::default();
        config.common_config.monitor_server.bind_address = format!("127.0.0.1:{admin}");
        config.kube_api_config.kube_config =
            api.dir.path().join("api/admin.kubeconfig").to_str().unwrap().to_owned();
        let hub = &mut config.modules.cloud_hub;
        hub.replica_name.clone_from(&name);
        hub.advertise_address = vec!["127.0.0.1".to_owned()];
        (hub.websocket.address, hub.websocket.port) = ("127.0.0.1".to_owned(), websocket);
        (hub.https.address, hub.https.port) = ("127.0.0.1".to_owned(), https);
        (hub.forwarding.address, hub.forwarding.port) = ("127.0.0.1".to_owned(), forwarding);
        (hub.tls_ca_file, hub.tls_ca_key_file) = (path("ca.crt"), path("ca.key"));
        let section = &mut config.modules.router;
        (section.enable, section.address, section.port) = (true, "127.0.0.1".to_owned(), router);
        section.token_file = tokens;
        Self { name, config, dir, process: None }
    }

    /// Starts it, also after it was killed.
    ///
    /// # Panics
    /// When it is not built.
    pub fn start(&mut self) {
        self.process = Some(start("cloudcore", &self.config, &self.dir));
    }

    /// Where its admin HTTP is.
    #[must_use]
    pub fn admin(&self) -> &str {
        &self.config.common_config.monitor_server.bind_address
    }

    /// What it counts as this.
    ///
    /// # Errors
    /// When it does not answer, or has no such number.
    pub async fn number(&self, metric: &str) -> anyhow::Result<f64> {
        let text = metrics(self.admin()).await?;
        let value =
            text.lines().find_map(|line| line.strip_prefix(metric).and_then(|rest| rest.strip_prefix(' ')));
        let value = value.ok_or_else(|| anyhow::anyhow!("{} has no {metric}", self.name))?;
        Ok(value.parse()?)
    }

    /// Waits until it counts this.
    ///
    /// # Panics
    /// When it does not come to that.
    pub async fn counts(&self, metric: &str, expected: f64) {
        until(&format!("{metric} of {} is {expected}", self.name), SOON, || async {
            let value = self.number(metric).await?;
            anyhow::ensure!((value - expected).abs() < f64::EPSILON, "{value}");
            Ok(())
        })
        .await
        .unwrap();
    }

    /// Waits until it says that it is ready.
    ///
    /// # Panics
    /// When it does not.
    pub async fn ready(&self) {
        until(&format!("{} is ready", self.name), SOON, || async {
            let answer = crate::site::get(self.admin(), "/readyz").await?;
            anyhow::ensure!(answer.starts_with("HTTP/1.1 200"), "{answer}");
            Ok(())
        })
        .await
        .unwrap();
    }

    /// Kills it with SIGKILL.
    ///
    /// # Panics
    /// When it does not run.
    pub fn kill(&mut self) {
        self.process.take().unwrap().kill().unwrap();
    }

    /// Tells it to end, and waits until it has, as when a Deployment rolls.
    ///
    /// # Panics
    /// When it does not end well.
    pub async fn stop(&mut self) {
        let mut process = self.process.take().unwrap();
        process.signal(Signal::SIGTERM).unwrap();
        let log = process.log_tail();
        let status = tokio::task::spawn_blocking(move || process.wait()).await.unwrap().unwrap();
        assert!(status.success(), "{} ended with {status}:\n{log}", self.name);
    }

    /// Lets it stand still.
    ///
    /// # Panics
    /// When it does not run.
    pub fn pause(&self) {
        self.process.as_ref().unwrap().signal(Signal::SIGSTOP).unwrap();
    }

    /// Lets it go on.
    ///
    /// # Panics
    /// When it does not run.
    pub fn wake(&self) {
        self.process.as_ref().unwrap().signal(Signal::SIGCONT).unwrap();
    }

    /// All that it has logged.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.join("cloudcore.log")).unwrap_or_default()
    }

    /// Its router, running or not.
    #[must_use]
    pub fn router(&self) -> Router {
        Router { port: self.config.modules.router.port }
    }
}

impl Router {
    /// A request to it.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn ask(&self, method: &str, path: &str, body: &str) -> anyhow::Result<Answer> {
        let url = format!("https://127.0.0.1:{}{path}", self.port);
        Ask { method, url: &url, ca: None, token: Some(TOKEN), body }.send().await
    }
}
