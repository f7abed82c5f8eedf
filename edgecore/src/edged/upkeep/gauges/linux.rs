//! The kernel's own files and calls.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use nix::sys::statvfs::statvfs;

use super::{FileSystem, Gauges, Level};

/// This machine.
#[derive(Debug, Default)]
pub struct LinuxGauges;

// === impl Gauges for LinuxGauges ===

impl Gauges for LinuxGauges {
    fn file_system(&self, path: &Path) -> Option<FileSystem> {
        let device = std::fs::metadata(path).ok()?.dev();
        let stat = statvfs(path).ok()?;
        // The sizes of these fields differ between architectures.
        #[allow(clippy::useless_conversion, reason = "u64 here, u32 on 32-bit ARM")]
        let [size, blocks, available, inodes, free] = [
            stat.fragment_size(),
            stat.blocks(),
            stat.blocks_available(),
            stat.files(),
            stat.files_available(),
        ]
        .map(u64::from);
        let bytes =
            Level { capacity: blocks.saturating_mul(size), available: available.saturating_mul(size) };
        let inodes = Level { capacity: inodes, available: free };
        Some(FileSystem { device, bytes, inodes }).filter(|system| system.bytes.capacity > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_system_is_read_and_a_missing_one_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let system = LinuxGauges.file_system(dir.path()).unwrap();
        assert!(system.bytes.capacity >= system.bytes.available);
        assert_eq!(LinuxGauges.file_system(&dir.path().join("gone")), None);
        // proc has no blocks, so how full it is makes no sense.
        assert_eq!(LinuxGauges.file_system(Path::new("/proc")), None);
    }
}
