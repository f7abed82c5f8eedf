//! The node itself: registers, reports how it is, and renews its lease.
//!
//! Sent to MetaManager: the Node once per start, its status when it changed (or every `nodeStatusReportFrequency`), and
//! the lease. Read from: the kernel's files and the container runtime. Told to the rest of edged: [`NodeFacts`].
//! Nothing is kept on disk here, MetaManager does that; it ends when edged does.

mod addresses;
mod conditions;
mod config;
mod health;
mod lease;
mod machine;
mod monitor;
mod status;

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use chassis::backoff::{Backoff, BackoffPolicy};
use chassis::clock::Clock;
use chassis::rng::Rng;
use chassis::shutdown::Shutdown;
use k8s_openapi::api::core::v1::{Node, NodeStatus};
use proto::placement::Amounts;
use tokio::sync::watch;
use tokio::time::Instant;

pub use self::config::{NodeConfig, Threshold};
use self::lease::{Comebacks, Identity, LeaseKeeper};
use self::monitor::Monitor;
use self::status::{node, says_the_same};
use super::devices::{Counts, Devices};
use super::events::{Recorder, Severity, about_node};
use super::resources::{Amount, NodeResources};
use super::runtime::{Handler, Runtime};
use super::upkeep::eviction::decide::Pressures;
use crate::flow::MetaClient;

/// While the node is not ready it is looked at this often: what it waits for (the runtime, its network) is mostly
/// about to come.
const NOT_READY_INTERVAL: Duration = Duration::from_secs(1);
/// Between attempts to register; kubelet's values.
const REGISTER_AGAIN: BackoffPolicy = BackoffPolicy {
    initial: Duration::from_millis(100),
    max: Duration::from_secs(7),
    factor: 2.0,
    jitter: 0.3,
};

/// What pods may learn about the node they are on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NodeFacts {
    /// Addresses, the primary one first.
    pub addresses: Vec<IpAddr>,
    /// What there is for pods.
    pub allocatable: NodeResources,
    /// The same and what else pods may ask for (their number, huge pages), by name.
    pub room: Amounts,
    /// Sizes of huge pages that the kernel has, in bytes.
    pub page_sizes: Vec<u64>,
    /// What all pods together are held to; `None`: they are not.
    pub enforced: Option<NodeResources>,
    /// All memory, bytes: base of the memory requests' share in OOM scores.
    pub memory: Amount,
    /// Why pods cannot get a network, in the runtime's words; `None`: they can, or nobody knows.
    pub network_problem: Option<String>,
    /// What the runtime can run pods with; `None`: it was not asked yet.
    pub handlers: Option<Vec<Handler>>,
    /// Whether it gives a container no other groups than it is told to; `None`: it was not asked yet.
    pub has_strict_groups: Option<bool>,
}

impl NodeFacts {
    /// What is known of the runtime's handler of this name.
    pub fn handler(&self, name: &str) -> Option<&Handler> {
        self.handlers.iter().flatten().find(|handler| handler.name == name)
    }
}

/// What else of edged the node's status tells.
#[derive(Debug, Clone)]
pub struct Signals {
    /// What the node is short of.
    pub pressures: watch::Receiver<Pressures>,
    /// The devices of plugins.
    pub devices: watch::Receiver<Counts>,
    /// Whether the machine is being shut down.
    pub is_shutting_down: watch::Receiver<bool>,
    /// Volumes that must not be detached, as the cluster calls them.
    pub volumes_in_use: watch::Receiver<BTreeSet<String>>,
}

impl Signals {
    /// Of those who tell.
    pub fn new(
        pressures: &watch::Receiver<Pressures>,
        devices: &Devices,
        is_shutting_down: &watch::Receiver<bool>,
        volumes_in_use: watch::Receiver<BTreeSet<String>>,
    ) -> Self {
        Self {
            pressures: pressures.clone(),
            devices: devices.counts(),
            is_shutting_down: is_shutting_down.clone(),
            volumes_in_use,
        }
    }
}

/// Speaks for the node.
#[derive(Debug)]
pub struct NodeAgent {
    config: NodeConfig,
    meta: MetaClient,
    recorder: Recorder,
    clock: Clock,
    rng: Rng,
    monitor: Monitor,
}

impl NodeAgent {
    /// Looks at the machine once, so that the facts are there from the start.
    pub fn new(
        config: NodeConfig,
        meta: MetaClient,
        runtime: Runtime,
        recorder: Recorder,
        clock: Clock,
        rng: Rng,
        signals: Signals,
    ) -> (Self, watch::Receiver<NodeFacts>) {
        Self::on_machine("/".into(), config, meta, runtime, recorder, clock, rng, signals)
    }

    #[expect(clippy::too_many_arguments, reason = "those of `new`, and the machine")]
    fn on_machine(
        root: PathBuf,
        config: NodeConfig,
        meta: MetaClient,
        runtime: Runtime,
        recorder: Recorder,
        clock: Clock,
        rng: Rng,
        signals: Signals,
    ) -> (Self, watch::Receiver<NodeFacts>) {
        let (monitor, facts) = Monitor::new(root, config.clone(), runtime, clock.clone(), signals);
        (Self { config, meta, recorder, clock, rng, monitor }, facts)
    }

