//! The SQLite file.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chassis::files::create_private;
use rusqlite::{Transaction, params};

use super::{Change, Database, Entry, Event, Limits, Place, StoreError};

/// Schema that this version reads and writes, kept in `PRAGMA user_version`.
const SCHEMA_VERSION: i64 = 1;

/// `object` is last so that SQLite can compare keys without reading it.
const SCHEMA: &str = "
    CREATE TABLE objects (
        resource  TEXT NOT NULL,
        namespace TEXT NOT NULL,
        name      TEXT NOT NULL,
        revision  INTEGER NOT NULL,
        object    BLOB NOT NULL,
        UNIQUE (resource, namespace, name)
    ) STRICT;
    CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT;
    INSERT INTO counters VALUES ('revision', 1);
";

/// The write-ahead log is cut back to this after a checkpoint, so that a burst does not keep the disk.
const WAL_LIMIT: i64 = 4 * 1024 * 1024;

/// 256 KiB: everything is read once at start and from memory from then on, so a page cache buys nothing.
const CACHE_KIB: i64 = 256;

/// Somebody may look at the file with the `sqlite3` tool; wait for them rather than fail.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The one connection to the file.
#[derive(Debug)]
pub(super) struct Connection {
    sqlite: rusqlite::Connection,
    name: String,
}

/// What the file held when it was opened.
#[derive(Debug)]
pub(super) struct Content {
    pub(super) revision: u64,
    pub(super) entries: Vec<Entry>,
}

impl Connection {
    pub(super) fn open(database: &Database, limits: Limits) -> Result<Self, StoreError> {
        let name = match database {
            Database::File(path) => path.display().to_string(),
            Database::Memory => ":memory:".to_owned(),
        };
        let opened = match database {
            Database::File(path) => {
                create_private(path).map_err(|error| StoreError::Database {
                    database: name.clone(),
                    problem: error.to_string(),
                })?;
                rusqlite::Connection::open(path)
            }
            Database::Memory => rusqlite::Connection::open_in_memory(),
        };
        let sqlite = opened.map_err(|error| problem(&name, &error))?;
        let mut connection = Self { sqlite, name };
        connection.prepare().map_err(|error| problem(&connection.name, &error))?;
        connection.migrate()?;
        connection.limit(limits.file_bytes).map_err(|error| problem(&connection.name, &error))?;
        Ok(connection)
    }

    fn prepare(&mut self) -> rusqlite::Result<()> {
        self.sqlite.busy_timeout(BUSY_TIMEOUT)?;
        self.sqlite.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))?;
        self.sqlite.pragma_update(None, "synchronous", "full")?;
        self.sqlite.pragma_update(None, "cache_size", -CACHE_KIB)?;
        self.sqlite.pragma_update_and_check(None, "journal_size_limit", WAL_LIMIT, |_| Ok(()))
    }

    fn limit(&mut self, bytes: u64) -> rusqlite::Result<()> {
        let page: i64 = self.sqlite.pragma_query_value(None, "page_size", |row| row.get(0))?;
        let pages = i64::try_from(bytes).unwrap_or(i64::MAX) / page;
        self.sqlite.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))
    }

    fn migrate(&mut self) -> Result<(), StoreError> {
        let version = self
            .sqlite
            .pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0))
            .map_err(|error| problem(&self.name, &error))?;
        match version {
            SCHEMA_VERSION => Ok(()),
            0 => self.create().map_err(|error| problem(&self.name, &error)),
            newer => Err(StoreError::Database {
                database: self.name.clone(),
                problem: format!(
                    "has schema {newer}, this version knows {SCHEMA_VERSION}: use the newer version"
                ),
            }),
        }
    }

    fn create(&mut self) -> rusqlite::Result<()> {
        let transaction = self.sqlite.transaction()?;
        transaction.execute_batch(SCHEMA)?;
        transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
        transaction.commit()
    }

    pub(super) fn load(&mut self) -> Result<Content, StoreError> {
        self.read_all().map_err(|error| problem(&self.name, &error))
    }

    fn read_all(&mut self) -> rusqlite::Result<Content> {
        let revision: i64 =
            self.sqlite
                .query_row("SELECT value FROM counters WHERE name = 'revision'", [], |row| row.get(0))?;
        let mut statement = self
            .sqlite
            .prepare("SELECT resource, namespace, name, revision, object FROM objects ORDER BY resource")?;
        let mut rows = statement.query([])?;
        let mut entries: Vec<Entry> = Vec::new();
        while let Some(row) = rows.next()? {
            let resource: Arc<str> = match entries.last() {
                Some(last) if *last.resource == *row.get_ref(0)?.as_str()? => Arc::clone(&last.resource),
                _ => Arc::from(row.get_ref(0)?.as_str()?),
            };
            entries.push(Entry {
                resource,
                place: Arc::new(Place::new(row.get_ref(1)?.as_str()?, row.get_ref(2)?.as_str()?)),
                revision: row.get::<_, i64>(3)?.cast_unsigned(),
                object: Bytes::copy_from_slice(row.get_ref(4)?.as_blob()?),
            });
        }
        Ok(Content { revision: revision.cast_unsigned(), entries })
    }

    /// Writes all of `events` or none.
    pub(super) fn apply(&mut self, events: &[Event], revision: u64) -> Result<(), StoreError> {
        self.write(events, revision).map_err(|error| problem(&self.name, &error))
    }

    fn write(&mut self, events: &[Event], revision: u64) -> rusqlite::Result<()> {
        let transaction = self.sqlite.transaction()?;
        for event in events {
            write_one(&transaction, event)?;
        }
        transaction
            .prepare_cached("UPDATE counters SET value = ?1 WHERE name = 'revision'")?
            .execute(params![revision.cast_signed()])?;
        transaction.commit()
    }
}

fn write_one(transaction: &Transaction<'_>, event: &Event) -> rusqlite::Result<()> {
    let Entry { resource, place, revision, object } = &event.entry;
    if event.change == Change::Deleted {
        transaction
            .prepare_cached("DELETE FROM objects WHERE resource = ?1 AND namespace = ?2 AND name = ?3")?
            .execute(params![resource, place.namespace, place.name])?;
        return Ok(());
    }
    transaction
        .prepare_cached(
            "INSERT INTO objects (resource, namespace, name, revision, object) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (resource, namespace, name)
             DO UPDATE SET revision = excluded.revision, object = excluded.object",
        )?
        .execute(params![resource, place.namespace, place.name, revision.cast_signed(), &object[..]])?;
    Ok(())
}

fn problem(database: &str, error: &rusqlite::Error) -> StoreError {
    StoreError::Database { database: database.to_owned(), problem: error.to_string() }
}
