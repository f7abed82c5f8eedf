//! Images that nobody uses go when the disk fills up
//! (<https://kubernetes.io/docs/concepts/architecture/garbage-collection/#container-image-lifecycle>).
//!
//! An image that a pod on this node uses or names stays, whatever state the pod is in: it may have been brought here
//! by hand, and a node that is cut off cannot fetch it again. So does the image of the sandboxes, under whatever name
//! the runtime has it, and what the runtime has pinned.

mod plan;

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use chassis::channel::{Receiver, Sender};
use tokio::sync::oneshot;
use tokio::time::Instant;

use self::plan::{Goal, Memory, excess, find, named_by};
use super::gauges::{FileSystem, Gauges};
use crate::edged::events::{Recorder, Severity, about_node};
use crate::edged::image::ImageReference;
use crate::edged::metrics::Metrics;
use crate::edged::roster::Roster;
use crate::edged::runtime::{Image, Runtime, RuntimeError};

/// Between two looks; kubelet's.
const EVERY: Duration = Duration::from_secs(300);

/// When images go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageConfig {
    /// `imageGCHighThresholdPercent`: images go when the disk is at least this full; 100: never for that.
    pub high_percent: u64,
    /// `imageGCLowThresholdPercent`: until it is at this.
    pub low_percent: u64,
    /// `imageMinimumGCAge`
    pub minimum_age: Duration,
    /// `imageMaximumGCAge`; `None`: no image goes for its age.
    pub maximum_age: Option<Duration>,
    /// `podSandboxImage`
    pub sandbox_image: String,
    /// Name of the node, for its events.
    pub node: String,
}

/// Asks for all images that nobody needs to be removed, because the disk is short.
#[derive(Debug, Clone)]
pub struct ImageCleaner {
    requests: Sender<oneshot::Sender<()>>,
}

/// Removes images.
#[derive(Debug)]
pub struct ImageKeeper {
    config: ImageConfig,
    runtime: Runtime,
    roster: Roster,
    gauges: Arc<dyn Gauges>,
    events: Recorder,
    metrics: Metrics,
    requests: Receiver<oneshot::Sender<()>>,
    memory: Memory,
    /// The last round failed: only the second failure in a row is told, as a runtime that is restarted is none.
    has_failed: bool,
}

/// What the keeper works with.
#[derive(Debug)]
pub(super) struct ImageTools {
    pub(super) runtime: Runtime,
    pub(super) roster: Roster,
    pub(super) gauges: Arc<dyn Gauges>,
    pub(super) events: Recorder,
    pub(super) metrics: Metrics,
}

/// Why images were not removed.
#[derive(Debug, thiserror::Error)]
enum ImageGcError {
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    #[error("the file system of images cannot be read: {0}")]
    Unreadable(String),
}

// === impl ImageCleaner ===

impl ImageCleaner {
    /// Returns when it is done, or has failed; what it was good for the disk shows.
    pub async fn clean(&self) {
        let (done, waiting) = oneshot::channel();
        if self.requests.send(done).await.is_ok() {
            // An error: the keeper has ended, and so will the caller.
            waiting.await.ok();
        }
    }
}

// === impl ImageKeeper ===

impl ImageKeeper {
    /// One that has not looked yet, and the way to ask it.
    pub(super) fn new(config: ImageConfig, tools: ImageTools) -> (Self, ImageCleaner) {
        let ImageTools { runtime, roster, gauges, events, metrics } = tools;
        // One asks at a time, and waits for the answer.
        let (requests, inbox) = chassis::channel::bounded("image_cleaning", 1);
        let keeper = Self {
            config,
            runtime,
            roster,
            gauges,
            events,
            metrics,
            requests: inbox,
            memory: Memory::default(),
            has_failed: false,
        };
        (keeper, ImageCleaner { requests })
    }

