//! One EdgeCore for one store: two would write over each other, and both start and stop the same pods.

use std::fs::{self, File, TryLockError};
use std::path::Path;

use anyhow::Context as _;

/// The mark of the one who has the store. It goes with the process, however that ends.
#[derive(Debug)]
pub(super) struct Alone(#[expect(dead_code, reason = "it is locked as long as it is open")] Option<File>);

/// Takes the store's folder for this process. The folder itself is locked: that works where nothing can be written, too.
///
/// # Errors
/// Another process has it, or there can be no such folder.
pub(super) fn alone(database: &Path) -> anyhow::Result<Alone> {
    let folder = database.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let open = || {
        fs::create_dir_all(folder)?;
        File::open(folder)
    };
    let folder = open().with_context(|| format!("open {} (database.dataSource)", folder.display()))?;
    match folder.try_lock() {
        Ok(()) => Ok(Alone(Some(folder))),
        Err(TryLockError::WouldBlock) => anyhow::bail!(
            "another EdgeCore has the store {} (database.dataSource)\nhint: stop it, or give each its own database.dataSource in a folder of its own",
            database.display()
        ),
        // Not every file system can say so, and it matters less than the pods.
        Err(TryLockError::Error(error)) => {
            tracing::warn!(%error, "it is not known whether another EdgeCore has the same store");
            Ok(Alone(None))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_is_one_edgecores_until_that_has_ended() {
        let dir = tempfile::tempdir().unwrap();
        let database = dir.path().join("not/there/yet/edgecore.db");
        let first = alone(&database).unwrap();
        let text = format!("{:#}", alone(&database).unwrap_err());
        assert!(text.contains("another EdgeCore") && text.contains("edgecore.db"), "{text}");
        alone(&dir.path().join("another/edgecore.db")).unwrap();
        drop(first);
        alone(&database).unwrap();
    }
}
