//! A machine that is as full as the test says.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{FileSystem, Gauges, Level};

/// Half full of everything until told otherwise. Clones are one.
#[derive(Debug, Clone, Default)]
pub struct FakeGauges {
    dials: Arc<Mutex<Dials>>,
}

/// What is shown.
#[derive(Debug)]
pub struct Dials {
    /// Every file system.
    pub disk: Option<FileSystem>,
}

impl Default for Dials {
    fn default() -> Self {
        let half = |capacity: u64| Level { capacity, available: capacity / 2 };
        Self { disk: Some(FileSystem { device: 1, bytes: half(100_000), inodes: half(1000) }) }
    }
}

// === impl FakeGauges ===

impl FakeGauges {
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

    fn dials(&self) -> MutexGuard<'_, Dials> {
        self.dials.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Gauges for FakeGauges ===

impl Gauges for FakeGauges {
    fn file_system(&self, _path: &Path) -> Option<FileSystem> {
        self.dials().disk
    }
}
