use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use serde_json::{Value, json};

use super::{Action, Change, Database, Entry, Limits, Place, Range, Store, StoreError, Write};

const PODS: Range<'_> = Range { resource: "pods", namespace: None, after: None, at: None };

fn write(name: &str, action: Action) -> Write {
    Write { resource: Arc::from("pods"), place: Place::new("default", name), action }
}

fn object(name: &str, value: u64) -> Value {
    json!({"metadata": {"name": name}, "value": value})
}

async fn memory(limits: Limits) -> Store {
    Store::open(Database::Memory, limits).await.unwrap()
}

async fn create(store: &Store, name: &str) -> Entry {
    store.write(write(name, Action::Create(object(name, 0)))).await.unwrap()
}

fn value(entry: &Entry) -> u64 {
    serde_json::from_slice::<Value>(&entry.object).unwrap()["value"].as_u64().unwrap()
}

fn names(store: &Store, range: Range<'_>) -> Vec<String> {
    store.list(range).unwrap().entries.iter().map(|entry| entry.place.name.to_string()).collect()
}

#[tokio::test]
async fn a_write_carries_its_revision_and_the_next_one_is_higher() {
    let store = memory(Limits::default()).await;
    let first = create(&store, "a").await;
    let second = create(&store, "b").await;
    assert!(second.revision > first.revision);
    let stored: Value = serde_json::from_slice(&second.object).unwrap();
    assert_eq!(stored["metadata"]["resourceVersion"], second.revision.to_string());
    assert_eq!(store.revision(), second.revision);
}

#[tokio::test]
async fn a_stale_write_is_refused_and_changes_nothing() {
    let store = memory(Limits::default()).await;
    let old = create(&store, "a").await;
    let new = store.write(write("a", Action::Replace(old.revision, object("a", 1)))).await.unwrap();
    let refused = store.write(write("a", Action::Replace(old.revision, object("a", 2)))).await;
    assert!(
        matches!(refused, Err(StoreError::Conflict { current: Some(current) }) if current == new.revision)
    );
    let refused = store.write(write("a", Action::Remove(old.revision))).await;
    assert!(matches!(refused, Err(StoreError::Conflict { .. })));
    let refused = store.write(write("a", Action::Create(object("a", 3)))).await;
    assert!(matches!(refused, Err(StoreError::Exists)));
    assert_eq!(value(&store.get("pods", &Place::new("default", "a")).unwrap()), 1);
    assert_eq!(store.revision(), new.revision);
}

/// The write that it was refused for may be in the same transaction.
#[tokio::test]
async fn who_is_told_that_an_object_exists_finds_it() {
    let store = memory(Limits::default()).await;
    for n in 0..50 {
        let name = n.to_string();
        let attempt = async || {
            let result = store.write(write(&name, Action::Create(object(&name, 0)))).await;
            assert!(store.get("pods", &Place::new("default", &name)).is_some(), "after {result:?}");
        };
        tokio::join!(attempt(), attempt());
    }
}

#[tokio::test]
async fn of_many_writers_at_once_exactly_one_wins_each_revision() {
    let store = memory(Limits::default()).await;
    let start = create(&store, "a").await.revision;
    let attempts = (0..32).map(|n| store.write(write("a", Action::Replace(start, object("a", n)))));
    let won = futures::future::join_all(attempts).await.into_iter().filter(Result::is_ok).count();
    assert_eq!(won, 1);
}

#[tokio::test]
async fn lists_one_namespace_in_order_and_in_pieces() {
    let store = memory(Limits::default()).await;
    for name in ["c", "a", "b"] {
        create(&store, name).await;
    }
    let elsewhere = Write { place: Place::new("other", "x"), ..write("x", Action::Create(object("x", 0))) };
    store.write(elsewhere).await.unwrap();
    assert_eq!(names(&store, PODS), ["a", "b", "c", "x"]);
    assert_eq!(names(&store, Range { namespace: Some("default"), ..PODS }), ["a", "b", "c"]);
    let after = Place::new("default", "a");
    assert_eq!(names(&store, Range { namespace: Some("default"), after: Some(&after), ..PODS }), ["b", "c"]);
    assert_eq!(names(&store, Range { after: Some(&after), ..PODS }), ["b", "c", "x"]);
}

#[tokio::test]
async fn lists_the_past_while_the_window_knows_it() {
    let store = memory(Limits::default()).await;
    let a = create(&store, "a").await;
    let b = create(&store, "b").await;
    store.write(write("a", Action::Replace(a.revision, object("a", 1)))).await.unwrap();
    store.write(write("b", Action::Remove(b.revision))).await.unwrap();
    create(&store, "c").await;

    let then = store.list(Range { at: Some(b.revision), ..PODS }).unwrap();
    assert_eq!(then.revision, b.revision);
    let seen: Vec<_> =
        then.entries.iter().map(|entry| (entry.place.name.to_string(), value(entry))).collect();
    assert_eq!(seen, [("a".to_owned(), 0), ("b".to_owned(), 0)]);
}

