//! Which objects stock edges hold, as `ObjectSync` and `ClusterObjectSync` records say it (spec cloud-and-wire 2.12).
//!
//! A stock edge does not say what it holds when it connects. The records do, across restarts of CloudCore and for every
//! replica: they are how an edge gets to know of what was removed while it was away. CloudHub notes here what such an edge
//! acknowledges, SyncController writes it down and reads what others wrote, EdgeController asks what a node holds.
//!
//! Which *version* an edge holds decides nothing here: a stock edge is sent everything that it should have each time it
//! connects, and drops what it has. So no record that is left over, empty or wrong can keep an object from an edge. The
//! versions are kept for a stock CloudCore that takes over.
//!
//! Native edges say themselves what they hold; nothing is recorded of them.

pub(crate) mod ledger;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use proto::api::device;
use proto::api::reliablesync::ObjectSyncSpec;
use proto::{Operation, ResourceKind};
use tokio::sync::watch;
use tokio::time::Instant;

use self::ledger::Ledger;
pub use self::ledger::{Outcome, Record, RecordId, Step, Task};
use super::{Change, NodeName};

/// The records of all stock edges. Clones are the same; the lock is a leaf, held for one look and never across an
/// `await`.
#[derive(Debug, Clone)]
pub struct SyncRecords {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    ledger: Mutex<Ledger>,
    /// Told when there may be something new to write.
    news: watch::Sender<()>,
    /// Whether what exists has been read, or will not be.
    known: watch::Sender<bool>,
    /// The ledger counts time from here.
    start: Instant,
}

impl Default for SyncRecords {
    fn default() -> Self {
        let shared = Shared {
            ledger: Mutex::default(),
            news: watch::Sender::new(()),
            known: watch::Sender::new(false),
            start: Instant::now(),
        };
        Self { shared: Arc::new(shared) }
    }
}

// === for CloudHub ===

impl SyncRecords {
    /// The stock edge `node` has acknowledged `change`.
    pub fn acknowledged(&self, node: &NodeName, change: &Change) {
        let Some(object) = described(change) else { return };
        let id = RecordId {
            node: node.clone(),
            namespace: change.path.namespace.clone(),
            uid: change.uid.clone(),
        };
        if id.uid.is_empty() {
            return;
        }
        let now = self.shared.start.elapsed();
        let mut ledger = self.shared.lock();
        if change.operation == Operation::Delete {
            ledger.removed(now, &id);
        } else {
            ledger.stored(now, &id, object, &change.resource_version, change.is_echo);
        }
        drop(ledger);
        self.shared.news.send_replace(());
    }
}

// === for EdgeController ===

impl SyncRecords {
    /// Waits until it is known what the records say, or that there are none to be had.
    pub async fn known(&self) {
        if self.shared.known.subscribe().wait_for(|known| *known).await.is_err() {
            std::future::pending().await
        }
    }

    /// What the node holds, and the record that says so.
    #[must_use]
    pub fn held(&self, node: &NodeName) -> Vec<(RecordId, ObjectSyncSpec)> {
        self.shared.lock().held(node)
    }

    /// The record is about nothing that an edge could have.
    pub fn drop_record(&self, id: &RecordId) {
        self.shared.lock().removed(self.shared.start.elapsed(), id);
        self.shared.news.send_replace(());
    }

    /// The Node is gone: so are its records.
    pub fn node_gone(&self, node: &NodeName) {
        self.shared.lock().node_gone(self.shared.start.elapsed(), node);
        self.shared.news.send_replace(());
    }

    /// There are no Nodes but these.
    pub fn only(&self, nodes: &BTreeSet<NodeName>) {
        self.shared.lock().only(self.shared.start.elapsed(), nodes);
        self.shared.news.send_replace(());
    }
}

// === for SyncController ===

impl SyncRecords {
    /// All records that exist have been told, or cannot be read.
    pub fn set_known(&self) {
        self.shared.known.send_if_modified(|known| !std::mem::replace(known, true));
    }

    /// Whether [`Self::set_known`] was called.
    #[must_use]
    pub fn is_known(&self) -> bool {
        *self.shared.known.borrow()
    }

    /// There is this record.
    pub fn seen(&self, record: Record) {
        self.shared.lock().seen(record);
    }

    /// There is no such record any more.
    pub fn unseen(&self, id: &RecordId) {
        self.shared.lock().unseen(id);
    }

    /// These are all records of namespaces, or (`is_cluster`) of the cluster.
    pub fn replaced(&self, is_cluster: bool, all: Vec<Record>) {
        self.shared.lock().replaced(is_cluster, all);
    }

    /// What to write now; what became of it goes to [`Self::done`].
    #[must_use]
    pub fn next(&self) -> Option<Task> {
        self.shared.lock().next(self.shared.start.elapsed())
    }

    /// What became of a task.
    pub fn done(&self, task: &Task, outcome: Outcome) {
        self.shared.lock().done(self.shared.start.elapsed(), task, outcome);
    }

    /// When the next task falls due.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.shared.lock().deadline().map(|due| self.shared.start + due)
    }

    /// Records that wait to be written.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.shared.lock().waiting()
    }

    /// What is held back falls due now.
    pub fn hurry(&self) {
        self.shared.lock().hurry(self.shared.start.elapsed());
    }

    /// Changes whenever there may be something new to write.
    #[must_use]
    pub fn news(&self) -> watch::Receiver<()> {
        self.shared.news.subscribe()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Ledger> {
        // Operations on the ledger do not panic halfway: what a panicking thread left behind is whole.
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The object as a record names it; `None` for what has no records.
fn described(change: &Change) -> Option<ObjectSyncSpec> {
    let (version, kind) = match change.path.kind {
        ResourceKind::Pod => ("v1", "Pod"),
        ResourceKind::ConfigMap => ("v1", "ConfigMap"),
        ResourceKind::Secret => ("v1", "Secret"),
        ResourceKind::Node => ("v1", "Node"),
        ResourceKind::Device => (device::API_VERSION, "Device"),
        ResourceKind::DeviceModel => (device::API_VERSION, "DeviceModel"),
        _ => return None,
    };
    Some(ObjectSyncSpec {
        object_api_version: version.to_owned(),
        object_kind: kind.to_owned(),
        object_name: change.path.name.clone()?,
    })
}
