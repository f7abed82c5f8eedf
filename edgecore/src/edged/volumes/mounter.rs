//! The mounts that volumes need, as a trait: real ones need root, and a test of the whole node does not.

use std::fmt::Debug;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};

#[cfg(any(test, feature = "testing"))]
pub mod testing;

/// Where the kernel lists this process's mounts.
const MOUNT_INFO: &str = "/proc/self/mountinfo";

/// Mounts and unmounts below the pods' directory.
pub trait Mounter: Debug + Send + Sync + 'static {
    /// A new tmpfs on the directory `target`, of at most `bytes` or of the kernel's default (half of the memory).
    fn mount_tmpfs(&self, target: &Path, bytes: Option<i64>) -> io::Result<()>;
    /// A new file system of huge pages of `page_size` bytes on the directory `target`.
    fn mount_hugetlbfs(&self, target: &Path, page_size: u64) -> io::Result<()>;
    /// What is open as `source` becomes visible as `target`, too: both are files, or both are directories.
    fn bind(&self, source: BorrowedFd<'_>, target: &Path) -> io::Result<()>;
    /// Takes the topmost mount off `target`.
    fn unmount(&self, target: &Path) -> io::Result<()>;
    /// Every mount at or below `path`, in the order in which they can be taken off.
    fn mounts_at_or_below(&self, path: &Path) -> io::Result<Vec<PathBuf>>;

    /// Is something mounted on `path` itself?
    fn is_mounted(&self, path: &Path) -> io::Result<bool> {
        Ok(self.mounts_at_or_below(path)?.iter().any(|mount| mount == path))
    }
}

/// The mount table of this process's mount namespace, which the container runtime has to share.
#[derive(Debug, Clone, Copy, Default)]
pub struct LinuxMounter;

impl Mounter for LinuxMounter {
    fn mount_tmpfs(&self, target: &Path, bytes: Option<i64>) -> io::Result<()> {
        let size = bytes.map_or(String::new(), |bytes| format!("size={bytes},"));
        let options = format!("{size}mode=0777");
        Ok(mount(Some("tmpfs"), target, Some("tmpfs"), MsFlags::empty(), Some(options.as_str()))?)
    }

    fn mount_hugetlbfs(&self, target: &Path, page_size: u64) -> io::Result<()> {
        let options = format!("pagesize={page_size},mode=0777");
        Ok(mount(Some("nodev"), target, Some("hugetlbfs"), MsFlags::empty(), Some(options.as_str()))?)
    }

    fn bind(&self, source: BorrowedFd<'_>, target: &Path) -> io::Result<()> {
        let source = format!("/proc/self/fd/{}", source.as_raw_fd());
        let none: Option<&str> = None;
        Ok(mount(Some(source.as_str()), target, none, MsFlags::MS_BIND, none)?)
    }

    fn unmount(&self, target: &Path) -> io::Result<()> {
        // Never lazily: what is still busy must not look as if it were gone, for then its files would be removed.
        Ok(umount2(target, MntFlags::UMOUNT_NOFOLLOW)?)
    }

    fn mounts_at_or_below(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        let table = std::fs::read_to_string(MOUNT_INFO)?;
        let mut mounts: Vec<PathBuf> =
            table.lines().filter_map(mount_point).filter(|mount| mount.starts_with(path)).collect();
        // The table is in the order of mounting.
        mounts.reverse();
        Ok(mounts)
    }
}

/// The fifth field of a line of `mountinfo` (proc(5)), in which blanks and backslashes are octal escapes.
fn mount_point(line: &str) -> Option<PathBuf> {
    use std::os::unix::ffi::OsStringExt;
    let escaped = line.split(' ').nth(4)?.as_bytes();
    let mut bytes = Vec::with_capacity(escaped.len());
    let mut rest = escaped;
    while let Some((&byte, tail)) = rest.split_first() {
        let octal =
            tail.get(..3).filter(|_| byte == b'\\').and_then(|digits| std::str::from_utf8(digits).ok());
        match octal.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(unescaped) => {
                bytes.push(unescaped);
                rest = &tail[3..];
            }
            None => {
                bytes.push(byte);
                rest = tail;
            }
        }
    }
    Some(PathBuf::from(std::ffi::OsString::from_vec(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mount_points_are_unescaped() {
        let line = r"36 35 98:0 /mnt1 /mnt/a\040b\134c rw,noatime master:1 - ext3 /dev/root rw";
        assert_eq!(mount_point(line).unwrap(), Path::new("/mnt/a b\\c"));
        assert_eq!(mount_point("36 35 98:0"), None);
        assert_eq!(mount_point(r"1 2 3 4 /a\9 x").unwrap(), Path::new(r"/a\9"));
    }

    #[test]
    fn the_table_of_this_process_is_read() {
        assert!(LinuxMounter.is_mounted(Path::new("/proc")).unwrap());
        assert!(!LinuxMounter.is_mounted(Path::new("/proc/self")).unwrap());
    }
}
