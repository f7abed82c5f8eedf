//! `fsGroup`: files of a volume belong to the pod's group.
//!
//! <https://kubernetes.io/docs/tasks/configure-pod-container/security-context/#configure-volume-permission-and-ownership-change-policy-for-pods>

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, lchown};
use std::path::Path;

/// New files in a directory get the directory's group.
const SET_GID: u32 = 0o2000;

/// The group that a volume is given to, and whether it may write.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ownership {
    pub(super) group: Option<u32>,
    pub(super) read_only: bool,
}

impl Ownership {
    /// As it comes.
    #[cfg(test)]
    pub(super) const NONE: Self = Self { group: None, read_only: false };

    /// The mode that a file of `mode` gets.
    pub(super) fn file_mode(self, mode: u32) -> u32 {
        match self.group {
            Some(_) => mode | if self.read_only { 0o440 } else { 0o660 },
            None => mode,
        }
    }

    /// The mode that a directory of `mode` gets.
    fn dir_mode(self, mode: u32) -> u32 {
        self.file_mode(mode) | if self.group.is_some() { SET_GID | 0o110 } else { 0 }
    }

    /// Gives `top` and all below it to the group; links themselves, never what they point to.
    pub(super) fn apply_recursively(self, top: &Path) -> io::Result<()> {
        if self.group.is_none() {
            return Ok(());
        }
        let mut paths = vec![top.to_owned()];
        while let Some(path) = paths.pop() {
            let metadata = fs::symlink_metadata(&path)?;
            self.apply(&path, &metadata)?;
            if metadata.is_dir() {
                for entry in path.read_dir()? {
                    paths.push(entry?.path());
                }
            }
        }
        Ok(())
    }

    /// Gives `path` itself to the group.
    pub(super) fn apply(self, path: &Path, metadata: &fs::Metadata) -> io::Result<()> {
        let Some(group) = self.group else { return Ok(()) };
        lchown(path, None, Some(group))?;
        if metadata.is_symlink() {
            return Ok(());
        }
        let mode = metadata.permissions().mode() & 0o7777;
        let mode = if metadata.is_dir() { self.dir_mode(mode) } else { self.file_mode(mode) };
        fs::set_permissions(path, fs::Permissions::from_mode(mode))
    }

    /// Is `path`, the top of a volume, given to the group already?
    pub(super) fn is_applied(self, metadata: &fs::Metadata) -> bool {
        let mode = metadata.permissions().mode() & 0o7777;
        self.group.is_none_or(|group| metadata.gid() == group && self.dir_mode(mode) == mode)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_group_gets_what_it_needs() {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o700)).unwrap();
        let file = dir.path().join("f");
        fs::write(&file, "").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        symlink("/etc/hostname", dir.path().join("link")).unwrap();
        let before = fs::metadata("/etc/hostname").unwrap().gid();
        // The test's own group: giving files to another one needs root.
        let group = nix::unistd::getegid().as_raw();
        let ownership = Ownership { group: Some(group), read_only: true };
        assert!(!ownership.is_applied(&fs::metadata(dir.path()).unwrap()));
        ownership.apply_recursively(dir.path()).unwrap();
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o7777, 0o640);
        assert_eq!(fs::metadata(dir.path()).unwrap().permissions().mode() & 0o7777, 0o2750);
        assert!(ownership.is_applied(&fs::metadata(dir.path()).unwrap()));
        assert_eq!(fs::metadata("/etc/hostname").unwrap().gid(), before);
    }
}
