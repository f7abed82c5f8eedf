//! Files that not everybody may read.

use std::fs::File;
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// `rw-------`
const OWNER_ONLY: u32 = 0o600;

/// Makes an empty file, for a database to fill, that only its owner may read; one that is there stays as it is. SQLite
/// gives the logs beside its file the same mode.
///
/// # Errors
/// When the file can be neither made nor opened for writing.
pub fn create_private(path: &Path) -> io::Result<()> {
    File::options().write(true).create(true).truncate(false).mode(OWNER_ONLY).open(path).map(drop)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_new_file_is_private_and_an_old_one_keeps_its_content_and_mode() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        create_private(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, OWNER_ONLY);
        fs::write(&path, "content").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        create_private(&path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "content");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
        assert!(create_private(&path.join("below")).is_err());
    }
}
