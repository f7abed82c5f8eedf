//! What a connected node should have and has not acknowledged yet.
//!
//! EdgeController writes, the session of the node reads; neither waits for the other. The lock is a leaf: it is
//! held for one operation on a map and never across an `await`.
//!
//! Nothing is kept from one connection to the next: on connect EdgeController puts in what the node lacks. A native
//! edge says what it holds; a stock edge is sent everything, and drops what it has already. What it should have no longer
//! is known from its records ([`super::SyncRecords`]).

mod change;
pub(crate) mod state;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::Instant;

use proto::Lane;

use self::state::{Change, OutboxState, Pace, Transmission};

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
    /// Told of every change: each stream of a session looks for itself.
    changed: watch::Sender<()>,
    /// `state` counts time from here.
    start: Instant,
}

#[derive(Debug)]
struct Inner {
    state: OutboxState,
    closed: bool,
    node_deleted: bool,
    /// Held from the snapshot until the node has it, but no longer than the time says: see [`Outbox::resync`].
    resync: Option<(OwnedSemaphorePermit, Instant)>,
}

/// A node that takes longer than this for its snapshot makes way for others, and goes on beside them.
const RESYNC_PATIENCE: Duration = Duration::from_secs(10);

// === impl Outbox ===

impl Outbox {
    /// An empty outbox and its reading end.
    pub fn new(pace: Pace) -> (Self, OutboxReader) {
        let state = OutboxState::new(pace);
        let inner = Mutex::new(Inner { state, closed: false, node_deleted: false, resync: None });
        let shared = Arc::new(Shared { inner, changed: watch::Sender::new(()), start: Instant::now() });
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
            self.shared.changed.send_replace(());
        }
    }

    /// Everything that the node lacks, at the start of a session. `permit` is one of those that bound how many nodes
    /// are brought up to date at a time.
    pub fn resync(&self, changes: impl IntoIterator<Item = Arc<Change>>, permit: OwnedSemaphorePermit) {
        {
            let mut inner = self.shared.lock();
            if inner.closed {
                return;
            }
            inner.resync = Some((permit, Instant::now() + RESYNC_PATIENCE));
        }
        self.push(changes);
    }

    /// The Node object is gone: the session ends.
    pub fn node_deleted(&self) {
        self.shared.lock().node_deleted = true;
        self.shared.changed.send_replace(());
    }

    /// Whether the session has ended.
    pub fn is_closed(&self) -> bool {
        self.shared.lock().closed
    }

    /// Objects that wait or are under way.
    pub fn len(&self) -> usize {
        self.shared.lock().state.len()
    }

    /// Whether the node has everything.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether both are the same outbox.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }
}

// === impl OutboxReader ===

impl OutboxReader {
    /// What to send now, if anything may be sent. `new_id` makes the id of a message that goes out first time.
    pub fn next(&self, lanes: &[Lane], new_id: impl FnOnce() -> String) -> Option<Transmission> {
        let now = self.shared.start.elapsed();
        let mut inner = self.shared.lock();
        let is_in_sync = inner.state.len() == 0;
        inner.resync.take_if(|(_, until)| is_in_sync || Instant::now() >= *until);
        inner.state.next(now, lanes, new_id)
    }

    /// The node has stored message `id`. What that was, if anybody waited for it.
    pub fn acknowledged(&self, id: &str) -> Option<Arc<Change>> {
        let change = self.shared.lock().state.acknowledged(id);
        if change.is_some() {
            self.shared.changed.send_replace(());
        }
        change
    }

    /// The node could not store message `id`. Whether it was under way.
    pub fn refused(&self, id: &str) -> bool {
        let now = self.shared.start.elapsed();
        let known = self.shared.lock().state.refused(now, id);
        if known {
            // Its time to go out again has changed.
            self.shared.changed.send_replace(());
        }
        known
    }

    /// When the next unacknowledged message falls due, if any is under way.
    pub fn deadline(&self) -> Option<Instant> {
        let inner = self.shared.lock();
        let due = inner.state.deadline().map(|due| self.shared.start + due);
        let resync = inner.resync.as_ref().map(|(_, until)| *until);
        due.into_iter().chain(resync).min()
    }

    /// Changes whenever there may be something new to send.
    pub fn news(&self) -> watch::Receiver<()> {
        self.shared.changed.subscribe()
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
        inner.resync = None;
        inner.state = OutboxState::new(Pace::STOCK);
    }
}

// === impl Shared ===

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Operations on the state do not panic halfway: what a panicking thread left behind is whole.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
