//! A copy of the file that was sound when it was made, for the day when the file is not.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use chassis::files::create_private;
use rusqlite::Connection;

use super::StoreError;
use super::open::with_suffix;

fn snapshot_path(path: &Path) -> PathBuf {
    with_suffix(path, ".snapshot")
}

/// Writes the snapshot beside the file: whole, synced, then renamed over the last one.
pub(super) fn take(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let fresh = with_suffix(path, ".snapshot-new");
    let io = |source| StoreError::Io { path: fresh.clone(), source };
    remove_if_there(&fresh).map_err(io)?;
    create_private(&fresh).map_err(io)?;
    connection
        .execute("VACUUM INTO ?1", [fresh.to_string_lossy()])
        .map_err(|source| StoreError::sqlite(path, source))?;
    File::open(&fresh).and_then(|file| file.sync_all()).map_err(io)?;
    fs::rename(&fresh, snapshot_path(path)).map_err(io)?;
    sync_folder(path).map_err(io)
}

/// Puts a copy of the snapshot in the file's place. Says whether there was one.
pub(super) fn restore(path: &Path) -> Result<bool, StoreError> {
    let snapshot = snapshot_path(path);
    let io = |source| StoreError::Io { path: snapshot.clone(), source };
    match fs::copy(&snapshot, path) {
        Ok(_) => {}
        Err(source) if source.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(source) => return Err(io(source)),
    }
    File::open(path).and_then(|file| file.sync_all()).map_err(io)?;
    sync_folder(path).map_err(io)?;
    Ok(true)
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn sync_folder(path: &Path) -> io::Result<()> {
    match path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        Some(folder) => File::open(folder)?.sync_all(),
        None => File::open(".")?.sync_all(),
    }
}
