//! Pods and the node: kubelet's contract over CRI.
//!
//! MetaManager says which pods there should be ([`crate::flow::PodChange`]); the container runtime shows which there
//! are. One actor per pod ([`pod`]) leads from the one to the other. What is learnt goes to MetaManager through
//! [`MetaClient`]: statuses, events, the node and its lease. Nothing is kept here: after a restart the pods come from
//! the store and their containers, found by their labels, are adopted as they are.
//!
//! Ends when the inbox from MetaManager closes; containers keep running.

pub mod admission;
pub mod config;
pub mod csi;
pub mod devices;
pub mod downward;
pub mod env;
pub mod events;
mod folder_watch;
pub mod hook;
pub mod image;
pub mod labels;
mod machine;
pub mod node;
pub mod node_shutdown;
mod parts;
pub mod plugins;
pub mod pod;
pub mod pods;
pub mod probe;
pub mod relist;
pub mod resources;
pub mod roster;
pub mod runtime;
pub mod server;
pub mod sources;
pub mod static_pods;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod upkeep;
pub mod volumes;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use anyhow::Context as _;
use chassis::admin::Board;
use chassis::channel::Receiver;
use chassis::clock::Clock;
use chassis::module::Module;
use chassis::rng::Rng;
use chassis::shutdown::Shutdown;
use tokio::sync::watch;

pub use config::Config;
pub use machine::Machine;

use self::csi::reporter::Reporter;
use self::csi::{Driver, Drivers};
use self::devices::{Counts, Devices, Reception};
use self::events::Recorder;
use self::image::Images;
use self::node::{NodeAgent, Signals};
use self::node_shutdown::NodeShutdown;
use self::parts::Parts;
use self::plugins::{CSI_PLUGIN, DEVICE_PLUGIN, Handlers, PluginHandler, Registry};
use self::pod::context::PodContext;
use self::pod::summary::PodSummary;
use self::pods::Pods;
use self::relist::{Relist, Seen};
use self::resources::cgroup::PodCgroups;
use self::roster::Roster;
use self::runtime::Runtime;
use self::server::{Pulse, PulseInbox, View};
use self::static_pods::clerk::Clerk;
use self::static_pods::{Found, StaticPods};
use self::upkeep::eviction::EvictionOrder;
use self::upkeep::{Told, Tools, Upkeep};
use self::volumes::Volumes;
use self::volumes::mounter::Mounter;
use crate::flow::{MetaClient, PodInbox};

/// The module.
#[derive(Debug)]
pub struct Edged {
    inbox: PodInbox,
    pods: Pods,
    parts: Parts,
    news: News,
    board: Board<PodSummary>,
    view: View,
}

/// What the parts tell.
#[derive(Debug)]
struct News {
    /// The runtime's sandboxes and containers.
    seen: watch::Receiver<Seen>,
    /// Pods of the node's files.
    found: watch::Receiver<Found>,
    /// The devices of plugins.
    devices: watch::Receiver<Counts>,
    /// Pods that have to end for the node's sake.
    evictions: Receiver<EvictionOrder>,
    /// Drivers of volumes come and go.
    drivers: watch::Receiver<BTreeMap<String, Driver>>,
    /// The same, because the machine is shut down.
    terminations: Receiver<EvictionOrder>,
    /// Whether this loop turns is asked here.
    pulse: PulseInbox,
}

// === impl Edged ===

