//! The node's upkeep: what nobody asks for and every node needs, so that it never fills up.
//!
//! | part | what it looks at | what it does |
//! |---|---|---|
//! | [`eviction`] | memory, disks, processes | ends pods before the node fails, tells the node's conditions |
//! | [`images`] | how full the disk of images is | removes those that no pod needs, the least recently used first |
//! | `memory` | how many pods have come or gone | gives back what they no longer need |
//! | [`logs`] | sizes of container logs | rotates and compresses them, deletes the oldest |
//!
//! Each part looks at regular times. That is measuring, not polling for an event: no kernel tells that a file has
//! grown or that a disk is filling up. Nothing is kept here: after a restart it all begins anew, from what is on disk.

pub mod config;
mod dead;
pub mod eviction;
pub mod gauges;
pub mod images;
pub mod logs;
mod memory;

use std::convert::Infallible;
use std::sync::Arc;

use chassis::channel::Receiver;
use chassis::clock::Clock;
use tokio::sync::watch;

pub use self::config::UpkeepConfig;
use self::dead::Undertaker;
use self::eviction::decide::Pressures;
use self::eviction::{EvictionOrder, EvictionTools, Evictor};
use self::gauges::Gauges;
use self::images::{ImageKeeper, ImageTools};
use self::logs::LogKeeper;
use self::memory::MemoryKeeper;
use super::events::Recorder;
use super::metrics::Metrics;
use super::resources::cgroup::PodCgroups;
use super::roster::Roster;
use super::runtime::Runtime;

/// What the upkeep works with.
#[derive(Debug)]
pub struct Tools {
    /// The container runtime.
    pub runtime: Runtime,
    /// The pods.
    pub roster: Roster,
    /// The machine.
    pub gauges: Arc<dyn Gauges>,
    /// Gives the process's free memory back to the system.
    pub give_back: fn(),
    /// For the node's events.
    pub events: Recorder,
    /// Counts.
    pub metrics: Metrics,
    /// Names the pods' cgroups.
    pub cgroups: PodCgroups,
    /// Wall clock.
    pub clock: Clock,
}

/// What the rest of edged is told.
#[derive(Debug)]
pub struct Told {
    /// For the node's conditions, and for pods that are new.
    pub pressures: watch::Receiver<Pressures>,
    /// Pods to be ended.
    pub evictions: Receiver<EvictionOrder>,
}

/// Does all of it.
#[derive(Debug)]
pub struct Upkeep {
    logs: Option<LogKeeper>,
    images: ImageKeeper,
    evictor: Evictor,
    memory: MemoryKeeper,
}

// === impl Upkeep ===

impl Upkeep {
    /// Puts the parts together; nothing is done yet.
    pub fn new(config: UpkeepConfig, tools: Tools) -> (Self, Told) {
        let Tools { runtime, roster, gauges, give_back, events, metrics, cgroups, clock } = tools;
        let undertaker = Undertaker {
            runtime: runtime.clone(),
            roster: roster.clone(),
            clock: clock.clone(),
            logs: config.eviction.logs.clone(),
            minimum_age: config.minimum_container_age,
        };
        let memory = MemoryKeeper::new(&roster, give_back);
        let logs = config.logs.map(|config| LogKeeper::new(config, runtime.clone(), clock));
        let pictures = ImageTools {
            runtime: runtime.clone(),
            roster: roster.clone(),
            gauges: gauges.clone(),
            events: events.clone(),
            metrics: metrics.clone(),
        };
        let (images, cleaner) = ImageKeeper::new(config.images, pictures);
        let tools = EvictionTools { runtime, roster, gauges, events, metrics, cgroups, cleaner, undertaker };
        let (evictor, pressures, evictions) = Evictor::new(config.eviction, tools);
        (Self { logs, images, evictor, memory }, Told { pressures, evictions })
    }

    /// Runs until it is dropped. The parts do not wait for each other: packing a log takes seconds on a slow board.
    pub async fn run(self) -> Infallible {
        let Self { logs, images, evictor, memory } = self;
        let logs = async {
            match logs {
                Some(logs) => logs.run().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            never = logs => never,
            never = images.run() => never,
            never = evictor.run() => never,
            never = memory.run() => never,
        }
    }
}
