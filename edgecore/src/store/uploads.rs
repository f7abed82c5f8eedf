//! Users' messages that wait for the cloud: in order, bounded by their bytes, each once.
//!
//! A broker that was not told that a message has arrived sends it again, marked as such. Whether it was stored is known from
//! the marks of the last ones, which are written with them and stay when they are gone.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::{Outcome, Store, StoreError};

/// Marks that are kept. A broker has fewer messages under way to one client: mosquitto 20, EMQX 32, and 65,535 by the protocol.
const MARKS: i64 = 4096;
/// What a message takes beside its topic and its payload.
const OVERHEAD: usize = 64;

/// A message of a user on its way to the cloud.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Upload {
    /// Id of the message. It stays when the message is sent again, so that receivers can tell.
    pub id: String,
    /// MQTT topic.
    pub topic: String,
    /// What it says.
    pub payload: Vec<u8>,
    /// When it came, Unix milliseconds.
    pub timestamp: i64,
    /// Tells the message from the others of its broker's session.
    pub mark: i64,
    /// Whether the broker says that it may have sent the message before.
    pub is_repeated: bool,
}

/// A message that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitingUpload {
    /// Rises; they are sent in this order.
    pub row: i64,
    /// The message. Its mark is not kept.
    pub upload: Upload,
}

/// How much may wait, and what gives way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UploadLimit {
    /// Bytes, with [`Upload::size`] for each.
    pub bytes: u64,
    /// Whether the oldest give way to one that comes; else that one is dropped.
    pub drops_oldest: bool,
}

/// How much waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct UploadsWaiting {
    /// Messages.
    pub count: i64,
    /// Their bytes.
    pub bytes: i64,
}

impl Upload {
    /// What it counts for.
    #[must_use]
    pub fn size(&self) -> u64 {
        u64::try_from(self.topic.len() + self.payload.len() + OVERHEAD).unwrap_or(u64::MAX)
    }
}

/// Keeps a message, unless it is kept already.
pub(super) fn put(
    connection: &Connection,
    upload: &Upload,
    limit: &UploadLimit,
) -> rusqlite::Result<Outcome> {
    if upload.is_repeated && is_marked(connection, upload.mark)? {
        return Ok(Outcome::Unchanged);
    }
    let size = upload.size();
    let mut dropped = 0;
    let fits = |waiting: UploadsWaiting| waiting.bytes.cast_unsigned().saturating_add(size) <= limit.bytes;
    while !fits(waiting(connection)?) {
        if !limit.drops_oldest || !drop_oldest(connection)? {
            // Marked all the same: sent again it is as much too many.
            mark(connection, upload.mark)?;
            return Ok(Outcome::Crowded(dropped + 1));
        }
        dropped += 1;
    }
    connection
        .prepare_cached(
            "INSERT INTO uploads (id, topic, payload, timestamp, size) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute(params![upload.id, upload.topic, upload.payload, upload.timestamp, size.cast_signed()])?;
    mark(connection, upload.mark)?;
    Ok(if dropped == 0 { Outcome::Changed } else { Outcome::Crowded(dropped) })
}

/// The message has arrived, or never will.
pub(super) fn take(connection: &Connection, row: i64) -> rusqlite::Result<usize> {
    connection.prepare_cached("DELETE FROM uploads WHERE row = ?1")?.execute([row])
}

/// The broker has begun a new session: its numbers begin anew.
pub(super) fn forget_marks(connection: &Connection) -> rusqlite::Result<usize> {
    connection.prepare_cached("DELETE FROM upload_marks")?.execute([])
}

fn is_marked(connection: &Connection, mark: i64) -> rusqlite::Result<bool> {
    connection.prepare_cached("SELECT 1 FROM upload_marks WHERE mark = ?1")?.exists([mark])
}

fn mark(connection: &Connection, mark: i64) -> rusqlite::Result<()> {
    connection.prepare_cached("INSERT OR REPLACE INTO upload_marks (mark) VALUES (?1)")?.execute([mark])?;
    connection
        .prepare_cached("DELETE FROM upload_marks WHERE row <= (SELECT max(row) FROM upload_marks) - ?1")?
        .execute([MARKS])?;
    Ok(())
}

fn drop_oldest(connection: &Connection) -> rusqlite::Result<bool> {
    let dropped = connection
        .prepare_cached("DELETE FROM uploads WHERE row = (SELECT min(row) FROM uploads)")?
        .execute([])?;
    Ok(dropped > 0)
}

fn waiting(connection: &Connection) -> rusqlite::Result<UploadsWaiting> {
    let counted = connection
        .prepare_cached("SELECT count, bytes FROM uploads_waiting")?
        .query_row([], |row| Ok(UploadsWaiting { count: row.get(0)?, bytes: row.get(1)? }))
        .optional()?;
    Ok(counted.unwrap_or_default())
}

impl Store {
    /// Messages after row `after`, oldest first: `limit` at most, and no more once they have `bytes`.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn uploads(
        &self,
        after: i64,
        limit: usize,
        bytes: usize,
    ) -> Result<Vec<WaitingUpload>, StoreError> {
        self.read(move |connection| {
            let mut query = connection.prepare_cached(
                "SELECT row, id, topic, payload, timestamp FROM uploads WHERE row > ?1 ORDER BY row",
            )?;
            let mut rows = query.query([after])?;
            let mut found = Vec::new();
            let mut total = 0;
            while found.len() < limit && total < bytes {
                let Some(row) = rows.next()? else { break };
                let upload = Upload {
                    id: row.get(1)?,
                    topic: row.get(2)?,
                    payload: row.get(3)?,
                    timestamp: row.get(4)?,
                    ..Upload::default()
                };
                total += upload.payload.len();
                found.push(WaitingUpload { row: row.get(0)?, upload });
            }
            Ok(found)
        })
        .await
    }

    /// How much waits.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn uploads_waiting(&self) -> Result<UploadsWaiting, StoreError> {
        self.read(waiting).await
    }
}

#[cfg(test)]
mod tests;