    /// Ends with `shutdown`, or when MetaManager has ended.
    pub async fn run(mut self, shutdown: Shutdown) {
        let name = self.config.name.clone();
        self.recorder.record(about_node(&name), Severity::Normal, "Starting", "Starting kubelet.").await;
        let known = self.meta.node().await.unwrap_or_else(|error| {
            tracing::warn!(%error, "the stored node cannot be read");
            None
        });
        if let Some(known) = &known {
            self.report_reboot(known).await;
            self.monitor.resume(known);
        }
        let status = self.monitor.look().await;
        // Offline after a restart, the node is known already, and what it reports waits in the store.
        let (registered, is_registered) = watch::channel(known.is_some());
        let (comebacks, came_back) = watch::channel(0);
        let register = Registration {
            meta: self.meta.clone(),
            clock: self.clock.clone(),
            rng: self.rng.clone(),
            config: self.config.clone(),
        };
        tokio::select! {
            () = shutdown.requested() => {}
            never = register.run(status, registered, comebacks) => match never {},
            never = self.report(is_registered, came_back) => match never {},
        }
    }

    async fn report_reboot(&self, known: &Node) {
        let info = known.status.as_ref().and_then(|status| status.node_info.as_ref());
        let boot = self.monitor.boot_id();
        if info.is_some_and(|info| !info.boot_id.is_empty() && info.boot_id != boot) {
            let name = &self.config.name;
            let message = format!("Node {name} has been rebooted, boot id: {boot}");
            self.recorder.record(about_node(name), Severity::Warning, "Rebooted", &message).await;
        }
    }

    /// Reports what changed, for ever.
    async fn report(
        &mut self,
        mut is_registered: watch::Receiver<bool>,
        mut came_back: watch::Receiver<u64>,
    ) -> Infallible {
        if is_registered.wait_for(|registered| *registered).await.is_err() {
            // The registration has ended, so everything is about to.
            return std::future::pending().await;
        }
        let mut reported: Option<(NodeStatus, Instant)> = None;
        // The cluster may take a node for lost just when it comes back, and write that over what was reported: until
        // a lease's time has passed, everything is reported.
        let mut insist_until = Instant::now();
        let mut doubts = Doubts::default();
        loop {
            let status = self.monitor.look().await;
            let known = self.meta.node().await.ok().flatten();
            let is_doubted = doubts.are_new(known.as_ref());
            let is_due = reported.as_ref().is_none_or(|(last, at)| {
                is_doubted
                    || Instant::now() < insist_until
                    || at.elapsed() >= self.config.report_every
                    || !says_the_same(last, &status)
            });
            for reason in self.monitor.take_transitions() {
                let name = &self.config.name;
                let message = format!("Node {name} status is now: {reason}");
                self.recorder.record(about_node(name), Severity::Normal, reason, &message).await;
            }
            if is_due {
                match self.meta.report_node_status(status.clone()).await {
                    Ok(()) => reported = Some((status, Instant::now())),
                    Err(error) => tracing::warn!(%error, "node status was not reported"),
                }
            }
            let is_ready = self.monitor.is_ready();
            let pause = if is_ready {
                self.config.update_every
            } else {
                NOT_READY_INTERVAL.min(self.config.update_every)
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.monitor.signalled() => {}
                Ok(()) = came_back.changed() => insist_until = Instant::now() + self.config.lease,
            }
        }
    }
}

/// What the cluster thinks of the node, when it thinks that the node is lost.
#[derive(Debug, Default)]
struct Doubts {
    /// The version of the Node that was answered last.
    answered: Option<String>,
}

impl Doubts {
    /// Whether the Node, as the cloud sent it last, says that the node is lost, and nothing was said against it yet.
    fn are_new(&mut self, node: Option<&Node>) -> bool {
        let conditions =
            node.and_then(|node| node.status.as_ref()?.conditions.as_deref()).unwrap_or_default();
        let is_lost = conditions.iter().any(|one| one.type_ == "Ready" && one.status == "Unknown");
        let version = node.and_then(|node| node.metadata.resource_version.clone());
        is_lost && version != std::mem::replace(&mut self.answered, version.clone())
    }
}

/// Makes the node known to the cluster, then keeps its lease.
struct Registration {
    meta: MetaClient,
    clock: Clock,
    rng: Rng,
    config: NodeConfig,
}

impl Registration {
    async fn run(
        self,
        status: NodeStatus,
        registered: watch::Sender<bool>,
        comebacks: Comebacks,
    ) -> Infallible {
        let uid = self.register(status).await;
        registered.send_replace(true);
        let NodeConfig { name, lease, .. } = &self.config;
        let node = Identity { name, uid: &uid };
        LeaseKeeper::new(self.meta, self.clock, self.rng, &node, *lease, comebacks).run().await
    }

    /// The UID of the Node.
    async fn register(&self, status: NodeStatus) -> String {
        let mut again = Backoff::new(REGISTER_AGAIN, self.rng.clone());
        if !self.config.register {
            return self.await_node(&mut again).await;
        }
        loop {
            match self.meta.register_node(node(&self.config, status.clone())).await {
                Ok(node) => {
                    tracing::info!(node = self.config.name, "node is registered");
                    return node.metadata.uid.unwrap_or_default();
                }
                Err(error) => tracing::warn!(%error, "node is not registered yet"),
            }
            tokio::time::sleep(again.next_delay()).await;
        }
    }

    /// `registerNode: false`: somebody else makes the Node.
    async fn await_node(&self, again: &mut Backoff) -> String {
        loop {
            if let Ok(Some(node)) = self.meta.node().await {
                return node.metadata.uid.unwrap_or_default();
            }
            tokio::time::sleep(again.next_delay()).await;
        }
    }
}

#[cfg(test)]
mod tests;
