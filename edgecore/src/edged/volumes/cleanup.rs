//! Takes a pod's directory off the disk, and everything off that directory first.

use std::fs;
use std::io;
use std::path::Path;

use super::mounter::Mounter;

/// How often the mount table is read again for mounts that appeared under the ones just taken off.
const PASSES: usize = 8;

/// Unmounts everything at and below `pod`, then removes it. When something cannot be unmounted, nothing is removed:
/// the files behind a mount may be the host's own. May be tried again.
pub(super) fn remove(mounter: &dyn Mounter, pod: &Path) -> io::Result<()> {
    unmount(mounter, pod)?;
    remove_files(pod)
}

/// Unmounts everything at and below `path`.
pub(super) fn unmount(mounter: &dyn Mounter, path: &Path) -> io::Result<()> {
    for _ in 0..PASSES {
        let mounts = mounter.mounts_at_or_below(path)?;
        if mounts.is_empty() {
            return Ok(());
        }
        for mount in mounts {
            mounter.unmount(&mount).map_err(|error| {
                io::Error::new(error.kind(), format!("unmount {}: {error}", mount.display()))
            })?;
        }
    }
    Err(io::Error::new(io::ErrorKind::ResourceBusy, format!("{} is mounted again and again", path.display())))
}

fn remove_files(pod: &Path) -> io::Result<()> {
    match fs::remove_dir_all(pod) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::BorrowedFd;
    use std::path::PathBuf;

    use super::super::mounter::testing::FakeMounter;
    use super::*;

    #[test]
    fn mounts_go_first() {
        let dir = tempfile::tempdir().unwrap();
        let pod = dir.path().join("u1");
        fs::create_dir_all(pod.join("volumes/x")).unwrap();
        let mounter = FakeMounter::default();
        mounter.mount_tmpfs(&pod.join("volumes/x"), None).unwrap();
        mounter.mount_tmpfs(&dir.path().join("other"), None).unwrap();
        remove(&mounter, &pod).unwrap();
        remove(&mounter, &pod).unwrap();
        assert!(!pod.exists());
        assert_eq!(mounter.mounts_at_or_below(dir.path()).unwrap(), [dir.path().join("other")]);
    }

    /// A mount that stays busy.
    #[derive(Debug)]
    struct Busy(PathBuf);

    impl Mounter for Busy {
        fn mount_tmpfs(&self, _: &Path, _: Option<i64>) -> io::Result<()> {
            Err(io::ErrorKind::Unsupported.into())
        }
        fn mount_hugetlbfs(&self, _: &Path, _: u64) -> io::Result<()> {
            Err(io::ErrorKind::Unsupported.into())
        }
        fn bind(&self, _: BorrowedFd<'_>, _: &Path) -> io::Result<()> {
            Err(io::ErrorKind::Unsupported.into())
        }
        fn unmount(&self, _: &Path) -> io::Result<()> {
            Err(io::ErrorKind::ResourceBusy.into())
        }
        fn mounts_at_or_below(&self, _: &Path) -> io::Result<Vec<PathBuf>> {
            Ok(vec![self.0.clone()])
        }
    }

    #[test]
    fn nothing_is_removed_behind_a_busy_mount() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("precious"), "").unwrap();
        let error = remove(&Busy(dir.path().to_owned()), dir.path()).unwrap_err();
        assert!(error.to_string().starts_with("unmount "), "{error}");
        assert!(dir.path().join("precious").exists());
    }
}
