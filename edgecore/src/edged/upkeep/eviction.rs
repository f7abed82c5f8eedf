//! A node that runs out of something ends pods before it fails as a whole
//! (<https://kubernetes.io/docs/concepts/scheduling-eviction/node-pressure-eviction/>).
//!
//! | file | what |
//! |---|---|
//! | [`thresholds`] | what is watched, from the configuration |
//! | [`decide`] | is there too little of it: pure |
//! | [`rank`], [`usage`] | who goes first: pure |
//! | [`storage`] | limits of single pods: pure |
//! | [`admission`] | who is not taken on: pure |
//! | `measure` | what pods use |
//!
//! A round every ten seconds, as kubelet's: a measurement, and not polling for an event. Where the kernel says that programs wait for
//! memory ([`Gauges::memory_stalls`]) a round is made at once: a small board is full within seconds. Before a pod goes, what nobody
//! needs does (ended containers, unused images); then one pod goes, and its end is waited for before the next is
//! thought of.

pub mod admission;
pub mod decide;
mod measure;
pub mod message;
pub mod rank;
pub mod storage;
pub mod thresholds;
pub mod usage;

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use chassis::channel::{Receiver, Sender};
use futures::StreamExt as _;
use tokio::sync::watch;
use tokio::time::Instant;

use self::decide::{Judge, Pressures, Readings, Shortage};
use self::measure::{Extent, Places, Subject, measure};
use self::message::{eviction, over_limit};
use self::rank::{Candidate, is_critical, rank};
use self::storage::{exceeded, has_limits};
use self::thresholds::{Pressure, Signal, Threshold};
use super::dead::Undertaker;
use super::gauges::{FileSystem, Gauges, Room};
use super::images::ImageCleaner;
use crate::edged::events::{Recorder, Severity, about_node};
use crate::edged::metrics::Metrics;
use crate::edged::pod::state::Ending;
use crate::edged::resources::cgroup::PodCgroups;
use crate::edged::roster::{Listed, Roster};
use crate::edged::runtime::{ContainerState, Runtime, RuntimeError};

/// Between two rounds; kubelet's.
const EVERY: Duration = Duration::from_secs(10);
/// How long the end of an evicted pod is waited for before the next round; kubelet's.
const END_LIMIT: Duration = Duration::from_secs(30);
/// Pods to be ended that edged has not taken note of yet. It does so at once, and one is waited for before the next.
const ORDERS: usize = 4;

/// When and how pods are evicted.
#[derive(Debug, Clone, PartialEq)]
pub struct EvictionConfig {
    /// What is too little.
    pub thresholds: Vec<Threshold>,
    /// `evictionPressureTransitionPeriod`
    pub hold: Duration,
    /// `evictionMaxPodGracePeriod`: for soft thresholds.
    pub max_grace: Duration,
    /// `volumeStatsAggPeriod`: storage of pods with limits is measured this often; `None`: not at all.
    pub measure_storage_every: Option<Duration>,
    /// `rootDirectory`
    pub root: PathBuf,
    /// `podLogsDir`
    pub logs: PathBuf,
    /// Name of the node, for its events.
    pub node: String,
}

/// Ends this pod (by UID).
#[derive(Debug)]
pub struct EvictionOrder {
    /// UID of the pod.
    pub uid: String,
    /// Why.
    pub ending: Ending,
}

/// What eviction works with.
#[derive(Debug)]
pub(super) struct EvictionTools {
    pub(super) runtime: Runtime,
    pub(super) roster: Roster,
    pub(super) gauges: Arc<dyn Gauges>,
    pub(super) events: Recorder,
    pub(super) metrics: Metrics,
    pub(super) cgroups: PodCgroups,
    pub(super) cleaner: ImageCleaner,
    pub(super) undertaker: Undertaker,
}

/// Watches the node and evicts pods.
#[derive(Debug)]
pub struct Evictor {
    config: EvictionConfig,
    tools: EvictionTools,
    places: Places,
    judge: Judge,
    pressures: watch::Sender<Pressures>,
    orders: Sender<EvictionOrder>,
    /// The runtime's directory of images, once it has said.
    images: Option<PathBuf>,
    /// Images share the file system of everything else, as when last read.
    is_shared: bool,
    /// Ordered and not over yet.
    leaving: BTreeSet<String>,
    storage_due: Instant,
}

// === impl Evictor ===

impl Evictor {
    /// One that has not looked yet, with what it tells: conditions and orders.
    pub(super) fn new(
        config: EvictionConfig,
        tools: EvictionTools,
    ) -> (Self, watch::Receiver<Pressures>, Receiver<EvictionOrder>) {
        let (pressures, told) = watch::channel(Pressures::default());
        let (orders, ordered) = chassis::channel::bounded("evictions", ORDERS);
        let places = Places {
            pods: config.root.join("pods"),
            logs: config.logs.clone(),
            cgroups: tools.cgroups.clone(),
        };
        let evictor = Self {
            judge: Judge::new(config.thresholds.clone(), config.hold),
            config,
            tools,
            places,
            pressures,
            orders,
            images: None,
            is_shared: true,
            leaving: BTreeSet::new(),
            storage_due: Instant::now(),
        };
        (evictor, told, ordered)
    }