impl Edged {
    /// Puts edged together; nothing is done yet.
    ///
    /// # Errors
    /// `rootDirectory` cannot be made.
    pub fn new(
        config: Config,
        inbox: PodInbox,
        meta: MetaClient,
        runtime: Runtime,
        machine: Machine,
        clock: Clock,
        rng: Rng,
    ) -> anyhow::Result<Self> {
        let events = recorder(&config, &meta, &clock);
        let node_name = config.node.name.clone();
        let root = &config.root_directory;
        let Storage { drivers, devices, volumes, plugins, reporter, reception } =
            Storage::new(&config, machine.mounter, &meta, &events, &clock, &rng)?;
        let cgroups = PodCgroups::new(config.cgroup_driver, &config.cgroup_root, machine.cgroups);
        let roster = Roster::default();
        let tools = Tools {
            runtime: runtime.clone(),
            roster: roster.clone(),
            gauges: machine.gauges,
            events: events.clone(),
            cgroups: cgroups.clone(),
            clock: clock.clone(),
        };
        let (upkeep, Told { pressures, evictions }) = Upkeep::new(config.upkeep, tools);
        let (shutdown, is_shutting_down, terminations) =
            NodeShutdown::new(config.shutdown, machine.logind, roster.clone(), rng.clone());
        let signals = Signals::new(&pressures, &devices, &is_shutting_down);
        let (counts, drivers) = (devices.counts(), drivers.follow());
        let (node, facts) = NodeAgent::new(
            config.node,
            meta.clone(),
            runtime.clone(),
            events.clone(),
            clock.clone(),
            rng.clone(),
            signals,
        );
        let (static_pods, found) = StaticPods::new(config.static_pods, &node_name, clock.now());
        let (errands, clerk) = Clerk::new(meta.clone(), rng.clone());
        let (relist, seen) = Relist::new(runtime.clone(), rng);
        let (pulse, inlet) = Pulse::new();
        let board = Board::default();
        let context = PodContext {
            images: Images::new(runtime.clone()),
            runtime,
            volumes,
            cgroups,
            devices,
            meta,
            events,
            board: board.clone(),
            roster,
            pressures,
            is_shutting_down,
            node: facts,
            has_apparmor: machine.has_apparmor,
            settings: config.pods,
            clock,
            runtime_name: OnceLock::new(),
        };
        let view = view(&context, root, seen.clone(), pulse);
        let pods = Pods::new(Arc::new(context), errands);
        let parts =
            Parts { relist, node, upkeep, static_pods, clerk, plugins, reporter, reception, shutdown };
        let news = News { seen, found, devices: counts, evictions, terminations, drivers, pulse: inlet };
        Ok(Self { inbox, pods, parts, news, board, view })
    }

    /// What the local server sees of it ([`server`]).
    pub fn view(&self) -> View {
        self.view.clone()
    }

    /// The pods, for `/debug/state`.
    pub fn board(&self) -> Board<PodSummary> {
        self.board.clone()
    }
}

/// Volumes, devices, and the plugins of the node that may bring them.
struct Storage {
    drivers: Arc<Drivers>,
    devices: Devices,
    volumes: Volumes<MetaClient>,
    plugins: Registry,
    reporter: Reporter,
    reception: Reception,
}

impl Storage {
    fn new(
        config: &Config,
        mounter: Arc<dyn Mounter>,
        meta: &MetaClient,
        events: &Recorder,
        clock: &Clock,
        rng: &Rng,
    ) -> anyhow::Result<Self> {
        let (root, node) = (&config.root_directory, &config.node.name);
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

fn view(context: &PodContext, root: &Path, seen: watch::Receiver<Seen>, pulse: Pulse) -> View {
    View {
        roster: context.roster.clone(),
        runtime: context.runtime.clone(),
        seen,
        pulse,
        node: context.node.clone(),
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

impl Module for Edged {
    const NAME: &'static str = "edged";

    async fn run(self, _shutdown: Shutdown) -> anyhow::Result<()> {
        let Self { mut inbox, mut pods, parts, news, board: _, view: _ } = self;
        let News {
            mut seen,
            mut found,
            mut devices,
            mut evictions,
            mut terminations,
            mut drivers,
            mut pulse,
        } = news;
        // The node's part ends with this module, not with the process's shutdown: it speaks until the last pod has.
        let (_stop_node, node_shutdown) = Shutdown::new();
        pods.restore_devices().await;
        let mut parts = parts.spawn(node_shutdown);
        loop {
            tokio::select! {
                change = inbox.recv() => match change {
                    Some(change) => pods.apply(change),
                    None => return Ok(()),
                },
                changed = seen.changed() => {
                    changed.context("relist ended")?;
                    let now = seen.borrow_and_update().clone();
                    pods.look(now);
                }
                changed = found.changed() => {
                    changed.context("static pods ended")?;
                    let now = found.borrow_and_update().clone();
                    pods.found(now);
                }
                changed = drivers.changed() => {
                    changed.context("the drivers of volumes ended")?;
                    pods.drivers_changed();
                }
                changed = devices.changed() => {
                    changed.context("nobody counts devices")?;
                    pods.devices_changed(&devices.borrow_and_update());
                }
                Some(order) = evictions.recv() => pods.evict(order),
                Some(order) = terminations.recv() => pods.evict(order),
                forgotten = pods.forget_next() => forgotten?,
                () = pulse.answer() => {}
                Some(part) = parts.join_next() => {
                    let part = part.context("a part of edged failed")?;
                    anyhow::bail!("{part} ended early");
                }
            }
            pods.settle().await;
        }
    }
}

#[cfg(test)]
mod tests;
