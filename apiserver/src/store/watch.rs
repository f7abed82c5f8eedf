//! Reading changes as they come.

use std::sync::Arc;

use tokio::sync::watch;

use super::shelves::Shelves;
use super::{Event, StoreError};

/// Changes taken out of the window at once. Each is a few handles, so this bounds what a slow watch holds.
const BATCH: usize = 64;

/// A place in the stream of changes. It holds no queue: a watch that reads too slowly falls out of the window and
/// ends with [`StoreError::Expired`], so a slow reader costs no memory.
#[derive(Debug)]
pub struct Watch {
    shelves: Arc<Shelves>,
    resource: Option<Box<str>>,
    namespace: Option<Box<str>>,
    position: u64,
    changed: watch::Receiver<u64>,
}

impl Watch {
    pub(super) fn new(
        shelves: Arc<Shelves>,
        resource: Option<&str>,
        namespace: Option<&str>,
        from: u64,
    ) -> Result<Self, StoreError> {
        let changed = shelves.subscribe(resource);
        shelves.changes(resource, namespace, from, 1)?;
        Ok(Self {
            shelves,
            resource: resource.map(Into::into),
            namespace: namespace.map(Into::into),
            position: from,
            changed,
        })
    }

    /// The next changes, at least one. Cancel safe.
    ///
    /// # Errors
    /// [`StoreError::Expired`] when this watch has been too slow.
    pub async fn next(&mut self) -> Result<Vec<Event>, StoreError> {
        loop {
            self.changed.borrow_and_update();
            let events = self.poll()?;
            if !events.is_empty() {
                return Ok(events);
            }
            self.changed.changed().await.map_err(|_| StoreError::Closed)?;
        }
    }

    /// The changes that are there now, perhaps none.
    ///
    /// # Errors
    /// As [`Self::next`].
    pub fn poll(&mut self) -> Result<Vec<Event>, StoreError> {
        let (events, position) = self.shelves.changes(
            self.resource.as_deref(),
            self.namespace.as_deref(),
            self.position,
            BATCH,
        )?;
        // A watch that starts in the future (at a revision that was never written) must not go back.
        self.position = self.position.max(position);
        Ok(events)
    }

    /// All changes up to this revision have been handed out.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.position
    }
}
