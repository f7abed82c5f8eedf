//! Pods and the node: kubelet's contract over CRI.
//!
//! MetaManager says which pods there should be ([`crate::flow::PodChange`]); the container runtime shows which there
//! are. One actor per pod ([`pod`]) leads from the one to the other. What is learnt goes to MetaManager through
//! [`MetaClient`]: statuses, events, the node and its lease. Nothing is kept here: after a restart the pods come from
//! the store and their containers, found by their labels, are adopted as they are.
//!
//! Ends when the inbox from MetaManager closes; containers keep running.

pub mod admission;
mod base;
pub mod config;
pub mod csi;
mod dbus;
pub mod devices;
pub mod downward;
pub mod env;
pub mod events;
mod folder_watch;
pub mod hold;
pub mod hook;
pub mod image;
pub mod labels;
mod machine;
pub mod metrics;
pub mod node;
pub mod node_shutdown;
mod parts;
pub mod plugins;
pub mod pod;
pub mod pod_resources;
pub mod pods;
pub mod preemption;
pub mod probe;
pub mod process;
pub mod relist;
pub mod resources;
pub mod roster;
pub mod runtime;
pub mod server;
pub mod sources;
pub mod static_pods;
pub mod stop_signal;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod upkeep;
pub mod users;
pub mod volumes;

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Context as _;
use chassis::admin::Board;
use chassis::channel::{Receiver, bounded};
use chassis::clock::Clock;
use chassis::module::Module;
use chassis::rng::Rng;
use chassis::shutdown::Shutdown;
use tokio::sync::{mpsc, watch};

pub use config::Config;
pub use machine::Machine;

use self::base::{Base, Storage, ToldPods, view};
use self::csi::Driver;
use self::devices::Counts;
use self::hold::Holds;
use self::node::{NodeFacts, Signals};
use self::node_shutdown::NodeShutdown;
use self::parts::Parts;
use self::pod::summary::PodSummary;
use self::pod_resources::PodResourcesServer;
use self::pods::Pods;
use self::relist::{Relist, Seen};
use self::runtime::Runtime;
use self::server::{Pulse, PulseInbox, View};
use self::static_pods::clerk::Clerk;
use self::static_pods::{Found, StaticPods};
use self::upkeep::eviction::EvictionOrder;
use self::upkeep::{Told, Upkeep};
use self::users::UserRanges;
use crate::flow::{MetaClient, PodInbox};

/// Pods that make room and that edged has not taken note of yet; it does so at once.
const PREEMPTIONS: usize = 4;

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
    /// The same, because the machine is shut down.
    terminations: Receiver<EvictionOrder>,
    /// The same, because a critical pod needs their room.
    preemptions: Receiver<EvictionOrder>,
    /// About the node.
    node: watch::Receiver<NodeFacts>,
    /// Pods that need not be held any more, by UID.
    let_go: mpsc::Receiver<String>,
    /// Drivers of volumes come and go.
    drivers: watch::Receiver<BTreeMap<String, Driver>>,
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
        let root = &config.root_directory;
        let base = Base::new(&config, meta, runtime, &machine.cgroups, clock, rng);
        let rng = || base.rng.clone();
        let Storage { drivers, devices, volumes, plugins, reporter, reception } =
            Storage::new(&config, machine.mounter, &base)?;
        let (upkeep, Told { pressures, evictions }) =
            Upkeep::new(config.upkeep, base.tools(machine.gauges, machine.give_back));
        let (shutdown, is_shutting_down, terminations) =
            NodeShutdown::new(config.shutdown, machine.logind, base.roster.clone(), rng());
        let signals = Signals::new(&pressures, &devices, &is_shutting_down, volumes.in_use());
        let (static_pods, found) = StaticPods::new(config.static_pods, &config.node.name, base.clock.now());
        let (node, facts) = base.node(config.node, signals);
        let (errands, clerk) = Clerk::new(base.meta.clone(), rng());
        let (relist, seen) = Relist::new(base.runtime.clone(), rng(), base.metrics.clone());
        let pod_resources = PodResourcesServer::new(root, base.roster.clone(), devices.clone(), rng());
        let (pulse, inlet) = Pulse::new();
        let (preempt, preemptions) = bounded("preemptions", PREEMPTIONS);
        let (counts, news_of_drivers) = (devices.counts(), drivers.follow());
        let users = UserRanges::new(root, &machine.etc, config.pods.most);
        let told = ToldPods { pressures, is_shutting_down, node: facts, preemptions: preempt };
        let context = base.context(config.pods, volumes, devices, users, told, machine.has_apparmor);
        let board = context.board.clone();
        let (holds, let_go) = Holds::new(context.roster.clone(), root);
        let view = view(&context, root, seen.clone(), pulse, holds, drivers);
        let pods = Pods::new(Arc::new(context), errands);
        let parts = Parts {
            relist,
            node,
            upkeep,
            static_pods,
            clerk,
            plugins,
            reporter,
            reception,
            pod_resources,
            shutdown,
        };
        let news = News {
            seen,
            found,
            devices: counts,
            evictions,
            terminations,
            preemptions,
            node: view.node.clone(),
            let_go,
            drivers: news_of_drivers,
            pulse: inlet,
        };
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
            mut preemptions,
            mut node,
            mut let_go,
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
                changed = node.changed() => {
                    changed.context("the node's part ended")?;
                    node.mark_unchanged();
                    pods.node_changed();
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
                Some(order) = preemptions.recv() => pods.evict(order),
                Some(uid) = let_go.recv() => pods.let_go(&uid),
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
