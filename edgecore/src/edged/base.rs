//! What the parts of edged are made of, put together.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use anyhow::Context as _;
use chassis::admin::Board;
use chassis::channel::Sender;
use chassis::clock::Clock;
use chassis::rng::Rng;
use tokio::sync::watch;

use super::config::Config;
use super::csi::Drivers;
use super::csi::reporter::Reporter;
use super::devices::{Devices, Reception};
use super::events::Recorder;
use super::hold::Holds;
use super::image::Images;
use super::metrics::Metrics;
use super::node::{NodeAgent, NodeConfig, NodeFacts, Signals};
use super::plugins::{CSI_PLUGIN, DEVICE_PLUGIN, Handlers, PluginHandler, Registry};
use super::pod::context::{PodContext, PodSettings};
use super::relist::Seen;
use super::resources::cgroup::PodCgroups;
use super::roster::Roster;
use super::runtime::Runtime;
use super::server::{Pulse, View};
use super::upkeep::Tools;
use super::upkeep::eviction::EvictionOrder;
use super::upkeep::eviction::decide::Pressures;
use super::upkeep::gauges::Gauges;
use super::users::UserRanges;
use super::volumes::Volumes;
use super::volumes::mounter::Mounter;
use crate::flow::MetaClient;

/// What nearly every part needs.
#[derive(Debug)]
pub(super) struct Base {
    pub(super) meta: MetaClient,
    pub(super) runtime: Runtime,
    pub(super) events: Recorder,
    pub(super) metrics: Metrics,
    pub(super) roster: Roster,
    pub(super) cgroups: PodCgroups,
    pub(super) clock: Clock,
    pub(super) rng: Rng,
}

/// What pods are told by the parts that look after the node, and the other way round.
#[derive(Debug)]
pub(super) struct ToldPods {
    pub(super) pressures: watch::Receiver<Pressures>,
    pub(super) is_shutting_down: watch::Receiver<bool>,
    pub(super) node: watch::Receiver<NodeFacts>,
    pub(super) preemptions: Sender<EvictionOrder>,
}

// === impl Base ===

impl Base {
    pub(super) fn new(
        config: &Config,
        meta: MetaClient,
        runtime: Runtime,
        cgroups: &Path,
        clock: Clock,
        rng: Rng,
    ) -> Self {
        Self {
            events: recorder(config, &meta, &clock),
            metrics: Metrics::new(&config.node.name, &runtime.operations()),
            roster: Roster::default(),
            cgroups: PodCgroups::new(config.cgroup_driver, &config.cgroup_root, cgroups.to_owned()),
            meta,
            runtime,
            clock,
            rng,
        }
    }

    /// For the node's upkeep.
    pub(super) fn tools(&self, gauges: Arc<dyn Gauges>, give_back: fn()) -> Tools {
        Tools {
            runtime: self.runtime.clone(),
            roster: self.roster.clone(),
            gauges,
            give_back,
            events: self.events.clone(),
            metrics: self.metrics.clone(),
            cgroups: self.cgroups.clone(),
            clock: self.clock.clone(),
        }
    }

    /// Who speaks for the node, and what is known of it.
    pub(super) fn node(
        &self,
        config: NodeConfig,
        signals: Signals,
    ) -> (NodeAgent, watch::Receiver<NodeFacts>) {
        let (meta, runtime) = (self.meta.clone(), self.runtime.clone());
        let (events, clock, rng) = (self.events.clone(), self.clock.clone(), self.rng.clone());
        NodeAgent::new(config, meta, runtime, events, clock, rng, signals)
    }

    /// What all pods share.
    pub(super) fn context(
        self,
        settings: PodSettings,
        volumes: Volumes<MetaClient>,
        devices: Devices,
        users: UserRanges,
        told: ToldPods,
        has_apparmor: bool,
    ) -> PodContext {
        let ToldPods { pressures, is_shutting_down, node, preemptions } = told;
        PodContext {
            images: Images::new(self.runtime.clone(), settings.pulls),
            runtime: self.runtime,
            volumes,
            cgroups: self.cgroups,
            users,
            devices,
            meta: self.meta,
            events: self.events,
            metrics: self.metrics,
            board: Board::default(),
            roster: self.roster,
            preemptions,
            pressures,
            is_shutting_down,
            node,
            has_apparmor,
            settings,
            clock: self.clock,
            runtime_name: OnceLock::new(),
        }
    }
}

/// Volumes, devices, and the plugins of the node that may bring them.
pub(super) struct Storage {
    pub(super) drivers: Arc<Drivers>,
    pub(super) devices: Devices,
    pub(super) volumes: Volumes<MetaClient>,
    pub(super) plugins: Registry,
    pub(super) reporter: Reporter,
    pub(super) reception: Reception,
}

impl Storage {
    pub(super) fn new(config: &Config, mounter: Arc<dyn Mounter>, base: &Base) -> anyhow::Result<Self> {
        let (root, node) = (&config.root_directory, &config.node.name);
        let Base { meta, events, clock, rng, .. } = base;
        let drivers = Arc::new(Drivers::default());
        let devices = Devices::new(root, meta.clone());
        let handlers: Handlers = [
            (CSI_PLUGIN, drivers.clone() as Arc<dyn PluginHandler>),
            (DEVICE_PLUGIN, Arc::new(devices.clone())),
        ]
        .into();
        let (source, clock) = (meta.clone(), clock.clone());
        let volumes = Volumes::open(root, mounter, drivers.clone(), node, source, clock, rng.clone());
        Ok(Self {
            volumes: volumes.with_context(|| format!("modules.edged.rootDirectory {}", root.display()))?,
            plugins: Registry::new(root, handlers, events.clone(), node, rng.clone()),
            reporter: Reporter::new(meta.clone(), &drivers, rng.clone()),
            reception: Reception::new(devices.clone(), rng.clone()),
            devices,
            drivers,
        })
    }
}

/// What the local server sees.
pub(super) fn view(
    context: &PodContext,
    root: &Path,
    seen: watch::Receiver<Seen>,
    pulse: Pulse,
    holds: Holds,
    drivers: Arc<Drivers>,
) -> View {
    View {
        roster: context.roster.clone(),
        runtime: context.runtime.clone(),
        seen,
        pulse,
        node: context.node.clone(),
        metrics: context.metrics.clone(),
        holds,
        volumes: context.volumes.known(),
        drivers,
        cgroups: context.cgroups.clone(),
        logs: context.settings.logs.clone(),
        root: root.to_owned(),
        clock: context.clock.clone(),
    }
}

fn recorder(config: &Config, meta: &MetaClient, clock: &Clock) -> Recorder {
    match config.report_events {
        true => Recorder::new(meta.clone(), &config.node.name, clock.clone()),
        false => Recorder::disabled(&config.node.name, clock.clone()),
    }
}
