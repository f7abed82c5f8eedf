//! Looks at the machine and the runtime, and keeps what one look needs to know of the one before.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use chassis::clock::Clock;
use k8s_openapi::api::core::v1::{Node, NodeCondition, NodeStatus};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use super::addresses::node_addresses;
use super::conditions::{conditions, transitions};
use super::config::NodeConfig;
use super::health::Health;
use super::machine::{Disk, Machine, Reader, disk};
use super::status::Facts;
use super::{NodeFacts, Signals};
use crate::edged::node_shutdown::NOT_READY;
use crate::edged::resources::Amount;
use crate::edged::runtime::{Handler, Image, Runtime, RuntimeError, RuntimeStatus, RuntimeVersion};

/// A runtime that takes longer to say how it is counts as down: the node's status must not wait for it.
const PROBE_LIMIT: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(super) struct Monitor {
    config: NodeConfig,
    runtime: Runtime,
    clock: Clock,
    machine: Machine,
    facts: watch::Sender<NodeFacts>,
    signals: Signals,
    health: Health,
    version: Option<RuntimeVersion>,
    images: Option<(Vec<Image>, Instant)>,
    conditions: Vec<NodeCondition>,
    transitions: Vec<&'static str>,
    is_ready: bool,
    network_problem: Option<String>,
    handlers: Option<Vec<Handler>>,
    has_strict_groups: Option<bool>,
    /// Volumes were told to be in use: that there are none any more has to be told, too.
    had_volumes: bool,
}

/// As kubelet writes several problems.
fn together(first: Option<String>, second: Option<String>) -> Option<String> {
    match (first, second) {
        (Some(first), Some(second)) => Some(format!("[{first}, {second}]")),
        (first, second) => first.or(second),
    }
}

impl Monitor {
    pub(super) fn new(
        root: PathBuf,
        config: NodeConfig,
        runtime: Runtime,
        clock: Clock,
        signals: Signals,
    ) -> (Self, watch::Receiver<NodeFacts>) {
        let reader = Reader::new(root);
        let (facts, receiver) = watch::channel(NodeFacts::default());
        let monitor = Self {
            machine: reader.machine(),
            config,
            runtime,
            clock,
            facts,
            signals,
            health: Health::default(),
            version: None,
            images: None,
            conditions: Vec::new(),
            transitions: Vec::new(),
            is_ready: false,
            network_problem: None,
            handlers: None,
            has_strict_groups: None,
            had_volumes: false,
        };
        let disk = disk(&monitor.config.root_directory);
        monitor.publish(disk, &node_addresses(&monitor.config));
        (monitor, receiver)
    }

    /// Goes on where the stored node left off: conditions that still hold keep the time since when they do.
    pub(super) fn resume(&mut self, known: &Node) {
        let conditions = known.status.as_ref().and_then(|status| status.conditions.clone());
        self.conditions = conditions.unwrap_or_default();
        let volumes = known.status.as_ref().and_then(|status| status.volumes_in_use.as_ref());
        self.had_volumes = volumes.is_some_and(|volumes| !volumes.is_empty());
    }

    pub(super) fn boot_id(&self) -> &str {
        &self.machine.boot_id
    }

    pub(super) fn is_ready(&self) -> bool {
        self.is_ready
    }

    /// Waits until the node comes under pressure or out of it, or its devices change.
    pub(super) async fn signalled(&mut self) {
        // When nobody looks after it any more it does not change.
        tokio::select! {
            Ok(()) = self.signals.pressures.changed() => {}
            Ok(()) = self.signals.devices.changed() => {}
            Ok(()) = self.signals.is_shutting_down.changed() => {}
            Ok(()) = self.signals.volumes_in_use.changed() => {}
            else => std::future::pending().await,
        }
    }

