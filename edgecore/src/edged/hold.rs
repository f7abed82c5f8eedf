//! Pods that wait until somebody at the edge agrees to them (spec edge-keadm-mapper 3.2): an update in the middle of a job does harm.
//!
//! A pod whose annotation asks for it is not begun before it is let go. That it was is kept in its directory before it is said, so it
//! holds through a restart and a power cut, and needs no cloud. Asked by the local server ([`super::server`]); told to
//! [`super::pods::Pods`].

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::Pod;
use tokio::sync::mpsc;

use super::roster::{Listed, Roster};
use super::volumes::is_one_component;

/// The annotation; what counts is `true`.
const ANNOTATION: &str = "edge.kubeedge.io/hold-upgrade";
/// In the directory of a pod that was let go.
const MARK: &str = "let-go";
/// Pods that were let go and that edged has not taken note of yet; it does so at once.
const QUEUE: usize = 16;

/// Whether the pod asks to be held.
pub fn asks(pod: &Pod) -> bool {
    let annotations = pod.metadata.annotations.as_ref();
    annotations.and_then(|all| all.get(ANNOTATION)).is_some_and(|value| value == "true")
}

/// Whether the pod with this directory was let go.
pub async fn was_let_go(pod_dir: &Path) -> bool {
    tokio::fs::try_exists(pod_dir.join(MARK)).await.unwrap_or(false)
}

/// Lets pods go. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Holds {
    roster: Roster,
    /// The directories of the pods.
    pods: PathBuf,
    let_go: mpsc::Sender<String>,
}

/// Why a pod was not let go.
#[derive(Debug, thiserror::Error)]
pub enum HoldError {
    /// There is no such pod here.
    #[error("pod {0:?} not found")]
    NoSuchPod(String),
    /// It is not held.
    #[error("pod {0:?} is not held: it is not Pending, or its annotation {ANNOTATION} is not \"true\"")]
    NotHeld(String),
    /// It could not be kept that it was let go.
    #[error("{path}: {source}")]
    NotKept {
        /// Where it was to be kept.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// edged ends.
    #[error("edged ends")]
    Ends,
}

impl Holds {
    /// Pods of `roster`, with their directories under `root` (`rootDirectory`); and the UIDs of those that are let go.
    pub fn new(roster: Roster, root: &Path) -> (Self, mpsc::Receiver<String>) {
        let (let_go, receiver) = mpsc::channel(QUEUE);
        (Self { roster, pods: root.join("pods"), let_go }, receiver)
    }

    /// Lets one pod go.
    ///
    /// # Errors
    /// See [`HoldError`].
    pub async fn let_pod_go(&self, namespace: &str, name: &str) -> Result<(), HoldError> {
        let full = || format!("{namespace}/{name}");
        let listed = self.roster.find(namespace, name, None).ok_or_else(|| HoldError::NoSuchPod(full()))?;
        if !is_held(&listed) {
            return Err(HoldError::NotHeld(full()));
        }
        self.let_go(&listed).await
    }

    /// Lets all pods go that are held; gives how many that were.
    ///
    /// # Errors
    /// See [`HoldError`]; some may have been let go.
    pub async fn let_all_go(&self) -> Result<usize, HoldError> {
        let held: Vec<Listed> = self.roster.known().into_iter().filter(is_held).collect();
        for listed in &held {
            self.let_go(listed).await?;
        }
        Ok(held.len())
    }

    async fn let_go(&self, listed: &Listed) -> Result<(), HoldError> {
        let uid = listed.pod.metadata.uid.clone().filter(|uid| is_one_component(uid));
        let Some(uid) = uid else { return Ok(()) };
        let folder = self.pods.join(&uid);
        let path = folder.join(MARK);
        let kept = tokio::task::spawn_blocking(move || mark(&folder)).await.map_err(io::Error::other);
        kept.and_then(std::convert::identity)
            .map_err(|source| HoldError::NotKept { path: path.display().to_string(), source })?;
        self.let_go.send(uid).await.map_err(|_| HoldError::Ends)
    }
}

/// As it was last reported: a pod that has begun is not held any more.
fn is_held(listed: &Listed) -> bool {
    let phase = listed.status.as_ref().and_then(|status| status.phase.as_deref());
    asks(&listed.pod)
        && listed.pod.metadata.deletion_timestamp.is_none()
        && phase.is_none_or(|phase| phase == "Pending")
}

/// On the disk when this returns.
fn mark(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    File::create(folder.join(MARK))?.sync_all()?;
    File::open(folder)?.sync_all()?;
    match folder.parent() {
        Some(pods) => File::open(pods)?.sync_all(),
        None => Ok(()),
    }
}
