//! What the node knows, on disk: one SQLite file (DESIGN section 5).
//!
//! | table | holds | policy |
//! |---|---|---|
//! | `objects` | what the cloud sent: pods, config maps, secrets, the node, ... | newest wins, until the cloud says delete |
//! | `states` | what was reported last, one row per object: pod status, node status | newest wins, sent until the cloud has accepted it |
//! | `queue` | what the cloud must hear in order: pods that are gone, events | durable; events are bounded, the oldest go |
//! | `removals` | pods that the cloud has removed | until nothing is left of the pod on this node |
//! | `devices` | which pod has which devices of plugins | until nothing of the pod runs |
//! | `uploads` | users' messages (MQTT, QoS 1) on their way to the cloud | in order, until they have arrived; bounded by their bytes |
//! | `tokens` | service account tokens by request | the last one, until its pod is gone |
//!
//! [`Store`] is a cheap handle. All writes go to one [`Writer`] module, which puts what is waiting into one
//! transaction and answers each caller after the commit: an answer means "on disk". Reads have a connection of their own.
//! A write that changes nothing is not written (flash wears out).
//!
//! The file may be a stock EdgeCore's: its pods, config maps, secrets and node are taken over once, its tables stay.

mod error;
mod open;
mod read;
mod schema;
mod snapshot;
#[cfg(test)]
mod tests;
mod unused;
mod uploads;
mod write;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use chassis::channel::{Receiver, Sender, bounded};
use chassis::clock::Clock;
use rusqlite::Connection;
use tokio::sync::oneshot;

pub use self::error::StoreError;
pub use self::uploads::{Upload, UploadLimit, UploadsWaiting, WaitingUpload};
pub use self::write::{Change, Outcome, Writer};

/// Writers wait for each other's commit; a queue longer than this only adds latency.
const WRITE_QUEUE: usize = 64;

/// An object that the cloud sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// `<namespace>/<type>/<name>` as on the wire (spec cloud-and-wire 1.9).
    pub key: String,
    /// The type word of the key, `pod` or `configmap`.
    pub kind: String,
    /// `metadata.uid`, empty when the object has none.
    pub uid: String,
    /// The object's JSON, as it came.
    pub value: Vec<u8>,
    /// The cloud's digest of it; 0 when it came without one.
    pub digest: u64,
}

/// A state that the cloud has not accepted yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// Resource path that it goes to, for example `default/podpatch/web`.
    pub key: String,
    /// UID of the object that it belongs to, empty for the node.
    pub uid: String,
    /// Rises with every change of this row: acceptance of an older version does not clear a newer one.
    pub version: i64,
    /// The patch.
    pub value: Vec<u8>,
}

/// A pod that the cloud has removed and of which something may be left here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removal {
    /// `metadata.uid`, never empty.
    pub uid: String,
    /// `metadata.namespace`
    pub namespace: String,
    /// `metadata.name`
    pub name: String,
}

/// What the queue holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueueKind {
    /// Nothing of a terminating pod is left; `value` is its UID. Never dropped.
    PodGone,
    /// A Kubernetes event. Bounded, see [`write::EVENTS_KEPT`].
    Event,
}

impl QueueKind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::PodGone => "pod-gone",
            Self::Event => "event",
        }
    }

    fn parse(word: &str) -> Option<Self> {
        [Self::PodGone, Self::Event].into_iter().find(|kind| kind.as_str() == word)
    }
}

/// One entry of the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queued {
    /// Rises; entries are sent in this order.
    pub id: i64,
    /// What it is.
    pub kind: QueueKind,
    /// Resource path that it goes to.
    pub key: String,
    /// Its content.
    pub value: Vec<u8>,
}

/// How much the cloud has not accepted yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    /// Objects with a state to tell.
    pub states: i64,
    /// Entries of the queue.
    pub queue: i64,
}

/// Handle to the store. The file is closed when the last handle and the [`Writer`] are gone.
#[derive(Debug, Clone)]
pub struct Store {
    writes: Sender<Job>,
    reader: Arc<Mutex<Connection>>,
    path: Arc<Path>,
}

/// One caller's changes, applied together or not at all.
#[derive(Debug)]
struct Job {
    changes: Vec<Change>,
    done: oneshot::Sender<Result<Vec<Outcome>, StoreError>>,
}

type Jobs = Receiver<Job>;

/// Opens the file at `path`, creating it and its folder when they are missing, and brings it to this version's
/// schema. A damaged file is kept aside as `<name>.damaged-<unix seconds>` and replaced by the last snapshot, or by
/// an empty file when there is none. Returns the handle and the module that writes.
///
/// # Errors
/// When the folder or the file cannot be made, read or written (permissions, full disk), or when a newer version of
/// EdgeCore wrote it.
pub fn open(path: &Path, clock: Clock) -> Result<(Store, Writer), StoreError> {
    let writer = open::open_or_recover(path, &clock)?;
    let reader = open::reader(path)?;
    let (writes, jobs) = bounded("store_writes", WRITE_QUEUE);
    let path: Arc<Path> = PathBuf::from(path).into();
    let store = Store { writes, reader: Arc::new(Mutex::new(reader)), path: Arc::clone(&path) };
    Ok((store, Writer::new(writer, jobs, path)))
}

impl Store {
    /// Makes `changes` in one transaction and answers when they are on disk, with one outcome per change.
    ///
    /// # Errors
    /// When the file cannot be written; nothing of `changes` is kept then.
    pub async fn apply(&self, changes: Vec<Change>) -> Result<Vec<Outcome>, StoreError> {
        if changes.is_empty() {
            return Ok(Vec::new());
        }
        let (done, answer) = oneshot::channel();
        self.writes.send(Job { changes, done }).await.map_err(|_| StoreError::Closed)?;
        answer.await.map_err(|_| StoreError::Closed)?
    }
}
