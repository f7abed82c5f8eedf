//! Tables, and the steps from each version to the next.

use rusqlite::{Connection, Transaction};

/// One step per version: `STEPS[n]` takes a file from version `n` to `n + 1` (`PRAGMA user_version`). Steps are
/// never changed once released, only added.
const STEPS: &[fn(&Transaction<'_>) -> rusqlite::Result<()>] =
    &[first, digests, accepted_states, removals, devices, uploads];

/// The version that this EdgeCore writes.
pub(super) const VERSION: i64 = STEPS.len() as i64;

/// Brings the file to [`VERSION`], each step in one transaction with its version number. The caller has checked
/// that the file is not newer.
pub(super) fn migrate(connection: &mut Connection) -> rusqlite::Result<()> {
    let found = version(connection)?;
    for (from, step) in (0_i64..).zip(STEPS).skip_while(|(from, _)| *from < found) {
        let transaction = connection.transaction()?;
        step(&transaction)?;
        transaction.pragma_update(None, "user_version", from + 1)?;
        transaction.commit()?;
    }
    Ok(())
}

/// `PRAGMA user_version`: 0 for a new file and for a stock EdgeCore's.
pub(super) fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

fn first(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    transaction.execute_batch(
        "CREATE TABLE objects (
             key   TEXT PRIMARY KEY,
             kind  TEXT NOT NULL,
             uid   TEXT NOT NULL,
             value BLOB NOT NULL
         ) WITHOUT ROWID;
         CREATE INDEX objects_by_kind ON objects (kind);
         CREATE TABLE states (
             key     TEXT PRIMARY KEY,
             uid     TEXT NOT NULL,
             version INTEGER NOT NULL,
             value   BLOB NOT NULL
         ) WITHOUT ROWID;
         CREATE TABLE queue (
             id    INTEGER PRIMARY KEY AUTOINCREMENT,
             kind  TEXT NOT NULL,
             key   TEXT NOT NULL,
             value BLOB NOT NULL
         );
         CREATE TABLE tokens (
             request TEXT PRIMARY KEY,
             pod_uid TEXT NOT NULL,
             value   BLOB NOT NULL
         ) WITHOUT ROWID;",
    )?;
    if has_table(transaction, "meta")? { take_over_stock(transaction) } else { Ok(()) }
}

/// What the cloud said of an object's content (native links), to be said back in the hello.
fn digests(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    transaction.execute_batch("ALTER TABLE objects ADD COLUMN digest INTEGER NOT NULL DEFAULT 0;")
}

/// What was reported of a pod stays, also when the cloud has it: after a restart it says how the pod has ended.
fn accepted_states(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    transaction.execute_batch("ALTER TABLE states ADD COLUMN accepted INTEGER NOT NULL DEFAULT 0;")
}

/// Pods that the cloud has removed, until nothing is left of them here: whoever is started again must go on with that.
fn removals(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    transaction.execute_batch(
        "CREATE TABLE removals (
             uid       TEXT PRIMARY KEY,
             namespace TEXT NOT NULL,
             name      TEXT NOT NULL
         ) WITHOUT ROWID;",
    )
}

/// Which pod has which devices of plugins, and the names of the resources of plugins (owner: empty).
fn devices(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    transaction.execute_batch(
        "CREATE TABLE plugin_devices (
             owner TEXT PRIMARY KEY,
             value BLOB NOT NULL
         ) WITHOUT ROWID;",
    )
}

/// Users' messages on their way to the cloud, and how much that is without counting. What the cloud had subscribed a stock
/// EdgeCore to is an object here (see `flow::BusChange`).
fn uploads(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    transaction.execute_batch(
        "CREATE TABLE uploads (
             row       INTEGER PRIMARY KEY AUTOINCREMENT,
             id        TEXT NOT NULL,
             topic     TEXT NOT NULL,
             payload   BLOB NOT NULL,
             timestamp INTEGER NOT NULL,
             size      INTEGER NOT NULL
         );
         CREATE TABLE uploads_waiting (count INTEGER NOT NULL, bytes INTEGER NOT NULL);
         INSERT INTO uploads_waiting (count, bytes) VALUES (0, 0);
         CREATE TRIGGER upload_comes AFTER INSERT ON uploads BEGIN
             UPDATE uploads_waiting SET count = count + 1, bytes = bytes + new.size;
         END;
         CREATE TRIGGER upload_goes AFTER DELETE ON uploads BEGIN
             UPDATE uploads_waiting SET count = count - 1, bytes = bytes - old.size;
         END;
         CREATE TABLE upload_marks (
             row  INTEGER PRIMARY KEY AUTOINCREMENT,
             mark INTEGER NOT NULL UNIQUE
         );",
    )?;
    if has_table(transaction, "sub_topics")? {
        transaction.execute(
            "INSERT OR IGNORE INTO objects (key, kind, uid, value)
             SELECT 'bus/subscription/' || topic, 'subscription', '', CAST(topic AS BLOB) FROM sub_topics",
            [],
        )?;
    }
    Ok(())
}

/// Copies what a stock EdgeCore knew (spec edge-keadm-mapper 2.1). Rows that are no objects (the stock edge stores
/// an error of the cloud as if it were the object, 2.3) and rows that are not JSON are left behind.
fn take_over_stock(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    let taken = transaction.execute(
        "INSERT OR IGNORE INTO objects (key, kind, uid, value)
         SELECT key, type, json_extract(value, '$.metadata.uid'), CAST(value AS BLOB)
         FROM (SELECT * FROM meta WHERE json_valid(value))
         WHERE type IN ('pod', 'configmap', 'secret', 'node')
           AND json_extract(value, '$.metadata.uid') IS NOT NULL",
        [],
    )?;
    tracing::info!(objects = taken, "took over what a stock EdgeCore had stored");
    Ok(())
}

fn has_table(connection: &Connection, name: &str) -> rusqlite::Result<bool> {
    connection.prepare("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?1")?.exists([name])
}
