//! What containers, sandboxes and images use, as the runtime counts it. What it does not count is `None`.

use jiff::Timestamp;

use super::{ContainerId, SandboxId};
use crate::flow::PodKey;

/// Processor time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CpuStats {
    /// When it was read.
    pub time: Timestamp,
    /// Nanoseconds of one core since the container was started.
    pub total: u64,
    /// Nanoseconds of one core per second, lately; containerd tells it from 1.7 on.
    pub rate: Option<u64>,
}

/// Memory, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryStats {
    /// When it was read.
    pub time: Timestamp,
    /// What cannot be taken back without harm: usage without inactive file pages.
    pub working_set: Option<u64>,
    /// All of it, page cache included.
    pub usage: Option<u64>,
    /// Anonymous memory.
    pub rss: Option<u64>,
    /// Page faults since the container was started.
    pub page_faults: Option<u64>,
    /// Those that had to read from a disk.
    pub major_page_faults: Option<u64>,
}

/// A part of a file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FsStats {
    /// When it was read.
    pub time: Timestamp,
    /// Directory of the runtime on this file system.
    pub mount_point: String,
    /// Bytes.
    pub used: Option<u64>,
    /// Inodes.
    pub inodes_used: Option<u64>,
}

/// One container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerStats {
    /// Its id.
    pub id: ContainerId,
    /// The pod it belongs to.
    pub pod: PodKey,
    /// Name in the pod's spec.
    pub name: String,
    /// Counts the containers of this name in this pod from 0.
    pub attempt: u32,
    /// Processor time; `None` when it does not run.
    pub cpu: Option<CpuStats>,
    /// Memory; `None` when it does not run.
    pub memory: Option<MemoryStats>,
    /// What it has written over its image.
    pub writable_layer: Option<FsStats>,
}

/// The network of one sandbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkStats {
    /// Its id.
    pub sandbox: SandboxId,
    /// The pod it was made for.
    pub pod: PodKey,
    /// When it was read.
    pub time: Timestamp,
    /// The one that carries the pod's address comes first.
    pub interfaces: Vec<InterfaceStats>,
}

/// Bytes and errors since the interface was made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InterfaceStats {
    /// For example `eth0`.
    pub name: String,
    /// Bytes received.
    pub received: Option<u64>,
    /// Packets that were lost on the way in.
    pub receive_errors: Option<u64>,
    /// Bytes sent.
    pub sent: Option<u64>,
    /// Packets that were lost on the way out.
    pub send_errors: Option<u64>,
}
