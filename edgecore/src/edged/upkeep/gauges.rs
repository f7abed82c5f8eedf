//! How full the machine is: what the upkeep's decisions are made from.
//!
//! [`Gauges`] is the boundary, with [`linux::LinuxGauges`] behind it and [`testing::FakeGauges`] for tests. All of it
//! may block (a network file system that hangs, a directory with a million files), so it is called where it may.

pub mod linux;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

use std::fmt;
use std::path::Path;

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

/// Reads the machine. `None`: that cannot be read now, and so nothing follows from it.
pub trait Gauges: fmt::Debug + Send + Sync + 'static {
    /// The file system that `path` is on.
    fn file_system(&self, path: &Path) -> Option<FileSystem>;
}
