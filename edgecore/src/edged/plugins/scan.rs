//! Which sockets there are in the folder.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

/// Sockets that are looked at; a node has a handful.
pub(super) const MAX_SOCKETS: usize = 100;

/// Tells a socket from another one that is at the same path later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    device: u64,
    inode: u64,
    changed: (i64, i64),
}

/// Makes the folder: only root may put sockets into it.
pub(super) fn make(folder: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o750).create(folder)
}

/// The sockets of the folder. What begins with a dot is not meant for us, as with kubelet.
///
/// # Errors
/// The folder cannot be read.
pub(super) fn scan(folder: &Path) -> io::Result<BTreeMap<PathBuf, Mark>> {
    let mut sockets = BTreeMap::new();
    for entry in folder.read_dir()? {
        let path = entry?.path();
        let is_hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        // It may be gone by now, or lead nowhere.
        let Some(metadata) = fs::metadata(&path).ok().filter(|_| !is_hidden) else { continue };
        if metadata.file_type().is_socket() {
            if sockets.len() == MAX_SOCKETS {
                tracing::warn!(folder = %folder.display(), limit = MAX_SOCKETS, "too many plugins, the others are left out");
                break;
            }
            let mark = Mark {
                device: metadata.dev(),
                inode: metadata.ino(),
                changed: (metadata.ctime(), metadata.ctime_nsec()),
            };
            sockets.insert(path, mark);
        }
    }
    Ok(sockets)
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn sockets_are_found_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("plugins_registry");
        make(&folder).unwrap();
        make(&folder).unwrap();
        fs::write(folder.join("file"), "").unwrap();
        fs::create_dir(folder.join("dir")).unwrap();
        std::os::unix::fs::symlink("nowhere", folder.join("link.sock")).unwrap();
        let _hidden = UnixListener::bind(folder.join(".x.sock")).unwrap();
        let first = UnixListener::bind(folder.join("a.sock")).unwrap();
        let before = scan(&folder).unwrap();
        assert_eq!(before.keys().collect::<Vec<_>>(), [&folder.join("a.sock")]);
        drop(first);
        assert_eq!(scan(&folder).unwrap(), before, "its file is still there");
        fs::remove_file(folder.join("a.sock")).unwrap();
        let _second = UnixListener::bind(folder.join("a.sock")).unwrap();
        assert_ne!(scan(&folder).unwrap(), before);
        assert!(scan(&dir.path().join("missing")).is_err());
    }
}
