//! Waits for more of a log: for what the container writes, for the file that takes the place of a full one, and for the
//! end of the container.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::blocking;
use super::file::{Log, Place};
use crate::edged::folder_watch::Watch;
use crate::edged::relist::Seen;
use crate::edged::runtime::{ContainerId, ContainerState, Runtime, RuntimeError};

/// A runtime may open the next file first and then turn to it (containerd does): what it has in hand goes to the present one, which is done
/// when nothing has come for so long.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// See the module.
#[derive(Debug)]
pub(super) struct Follow {
    place: Place,
    watch: Watch,
    runtime: Runtime,
    seen: watch::Receiver<Seen>,
    uid: String,
    id: ContainerId,
    has_ended: bool,
    /// When the present file has been at rest for long enough, after a newer one was noticed.
    quiet: Option<Instant>,
}

/// What there is to read when all of the present file has been read.
#[derive(Debug)]
pub(super) enum More {
    /// Something may have been added.
    Here,
    /// The file was shortened: it begins anew.
    Again,
    /// The runtime writes to this file now, and no more to the present one.
    In(Arc<Log>),
    /// Nothing, and nothing will be.
    Nowhere,
}

impl Follow {
    /// Follows from now on; what is written before the file is opened is read from the file.
    ///
    /// # Errors
    /// The folder cannot be watched.
    pub(super) fn new(
        place: Place,
        runtime: Runtime,
        seen: watch::Receiver<Seen>,
        uid: &str,
        id: &ContainerId,
    ) -> io::Result<Self> {
        let watch = Watch::new(&place.folder())?;
        let (uid, id) = (uid.to_owned(), id.clone());
        Ok(Self { place, watch, runtime, seen, uid, id, has_ended: false, quiet: None })
    }

    /// Waits for more than the first `offset` bytes of `log`, which have been read.
    pub(super) async fn more(&mut self, log: &Arc<Log>, offset: u64) -> io::Result<More> {
        loop {
            let (length, newer) = self.look(log.clone()).await?;
            if length != offset {
                self.quiet = None;
                return Ok(if length < offset { More::Again } else { More::Here });
            }
            if let Some(newer) = newer {
                let until = *self.quiet.get_or_insert_with(|| Instant::now() + LAST_WORDS);
                if self.has_ended || Instant::now() >= until {
                    self.quiet = None;
                    return Ok(More::In(newer));
                }
                tokio::select! {
                    changed = self.watch.changed() => changed?,
                    () = sleep_until(until) => {}
                }
                continue;
            }
            if self.has_ended {
                return Ok(More::Nowhere);
            }
            if !self.runs().await {
                // What was written just before that is there by now.
                self.has_ended = true;
                continue;
            }
            tokio::select! {
                changed = self.watch.changed() => changed?,
                changed = self.seen.changed() => if changed.is_err() {
                    return Ok(More::Nowhere);
                },
            }
        }
    }

    /// Length of the present file, and the file in its place if there is one.
    async fn look(&self, log: Arc<Log>) -> io::Result<(u64, Option<Arc<Log>>)> {
        let place = self.place.clone();
        blocking(move || {
            let length = log.len()?;
            Ok((length, place.successor(&log)?.map(Arc::new)))
        })
        .await
    }

    /// The list is where news come from; whether it is older than the container is asked of the runtime.
    async fn runs(&mut self) -> bool {
        if self.seen.borrow_and_update().runs(&self.uid, &self.id) {
            return true;
        }
        match self.runtime.container_status(&self.id).await {
            Ok(status) => matches!(status.state, ContainerState::Running | ContainerState::Created),
            Err(RuntimeError::NotFound { .. }) => false,
            // While the runtime cannot be asked, the container is believed to live; its return is news.
            Err(_) => true,
        }
    }
}
