//! Objects with versions: one SQLite file, one rising revision, and a window of recent changes to watch.
//!
//! Every object lives in memory as compact JSON bytes and on disk as a row; the file is read at start and written
//! from then on. Writes go through one task that puts whatever is waiting into one transaction; they are
//! acknowledged, and become visible, only once that transaction is durable. Reads and watches never touch the file.
//!
//! `synchronous=FULL`: a write that was acknowledged survives a power cut as well as a SIGKILL. The price is one
//! fsync per transaction, which concurrent writers share.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

mod database;
mod shelves;
#[cfg(test)]
mod tests;
mod watch;
mod window;
mod writer;

use database::Connection;
use shelves::Shelves;
use writer::Request;

pub use watch::Watch;

/// Writes that wait for the writer. Each waiting client holds one, so this bounds memory to as many bodies; past
/// it, clients wait before their write is queued.
const WRITE_QUEUE: usize = 256;

/// Where objects are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Database {
    /// In this file, with its `-wal` and `-shm` beside it.
    File(PathBuf),
    /// In memory, gone with the last handle: for tests.
    Memory,
}

/// How much the store may hold.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Changes that are kept for watches and consistent lists. A watch that is further behind gets `410 Gone` and
    /// lists again.
    pub window_events: usize,
    /// Bytes of the objects in those changes, with versions that are still current counted although they cost
    /// nothing more.
    pub window_bytes: usize,
    /// Size of the database file; a write that would need more is refused as if the disk were full.
    pub file_bytes: u64,
}

/// Where an object is within its resource. Ordered by namespace, then name: the order of lists.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// `""` for cluster-scoped objects.
    pub namespace: Box<str>,
    /// Name of the object.
    pub name: Box<str>,
}

/// One version of one object.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Storage key of its kind.
    pub resource: Arc<str>,
    /// Its namespace and name.
    pub place: Arc<Place>,
    /// Revision that wrote this version; also in the object, as `metadata.resourceVersion`.
    pub revision: u64,
    /// The object as compact JSON.
    pub object: Bytes,
}

/// What happened to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It was not there before.
    Added,
    /// It was there in another version.
    Modified,
    /// It is gone; the entry is its last state.
    Deleted,
}

/// One change of one object.
#[derive(Debug, Clone)]
pub struct Event {
    /// What happened.
    pub change: Change,
    /// The object after it, or the last state of a deleted one (with the revision of the deletion).
    pub entry: Entry,
    /// The object before it; `None` for an added one.
    pub previous: Option<Bytes>,
}

/// A change to make.
#[derive(Debug)]
pub struct Write {
    /// Storage key of the kind.
    pub resource: Arc<str>,
    /// Which object.
    pub place: Place,
    /// What to do with it.
    pub action: Action,
}

/// What to do with an object.
#[derive(Debug)]
pub enum Action {
    /// Create it; it must not be there.
    Create(Value),
    /// Replace it; it must have this revision.
    Replace(u64, Value),
    /// Remove it; it must have this revision.
    Remove(u64),
}

/// Which objects to read.
#[derive(Debug, Clone, Copy)]
pub struct Range<'a> {
    /// Storage key of the kind.
    pub resource: &'a str,
    /// Only this namespace.
    pub namespace: Option<&'a str>,
    /// Only what comes after this place.
    pub after: Option<&'a Place>,
    /// As things were at this revision; `None` for now.
    pub at: Option<u64>,
}

/// What was read, and when.
#[derive(Debug)]
pub struct Snapshot {
    /// Revision of the store at that moment.
    pub revision: u64,
    /// Objects in the order of their places.
    pub entries: Vec<Entry>,
}