    /// Looks again and again.
    pub async fn run(mut self) -> Infallible {
        let mut stalls = self.tools.gauges.memory_stalls();
        loop {
            match self.round().await {
                Some(uid) => {
                    let over = self.tools.roster.until_over(&uid);
                    if tokio::time::timeout(END_LIMIT, over).await.is_err() {
                        tracing::warn!(uid, "an evicted pod is not over yet");
                    }
                }
                None => tokio::select! {
                    () = tokio::time::sleep(EVERY) => {}
                    Some(()) = stalls.next() => tracing::debug!("programs wait for memory"),
                },
            }
        }
    }

    /// Gives the UID of the pod that was evicted.
    async fn round(&mut self) -> Option<String> {
        let readings = self.read().await;
        let verdict = self.judge.look(&readings, Instant::now());
        self.pressures
            .send_if_modified(|told| std::mem::replace(told, verdict.pressures) != verdict.pressures);
        let (pods, _) = self.tools.roster.pods()?;
        self.leaving.retain(|uid| pods.get(uid).is_some_and(|listed| !listed.is_over));
        if let Some(uid) = self.enforce_limits(&pods).await {
            return Some(uid);
        }
        let shortage = verdict.shortage?;
        let resource = shortage.signal.resource();
        let message = format!("Attempting to reclaim {resource}");
        let about = about_node(&self.config.node);
        self.tools.events.record(about, Severity::Warning, "EvictionThresholdMet", &message).await;
        if self.reclaim(&shortage).await {
            tracing::info!(signal = %shortage.signal, "enough was reclaimed without ending a pod");
            return None;
        }
        self.evict_one(&pods, &shortage).await
    }

    /// Removes what nobody needs. Was it enough?
    async fn reclaim(&mut self, shortage: &Shortage) -> bool {
        let signal = shortage.signal;
        let is_imagefs = matches!(signal, Signal::Imagefs | Signal::ImagefsInodes);
        if signal.pressure() != Pressure::Disk || !(is_imagefs || self.is_shared) {
            return false;
        }
        match self.tools.undertaker.bury().await {
            Ok(0) => {}
            Ok(containers) => tracing::info!(containers, "ended containers were removed"),
            Err(error) => tracing::warn!(%error, "ended containers were not removed"),
        }
        let readings = self.read().await;
        if !self.judge.is_short(signal, &readings) {
            return true;
        }
        self.tools.cleaner.clean().await;
        let readings = self.read().await;
        !self.judge.is_short(signal, &readings)
    }

    async fn evict_one(&mut self, pods: &BTreeMap<String, Listed>, shortage: &Shortage) -> Option<String> {
        let signal = shortage.signal;
        let extent = if signal.pressure() == Pressure::Disk { Extent::Storage } else { Extent::Groups };
        let mut candidates = self.measure(self.evictable(pods, |_| true), extent).await?;
        rank(&mut candidates, signal, self.is_shared);
        let Some(first) = candidates.first() else {
            tracing::warn!(%signal, "the node is low, and there is no pod that could be evicted");
            return None;
        };
        let grace = if shortage.is_hard { Duration::ZERO } else { self.soft_grace(first) };
        let ending = eviction(&first.pod, &first.usage, shortage, grace);
        self.order(first.uid.clone(), ending, signal.as_str()).await
    }

    /// The pod's own grace period, but not longer than is allowed.
    fn soft_grace(&self, candidate: &Candidate) -> Duration {
        let spec = candidate.pod.spec.as_ref();
        let seconds = spec.and_then(|spec| spec.termination_grace_period_seconds).unwrap_or(30);
        Duration::from_secs(u64::try_from(seconds).unwrap_or_default()).min(self.config.max_grace)
    }

    /// Evicts a pod that uses more storage than it may.
    async fn enforce_limits(&mut self, pods: &BTreeMap<String, Listed>) -> Option<String> {
        let every = self.config.measure_storage_every?;
        if Instant::now() < self.storage_due {
            return None;
        }
        self.storage_due = Instant::now() + every;
        let subjects = self.evictable(pods, has_limits);
        if subjects.is_empty() {
            return None;
        }
        let candidates = self.measure(subjects, Extent::Storage).await?;
        let (uid, (limit, message)) = candidates.iter().find_map(|candidate| {
            Some((candidate.uid.clone(), exceeded(&candidate.pod, &candidate.usage)?))
        })?;
        // There may be another one.
        self.storage_due = Instant::now();
        self.order(uid, over_limit(message), limit).await
    }

