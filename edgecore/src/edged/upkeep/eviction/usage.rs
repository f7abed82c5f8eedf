//! What a pod uses. Pure sums.

use std::collections::BTreeMap;

use super::thresholds::Signal;
use crate::edged::upkeep::gauges::Room;

/// What one pod uses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Usage {
    /// Bytes of memory that cannot be taken back without harm.
    pub memory: u64,
    /// Processes and threads.
    pub processes: u64,
    /// Its emptyDir volumes on disk, by name.
    pub volumes: BTreeMap<String, Room>,
    /// Its emptyDir volumes in memory, by name: counted with its memory, and here only for their own limits.
    pub memory_volumes: BTreeMap<String, Room>,
    /// Its containers, by name.
    pub containers: BTreeMap<String, ContainerUsage>,
}

/// What one container uses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ContainerUsage {
    /// Bytes of memory, as above.
    pub memory: u64,
    /// Its logs.
    pub logs: Room,
    /// What it has written over its image.
    pub layer: Room,
}

// === impl Usage ===

impl Usage {
    /// What the pod uses of the resource that there is too little of.
    pub fn of(&self, signal: Signal, is_shared: bool) -> u64 {
        let room = self.room(signal, is_shared);
        match signal {
            Signal::Memory => self.memory,
            Signal::Pids => self.processes,
            Signal::Nodefs | Signal::Imagefs => room.bytes,
            Signal::NodefsInodes | Signal::ImagefsInodes => room.inodes,
        }
    }

    /// On disk: volumes and logs are on the node's file system, layers on that of images.
    fn room(&self, signal: Signal, is_shared: bool) -> Room {
        let is_imagefs = matches!(signal, Signal::Imagefs | Signal::ImagefsInodes);
        let mut sum = Room::default();
        for container in self.containers.values() {
            if is_shared || is_imagefs {
                sum = sum.plus(container.layer);
            }
            if is_shared || !is_imagefs {
                sum = sum.plus(container.logs);
            }
        }
        if is_shared || !is_imagefs {
            sum = self.volumes.values().fold(sum, |sum, volume| sum.plus(*volume));
        }
        sum
    }

    /// Everything on disk, in bytes: what a pod's ephemeral-storage limit is about.
    pub fn ephemeral_storage(&self) -> u64 {
        self.room(Signal::Nodefs, true).bytes
    }
}

impl ContainerUsage {
    /// What the container uses of the resource that there is too little of; `None` where that is not known.
    pub fn of(&self, signal: Signal) -> Option<u64> {
        match signal {
            Signal::Memory => Some(self.memory),
            Signal::Nodefs | Signal::Imagefs => Some(self.ephemeral_storage()),
            Signal::NodefsInodes | Signal::ImagefsInodes => Some(self.logs.plus(self.layer).inodes),
            Signal::Pids => None,
        }
    }

    /// Logs and layer, in bytes.
    pub fn ephemeral_storage(&self) -> u64 {
        self.logs.plus(self.layer).bytes
    }
}
