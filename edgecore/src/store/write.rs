//! The one writer.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use chassis::module::Module;
use chassis::shutdown::Shutdown;
use rusqlite::{Connection, TransactionBehavior, params};
use tokio::time::Instant;

use super::unused::{drop_unused, is_named};
use super::uploads::{self, Upload, UploadLimit};
use super::{Job, Jobs, Object, QueueKind, Removal, StoreError, snapshot};

/// Jobs in one transaction: enough that a full resync (110 pods and what they use) is a handful of commits, few
/// enough that the first caller does not wait for long.
const BATCH: usize = 64;

/// Events kept for the cloud while it is away. Past this the oldest go: an event says what happened lately.
pub(super) const EVENTS_KEPT: i64 = 1_000;

/// A snapshot copies the whole file, so it is not made more often than this, and only after a change of `objects`.
const SNAPSHOT_EVERY: Duration = Duration::from_secs(6 * 3600);

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Keep this version of an object.
    PutObject(Object),
    /// Keep an object that was asked for, if a pod that is here names it: when the last such pod goes, the cloud takes
    /// from the node what it knows to be there, and this may come later. What has come since it was asked for stays: an
    /// answer may be overtaken by what is newer.
    PutUsed {
        /// The object.
        object: Object,
        /// What was there when it was asked for, and was not it.
        instead_of: Option<Vec<u8>>,
        /// What precedes the names of pods of its namespace in their keys, `default/pod/`.
        pods: String,
        /// Its name.
        name: String,
    },
    /// Forget an object. With a UID, only when it is that incarnation.
    DeleteObject {
        /// Its key.
        key: String,
        /// Its UID; empty for whichever is there.
        uid: String,
    },
    /// Forget the objects of these kinds in a namespace that no pod here names, persistent volumes that no claim does, and what
    /// belongs to those.
    DropUnused {
        /// The namespace.
        namespace: String,
        /// The kinds, as in keys.
        kinds: &'static [&'static str],
    },
    /// The newest state of an object, to be sent.
    PutState {
        /// Resource path that it goes to.
        key: String,
        /// UID of the object.
        uid: String,
        /// The patch.
        value: Vec<u8>,
    },
    /// The cloud has this version of a state: it need not be sent again.
    AcceptState {
        /// Its key.
        key: String,
        /// UID of the object: another one of its name begins with the first version again.
        uid: String,
        /// The version that was sent; a newer one is still to be sent.
        version: i64,
    },
    /// The cloud has finally refused this version of a state.
    ClearState {
        /// Its key.
        key: String,
        /// UID of the object.
        uid: String,
        /// The version that was sent; a newer one stays.
        version: i64,
    },
    /// One more entry at the end of the queue.
    Enqueue {
        /// What it is.
        kind: QueueKind,
        /// Resource path that it goes to.
        key: String,
        /// Its content.
        value: Vec<u8>,
    },
    /// An entry of the queue is done.
    Dequeue(i64),
    /// A user's message, unless it is one that the broker sends again and that is kept already.
    PutUpload {
        /// The message.
        upload: Upload,
        /// How much may wait.
        limit: UploadLimit,
    },
    /// A user's message has arrived, or never will.
    DropUpload(i64),
    /// The broker has begun a new session.
    ForgetUploadMarks,
    /// The token that was issued for a request.
    PutToken {
        /// The request, as a key.
        request: String,
        /// UID of the pod that it is bound to.
        pod_uid: String,
        /// The answer.
        value: Vec<u8>,
    },
    /// The cloud has removed a pod: something of it may still be here.
    RemovePod(Removal),
    /// Nothing is left of a pod that the cloud has removed.
    PodRemoved {
        /// Its UID.
        uid: String,
    },
    /// What a pod (by UID) has of the devices of plugins; newest wins.
    PutPluginDevices {
        /// Its UID; empty for the names of the resources.
        owner: String,
        /// What it has.
        value: Vec<u8>,
    },
    /// The pod has no devices any more.
    DropPluginDevices {
        /// Its UID.
        owner: String,
    },
    /// The tokens and the unsent states of a pod or a device that is gone.
    ForgetPod {
        /// Its UID.
        uid: String,
    },
}

/// What a change did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Something was written.
    Changed,
    /// It was so already: nothing was written.
    Unchanged,
    /// There was no room: so many of the users' messages were dropped.
    Crowded(u64),
}

/// The module that owns the writing connection. It ends when every [`super::Store`] handle is gone, after the
/// last job is on disk.
#[derive(Debug)]
pub struct Writer {
    connection: Connection,
    jobs: Jobs,
    path: Arc<Path>,
    objects_changed: bool,
    next_snapshot: Option<Instant>,
}