    /// `why` is a signal, or a limit, in kubelet's words.
    async fn order(&mut self, uid: String, ending: Ending, why: &'static str) -> Option<String> {
        tracing::warn!(uid, message = ending.message, "evicting a pod");
        self.tools.metrics.evicted(why);
        self.leaving.insert(uid.clone());
        // An error: edged ends, and so will this.
        self.orders.send(EvictionOrder { uid: uid.clone(), ending }).await.ok()?;
        Some(uid)
    }

    /// Pods that may be evicted. Those that go anyway are not among them.
    fn evictable(
        &self,
        pods: &BTreeMap<String, Listed>,
        wanted: impl Fn(&k8s_openapi::api::core::v1::Pod) -> bool,
    ) -> Vec<(String, Listed)> {
        let may_go = |uid: &String, listed: &Listed| {
            !listed.is_over
                && !self.leaving.contains(uid)
                && listed.pod.metadata.deletion_timestamp.is_none()
                && !is_critical(&listed.pod)
                && wanted(&listed.pod)
        };
        let found = pods.iter().filter(|(uid, listed)| may_go(uid, listed));
        found.map(|(uid, listed)| (uid.clone(), listed.clone())).collect()
    }

    /// `None`: the runtime cannot be asked, or measuring failed.
    async fn measure(&self, pods: Vec<(String, Listed)>, extent: Extent) -> Option<Vec<Candidate>> {
        let subjects = match self.subjects(pods, extent).await {
            Ok(subjects) => subjects,
            Err(error) => {
                tracing::warn!(%error, "pods cannot be measured");
                return None;
            }
        };
        let (gauges, places) = (self.tools.gauges.clone(), self.places.clone());
        let work = move || {
            let candidates = subjects.into_iter().map(|subject| {
                let usage = measure(gauges.as_ref(), &places, &subject, extent);
                Candidate { uid: subject.uid, pod: subject.pod, usage }
            });
            candidates.collect()
        };
        tokio::task::spawn_blocking(work).await.ok()
    }

    async fn subjects(
        &self,
        pods: Vec<(String, Listed)>,
        extent: Extent,
    ) -> Result<Vec<Subject>, RuntimeError> {
        let containers = self.tools.runtime.containers(None).await?;
        let mut layers = match extent {
            Extent::Storage => layers(&self.tools.runtime).await?,
            Extent::Groups => BTreeMap::new(),
        };
        let subjects = pods.into_iter().map(|(uid, listed)| {
            let mine =
                containers.iter().filter(|one| one.pod.uid == uid && one.state == ContainerState::Running);
            Subject {
                containers: mine.map(|one| (one.name.clone(), one.id.0.clone())).collect(),
                layers: layers.remove(&uid).unwrap_or_default(),
                pod: listed.pod,
                uid,
            }
        });
        Ok(subjects.collect())
    }

    /// How full everything is.
    async fn read(&mut self) -> Readings {
        if self.config.thresholds.is_empty() {
            return Readings::new();
        }
        if self.images.is_none() {
            let systems = self.tools.runtime.image_fs().await;
            self.images =
                systems.ok().and_then(|systems| Some(systems.into_iter().next()?.mount_point.into()));
        }
        let (gauges, root, images) =
            (self.tools.gauges.clone(), self.config.root.clone(), self.images.clone());
        let work = move || {
            let nodefs = gauges.file_system(&root);
            let imagefs = images.as_deref().and_then(|images| gauges.file_system(images));
            (gauges.memory(), gauges.processes(), nodefs, imagefs)
        };
        let Ok((memory, processes, nodefs, imagefs)) = tokio::task::spawn_blocking(work).await else {
            return Readings::new();
        };
        if imagefs.is_none() {
            // The runtime may have been set up anew.
            self.images = None;
        }
        let device = |system: Option<FileSystem>| system.map(|system| system.device);
        self.is_shared = imagefs.is_none() || device(imagefs) == device(nodefs);
        let all = [
            (Signal::Memory, memory),
            (Signal::Pids, processes),
            (Signal::Nodefs, nodefs.map(|system| system.bytes)),
            (Signal::NodefsInodes, nodefs.map(|system| system.inodes)),
            (Signal::Imagefs, imagefs.map(|system| system.bytes)),
            (Signal::ImagefsInodes, imagefs.map(|system| system.inodes)),
        ];
        all.into_iter().filter_map(|(signal, level)| Some((signal, level?))).collect()
    }
}

/// What containers have written over their images, by pod and name. One that has ended still takes its room.
async fn layers(runtime: &Runtime) -> Result<BTreeMap<String, BTreeMap<String, Room>>, RuntimeError> {
    let mut found: BTreeMap<String, BTreeMap<String, Room>> = BTreeMap::new();
    for stats in runtime.container_stats().await? {
        let Some(layer) = stats.writable_layer else { continue };
        let room = found.entry(stats.pod.uid).or_default().entry(stats.name).or_default();
        let (bytes, inodes) = (layer.used.unwrap_or_default(), layer.inodes_used.unwrap_or_default());
        *room = room.plus(Room { bytes, inodes });
    }
    Ok(found)
}
