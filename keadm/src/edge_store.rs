//! The node's store, looked into without EdgeCore: its own, or that of a stock EdgeCore (spec edge-keadm-mapper 2.1). Nothing is
//! written.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use rusqlite::{Connection, OpenFlags};
use serde_json::{Map, Value};

use crate::hint::WithHint as _;

/// EdgeCore writes for some milliseconds at a time.
const BUSY: Duration = Duration::from_secs(5);

/// The store.
#[derive(Debug)]
pub struct EdgeStore {
    connection: Connection,
    path: PathBuf,
    is_stock: bool,
}

impl EdgeStore {
    /// Opens the file for reading.
    ///
    /// # Errors
    /// When there is none, or it is no store.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let shown = path.display();
        if !path.exists() {
            return Err(anyhow!("there is no store at {shown}")).hint(|| {
                "EdgeCore makes it when it starts; `database.dataSource` of edgecore.yaml says where"
                    .to_owned()
            });
        }
        let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)
            .with_context(|| format!("open {shown}"))?;
        connection.busy_timeout(BUSY)?;
        let has = |table: &str| has_table(&connection, table);
        let is_ours = has("objects").with_context(|| format!("read {shown}")).hint(damaged)?;
        let is_stock = !is_ours && has("meta")?;
        if !is_ours && !is_stock {
            return Err(anyhow!("{shown} is no store of an EdgeCore")).hint(damaged);
        }
        Ok(Self { connection, path: path.to_owned(), is_stock })
    }

    /// All objects of one type word, each with the state that was last reported of it.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn objects(&self, kind: &str) -> anyhow::Result<Vec<Value>> {
        let read = if self.is_stock {
            self.rows("SELECT key, CAST(value AS TEXT) FROM meta WHERE type = ?1 ORDER BY key", kind)
        } else {
            self.rows("SELECT key, CAST(value AS TEXT) FROM objects WHERE kind = ?1 ORDER BY key", kind)
        };
        let rows = read.with_context(|| format!("read {}", self.path.display())).hint(damaged)?;
        let states = self.states(kind)?;
        // What is no object is left out: a stock edge stores errors of the cloud as if they were objects.
        let objects = rows.into_iter().filter_map(|(key, text)| {
            let mut object: Value = serde_json::from_str(&text).ok().filter(Value::is_object)?;
            if let Some(status) = states.get(&key) {
                object["status"] = merged(object["status"].take(), status);
            }
            if kind == "secret" {
                hide(&mut object);
            }
            Some(object)
        });
        Ok(objects.collect())
    }

    /// What was reported, by the key of its object.
    fn states(&self, kind: &str) -> anyhow::Result<Map<String, Value>> {
        let (word, rows) = if self.is_stock {
            let word = format!("{kind}status");
            let rows = self.rows("SELECT key, CAST(value AS TEXT) FROM meta WHERE type = ?1", &word)?;
            (word, rows)
        } else {
            let (word, like) = (format!("{kind}patch"), format!("%/{kind}patch/%"));
            (word, self.rows("SELECT key, CAST(value AS TEXT) FROM states WHERE key LIKE ?1", &like)?)
        };
        let states = rows.into_iter().filter_map(|(key, text)| {
            let mut state: Value = serde_json::from_str(&text).ok()?;
            let field = if self.is_stock { "Status" } else { "status" };
            Some((key.replacen(&format!("/{word}/"), &format!("/{kind}/"), 1), state[field].take()))
        });
        Ok(states.collect())
    }

    fn rows(&self, query: &str, word: &str) -> rusqlite::Result<Vec<(String, String)>> {
        let mut statement = self.connection.prepare(query)?;
        let rows = statement.query_map([word], |row| Ok((row.get(0)?, row.get(1)?)))?;
        rows.collect()
    }
}

/// Writes a copy of the store at `path` as it is at one moment, whoever writes to it meanwhile; `to` must be empty, or not be
/// there.
///
/// # Errors
/// When the store cannot be read or the copy cannot be written.
pub fn snapshot(path: &Path, to: &Path) -> anyhow::Result<()> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    connection.busy_timeout(BUSY)?;
    connection.execute("VACUUM INTO ?1", [to.to_string_lossy()])?;
    Ok(())
}

