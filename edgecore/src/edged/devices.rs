//! Device plugins: hardware that programs of others hand out, as with kubelet
//! (<https://kubernetes.io/docs/concepts/extend-kubernetes/compute-storage-net/device-plugins/>).
//!
//! | part | what it does |
//! |---|---|
//! | [`Reception`] | serves `<rootDirectory>/device-plugins/kubelet.sock`, where plugins register |
//! | [`Devices`] | knows the plugins' devices and who has which; asked by the pods' actors and by the node's status |
//! | `follow` | one task per plugin: hears of its devices for as long as it lives |
//!
//! Who has which device is on disk (MetaManager's store) before a container with it is made: a restarted EdgeCore gives the same
//! devices to the same containers, and never one device to two pods. What is not kept is which devices there are: as with kubelet
//! a resource has none after a restart until its plugin has registered again, and the containers of pods that were here before
//! wait for that instead of failing, for on an edge there may be nobody to replace them.
//!
//! Devices are not placed by NUMA node (`TopologyInfo` is only passed on). The part that runs ends when it is dropped.

pub mod api;
mod book;
mod container;
mod hand_out;
mod plugin;
mod reception;
mod record;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chassis::task::AbortOnDrop;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use self::api::TopologyInfo;
use self::book::Book;
pub use self::container::Granted;
pub use self::reception::Reception;
use self::record::PodGrants;
use super::plugins::call::CallError;
use crate::flow::MetaClient;
use proto::placement::Amounts;
use proto::quantity::Amount;

/// A plugin that is gone for so long does not come back with the same devices; kubelet's value.
const GONE_AFTER: Duration = Duration::from_secs(300);
/// More resources than any node has: SR-IOV nodes have a few dozen. A plugin that invents names must not fill the memory.
const MAX_RESOURCES: usize = 128;
/// Devices of one plugin that count. Some offer thousands of places on one device file; of these each costs about 100 bytes.
const MAX_DEVICES: usize = 16_384;
/// In the store, the owner of the list of known resources; pods are owners by their UID, which is never empty.
const NAMES: &str = "";

/// Devices of one resource.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    /// All that there are.
    pub capacity: usize,
    /// Those that can be used, given away or not.
    pub allocatable: usize,
}

/// A device, and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// What it is of.
    pub resource: String,
    /// Its id.
    pub id: String,
    /// Near which memory it is, where its plugin says so.
    pub topology: Option<TopologyInfo>,
}

/// By resource. One whose plugin is gone stays with zeros, so that nobody takes it for never having been.
pub type Counts = BTreeMap<String, Count>;

/// Why a pod does not get its devices, or a plugin is not taken in. The texts are those that kubelet's users know.
#[derive(Debug, Clone, thiserror::Error)]
pub enum DeviceError {
    /// The plugin has fewer free devices.
    #[error(
        "requested number of devices unavailable for {resource}. Requested: {requested}, Available: {available}"
    )]
    Unavailable {
        /// The resource.
        resource: String,
        /// So many.
        requested: usize,
        /// So many there are.
        available: usize,
    },
    /// The plugin is gone, or every device is broken.
    #[error("no healthy devices present; cannot allocate unhealthy devices {0}")]
    NoneHealthy(String),
    /// A pod's spec does not fit to what it was given.
    #[error("container {container:?} changed request for resource {resource:?} from {had} to {wants}")]
    Changed {
        /// Name.
        container: String,
        /// The resource.
        resource: String,
        /// So many it has.
        had: usize,
        /// So many it wants.
        wants: usize,
    },
    /// The plugin has refused, or does not answer.
    #[error("device plugin of {resource}: {source}")]
    Plugin {
        /// The resource.
        resource: String,
        /// Why.
        source: CallError,
    },
    /// The plugin's answer is no answer.
    #[error("device plugin of {0}: no containers return in allocation response")]
    EmptyAnswer(String),
    /// Nobody serves this resource now; it is waited for.
    #[error("the device plugin of {0} is not there yet")]
    NotThere(String),
    /// What was given could not be written down, so it is not given; or what was given before cannot be read.
    #[error("the record of devices: {0}")]
    Record(String),
    /// A plugin for one resource more than [`MAX_RESOURCES`].
    #[error("there are {MAX_RESOURCES} resources already")]
    TooManyResources,
    /// The plugin's words about itself make no sense.
    #[error("{0}")]
    Invalid(String),
}