/// What can go wrong.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// A create found the object there already.
    #[error("the object exists already")]
    Exists,
    /// The object is not there, or has another revision than expected.
    #[error("the object is at revision {current:?}")]
    Conflict {
        /// Its revision; `None` when it is not there.
        current: Option<u64>,
    },
    /// The changes since that revision are no longer in the window.
    #[error("revision {requested} is too old: the oldest known is {oldest}")]
    Expired {
        /// What was asked for.
        requested: u64,
        /// The oldest that could be served.
        oldest: u64,
    },
    /// The file cannot be read or written: full disk, no permission, damage.
    #[error("{database}: {problem}")]
    Database {
        /// Path of the file.
        database: String,
        /// What SQLite said.
        problem: String,
    },
    /// The object is not a JSON object with metadata.
    #[error("the object cannot be stored: {0}")]
    Encoding(String),
    /// The writer has ended.
    #[error("the store is closed")]
    Closed,
}

/// A handle to the store; clones share it. The writer ends with the last handle.
#[derive(Debug, Clone)]
pub struct Store {
    shelves: Arc<Shelves>,
    writes: mpsc::Sender<Request>,
    _writer: Arc<JoinSet<()>>,
}

// === impl Store ===

impl Store {
    /// Opens or creates a store and reads it.
    ///
    /// # Errors
    /// When the file cannot be opened, is not ours, or holds a newer schema.
    pub async fn open(database: Database, limits: Limits) -> Result<Self, StoreError> {
        let (connection, content) = tokio::task::spawn_blocking(move || {
            let mut connection = Connection::open(&database, limits)?;
            let content = connection.load()?;
            Ok((connection, content))
        })
        .await
        .map_err(|_| StoreError::Closed)??;
        let shelves = Arc::new(Shelves::new(content, limits));
        let (writes, requests) = mpsc::channel(WRITE_QUEUE);
        let mut tasks = JoinSet::new();
        tasks.spawn(writer::run(requests, connection, Arc::clone(&shelves)));
        Ok(Self { shelves, writes, _writer: Arc::new(tasks) })
    }

    /// The revision of the last write.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.shelves.revision()
    }

    /// One object.
    #[must_use]
    pub fn get(&self, resource: &str, place: &Place) -> Option<Entry> {
        self.shelves.get(resource, place)
    }

    /// Objects of one kind.
    ///
    /// # Errors
    /// [`StoreError::Expired`] when `range.at` is older than the window.
    pub fn list(&self, range: Range<'_>) -> Result<Snapshot, StoreError> {
        self.shelves.list(range)
    }

    /// All objects of all kinds.
    #[must_use]
    pub fn everything(&self) -> Snapshot {
        self.shelves.everything()
    }

    /// Makes a change and gives the object's new state (for a removal: its last one) once it is durable.
    ///
    /// # Errors
    /// [`StoreError::Exists`] and [`StoreError::Conflict`] when the object is not as the action demands;
    /// [`StoreError::Database`] when it could not be written, and then nothing has changed.
    pub async fn write(&self, write: Write) -> Result<Entry, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.writes.send(Request { write, reply }).await.map_err(|_| StoreError::Closed)?;
        answer.await.map_err(|_| StoreError::Closed)?
    }

    /// Changes after revision `from` of one kind (`None`: of all kinds), in one namespace (`None`: in all).
    ///
    /// # Errors
    /// [`StoreError::Expired`] when they are not all in the window any more.
    pub fn watch(
        &self,
        resource: Option<&str>,
        namespace: Option<&str>,
        from: u64,
    ) -> Result<Watch, StoreError> {
        Watch::new(Arc::clone(&self.shelves), resource, namespace, from)
    }
}

// === impl Limits ===

impl Default for Limits {
    /// A window of 8,192 changes or 4 MiB: a few minutes of a busy site, so that a client that reconnects need not
    /// list again, and a tenth of the memory that the embedded control plane aims at. A file of 2 GiB: what etcd
    /// allows by default, and more than fits in memory on the machines that this is for.
    fn default() -> Self {
        Self { window_events: 8192, window_bytes: 4 * 1024 * 1024, file_bytes: 2 * 1024 * 1024 * 1024 }
    }
}

// === impl Place ===

impl Place {
    /// A place; `""` as namespace for cluster-scoped objects.
    #[must_use]
    pub fn new(namespace: &str, name: &str) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }
}