fn has_table(connection: &Connection, name: &str) -> rusqlite::Result<bool> {
    connection.prepare("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?1")?.exists([name])
}

fn damaged() -> String {
    "EdgeCore mends a damaged store when it starts: it keeps the file aside and asks the cloud for everything"
        .to_owned()
}

/// A merge patch without removals: what is reported is whole.
fn merged(base: Value, over: &Value) -> Value {
    let mut base = base;
    crate::strvals::merge(&mut base, over.clone());
    base
}

/// How long the values are, in their place.
fn hide(secret: &mut Value) {
    for field in ["data", "stringData"] {
        for value in secret[field].as_object_mut().into_iter().flat_map(Map::values_mut) {
            *value = format!("({} characters, not shown)", value.as_str().map_or(0, str::len)).into();
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn made(tables: &str) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("edgecore.db");
        Connection::open(&path).unwrap().execute_batch(tables).unwrap();
        (dir, path)
    }

    const OURS: &str = r#"
        PRAGMA journal_mode = WAL;
        CREATE TABLE objects (key TEXT PRIMARY KEY, kind TEXT, uid TEXT, value BLOB);
        CREATE TABLE states (key TEXT PRIMARY KEY, uid TEXT, version INTEGER, value BLOB);
        INSERT INTO objects VALUES ('default/pod/web', 'pod', 'u', '{"metadata":{"name":"web"},"status":{"phase":"Pending","qosClass":"Burstable"}}');
        INSERT INTO objects VALUES ('default/pod/odd', 'pod', 'u', 'no JSON');
        INSERT INTO objects VALUES ('default/secret/s', 'secret', 'u', '{"metadata":{"name":"s"},"data":{"password":"c2VjcmV0"}}');
        INSERT INTO states VALUES ('default/podpatch/web', 'u', 1, '{"status":{"phase":"Running"}}');
    "#;
    const STOCK: &str = r#"
        CREATE TABLE meta (key TEXT PRIMARY KEY, type TEXT, value TEXT);
        INSERT INTO meta VALUES ('default/pod/web', 'pod', '{"metadata":{"name":"web"},"status":{}}');
        INSERT INTO meta VALUES ('default/podstatus/web', 'podstatus', '{"UID":"u","Status":{"phase":"Running"}}');
    "#;

    #[test]
    fn objects_have_the_state_that_was_reported_last() {
        let (_dir, path) = made(OURS);
        let pods = EdgeStore::open(&path).unwrap().objects("pod").unwrap();
        let expected =
            json!({"metadata": {"name": "web"}, "status": {"phase": "Running", "qosClass": "Burstable"}});
        assert_eq!(pods, [expected]);
        let (_dir, path) = made(STOCK);
        let pods = EdgeStore::open(&path).unwrap().objects("pod").unwrap();
        assert_eq!(pods, [json!({"metadata": {"name": "web"}, "status": {"phase": "Running"}})]);
    }

    #[test]
    fn values_of_secrets_are_not_shown() {
        let (_dir, path) = made(OURS);
        let secrets = EdgeStore::open(&path).unwrap().objects("secret").unwrap();
        assert_eq!(secrets[0]["data"]["password"], "(8 characters, not shown)");
    }

    #[test]
    fn what_is_no_store_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let missing = EdgeStore::open(&dir.path().join("no.db")).unwrap_err();
        assert!(missing.to_string().contains("no.db"), "{missing}");
        let (_dir, path) = made("CREATE TABLE other (x);");
        assert!(EdgeStore::open(&path).unwrap_err().to_string().contains("is no store"));
        let text = dir.path().join("text.db");
        std::fs::write(&text, "this is a text of more than a hundred bytes, ".repeat(5)).unwrap();
        assert!(EdgeStore::open(&text).is_err());
    }

    #[test]
    fn a_copy_is_whole_while_the_store_is_written_to() {
        let (dir, path) = made(OURS);
        let writer = Connection::open(&path).unwrap();
        writer.execute_batch("BEGIN; DELETE FROM objects;").unwrap();
        let copy = dir.path().join("copy.db");
        snapshot(&path, &copy).unwrap();
        assert_eq!(EdgeStore::open(&copy).unwrap().objects("pod").unwrap().len(), 1);
        assert!(snapshot(&path, &copy).is_err(), "nothing is written over");
    }
}
