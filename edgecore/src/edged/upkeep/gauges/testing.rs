//! A machine that is as full as the test says.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::StreamExt;
use futures::stream::BoxStream;
use tokio::sync::watch;
use tokio_stream::wrappers::WatchStream;

use super::{FileSystem, Gauges, Level};
use crate::edged::runtime::fake::FakeRuntime;

/// Half full of everything until told otherwise. Clones are one.
#[derive(Debug, Clone, Default)]
pub struct FakeGauges {
    dials: Arc<Mutex<Dials>>,
    /// Counts stalls.
    stalls: Arc<watch::Sender<u64>>,
}

/// What is shown.
#[derive(Debug)]
pub struct Dials {
    /// Every file system.
    pub disk: Option<FileSystem>,
    /// Memory of the machine.
    pub memory: Option<Level>,
    /// Processes of the machine.
    pub processes: Option<Level>,
    /// What pods use, by UID: memory (all of it is its first container's) and processes.
    pub pods: BTreeMap<String, (u64, u64)>,
    /// Takes so much of the disk as long as it is there.
    pub file: Option<(PathBuf, u64)>,
    /// What runs and what images are here takes from what is left, if this is set.
    pub runtime: Option<FakeRuntime>,
}

impl Default for Dials {
    fn default() -> Self {
        let half = |capacity: u64| Level { capacity, available: capacity / 2 };
        Self {
            disk: Some(FileSystem { device: 1, bytes: half(100_000), inodes: half(1000) }),
            memory: Some(half(1 << 30)),
            processes: Some(half(10_000)),
            pods: BTreeMap::new(),
            file: None,
            runtime: None,
        }
    }
}

// === impl Dials ===

impl Dials {
    /// What the pods use that run, by the runtime.
    fn running(&self) -> impl Iterator<Item = (u64, u64)> {
        let containers = self.runtime.as_ref().map(FakeRuntime::containers).unwrap_or_default();
        let running: BTreeSet<String> =
            containers.into_iter().filter(|one| one.running).map(|one| one.uid).collect();
        running.into_iter().filter_map(|uid| self.pods.get(&uid).copied())
    }
}

fn take(level: Level, used: u64) -> Level {
    Level { available: level.available.saturating_sub(used), ..level }
}

// === impl FakeGauges ===

impl FakeGauges {
    /// Programs wait for memory.
    pub fn stall(&self) {
        self.stalls.send_modify(|count| *count += 1);
    }

    /// Turns the dials.
    pub fn set(&self, change: impl FnOnce(&mut Dials)) {
        change(&mut self.dials());
    }

    /// So many of the disk's 100,000 bytes are left.
    pub fn disk_left(&self, bytes: u64) {
        self.set(|dials| {
            if let Some(disk) = &mut dials.disk {
                disk.bytes.available = bytes;
            }
        });
    }

    /// So many of the machine's 1 GiB are left.
    pub fn memory_left(&self, bytes: u64) {
        self.set(|dials| dials.memory = Some(Level { capacity: 1 << 30, available: bytes }));
    }

    /// Pod `uid` uses so much.
    pub fn pod_uses(&self, uid: &str, memory: u64, processes: u64) {
        self.set(|dials| {
            dials.pods.insert(uid.to_owned(), (memory, processes));
        });
    }

    /// From now on what is left is without what the runtime holds: running pods take what they use, an image takes
    /// 1000 bytes of the disk.
    pub fn follow(&self, runtime: &FakeRuntime) {
        self.set(|dials| dials.runtime = Some(runtime.clone()));
    }

    fn dials(&self) -> MutexGuard<'_, Dials> {
        self.dials.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pod(&self, group: &Path) -> Option<(u64, u64)> {
        let name = group.file_name()?.to_str()?;
        self.dials().pods.get(name.strip_prefix("pod")?).copied()
    }
}

// === impl Gauges for FakeGauges ===

impl Gauges for FakeGauges {
    fn file_system(&self, _path: &Path) -> Option<FileSystem> {
        let dials = self.dials();
        let images = dials.runtime.as_ref().map_or(0, |runtime| runtime.images().len() as u64);
        dials.disk.map(|mut disk| {
            let file = dials.file.as_ref().filter(|(path, _)| path.exists()).map_or(0, |(_, bytes)| *bytes);
            disk.bytes = take(disk.bytes, images * 1000 + file);
            disk
        })
    }

    fn memory(&self) -> Option<Level> {
        let dials = self.dials();
        dials.memory.map(|memory| take(memory, dials.running().map(|(memory, _)| memory).sum()))
    }

    fn memory_stalls(&self) -> BoxStream<'static, ()> {
        WatchStream::from_changes(self.stalls.subscribe()).map(drop).boxed()
    }

    fn processes(&self) -> Option<Level> {
        let dials = self.dials();
        dials
            .processes
            .map(|processes| take(processes, dials.running().map(|(_, processes)| processes).sum()))
    }

    fn group_memory(&self, group: &Path) -> Option<u64> {
        self.pod(group).map(|(memory, _)| memory)
    }

    fn container_memory(&self, pod: &Path, _id: &str) -> Option<u64> {
        self.pod(pod).map(|(memory, _)| memory)
    }

    fn group_processes(&self, group: &Path) -> Option<u64> {
        self.pod(group).map(|(_, processes)| processes)
    }
}
