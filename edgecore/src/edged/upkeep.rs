//! The node's upkeep: what nobody asks for and every node needs, so that it never fills up.
//!
//! | part | what it looks at | what it does |
//! |---|---|---|
//! | [`logs`] | sizes of container logs | rotates and compresses them, deletes the oldest |
//!
//! Each part looks at regular times. That is measuring, not polling for an event: no kernel tells that a file has
//! grown or that a disk is filling up. Nothing is kept here: after a restart it all begins anew, from what is on disk.

pub mod config;
pub mod logs;

use std::convert::Infallible;

use chassis::clock::Clock;

pub use self::config::UpkeepConfig;
use self::logs::LogKeeper;
use super::runtime::Runtime;

/// Does all of it.
#[derive(Debug)]
pub struct Upkeep {
    logs: Option<LogKeeper>,
}

// === impl Upkeep ===

impl Upkeep {
    /// Puts the parts together; nothing is done yet.
    pub fn new(config: UpkeepConfig, runtime: Runtime, clock: Clock) -> Self {
        Self { logs: config.logs.map(|config| LogKeeper::new(config, runtime, clock)) }
    }

    /// Runs until it is dropped.
    pub async fn run(self) -> Infallible {
        match self.logs {
            Some(logs) => logs.run().await,
            None => std::future::pending().await,
        }
    }
}