#[tokio::test]
async fn a_watch_sees_every_change_once_and_in_order() {
    let store = memory(Limits::default()).await;
    let mut watch = store.watch(Some("pods"), Some("default"), store.revision()).unwrap();
    let a = create(&store, "a").await;
    let a = store.write(write("a", Action::Replace(a.revision, object("a", 1)))).await.unwrap();
    store.write(write("a", Action::Remove(a.revision))).await.unwrap();

    let mut seen = Vec::new();
    while seen.len() < 3 {
        seen.extend(watch.next().await.unwrap().into_iter().map(|event| event.change));
    }
    assert_eq!(seen, [Change::Added, Change::Modified, Change::Deleted]);
    assert_eq!(watch.position(), store.revision());
    assert!(watch.poll().unwrap().is_empty());
}

#[tokio::test]
async fn a_watch_that_is_too_slow_expires_but_a_quiet_kind_does_not() {
    let store = memory(Limits { window_events: 3, ..Limits::default() }).await;
    let start = store.revision();
    let mut slow = store.watch(Some("pods"), None, start).unwrap();
    let mut quiet = store.watch(Some("nodes"), None, start).unwrap();
    for name in ["a", "b", "c", "d"] {
        create(&store, name).await;
    }
    assert!(matches!(slow.next().await, Err(StoreError::Expired { requested, .. }) if requested == start));
    assert!(quiet.poll().unwrap().is_empty());
    assert!(matches!(store.list(Range { at: Some(start), ..PODS }), Err(StoreError::Expired { .. })));
}

#[tokio::test]
async fn the_window_is_bounded_by_bytes_too() {
    let store = memory(Limits { window_bytes: 200, ..Limits::default() }).await;
    let start = store.revision();
    for name in ["a", "b", "c", "d", "e", "f"] {
        create(&store, name).await;
    }
    assert!(matches!(store.watch(Some("pods"), None, start), Err(StoreError::Expired { .. })));
    assert!(store.watch(Some("pods"), None, store.revision() - 1).is_ok());
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let file = Database::File(dir.path().join("api.db"));
    let store = Store::open(file.clone(), Limits::default()).await.unwrap();
    let a = create(&store, "a").await;
    let b = create(&store, "b").await;
    let removed = store.write(write("b", Action::Remove(b.revision))).await.unwrap();
    drop(store);

    let store = Store::open(file, Limits::default()).await.unwrap();
    assert_eq!(names(&store, PODS), ["a"]);
    assert_eq!(store.get("pods", &a.place).unwrap().object, a.object);
    assert_eq!(store.revision(), removed.revision, "a removal counts although it leaves no row");
    let before = store.watch(Some("pods"), None, b.revision);
    assert!(matches!(before, Err(StoreError::Expired { .. })), "the window does not outlive the process");
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("api.db");
    let store = Store::open(Database::File(file.clone()), Limits::default()).await.unwrap();
    let creates = ["a", "b", "c", "d"].map(|name| create(&store, name));
    futures::future::join_all(creates).await;
    // What a killed process leaves is its files as they are at that moment.
    let left = dir.path().join("left.db");
    for suffix in ["", "-wal"] {
        let name = |path: &std::path::Path| format!("{}{suffix}", path.display());
        std::fs::copy(name(&file), name(&left)).unwrap();
    }
    let again = Store::open(Database::File(left), Limits::default()).await.unwrap();
    assert_eq!(names(&again, PODS), ["a", "b", "c", "d"]);
    assert_eq!(again.revision(), store.revision());
}

#[tokio::test]
async fn only_the_owner_may_read_what_is_stored() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(Database::File(dir.path().join("api.db")), Limits::default()).await.unwrap();
    create(&store, "a").await;
    let files: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 3, "the file and its two logs: {files:?}");
    for file in files {
        let mode = std::fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{}", file.display());
    }
}

#[tokio::test]
async fn a_full_disk_refuses_the_write_and_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("api.db");
    // SQLite answers "database or disk is full" when the file may not grow, whoever says so.
    let limits = Limits { file_bytes: 64 * 1024, ..Limits::default() };
    let store = Store::open(Database::File(file.clone()), limits).await.unwrap();
    let a = create(&store, "a").await;
    let big = json!({"metadata": {"name": "big"}, "blob": "x".repeat(1024 * 1024)});
    let refused = store.write(write("big", Action::Create(big))).await;
    let Err(StoreError::Database { database, problem }) = refused else { panic!("{refused:?}") };
    assert_eq!(database, file.display().to_string());
    assert!(problem.contains("full"), "{problem}");

    assert_eq!(names(&store, PODS), ["a"]);
    assert_eq!(store.revision(), a.revision);
    create(&store, "small").await;
}

#[tokio::test]
async fn a_file_that_is_not_ours_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let garbage = dir.path().join("garbage.db");
    std::fs::write(
        &garbage,
        "certainly no database, but long enough to have a header of 100 bytes".repeat(4),
    )
    .unwrap();
    let refused = Store::open(Database::File(garbage), Limits::default()).await;
    assert!(matches!(refused, Err(StoreError::Database { .. })));

    let newer = dir.path().join("newer.db");
    rusqlite::Connection::open(&newer).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let refused = Store::open(Database::File(newer), Limits::default()).await.unwrap_err();
    assert!(refused.to_string().contains("schema 99"), "{refused}");
}
