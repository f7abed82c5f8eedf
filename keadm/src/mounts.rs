//! What is mounted below a folder.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use nix::mount::{MntFlags, umount2};

/// Unmounts everything at or below these folders, innermost first.
///
/// # Errors
/// The first that cannot be unmounted; those around it stay mounted too.
pub fn unmount_below(folders: &[&Path]) -> anyhow::Result<()> {
    let mounts = fs::read("/proc/self/mountinfo").context("read /proc/self/mountinfo")?;
    for point in below(&mounts, folders) {
        umount2(&point, MntFlags::MNT_DETACH).with_context(|| format!("unmount {}", point.display()))?;
    }
    Ok(())
}

/// Innermost first: what was mounted later stands later, and covers what is below it.
fn below(mountinfo: &[u8], folders: &[&Path]) -> Vec<PathBuf> {
    let lines = mountinfo.split(|byte| *byte == b'\n');
    let points = lines.filter_map(|line| line.split(|byte| *byte == b' ').nth(4)).map(unescape);
    let mut points: Vec<PathBuf> =
        points.filter(|point| folders.iter().any(|folder| point.starts_with(folder))).collect();
    points.reverse();
    points.sort_by_key(|point| std::cmp::Reverse(point.components().count()));
    points
}

/// The kernel writes blanks, tabs, newlines and backslashes as `\` and three octal digits (proc(5)).
fn unescape(field: &[u8]) -> PathBuf {
    let mut path = Vec::with_capacity(field.len());
    let mut rest = field;
    while let [first, tail @ ..] = rest {
        let digits = tail.get(..3).filter(|_| *first == b'\\');
        let code = digits.and_then(|digits| std::str::from_utf8(digits).ok());
        match code.and_then(|code| u8::from_str_radix(code, 8).ok()) {
            Some(byte) => {
                path.push(byte);
                rest = &tail[3..];
            }
            None => {
                path.push(*first);
                rest = tail;
            }
        }
    }
    OsString::from_vec(path).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTINFO: &[u8] = br"21 1 0:20 / / rw - overlay overlay rw
30 21 0:30 / /var/lib/kubelet/pods/1/volumes/a rw shared:1 - tmpfs tmpfs rw
31 21 0:31 / /var/lib/kubelet-other rw - tmpfs tmpfs rw
32 30 0:32 / /var/lib/kubelet/pods/1/volumes/a/with\040blank rw - tmpfs tmpfs rw
33 21 0:33 / /var/lib/kubelet rw - tmpfs tmpfs rw
";

    #[test]
    fn mounts_below_a_folder_come_innermost_first_and_neighbours_not_at_all() {
        let found = below(MOUNTINFO, &[Path::new("/var/lib/kubelet")]);
        let expected = [
            "/var/lib/kubelet/pods/1/volumes/a/with blank",
            "/var/lib/kubelet/pods/1/volumes/a",
            "/var/lib/kubelet",
        ];
        assert_eq!(found, expected.map(PathBuf::from));
        assert!(below(MOUNTINFO, &[Path::new("/etc")]).is_empty());
    }

    #[test]
    fn a_backslash_without_three_octal_digits_is_itself() {
        assert_eq!(unescape(br"/a\134b\9\0"), PathBuf::from(r"/a\b\9\0"));
    }
}
