//! How full the machine is: what the upkeep's decisions are made from.
//!
//! [`Gauges`] is the boundary, with [`linux::LinuxGauges`] behind it and [`testing::FakeGauges`] for tests. All of it
//! may block (a network file system that hangs, a directory with a million files), so it is called where it may.

pub mod linux;
mod stalls;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod tree;

use std::fmt;
use std::path::Path;

use futures::stream::BoxStream;

pub use tree::tree;

/// How much there is, and how much of it is left. In bytes, or a count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Level {
    /// All of it.
    pub capacity: u64,
    /// What is left.
    pub available: u64,
}

/// A file system.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FileSystem {
    /// Which one: two paths with the same number share the room.
    pub device: u64,
    /// Bytes.
    pub bytes: Level,
    /// Inodes; a capacity of 0 on file systems that make them as needed.
    pub inodes: Level,
}

/// What something takes on a disk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Room {
    /// Bytes, as allocated.
    pub bytes: u64,
    /// Files, directories and so on.
    pub inodes: u64,
}

/// Reads the machine. `None`: that cannot be read now, and so nothing follows from it.
pub trait Gauges: fmt::Debug + Send + Sync + 'static {
    /// The file system that `path` is on.
    fn file_system(&self, path: &Path) -> Option<FileSystem>;
    /// Memory of the machine: available is what is not in use and what can be taken back without harm.
    fn memory(&self) -> Option<Level>;
    /// An item whenever programs wait for memory, at most every two seconds; none where the kernel does not say.
    fn memory_stalls(&self) -> BoxStream<'static, ()>;
    /// Processes and threads of the machine.
    fn processes(&self) -> Option<Level>;
    /// Memory of a cgroup (its path below the mount point), less what can be taken back without harm.
    fn group_memory(&self, group: &Path) -> Option<u64>;
    /// The same of a container in the cgroup of its pod.
    fn container_memory(&self, pod: &Path, id: &str) -> Option<u64>;
    /// Processes and threads in a cgroup.
    fn group_processes(&self, group: &Path) -> Option<u64>;
}

// === impl Room ===

impl Room {
    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            bytes: self.bytes.saturating_add(other.bytes),
            inodes: self.inodes.saturating_add(other.inodes),
        }
    }
}
