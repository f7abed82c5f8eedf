//! What a connected node should have and has not acknowledged yet.
//!
//! EdgeController writes, the session of the node reads; neither waits for the other. The lock is a leaf: it is
//! held for one operation on a map and never across an `await`.
//!
//! In this cut nothing is kept from one connection to the next: on connect everything that the node should have
//! is put in, and the node drops what it has already (stock edges compare versions). The `ObjectSync` records of
//! stock KubeEdge are neither read nor written yet.

pub(crate) mod state;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::time::Instant;

use self::state::{Change, OutboxState, Transmission};

/// The writing end. Clones write to the same outbox.
#[derive(Debug, Clone)]
pub struct Outbox {
    shared: Arc<Shared>,
}

/// The reading end, which belongs to the session. Dropping it closes the outbox: what is put in later is dropped.
#[derive(Debug)]
pub struct OutboxReader {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    inner: Mutex<Inner>,
    changed: Notify,
    /// `state` counts time from here.
    start: Instant,
}

#[derive(Debug, Default)]
struct Inner {
    state: OutboxState,
    closed: bool,
    node_deleted: bool,
}

// === impl Outbox ===

impl Outbox {
    /// An empty outbox and its reading end.
    pub fn new() -> (Self, OutboxReader) {
        let inner = Mutex::new(Inner::default());
        let shared = Arc::new(Shared { inner, changed: Notify::new(), start: Instant::now() });
        (Self { shared: Arc::clone(&shared) }, OutboxReader { shared })
    }

    /// The node should have these, or should no longer have them.
    pub fn push(&self, changes: impl IntoIterator<Item = Arc<Change>>) {
        let mut inner = self.shared.lock();
        if !inner.closed {
            for change in changes {
                inner.state.push(change);
            }
            drop(inner);
            self.shared.changed.notify_one();
        }
    }

    /// The Node object is gone: the session ends.
    pub fn node_deleted(&self) {
        self.shared.lock().node_deleted = true;
        self.shared.changed.notify_one();
    }

    /// Whether the session has ended.
    pub fn is_closed(&self) -> bool {
        self.shared.lock().closed
    }

    /// Whether both are the same outbox.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }
}

// === impl OutboxReader ===

impl OutboxReader {
    /// What to send now, if anything may be sent. `new_id` makes the id of a message that goes out first time.
    pub fn next(&self, new_id: impl FnOnce() -> String) -> Option<Transmission> {
        let now = self.shared.start.elapsed();
        self.shared.lock().state.next(now, new_id)
    }

    /// The node has stored message `id`. Whether anybody waited for that.
    pub fn acknowledged(&self, id: &str) -> bool {
        let known = self.shared.lock().state.acknowledged(id);
        if known {
            self.shared.changed.notify_one();
        }
        known
    }

    /// When the next unacknowledged message falls due, if any is under way.
    pub fn deadline(&self) -> Option<Instant> {
        let due = self.shared.lock().state.deadline()?;
        Some(self.shared.start + due)
    }

    /// Ends when something may have changed since the last call of `next`.
    pub async fn changed(&self) {
        self.shared.changed.notified().await;
    }

    /// Whether the Node object is gone.
    pub fn is_node_deleted(&self) -> bool {
        self.shared.lock().node_deleted
    }

    /// Objects that wait or are under way.
    pub fn len(&self) -> usize {
        self.shared.lock().state.len()
    }

    /// Whether the node has everything.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Drop for OutboxReader {
    fn drop(&mut self) {
        let mut inner = self.shared.lock();
        inner.closed = true;
        inner.state = OutboxState::default();
    }
}

// === impl Shared ===

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Operations on the state do not panic halfway: what a panicking thread left behind is whole.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