impl Writer {
    pub(super) fn new(connection: Connection, jobs: Jobs, path: Arc<Path>) -> Self {
        Self { connection, jobs, path, objects_changed: false, next_snapshot: None }
    }

    async fn next_batch(&mut self) -> Option<Vec<Job>> {
        let mut batch = vec![self.jobs.recv().await?];
        while batch.len() < BATCH {
            let Some(job) = self.jobs.try_recv() else { break };
            batch.push(job);
        }
        Some(batch)
    }

    /// Commits the jobs, answers them, and takes a snapshot when one is due.
    fn write(&mut self, batch: Vec<Job>, now: Instant) {
        self.commit(batch);
        let due = self.next_snapshot.is_none_or(|due| now >= due);
        if !(due && self.objects_changed) {
            return;
        }
        self.next_snapshot = Some(now + SNAPSHOT_EVERY);
        match snapshot::take(&self.connection, &self.path) {
            Ok(()) => self.objects_changed = false,
            Err(error) => tracing::warn!(%error, "no snapshot of the store"),
        }
    }

    fn commit(&mut self, batch: Vec<Job>) {
        match self.transact(&batch) {
            Ok(outcomes) => {
                for (job, outcome) in batch.into_iter().zip(outcomes) {
                    // A caller that went away does not need its answer.
                    drop(job.done.send(outcome));
                }
            }
            Err(source) => {
                let error = StoreError::sqlite(&self.path, source);
                tracing::error!(%error, jobs = batch.len(), "nothing was written");
                for job in batch {
                    let error = StoreError::again(&error);
                    drop(job.done.send(Err(error)));
                }
            }
        }
    }

    /// One transaction for all. A job that fails is taken back alone; a commit that fails takes back all.
    fn transact(&mut self, batch: &[Job]) -> rusqlite::Result<Vec<Result<Vec<Outcome>, StoreError>>> {
        let mut transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut answers = Vec::with_capacity(batch.len());
        let mut objects_changed = false;
        for job in batch {
            let savepoint = transaction.savepoint()?;
            let answer: rusqlite::Result<Vec<Outcome>> =
                job.changes.iter().map(|change| apply(&savepoint, change)).collect();
            match answer {
                Ok(outcomes) => {
                    savepoint.commit()?;
                    objects_changed |= touches_objects(&job.changes, &outcomes);
                    answers.push(Ok(outcomes));
                }
                // A full disk makes SQLite take back the whole transaction, not only the savepoint.
                Err(source) if savepoint.is_autocommit() => return Err(source),
                Err(source) => answers.push(Err(StoreError::sqlite(&self.path, source))),
            }
        }
        transaction.commit()?;
        self.objects_changed |= objects_changed;
        Ok(answers)
    }
}

impl Module for Writer {
    const NAME: &'static str = "store";

    async fn run(mut self, _shutdown: Shutdown) -> anyhow::Result<()> {
        while let Some(batch) = self.next_batch().await {
            let now = Instant::now();
            // A short blocking task per batch keeps the event loop free while the disk syncs.
            self = tokio::task::spawn_blocking(move || {
                self.write(batch, now);
                self
            })
            .await?;
        }
        Ok(())
    }
}

fn touches_objects(changes: &[Change], outcomes: &[Outcome]) -> bool {
    changes.iter().zip(outcomes).any(|(change, outcome)| {
        *outcome == Outcome::Changed
            && matches!(
                change,
                Change::PutObject(_)
                    | Change::PutUsed { .. }
                    | Change::DeleteObject { .. }
                    | Change::DropUnused { .. }
                    | Change::PutToken { .. }
                    | Change::PutPluginDevices { .. }
            )
    })
}

