//! A mount table in memory: directories stay what they are.

use std::io;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::Mounter;

/// Remembers what was mounted where, so that tests need no root and leave nothing behind.
#[derive(Debug, Default)]
pub struct FakeMounter {
    mounts: Mutex<Vec<PathBuf>>,
}

impl FakeMounter {
    fn add(&self, target: &Path) {
        self.mounts.lock().unwrap_or_else(PoisonError::into_inner).push(target.to_owned());
    }
}

impl Mounter for FakeMounter {
    fn mount_tmpfs(&self, target: &Path, _bytes: Option<i64>) -> io::Result<()> {
        self.add(target);
        Ok(())
    }

    fn mount_hugetlbfs(&self, target: &Path, _page_size: u64) -> io::Result<()> {
        self.add(target);
        Ok(())
    }

    fn bind(&self, _source: BorrowedFd<'_>, target: &Path) -> io::Result<()> {
        self.add(target);
        Ok(())
    }

    fn unmount(&self, target: &Path) -> io::Result<()> {
        let mut mounts = self.mounts.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(index) = mounts.iter().rposition(|mount| mount == target) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        mounts.remove(index);
        Ok(())
    }

    fn mounts_at_or_below(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        let mounts = self.mounts.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(mounts.iter().rev().filter(|mount| mount.starts_with(path)).cloned().collect())
    }
}
