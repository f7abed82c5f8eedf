//! Volumes of CSI drivers: staged once on the node, published to each pod, and taken away in the opposite order.
//!
//! What is there is on disk before it is begun, in kubelet's own places and words ([`record`]): an edged that was killed between any
//! two steps, or is started with the network down, finds what has to be undone, and by which driver. All calls may be made
//! again, which the specification asks of drivers.
//!
//! Nothing here removes files of a volume: only empty directories and our own records are removed, after the driver has said that it
//! has taken the volume away and the mount table agrees.

mod grow;
mod in_use;
mod locks;
mod record;
mod remove;
mod rules;
mod set_up;
mod source;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest, Sha256};
use tokio::sync::watch;

use self::grow::Grown;
use self::locks::Locks;
pub(super) use self::source::{CsiVolume, inline, persistent};
use super::layout::is_one_component;
use crate::edged::csi::Drivers;

/// What all CSI volumes of the node share.
#[derive(Debug)]
pub(super) struct Csi {
    drivers: Arc<Drivers>,
    /// Name of this node.
    node: String,
    /// `plugins/kubernetes.io/csi` of `rootDirectory`.
    root: PathBuf,
    /// The directories of the pods.
    pods: PathBuf,
    locks: Locks,
    /// What must not be detached.
    in_use: watch::Sender<BTreeSet<String>>,
    /// What came of volumes that have grown since edged started, by driver and handle.
    grown: Mutex<BTreeMap<(String, String), Grown>>,
    /// The volumes of each pod whose files were given to the pod's group since edged started: it may take long.
    given: Mutex<BTreeMap<String, Vec<String>>>,
}

/// Where the parts of one volume are.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Places {
    /// What says that the pod uses the volume: a folder with a record, or for a device a link to `target`.
    entry: PathBuf,
    /// Where it is published.
    target: PathBuf,
    /// Where it is staged.
    staging: PathBuf,
    /// The folder with the record of its staging.
    staged: PathBuf,
}

// === impl Csi ===

impl Csi {
    pub(super) fn new(root: &Path, drivers: Arc<Drivers>, node: &str) -> Self {
        let csi = Self {
            drivers,
            node: node.to_owned(),
            root: root.join("plugins/kubernetes.io/csi"),
            pods: root.join("pods"),
            locks: Locks::default(),
            in_use: watch::Sender::default(),
            grown: Mutex::default(),
            given: Mutex::default(),
        };
        csi.look();
        csi
    }

    /// Names of the volumes that must not be detached from this node.
    pub(super) fn in_use(&self) -> watch::Receiver<BTreeSet<String>> {
        self.in_use.subscribe()
    }

    /// Places of a file system. `None`: a name could lead elsewhere.
    fn places_of_mount(&self, pod: &Path, driver: &str, handle: &str, name: &str) -> Option<Places> {
        let names_are_safe = is_one_component(driver) && is_one_component(name);
        let entry = entries(pod).join(name);
        let staged = self.root.join(driver).join(digest(&[handle]));
        let places =
            || Places { target: entry.join("mount"), staging: staged.join("globalmount"), entry, staged };
        names_are_safe.then(places)
    }

    /// Places of a device.
    fn places_of_device(&self, pod: &Path, name: &str) -> Option<Places> {
        let uid = pod.file_name()?;
        let devices = self.root.join("volumeDevices");
        is_one_component(name).then(|| Places {
            entry: device_entries(pod).join(name),
            target: devices.join("publish").join(name).join(uid),
            staging: devices.join("staging").join(name),
            staged: devices.join(name).join("data"),
        })
    }

    /// Whether the volume was given to the pod's group.
    fn is_given(&self, uid: &str, name: &str) -> bool {
        let given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        given.get(uid).is_some_and(|names| names.iter().any(|known| known == name))
    }

    fn note_given(&self, uid: &str, name: &str) {
        let mut given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        given.entry(uid.to_owned()).or_default().push(name.to_owned());
    }

    fn forget_given(&self, uid: &str) {
        self.given.lock().unwrap_or_else(PoisonError::into_inner).remove(uid);
    }
}

/// Where a pod's file systems of drivers are.
fn entries(pod: &Path) -> PathBuf {
    pod.join("volumes/kubernetes.io~csi")
}

/// Where a pod's devices of drivers are.
fn device_entries(pod: &Path) -> PathBuf {
    pod.join("volumeDevices/kubernetes.io~csi")
}

/// Kubelet's way to make a name of what is no name.
fn digest(parts: &[&str]) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part.as_bytes());
    }
    hasher.finalize().iter().fold(String::with_capacity(64), |text, byte| text + &format!("{byte:02x}"))
}

/// Name of the `VolumeAttachment` of a volume.
fn attachment_name(handle: &str, driver: &str, node: &str) -> String {
    format!("csi-{}", digest(&[handle, driver, node]))
}

#[cfg(test)]
mod tests;
