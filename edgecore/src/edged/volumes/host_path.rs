//! Checks that a hostPath is what the pod expects, or makes it so.
//!
//! <https://kubernetes.io/docs/concepts/storage/volumes/#hostpath-volume-types>

use std::fs::{self, DirBuilder, File, FileType};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, OpenOptionsExt};
use std::path::Path;

use super::plan::HostPathType;

/// Why a hostPath cannot be mounted.
#[derive(Debug, thiserror::Error)]
pub(super) enum HostPathError {
    #[error("hostPath type check failed: {path} is not {expected}")]
    WrongType { path: String, expected: &'static str },
    #[error("hostPath {path}: {source}")]
    Io { path: String, source: io::Error },
}

pub(super) fn check(path: &Path, kind: HostPathType) -> Result<(), HostPathError> {
    let io = |source| HostPathError::Io { path: path.display().to_string(), source };
    match kind {
        HostPathType::Unchecked => return Ok(()),
        HostPathType::DirectoryOrCreate if !path.exists() => {
            DirBuilder::new().recursive(true).mode(0o755).create(path).map_err(io)?;
        }
        HostPathType::FileOrCreate if !path.exists() => {
            File::options().write(true).create_new(true).mode(0o644).open(path).map_err(io)?;
        }
        _ => {}
    }
    let (is_expected, expected): (fn(&FileType) -> bool, _) = match kind {
        HostPathType::Unchecked => return Ok(()),
        HostPathType::Directory | HostPathType::DirectoryOrCreate => (FileType::is_dir, "a directory"),
        HostPathType::File | HostPathType::FileOrCreate => (FileType::is_file, "a file"),
        HostPathType::Socket => (FileTypeExt::is_socket, "a socket file"),
        HostPathType::CharDevice => (FileTypeExt::is_char_device, "a character device"),
        HostPathType::BlockDevice => (FileTypeExt::is_block_device, "a block device"),
    };
    let found = match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        other => Some(other.map_err(io)?.file_type()),
    };
    if found.is_some_and(|found| is_expected(&found)) {
        return Ok(());
    }
    Err(HostPathError::WrongType { path: path.display().to_string(), expected })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn makes_only_what_it_may() {
        let dir = tempfile::tempdir().unwrap();
        let missing = dir.path().join("a/b");
        assert!(check(&missing, HostPathType::Directory).is_err());
        assert!(check(&missing, HostPathType::FileOrCreate).is_err(), "the directory of a file is not made");
        check(&missing, HostPathType::DirectoryOrCreate).unwrap();
        check(&missing, HostPathType::Directory).unwrap();
        check(&missing.join("f"), HostPathType::FileOrCreate).unwrap();
        check(&missing.join("f"), HostPathType::File).unwrap();
        check(&missing.join("none"), HostPathType::Unchecked).unwrap();
    }

    #[test]
    fn says_what_is_not_what() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().display();
        for (kind, expected) in [
            (HostPathType::File, "a file"),
            (HostPathType::FileOrCreate, "a file"),
            (HostPathType::Socket, "a socket file"),
            (HostPathType::CharDevice, "a character device"),
            (HostPathType::BlockDevice, "a block device"),
        ] {
            let error = check(dir.path(), kind).unwrap_err().to_string();
            assert_eq!(error, format!("hostPath type check failed: {path} is not {expected}"));
        }
        check(Path::new("/dev/null"), HostPathType::CharDevice).unwrap();
        assert!(check(Path::new("/dev/null"), HostPathType::DirectoryOrCreate).is_err());
    }
}