    /// Conditions that have changed since this was asked, as reasons of events.
    pub(super) fn take_transitions(&mut self) -> Vec<&'static str> {
        std::mem::take(&mut self.transitions)
    }

    /// The status as it is now.
    pub(super) async fn look(&mut self) -> NodeStatus {
        let disk = disk(&self.config.root_directory);
        let addresses = node_addresses(&self.config);
        self.signals.devices.mark_unchanged();
        self.publish(disk, &addresses);
        let answer = self.probe().await;
        self.network_problem = answer.as_ref().ok().and_then(|status| status.network_problem.clone());
        if let Ok(status) = &answer {
            self.handlers = Some(status.handlers.clone());
            self.has_strict_groups = Some(status.has_strict_groups);
        }
        self.publish(disk, &addresses);
        let shutdown = self.signals.is_shutting_down.borrow_and_update().then(|| NOT_READY.to_owned());
        let problem = together(self.health.observe(answer), shutdown);
        self.is_ready = problem.is_none();
        let pressures = *self.signals.pressures.borrow_and_update();
        let conditions = conditions(pressures, problem.as_deref(), &self.conditions, self.clock.now());
        self.transitions.extend(transitions(&self.conditions, &conditions));
        self.conditions.clone_from(&conditions);
        self.refresh_images().await;
        let volumes: Vec<String> = self.signals.volumes_in_use.borrow_and_update().iter().cloned().collect();
        self.had_volumes |= !volumes.is_empty();
        let mut status = self.facts_at(disk, &addresses).status(conditions);
        status.volumes_in_use = self.had_volumes.then_some(volumes);
        status
    }

    fn facts_at<'a>(&'a self, disk: Disk, addresses: &'a [IpAddr]) -> Facts<'a> {
        Facts {
            config: &self.config,
            machine: &self.machine,
            disk,
            devices: self.signals.devices.borrow().clone(),
            addresses,
            runtime: self.version.as_ref(),
            handlers: self.handlers.as_deref().unwrap_or_default(),
            has_strict_groups: self.has_strict_groups,
            images: self.images.as_ref().map(|(images, _)| images.as_slice()),
        }
    }

    fn publish(&self, disk: Disk, addresses: &[IpAddr]) {
        let facts = self.facts_at(disk, addresses);
        let facts = NodeFacts {
            addresses: addresses.to_vec(),
            allocatable: facts.allocatable(),
            room: facts.room(),
            enforced: facts.enforced(),
            page_sizes: self.machine.hugepages.keys().copied().collect(),
            memory: Amount::whole(i64::try_from(self.machine.memory).unwrap_or(i64::MAX)),
            network_problem: self.network_problem.clone(),
            handlers: self.handlers.clone(),
            has_strict_groups: self.has_strict_groups,
        };
        self.facts.send_if_modified(|current| {
            let changed = *current != facts;
            *current = facts;
            changed
        });
    }

    async fn probe(&mut self) -> Result<RuntimeStatus, RuntimeError> {
        let late = |_| RuntimeError::Timeout { call: "Status", limit: PROBE_LIMIT };
        let status = timeout(PROBE_LIMIT, self.runtime.status()).await.map_err(late).flatten();
        if status.is_err() {
            // It may come back as another version.
            self.version = None;
        } else if self.version.is_none() {
            self.version = timeout(PROBE_LIMIT, self.runtime.version()).await.map_err(late).flatten().ok();
        }
        status
    }

    /// Images change seldom and their list can be long, so they are asked for only as often as a full report is due.
    async fn refresh_images(&mut self) {
        let is_fresh = self.images.as_ref().is_some_and(|(_, at)| at.elapsed() < self.config.report_every);
        if self.config.max_images == Some(0) || is_fresh || !self.is_ready {
            return;
        }
        match timeout(PROBE_LIMIT, self.runtime.images()).await {
            Ok(Ok(images)) => self.images = Some((images, Instant::now())),
            Ok(Err(error)) => tracing::debug!(%error, "images were not listed"),
            Err(_) => tracing::debug!("images were not listed in time"),
        }
    }
}