    /// Looks every five minutes, and whenever it is asked.
    pub async fn run(mut self) -> Infallible {
        // Before the pods are known nothing can be said of their images.
        self.roster.until_restored().await;
        let mut due = Instant::now();
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(due) => {
                    due = Instant::now() + EVERY;
                    let done = self.round().await;
                    self.tell(done).await;
                }
                Some(asked) = self.requests.recv() => {
                    let done = self.free(Goal::Free(u64::MAX)).await.map(drop);
                    self.tell(done).await;
                    // Whoever asked may have gone.
                    asked.send(()).ok();
                }
            }
        }
    }

    async fn tell(&mut self, done: Result<(), ImageGcError>) {
        let Err(error) = done else {
            self.has_failed = false;
            return;
        };
        if std::mem::replace(&mut self.has_failed, true) {
            self.event("ImageGCFailed", &error.to_string()).await;
        } else {
            tracing::info!(%error, "images were not looked at");
        }
    }

    async fn event(&self, reason: &str, message: &str) {
        tracing::warn!(reason, message, "images");
        self.events.record(about_node(&self.config.node), Severity::Warning, reason, message).await;
    }

    async fn round(&mut self) -> Result<(), ImageGcError> {
        // How long an image was not used has to be known before room is short.
        self.observe().await?;
        if let Some(age) = self.config.maximum_age {
            self.free(Goal::Unused(age)).await?;
        }
        if self.config.high_percent >= 100 {
            return Ok(());
        }
        let bytes = self.file_system().await?.bytes;
        let (high, low) = (self.config.high_percent, self.config.low_percent);
        let Some(wanted) = excess(bytes.capacity, bytes.available, high, low) else { return Ok(()) };
        tracing::info!(wanted, available = bytes.available, "the disk of images is full");
        let freed = self.free(Goal::Free(wanted)).await?;
        if freed < wanted {
            let message = format!(
                "Failed to garbage collect required amount of images. Attempted to free {wanted} bytes, but only found \
                 {freed} bytes eligible to free."
            );
            self.event("FreeDiskSpaceFailed", &message).await;
        }
        Ok(())
    }

    async fn file_system(&self) -> Result<FileSystem, ImageGcError> {
        let Some(images) = self.runtime.image_fs().await?.into_iter().next() else {
            return Err(ImageGcError::Unreadable("the runtime names none".to_owned()));
        };
        let (gauges, path) = (self.gauges.clone(), PathBuf::from(&images.mount_point));
        let read = tokio::task::spawn_blocking(move || gauges.file_system(&path)).await.ok().flatten();
        read.ok_or(ImageGcError::Unreadable(images.mount_point))
    }

    /// Takes note of the images that pods name; asks the runtime for nothing but the list.
    async fn observe(&mut self) -> Result<Vec<Image>, ImageGcError> {
        let images = self.runtime.images().await?;
        let Some((pods, _)) = self.roster.pods() else { return Ok(images) };
        let named = pods.values().flat_map(|listed| named_by(&listed.pod));
        let used = named.filter_map(|name| find(&images, name)).map(|image| image.id.clone()).collect();
        self.memory.observe(&images, &used, Instant::now());
        Ok(images)
    }

    /// Removes images until `goal` is reached or none is left that may go; gives the bytes that they had.
    async fn free(&mut self, goal: Goal) -> Result<u64, ImageGcError> {
        let (wanted, reason) = match goal {
            Goal::Free(bytes) => (bytes, "space"),
            Goal::Unused(_) => (u64::MAX, "age"),
        };
        let mut freed = 0_u64;
        let mut tried: BTreeSet<String> = BTreeSet::new();
        // Who needs what is looked at again as soon as a pod comes or changes in between.
        while freed < wanted {
            let images = self.observe().await?;
            let Some((used, version)) = self.used(&images).await? else { return Ok(freed) };
            let now = Instant::now();
            self.memory.observe(&images, &used, now);
            let candidates = self.memory.candidates(&images, &used, goal, self.config.minimum_age, now);
            let left: Vec<&Image> =
                candidates.into_iter().filter(|image| !tried.contains(&image.id)).collect();
            if left.is_empty() {
                break;
            }
            for image in left {
                if freed >= wanted || self.roster.has_changed_since(version) {
                    break;
                }
                tried.insert(image.id.clone());
                match self.runtime.remove_image(&image.id).await {
                    Ok(()) => {
                        tracing::info!(image = image.id, tags = ?image.tags, size = image.size, "unused image removed");
                        self.metrics.image_removed(reason);
                        freed = freed.saturating_add(image.size);
                    }
                    Err(error) if error.is_outage() => return Err(error.into()),
                    Err(error) => tracing::warn!(image = image.id, %error, "image was not removed"),
                }
            }
        }
        Ok(freed)
    }

    /// Ids of all images that are needed, and the roster's version; `None` while nobody knows the pods.
    async fn used(&self, images: &[Image]) -> Result<Option<(BTreeSet<String>, u64)>, ImageGcError> {
        let Some((pods, version)) = self.roster.pods() else { return Ok(None) };
        let mut names: BTreeSet<String> =
            pods.values().flat_map(|listed| named_by(&listed.pod)).map(str::to_owned).collect();
        // Also of pods that only the runtime knows, and of those that have ended.
        for container in self.runtime.containers(None).await? {
            names.insert(container.image);
        }
        names.insert(self.config.sandbox_image.clone());
        names.extend(self.runtime.sandbox_image().await?);
        let mut used = BTreeSet::new();
        for name in names.iter().filter(|name| !name.is_empty()) {
            let known = find(images, name).map(|image| image.id.clone());
            // The runtime knows best what it takes a name for.
            let asked = match self.runtime.image(name).await {
                Ok(asked) => asked.map(|image| image.id),
                // A name that is none names no image. With any other failure it may: then nothing is removed.
                Err(_) if name.parse::<ImageReference>().is_err() => None,
                Err(error) => return Err(error.into()),
            };
            used.extend(known.into_iter().chain(asked));
        }
        Ok(Some((used, version)))
    }
}
