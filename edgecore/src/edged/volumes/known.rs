//! The volumes of claims that pods of this node use, for whoever measures them.
//!
//! As large as the number of such volumes; after a restart it is filled again, as each pod's volumes are looked at.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Cheap to clone; all clones are one.
#[derive(Debug, Clone, Default)]
pub struct KnownVolumes {
    /// By UID of the pod.
    pods: Arc<Mutex<BTreeMap<String, Vec<KnownVolume>>>>,
}

/// A volume that a pod uses by a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownVolume {
    /// The pod's word for it.
    pub name: String,
    /// Namespace of the pod and of the claim.
    pub namespace: String,
    /// Name of the claim.
    pub claim: String,
    /// Where it is.
    pub path: PathBuf,
    /// Who has brought it; `None`: it is a directory of the node.
    pub driver: Option<KnownDriver>,
}

/// The driver of a volume, and its words for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownDriver {
    /// Name of the driver.
    pub name: String,
    /// What it calls the volume.
    pub handle: String,
    /// Where it is staged; empty: it is not.
    pub staging: PathBuf,
}

impl KnownVolumes {
    /// All of the pod with this UID.
    pub fn of(&self, uid: &str) -> Vec<KnownVolume> {
        self.pods().get(uid).cloned().unwrap_or_default()
    }

    /// All, by UID of the pod.
    pub fn all(&self) -> BTreeMap<String, Vec<KnownVolume>> {
        self.pods().clone()
    }

    /// The pod uses these.
    pub(super) fn note(&self, uid: &str, volumes: Vec<KnownVolume>) {
        match volumes.is_empty() {
            true => drop(self.pods().remove(uid)),
            false => drop(self.pods().insert(uid.to_owned(), volumes)),
        }
    }

    /// The pod uses none any more.
    pub(super) fn forget(&self, uid: &str) {
        self.pods().remove(uid);
    }

    fn pods(&self) -> MutexGuard<'_, BTreeMap<String, Vec<KnownVolume>>> {
        self.pods.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