fn apply(connection: &Connection, change: &Change) -> rusqlite::Result<Outcome> {
    let rows = match change {
        Change::PutObject(object) => put(connection, object)?,
        Change::PutUsed { object, instead_of, pods, name } => match is_named(connection, pods, name)? {
            true => put_instead(connection, object, instead_of.as_deref())?,
            false => 0,
        },
        Change::DeleteObject { key, uid } => connection
            .prepare_cached("DELETE FROM objects WHERE key = ?1 AND (?2 = '' OR uid = ?2)")?
            .execute(params![key, uid])?,
        Change::DropUnused { namespace, kinds } => drop_unused(connection, namespace, kinds)?,
        Change::PutState { key, uid, value } => connection
            .prepare_cached(
                "INSERT INTO states (key, uid, version, value) VALUES (?1, ?2, 1, ?3)
                 ON CONFLICT (key) DO UPDATE SET uid = ?2, version = version + 1, value = ?3
                 WHERE value <> ?3 OR uid <> ?2 OR accepted >= version",
            )?
            .execute(params![key, uid, value])?,
        Change::AcceptState { key, uid, version } => connection
            .prepare_cached("UPDATE states SET accepted = ?2 WHERE key = ?1 AND uid = ?3 AND accepted < ?2")?
            .execute(params![key, version, uid])?,
        Change::ClearState { key, uid, version } => connection
            .prepare_cached("DELETE FROM states WHERE key = ?1 AND uid = ?3 AND version <= ?2")?
            .execute(params![key, version, uid])?,
        Change::Enqueue { kind, key, value } => enqueue(connection, *kind, key, value)?,
        Change::Dequeue(id) => connection.prepare_cached("DELETE FROM queue WHERE id = ?1")?.execute([id])?,
        Change::PutUpload { upload, limit } => return uploads::put(connection, upload, limit),
        Change::DropUpload(row) => uploads::take(connection, *row)?,
        Change::ForgetUploadMarks => uploads::forget_marks(connection)?,
        Change::PutToken { request, pod_uid, value } => connection
            .prepare_cached("INSERT OR REPLACE INTO tokens (request, pod_uid, value) VALUES (?1, ?2, ?3)")?
            .execute(params![request, pod_uid, value])?,
        Change::RemovePod(Removal { uid, namespace, name }) => connection
            .prepare_cached("INSERT OR IGNORE INTO removals (uid, namespace, name) VALUES (?1, ?2, ?3)")?
            .execute(params![uid, namespace, name])?,
        Change::PodRemoved { uid } => {
            connection.prepare_cached("DELETE FROM removals WHERE uid = ?1")?.execute([uid])?
        }
        Change::PutPluginDevices { owner, value } => connection
            .prepare_cached(
                "INSERT INTO plugin_devices (owner, value) VALUES (?1, ?2)
                 ON CONFLICT (owner) DO UPDATE SET value = ?2 WHERE value <> ?2",
            )?
            .execute(params![owner, value])?,
        Change::DropPluginDevices { owner } => {
            connection.prepare_cached("DELETE FROM plugin_devices WHERE owner = ?1")?.execute([owner])?
        }
        Change::ForgetPod { uid } => {
            connection.prepare_cached("DELETE FROM tokens WHERE pod_uid = ?1")?.execute([uid])?
                + connection.prepare_cached("DELETE FROM states WHERE uid = ?1")?.execute([uid])?
        }
    };
    Ok(if rows == 0 { Outcome::Unchanged } else { Outcome::Changed })
}

fn put(connection: &Connection, object: &Object) -> rusqlite::Result<usize> {
    let Object { key, kind, uid, value, digest } = object;
    connection
        .prepare_cached(
            "INSERT INTO objects (key, kind, uid, value, digest) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (key) DO UPDATE SET kind = ?2, uid = ?3, value = ?4, digest = ?5
             WHERE value <> ?4 OR digest <> ?5",
        )?
        .execute(params![key, kind, uid, value, digest.cast_signed()])
}

/// Only where there is nothing, or still what was seen.
fn put_instead(connection: &Connection, object: &Object, seen: Option<&[u8]>) -> rusqlite::Result<usize> {
    let Object { key, kind, uid, value, digest } = object;
    connection
        .prepare_cached(
            "INSERT INTO objects (key, kind, uid, value, digest) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (key) DO UPDATE SET kind = ?2, uid = ?3, value = ?4, digest = ?5
             WHERE value = ?6",
        )?
        .execute(params![key, kind, uid, value, digest.cast_signed(), seen])
}

fn enqueue(connection: &Connection, kind: QueueKind, key: &str, value: &[u8]) -> rusqlite::Result<usize> {
    let added = connection
        .prepare_cached("INSERT INTO queue (kind, key, value) VALUES (?1, ?2, ?3)")?
        .execute(params![kind.as_str(), key, value])?;
    if kind == QueueKind::Event {
        connection
            .prepare_cached(
                "DELETE FROM queue WHERE kind = ?1 AND id <=
                 (SELECT id FROM queue WHERE kind = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)",
            )?
            .execute(params![kind.as_str(), EVENTS_KEPT])?;
    }
    Ok(added)
}

#[cfg(test)]
impl Writer {
    /// Makes every further page of the file one too many.
    pub(crate) fn limit_pages_to_what_is_used(&mut self) {
        let used: i64 = self.connection.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
        self.connection.pragma_update(None, "max_page_count", used).unwrap();
    }
}
