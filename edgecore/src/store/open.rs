//! Opening the file: pragmas, integrity, recovery, migration.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chassis::clock::Clock;
use chassis::files::create_private;
use rusqlite::{Connection, OpenFlags};

use super::{StoreError, schema, snapshot};

/// Only a reader at a checkpoint can make the writer wait, for milliseconds; five seconds is a failure.
const BUSY: Duration = Duration::from_secs(5);

/// Page cache per connection, in KiB (a negative `cache_size` counts KiB): the working set is a few hundred rows,
/// and SQLite's default of 2 MiB per connection would be a sixth of the whole process.
const CACHE_KIB: i64 = 256;

/// The write-ahead log is folded back after this many pages (4 KiB each), so that it stays small on flash.
const CHECKPOINT_PAGES: i64 = 128;

/// A connection for the writer, to a sound file of this version's schema.
pub(super) fn open_or_recover(path: &Path, clock: &Clock) -> Result<Connection, StoreError> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::create_dir_all(folder).map_err(|source| StoreError::Io { path: folder.to_owned(), source })?;
    }
    match open_sound(path) {
        Err(StoreError::Damaged { reason, .. }) => {
            let aside = set_aside(path, clock)?;
            tracing::error!(path = %path.display(), kept_as = %aside.display(), reason, "the store is damaged");
            recover(path)
        }
        opened => opened,
    }
}

/// A connection for readers.
pub(super) fn reader(path: &Path) -> Result<Connection, StoreError> {
    let failed = |source| StoreError::sqlite(path, source);
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    connection.busy_timeout(BUSY).map_err(failed)?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB).map_err(failed)?;
    Ok(connection)
}

fn open_sound(path: &Path) -> Result<Connection, StoreError> {
    let failed = |source| StoreError::sqlite(path, source);
    create_private(path).map_err(|source| StoreError::Io { path: path.to_owned(), source })?;
    let mut connection = Connection::open(path).map_err(failed)?;
    connection.busy_timeout(BUSY).map_err(failed)?;
    check(&connection, path)?;
    let found = schema::version(&connection).map_err(failed)?;
    if found > schema::VERSION {
        return Err(StoreError::Newer { path: path.to_owned(), found, known: schema::VERSION });
    }
    connection.pragma_update(None, "journal_mode", "WAL").map_err(failed)?;
    // FULL: a commit is on the disk when it returns, which is what an ack promises.
    connection.pragma_update(None, "synchronous", "FULL").map_err(failed)?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB).map_err(failed)?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES).map_err(failed)?;
    schema::migrate(&mut connection).map_err(failed)?;
    Ok(connection)
}

fn check(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let verdict: String = connection
        .pragma_query_value(None, "quick_check", |row| row.get(0))
        .map_err(|source| StoreError::sqlite(path, source))?;
    if verdict == "ok" {
        return Ok(());
    }
    Err(StoreError::Damaged { path: path.to_owned(), reason: verdict })
}

/// Moves the damaged file away with its log; what is in it may still be of use to a person.
fn set_aside(path: &Path, clock: &Clock) -> Result<PathBuf, StoreError> {
    let aside = with_suffix(path, &format!(".damaged-{}", clock.now().as_second()));
    fs::rename(path, &aside).map_err(|source| StoreError::Io { path: path.to_owned(), source })?;
    for log in ["-wal", "-shm"] {
        match fs::rename(with_suffix(path, log), with_suffix(&aside, log)) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                return Err(StoreError::Io { path: with_suffix(path, log), source });
            }
            _ => {}
        }
    }
    Ok(aside)
}

/// Starts from the last snapshot, or from nothing. Either way pods go on running: edged never takes an empty store
/// for an order to stop them, and the cloud sends what the node should have when it connects.
fn recover(path: &Path) -> Result<Connection, StoreError> {
    if snapshot::restore(path)? {
        match open_sound(path) {
            Ok(connection) => {
                tracing::warn!(path = %path.display(), "the store was restored from its last snapshot");
                return Ok(connection);
            }
            Err(StoreError::Damaged { reason, .. }) => {
                tracing::error!(reason, "the snapshot is damaged too: starting with an empty store");
                fs::remove_file(path).map_err(|source| StoreError::Io { path: path.to_owned(), source })?;
            }
            Err(error) => return Err(error),
        }
    }
    tracing::warn!(path = %path.display(), "starting with an empty store");
    open_sound(path)
}

/// `path` with `suffix` after its whole name, as SQLite names its log.
pub(super) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
