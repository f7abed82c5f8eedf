//! CloudCore in a world. It can be stopped and started; the API and the network live on.

use std::fmt;

use anyhow::Context as _;
use chassis::clock::Clock;
use chassis::link::memory::MemoryNet;
use chassis::rng::Rng;
use cloudcore::app::{App, Environment, Simulated};
use cloudcore::args::Pod;
use kube::Client;
use proto::config::cloudcore::CloudCore;

use super::running::Running;

/// Nobody speaks TLS here; pods only have to find a certificate in their volume.
const ROOT_PEM: &str = "a root certificate";

/// See the module.
pub struct Cloud {
    net: MemoryNet,
    client: Client,
    clock: Clock,
    rng: Rng,
    running: Option<Running>,
}

impl fmt::Debug for Cloud {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cloud").field("running", &self.running).finish_non_exhaustive()
    }
}

impl Cloud {
    pub(super) fn new(net: &MemoryNet, client: &Client, clock: &Clock, rng: &Rng) -> Self {
        Self {
            net: net.clone(),
            client: client.clone(),
            clock: clock.clone(),
            rng: rng.clone(),
            running: None,
        }
    }

    /// Starts it.
    ///
    /// # Errors
    /// What could not be opened.
    pub async fn start(&mut self) -> anyhow::Result<()> {
        let mut config = CloudCore::default();
        config.common_config.monitor_server.bind_address = "127.0.0.1:0".to_owned();
        let simulated = Simulated {
            acceptor: Box::new(self.net.listen()),
            client: self.client.clone(),
            root_pem: ROOT_PEM.to_owned(),
        };
        let environment = Environment {
            clock: self.clock.clone(),
            rng: self.rng.clone(),
            log: None,
            simulated: Some(simulated),
            service: None,
            pod: Pod::default(),
        };
        let app = App::build(config, environment).await.context("start CloudCore")?;
        self.running = Some(Running::start(app.admin_address(), |stop| app.run_until(stop)));
        Ok(())
    }

    /// Stops it in order.
    ///
    /// # Errors
    /// When it is not running or did not end well.
    pub async fn stop(&mut self) -> anyhow::Result<()> {
        self.running.take().context("CloudCore is not running")?.stop().await.context("stop CloudCore")
    }

    /// Ends it at once, as `kill -9` does.
    pub fn kill(&mut self) {
        self.running = None;
    }

    /// A page of CloudCore's admin HTTP, with the head of the answer.
    ///
    /// # Errors
    /// When CloudCore does not run.
    pub async fn page(&self, path: &str) -> anyhow::Result<String> {
        self.running.as_ref().context("CloudCore is not running")?.page(path).await
    }

    /// Whether it was started and not stopped since; one that failed counts as running.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.running.is_some()
    }

    pub(super) fn running(&self) -> Option<&Running> {
        self.running.as_ref()
    }
}