/// Everything about devices. Clones are one.
#[derive(Debug, Clone)]
pub struct Devices {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    folder: PathBuf,
    meta: MetaClient,
    book: Mutex<Book>,
    counts: watch::Sender<Counts>,
    /// Whether what was given before has been read.
    restored: watch::Sender<bool>,
    /// Said when a plugin is gone: from then on its time runs.
    gone: Notify,
    /// The tasks that follow plugins, by resource, and how many plugins there have been.
    follows: Mutex<(BTreeMap<String, AbortOnDrop<()>>, u64)>,
}

// === impl Devices ===

impl Devices {
    /// No devices yet. `root` is `rootDirectory`.
    pub fn new(root: &Path, meta: MetaClient) -> Self {
        let shared = Shared {
            folder: root.join("device-plugins"),
            meta,
            book: Mutex::default(),
            counts: watch::channel(Counts::new()).0,
            restored: watch::channel(false).0,
            gone: Notify::new(),
            follows: Mutex::default(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Reads what was given before. Nothing is given while that has not succeeded.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn restore(&self) -> Result<(), DeviceError> {
        if *self.shared.restored.borrow() {
            return Ok(());
        }
        let kept =
            self.shared.meta.devices().await.map_err(|error| DeviceError::Record(error.to_string()))?;
        let mut names = Vec::new();
        let mut pods = BTreeMap::new();
        for (owner, value) in kept {
            if owner == NAMES {
                names = read(&owner, &value).unwrap_or_default();
            } else if let Some(grants) = read::<PodGrants>(&owner, &value) {
                pods.insert(owner, grants);
            }
        }
        if !pods.is_empty() {
            tracing::info!(pods = pods.len(), "pods have devices from before");
        }
        self.shared.book().restore(names, pods);
        self.shared.restored.send_replace(true);
        self.shared.publish();
        Ok(())
    }

    /// Follows the numbers of devices.
    pub fn counts(&self) -> watch::Receiver<Counts> {
        self.shared.counts.subscribe()
    }

    /// What new pods may ask for now, by name.
    pub fn room(&self) -> Amounts {
        let amount = |count: &Count| Amount::whole(i64::try_from(count.allocatable).unwrap_or(i64::MAX));
        self.shared.counts.borrow().iter().map(|(name, count)| (name.clone(), amount(count))).collect()
    }

    /// Every device that can be used, given away or not.
    pub fn usable(&self) -> Vec<Placed> {
        self.shared.book().usable()
    }

    /// What the containers of a pod have, by name.
    pub fn of_pod(&self, uid: &str) -> BTreeMap<String, Vec<Placed>> {
        self.shared.book().placed(uid)
    }

    /// Whether a pod has devices: it was taken on before.
    pub fn has_given(&self, uid: &str) -> bool {
        self.shared.book().grants(uid).is_some()
    }

    /// Takes the devices of a pod back: nothing of it runs any more.
    pub async fn release(&self, uid: &str) {
        if !self.has_given(uid) {
            return;
        }
        // On disk first: who gets the device next is written down after this.
        if let Err(error) = self.shared.meta.keep_devices(uid.to_owned(), None).await {
            tracing::warn!(%error, uid, "the pod's devices are still in the store, until edged is started again");
        }
        self.shared.book().release(uid);
    }

    /// Takes back the devices of every pod that `is_here` does not know.
    pub async fn release_all_but(&self, is_here: impl Fn(&str) -> bool) {
        let owners = self.shared.book().owners();
        for uid in owners.iter().filter(|uid| !is_here(uid)) {
            tracing::info!(uid, "a pod that is no more has had devices");
            self.release(uid).await;
        }
    }

    /// Waits for ever, and forgets devices when their plugins' time is over.
    async fn forget_the_lost(&self) -> std::convert::Infallible {
        loop {
            let next = self.shared.book().expire(Instant::now());
            self.shared.publish();
            tokio::select! {
                () = chassis::task::until(next) => {}
                () = self.shared.gone.notified() => {}
            }
        }
    }

    /// Keeps the list of the resources that are known.
    async fn keep_names(&self) {
        let names = self.shared.book().names();
        let value = serde_json::to_vec(&names).unwrap_or_default();
        if let Err(error) = self.shared.meta.keep_devices(NAMES.to_owned(), Some(value)).await {
            tracing::warn!(%error, "the names of the plugins' resources are not kept");
        }
    }
}

fn read<T: serde::de::DeserializeOwned>(owner: &str, value: &[u8]) -> Option<T> {
    let read = serde_json::from_slice(value);
    read.inspect_err(|error| tracing::error!(%error, owner, "what was kept about devices makes no sense"))
        .ok()
}

// === impl Shared ===

impl Shared {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the numbers, if they have changed.
    fn publish(&self) {
        let counts = self.book().counts();
        self.counts.send_if_modified(|known| {
            let is_news = *known != counts;
            *known = counts;
            is_news
        });
    }
}
