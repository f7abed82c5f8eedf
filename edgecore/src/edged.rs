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
pub mod downward;
pub mod env;
pub mod events;
mod folder_watch;
pub mod hook;
pub mod image;
pub mod labels;
pub mod node;
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

use std::path::Path;
use std::sync::{Arc, OnceLock};

use anyhow::Context as _;
use chassis::admin::Board;
use chassis::channel::Receiver;
use chassis::clock::Clock;
use chassis::module::Module;
use chassis::rng::Rng;
use chassis::shutdown::Shutdown;
use chassis::task;
use tokio::sync::watch;
use tokio::task::JoinSet;

pub use config::Config;

use self::events::Recorder;
use self::image::Images;
use self::node::NodeAgent;
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
use self::upkeep::gauges::Gauges;
use self::upkeep::gauges::linux::LinuxGauges;
use self::upkeep::{Told, Tools, Upkeep};
use self::volumes::Volumes;
use self::volumes::mounter::{LinuxMounter, Mounter};
use crate::flow::{MetaClient, PodInbox};

/// Where Linux mounts the cgroup file systems.
const CGROUPS: &str = "/sys/fs/cgroup";

/// The part of the machine that edged changes besides the runtime; tests put something harmless in its place.
#[derive(Debug, Clone)]
pub struct Machine {
    /// Mounts volumes.
    pub mounter: Arc<dyn Mounter>,
    /// Where the cgroup file systems are mounted.
    pub cgroups: std::path::PathBuf,
    /// Tells how full it is.
    pub gauges: Arc<dyn Gauges>,
}

/// The module.
#[derive(Debug)]
pub struct Edged {
    inbox: PodInbox,
    pods: Pods,
    relist: Relist,
    seen: watch::Receiver<Seen>,
    node: NodeAgent,
    upkeep: Upkeep,
    static_pods: StaticPods,
    found: watch::Receiver<Found>,
    clerk: Clerk,
    evictions: Receiver<EvictionOrder>,
    board: Board<PodSummary>,
    view: View,
    pulse: PulseInbox,
}

// === impl Machine ===

impl Machine {
    /// This machine.
    pub fn real() -> Self {
        Self {
            mounter: Arc::new(LinuxMounter),
            cgroups: Path::new(CGROUPS).to_owned(),
            gauges: Arc::new(LinuxGauges::new("/proc", CGROUPS)),
        }
    }
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
        let events = match config.report_events {
            true => Recorder::new(meta.clone(), &config.node.name, clock.clone()),
            false => Recorder::disabled(&config.node.name, clock.clone()),
        };
        let node_name = config.node.name.clone();
        let root = &config.root_directory;
        let volumes = Volumes::open(root, machine.mounter, meta.clone(), clock.clone(), rng.clone())
            .with_context(|| format!("modules.edged.rootDirectory {}", root.display()))?;
        let cgroups = PodCgroups::new(config.cgroup_driver, &config.cgroup_root, machine.cgroups);
        let roster = Roster::default();
        let (upkeep, told) = Upkeep::new(
            config.upkeep,
            Tools {
                runtime: runtime.clone(),
                roster: roster.clone(),
                gauges: machine.gauges,
                events: events.clone(),
                cgroups: cgroups.clone(),
                clock: clock.clone(),
            },
        );
        let Told { pressures, evictions } = told;
        let (node, facts) = NodeAgent::new(
            config.node,
            meta.clone(),
            runtime.clone(),
            events.clone(),
            clock.clone(),
            rng.clone(),
            pressures.clone(),
        );
        let (static_pods, found) =
            StaticPods::new(config.static_pods, config.static_pods_every, &node_name, clock.now());
        let (errands, to_do) = watch::channel(Vec::new());
        let clerk = Clerk::new(meta.clone(), to_do, rng.clone());
        let (relist, seen) = Relist::new(runtime.clone(), rng);
        let (pulse, pulse_inbox) = Pulse::new();
        let view = View {
            roster: roster.clone(),
            runtime: runtime.clone(),
            seen: seen.clone(),
            pulse,
            node: facts.clone(),
            cgroups: cgroups.clone(),
            logs: config.pods.logs.clone(),
            root: root.clone(),
            clock: clock.clone(),
        };
        let context = PodContext {
            images: Images::new(runtime.clone()),
            runtime,
            volumes,
            cgroups,
            meta,
            events,
            board: Board::default(),
            roster,
            pressures,
            node: facts,
            settings: config.pods,
            clock,
            runtime_name: OnceLock::new(),
        };
        let board = context.board.clone();
        let pods = Pods::new(Arc::new(context), errands);
        Ok(Self {
            inbox,
            pods,
            relist,
            seen,
            node,
            upkeep,
            static_pods,
            found,
            clerk,
            evictions,
            board,
            view,
            pulse: pulse_inbox,
        })
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
        let Self {
            mut inbox,
            mut pods,
            relist,
            mut seen,
            node,
            upkeep,
            static_pods,
            mut found,
            clerk,
            mut evictions,
            board: _,
            view: _,
            mut pulse,
        } = self;
        // The node's part ends with this module, not with the process's shutdown: it speaks until the last pod has.
        let (_stop_node, node_shutdown) = Shutdown::new();
        let mut parts: JoinSet<&'static str> = JoinSet::new();
        task::spawn_in(&mut parts, tracing::info_span!("relist"), async move {
            relist.run().await;
            "relist"
        });
        task::spawn_in(&mut parts, tracing::info_span!("node"), async move {
            node.run(node_shutdown).await;
            "node"
        });
        task::spawn_in(&mut parts, tracing::info_span!("static_pods"), async move {
            match static_pods.run().await {}
        });
        task::spawn_in(&mut parts, tracing::info_span!("clerk"), async move { match clerk.run().await {} });
        task::spawn_in(&mut parts, tracing::info_span!("upkeep"), async move { match upkeep.run().await {} });
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
                Some(order) = evictions.recv() => pods.evict(order),
                forgotten = pods.forget_next() => forgotten?,
                () = pulse.answer() => {}
                Some(part) = parts.join_next() => {
                    let part = part.context("a part of edged failed")?;
                    anyhow::bail!("{part} ended early");
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
