//! The node's upkeep: what nobody asks for and every node needs, so that it never fills up.
//!
//! | part | what it looks at | what it does |
//! |---|---|---|
//! | [`images`] | how full the disk of images is | removes those that no pod needs, the least recently used first |
//! | [`logs`] | sizes of container logs | rotates and compresses them, deletes the oldest |
//!
//! Each part looks at regular times. That is measuring, not polling for an event: no kernel tells that a file has
//! grown or that a disk is filling up. Nothing is kept here: after a restart it all begins anew, from what is on disk.

pub mod config;
pub mod gauges;
pub mod images;
pub mod logs;

use std::convert::Infallible;
use std::sync::Arc;

use chassis::clock::Clock;

pub use self::config::UpkeepConfig;
use self::gauges::Gauges;
use self::images::ImageKeeper;
use self::logs::LogKeeper;
use super::events::Recorder;
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
    /// For the node's events.
    pub events: Recorder,
    /// Wall clock.
    pub clock: Clock,
}

/// Does all of it.
#[derive(Debug)]
pub struct Upkeep {
    logs: Option<LogKeeper>,
    images: ImageKeeper,
}

// === impl Upkeep ===

impl Upkeep {
    /// Puts the parts together; nothing is done yet.
    pub fn new(config: UpkeepConfig, tools: Tools) -> Self {
        let Tools { runtime, roster, gauges, events, clock } = tools;
        let (images, _cleaner) = ImageKeeper::new(config.images, runtime.clone(), roster, gauges, events);
        Self { logs: config.logs.map(|config| LogKeeper::new(config, runtime, clock)), images }
    }

    /// Runs until it is dropped. The parts do not wait for each other: packing a log takes seconds on a slow board.
    pub async fn run(self) -> Infallible {
        let Self { logs, images } = self;
        let logs = async {
            match logs {
                Some(logs) => logs.run().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            never = logs => never,
            never = images.run() => never,
        }
    }
}
