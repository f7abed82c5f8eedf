//! Container logs are rotated before they fill the disk
//! (<https://kubernetes.io/docs/concepts/cluster-administration/logging/#log-rotation>).
//!
//! The runtime writes a container's log; a log that has grown too large is renamed, and the runtime told to begin a
//! new one (`ReopenContainerLog`). Whenever edged ends in between, the next round goes on: a log that was renamed and
//! not begun anew is found by what is missing. Logs of removed containers go with them, elsewhere.

mod disk;
mod plan;

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use chassis::clock::Clock;

use self::disk::Folder;
use self::plan::Tidying;
use crate::edged::runtime::{ContainerId, ContainerState, Runtime, RuntimeError};

/// Logs that are rotated in one round, the largest first; the others wait for the next. A round must end before the
/// next is due, and what a rotation costs is a call of the runtime and the packing of `containerLogMaxSize`.
const ROTATIONS: usize = 32;

/// When and how logs are rotated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogConfig {
    /// `podLogsDir`
    pub root: PathBuf,
    /// `containerLogMaxSize` in bytes.
    pub max_size: u64,
    /// `containerLogMaxFiles`: with the one that is written to.
    pub max_files: usize,
    /// `containerLogMonitorInterval`
    pub every: Duration,
}

/// Rotates logs.
#[derive(Debug)]
pub struct LogKeeper {
    config: LogConfig,
    runtime: Runtime,
    clock: Clock,
    /// Logs whose container does not run, and their sizes: as long as those stay, nobody needs to be asked again.
    at_rest: HashMap<PathBuf, Option<u64>>,
}

// === impl LogKeeper ===

impl LogKeeper {
    /// A keeper of the logs below `config.root`.
    pub fn new(config: LogConfig, runtime: Runtime, clock: Clock) -> Self {
        Self { config, runtime, clock, at_rest: HashMap::new() }
    }

    /// Looks at all logs again and again. A round is one thing after the other, so a board with one core and a slow
    /// card is never busy with more than one log.
    pub async fn run(mut self) -> Infallible {
        loop {
            tokio::time::sleep(self.config.every).await;
            self.round().await;
        }
    }

    async fn round(&mut self) {
        let root = self.config.root.clone();
        let folders = match blocking(move || disk::folders(&root)).await {
            Ok(folders) => folders,
            Err(error) => {
                tracing::warn!(path = %self.config.root.display(), %error, "logs cannot be looked at");
                return;
            }
        };
        let (mut due, tidy): (Vec<Folder>, Vec<Folder>) =
            folders.into_iter().partition(|folder| self.is_due(folder));
        let at_rest = std::mem::take(&mut self.at_rest);
        due.sort_by_key(|folder| std::cmp::Reverse(folder.size));
        let mut rotated = Vec::new();
        for folder in due {
            if at_rest.get(&folder.path) == Some(&folder.size) {
                self.at_rest.insert(folder.path.clone(), folder.size);
            } else if rotated.len() < ROTATIONS {
                match self.rotate(&folder).await {
                    Ok(true) => rotated.push(folder),
                    Ok(false) => drop(self.at_rest.insert(folder.path.clone(), folder.size)),
                    // The next round tries again: nothing is lost but room.
                    Err(error) => {
                        tracing::warn!(path = %folder.path.display(), %error, "log was not rotated");
                    }
                }
            }
        }
        for folder in rotated.into_iter().chain(tidy) {
            self.tidy(folder).await;
        }
    }

    /// Too large, or renamed and not begun anew.
    fn is_due(&self, folder: &Folder) -> bool {
        folder.size.is_none_or(|size| size > self.config.max_size)
    }

    /// `false`: there is nobody who could write to this log.
    async fn rotate(&self, folder: &Folder) -> Result<bool, LogError> {
        let Some(container) = self.running(folder).await? else { return Ok(false) };
        if folder.size.is_none() {
            self.runtime.reopen_log(&container).await?;
            return Ok(true);
        }
        let (now, renamed) = (self.clock.now(), folder.clone());
        let aside = blocking(move || renamed.put_aside(now)).await?;
        if let Err(error) = self.runtime.reopen_log(&container).await {
            let live = folder.live();
            blocking(move || disk::put_back(&aside, &live)).await?;
            return Err(error.into());
        }
        tracing::debug!(path = %folder.path.display(), "log rotated");
        Ok(true)
    }

    async fn running(&self, folder: &Folder) -> Result<Option<ContainerId>, RuntimeError> {
        let containers = self.runtime.containers(Some(&folder.uid)).await?;
        let mut mine = containers.into_iter().filter(|container| {
            container.name == folder.container
                && container.attempt == folder.attempt
                && container.state == ContainerState::Running
        });
        Ok(mine.next().map(|container| container.id))
    }

    async fn tidy(&self, folder: Folder) {
        let max_files = self.config.max_files;
        // What was rotated just now has one part more than was seen.
        if !self.is_due(&folder) && Tidying::of(&folder.parts, max_files).is_empty() {
            return;
        }
        let path = folder.path.clone();
        if let Err(error) = blocking(move || folder.tidy(max_files)).await {
            tracing::warn!(path = %path.display(), %error, "old logs were not packed or removed");
        }
    }
}

/// Why a log was not rotated.
#[derive(Debug, thiserror::Error)]
enum LogError {
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    #[error(transparent)]
    Disk(#[from] io::Error),
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}
