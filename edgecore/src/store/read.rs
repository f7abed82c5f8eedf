//! Questions to the store. Each is one short query on the readers' connection.

use proto::hello::Held;
use rusqlite::{Connection, OptionalExtension as _, Row};
use std::sync::{Arc, PoisonError};

use super::{Object, QueueKind, Queued, Removal, State, Store, StoreError, Waiting};

impl Store {
    /// The object at `key`.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn object(&self, key: &str) -> Result<Option<Object>, StoreError> {
        let key = key.to_owned();
        self.read(move |connection| {
            connection
                .prepare_cached("SELECT key, kind, uid, value, digest FROM objects WHERE key = ?1")?
                .query_row([key], object)
                .optional()
        })
        .await
    }

    /// All objects of one type word.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn objects(&self, kind: &str) -> Result<Vec<Object>, StoreError> {
        let kind = kind.to_owned();
        self.read(move |connection| {
            connection
                .prepare_cached(
                    "SELECT key, kind, uid, value, digest FROM objects WHERE kind = ?1 ORDER BY key",
                )?
                .query_map([kind], object)?
                .collect()
        })
        .await
    }

    /// What there is of the kinds that the cloud sends, without the objects themselves.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn held(&self) -> Result<Vec<Held>, StoreError> {
        self.read(|connection| {
            connection
                .prepare_cached(
                    "SELECT key, uid, text ->> '$.metadata.resourceVersion', digest
                     FROM (SELECT *, CAST(value AS TEXT) AS text FROM objects
                           WHERE kind IN ('pod', 'configmap', 'secret', 'node', 'device', 'devicemodel'))
                     WHERE json_valid(text) ORDER BY key",
                )?
                .query_map([], held)?
                .collect()
        })
        .await
    }

    /// Every state that the cloud has not accepted.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn states(&self) -> Result<Vec<State>, StoreError> {
        self.states_where("version > accepted").await
    }

    /// The last state that was reported of each object, whether the cloud has it or not.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn reported(&self) -> Result<Vec<State>, StoreError> {
        self.states_where("true").await
    }

    async fn states_where(&self, condition: &'static str) -> Result<Vec<State>, StoreError> {
        self.read(move |connection| {
            connection
                .prepare_cached(&format!(
                    "SELECT key, uid, version, value FROM states WHERE {condition} ORDER BY key"
                ))?
                .query_map([], |row| {
                    Ok(State { key: row.get(0)?, uid: row.get(1)?, version: row.get(2)?, value: row.get(3)? })
                })?
                .collect()
        })
        .await
    }

    /// The pods that the cloud has removed and of which something may be left.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn removals(&self) -> Result<Vec<Removal>, StoreError> {
        self.read(|connection| {
            connection
                .prepare_cached("SELECT uid, namespace, name FROM removals ORDER BY uid")?
                .query_map([], |row| {
                    Ok(Removal { uid: row.get(0)?, namespace: row.get(1)?, name: row.get(2)? })
                })?
                .collect()
        })
        .await
    }

    /// What each owner has of the devices of plugins.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn devices(&self) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        self.read(|connection| {
            connection
                .prepare_cached("SELECT owner, value FROM plugin_devices ORDER BY owner")?
                .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect()
        })
        .await
    }

    /// The oldest `limit` entries of the queue.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn queued(&self, limit: usize) -> Result<Vec<Queued>, StoreError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.read(move |connection| {
            connection
                .prepare_cached("SELECT id, kind, key, value FROM queue ORDER BY id LIMIT ?1")?
                .query_map([limit], queued)?
                .collect()
        })
        .await
    }

    /// How much the cloud has not accepted yet.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn waiting(&self) -> Result<Waiting, StoreError> {
        self.read(|connection| {
            connection
                .prepare_cached(
                    "SELECT (SELECT count(*) FROM states WHERE version > accepted),
                     (SELECT count(*) FROM queue)",
                )?
                .query_row([], |row| Ok(Waiting { states: row.get(0)?, queue: row.get(1)? }))
        })
        .await
    }

    /// The last token that was issued for `request`.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn token(&self, request: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let request = request.to_owned();
        self.read(move |connection| {
            connection
                .prepare_cached("SELECT value FROM tokens WHERE request = ?1")?
                .query_row([request], |row| row.get(0))
                .optional()
        })
        .await
    }

    pub(super) async fn read<T, F>(&self, query: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let (reader, path) = (Arc::clone(&self.reader), Arc::clone(&self.path));
        tokio::task::spawn_blocking(move || {
            // A panic in another query cannot leave a connection half way: it has no state of ours.
            let connection = reader.lock().unwrap_or_else(PoisonError::into_inner);
            query(&connection).map_err(|source| StoreError::sqlite(&path, source))
        })
        .await
        .map_err(|_| StoreError::Closed)?
    }
}

fn object(row: &Row<'_>) -> rusqlite::Result<Object> {
    let digest: i64 = row.get(4)?;
    Ok(Object {
        key: row.get(0)?,
        kind: row.get(1)?,
        uid: row.get(2)?,
        value: row.get(3)?,
        digest: digest.cast_unsigned(),
    })
}

fn held(row: &Row<'_>) -> rusqlite::Result<Held> {
    let digest: i64 = row.get(3)?;
    let version: Option<String> = row.get(2)?;
    Ok(Held {
        path: row.get(0)?,
        uid: row.get(1)?,
        version: version.unwrap_or_default(),
        digest: digest.cast_unsigned(),
    })
}

fn queued(row: &Row<'_>) -> rusqlite::Result<Queued> {
    let word: String = row.get(1)?;
    let kind = QueueKind::parse(&word).ok_or_else(|| {
        let unknown = format!("unknown queue entry {word}");
        rusqlite::Error::FromSqlConversionFailure(1, rusqlite::types::Type::Text, unknown.into())
    })?;
    Ok(Queued { id: row.get(0)?, kind, key: row.get(2)?, value: row.get(3)? })
}
