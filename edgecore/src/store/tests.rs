use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use chassis::clock::Clock;
use chassis::module::Module as _;
use chassis::shutdown::Shutdown;
use proptest::prelude::*;
use tokio::task::JoinHandle;

use super::write::EVENTS_KEPT;
use super::{Change, Object, Outcome, QueueKind, Store, StoreError, open};

/// A store whose writer runs in the background until every handle is dropped.
struct Running {
    store: Store,
    writer: JoinHandle<anyhow::Result<()>>,
}

impl Running {
    fn open(path: &Path) -> Self {
        let (store, writer) = open(path, Clock::system()).unwrap();
        let (_trigger, shutdown) = Shutdown::new();
        #[expect(clippy::disallowed_methods, reason = "the test is the supervisor here")]
        let writer = tokio::spawn(writer.run(shutdown));
        Self { store, writer }
    }

    async fn close(self) {
        drop(self.store);
        self.writer.await.unwrap().unwrap();
    }
}

fn pod(name: &str, uid: &str, value: &str) -> Object {
    Object {
        key: format!("default/pod/{name}"),
        kind: "pod".into(),
        uid: uid.into(),
        value: value.into(),
        digest: 0,
    }
}

#[tokio::test]
async fn what_was_answered_is_there_after_opening_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("new/folder/edgecore.db");
    let first = Running::open(&path);
    let web = pod("web", "u1", r#"{"a":1}"#);
    first.store.apply(vec![Change::PutObject(web.clone())]).await.unwrap();
    first.close().await;
    let second = Running::open(&path);
    assert_eq!(second.store.objects("pod").await.unwrap(), std::slice::from_ref(&web));
    assert_eq!(second.store.object("default/pod/web").await.unwrap(), Some(web));
    assert_eq!(second.store.object("default/pod/other").await.unwrap(), None);
    second.close().await;
}

#[tokio::test]
async fn only_the_owner_may_read_what_is_stored() {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::open(&dir.path().join("edgecore.db"));
    // With the first object comes the first snapshot, which is whole when the next write is answered.
    for name in ["web", "other"] {
        running.store.apply(vec![Change::PutObject(pod(name, "u1", "{}"))]).await.unwrap();
    }
    let files: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 4, "the file, its two logs and the snapshot: {files:?}");
    for file in files {
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o077, 0, "{}", file.display());
    }
    running.close().await;
}

#[tokio::test]
async fn what_was_answered_survives_a_copy_of_the_files_taken_under_way() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("edgecore.db");
    let running = Running::open(&path);
    running.store.apply(vec![Change::PutObject(pod("web", "u1", "{}"))]).await.unwrap();
    // What a power cut leaves: the files as they are, with nothing closed.
    let cut = dir.path().join("cut.db");
    for suffix in ["", "-wal"] {
        fs::copy(format!("{}{suffix}", path.display()), format!("{}{suffix}", cut.display())).unwrap();
    }
    let after = Running::open(&cut);
    assert_eq!(after.store.objects("pod").await.unwrap().len(), 1);
    after.close().await;
    running.close().await;
}

#[tokio::test]
async fn what_changes_nothing_is_not_written() {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::open(&dir.path().join("e.db"));
    let put = |value: &str| vec![Change::PutObject(pod("web", "u1", value))];
    assert_eq!(running.store.apply(put("1")).await.unwrap(), [Outcome::Changed]);
    assert_eq!(running.store.apply(put("1")).await.unwrap(), [Outcome::Unchanged]);
    assert_eq!(running.store.apply(put("2")).await.unwrap(), [Outcome::Changed]);
    running.close().await;
}

#[tokio::test]
async fn what_is_held_is_told_without_the_objects() {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::open(&dir.path().join("e.db"));
    let store = &running.store;
    let full = r#"{"metadata":{"resourceVersion":"12"}}"#;
    let web = Object { digest: u64::MAX, ..pod("web", "u1", full) };
    let own = Object { kind: "lease".into(), key: "x/lease/y".into(), ..pod("", "", full) };
    let objects = [web.clone(), pod("bare", "u2", "{}"), pod("broken", "u3", "{"), own];
    store.apply(objects.into_iter().map(Change::PutObject).collect()).await.unwrap();
    let told: Vec<(String, String, String, u64)> = store
        .held()
        .await
        .unwrap()
        .into_iter()
        .map(|held| (held.path, held.uid, held.version, held.digest))
        .collect();
    let held = |name: &str, uid: &str, version: &str, digest| {
        (format!("default/pod/{name}"), uid.to_owned(), version.to_owned(), digest)
    };
    assert_eq!(told, [held("bare", "u2", "", 0), held("web", "u1", "12", u64::MAX)]);
    // The same object with another digest is written, else the cloud would send it for ever.
    assert_eq!(store.apply(vec![Change::PutObject(web.clone())]).await.unwrap(), [Outcome::Unchanged]);
    let newer = Change::PutObject(Object { digest: 1, ..web });
    assert_eq!(store.apply(vec![newer]).await.unwrap(), [Outcome::Changed]);
    running.close().await;
}

#[tokio::test]
async fn a_delete_of_another_incarnation_does_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::open(&dir.path().join("e.db"));
    let store = &running.store;
    store.apply(vec![Change::PutObject(pod("web", "u2", "{}"))]).await.unwrap();
    let delete = |uid: &str| vec![Change::DeleteObject { key: "default/pod/web".into(), uid: uid.into() }];
    assert_eq!(store.apply(delete("u1")).await.unwrap(), [Outcome::Unchanged]);
    assert_eq!(store.apply(delete("u2")).await.unwrap(), [Outcome::Changed]);
    running.close().await;
}

#[tokio::test]
async fn what_no_pod_names_is_dropped_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::open(&dir.path().join("e.db"));
    let store = &running.store;
    let object = |kind: &str, path: &str| {
        let key = path.to_owned();
        Change::PutObject(Object { key, kind: kind.to_owned(), ..pod("", "u", "{}") })
    };
    let claim = Object {
        key: "other/persistentvolumeclaim/data".into(),
        kind: "persistentvolumeclaim".into(),
        ..pod("", "c", r#"{"spec":{"volumeName":"pv2"}}"#)
    };
    let claim = Change::PutObject(claim);
    let user = pod("web", "u1", r#"{"spec":{"volumes":[{"configMap":{"name":"used"}}]}}"#);
    store
        .apply(vec![
            Change::PutObject(user),
            object("configmap", "default/configmap/used"),
            object("configmap", "default/configmap/use"),
            object("secret", "default/secret/spare"),
            object("configmap", "other/configmap/use"),
            object("node", "node/edge-1"),
            object("service", "default/service"),
            object("persistentvolumeclaim", "default/persistentvolumeclaim/old"),
            claim,
            object("persistentvolume", "null/persistentvolume/pv1"),
            object("persistentvolume", "null/persistentvolume/pv2"),
        ])
        .await
        .unwrap();
    let drop_unused = || {
        let kinds = &["configmap", "secret", "persistentvolumeclaim"];
        vec![Change::DropUnused { namespace: "default".into(), kinds }]
    };
    assert_eq!(store.apply(drop_unused()).await.unwrap(), [Outcome::Changed]);
    let mut left = Vec::new();
    for kind in ["configmap", "secret", "node", "pod", "service", "persistentvolumeclaim", "persistentvolume"]
    {
        left.extend(store.objects(kind).await.unwrap().into_iter().map(|object| object.key));
    }
    let kept = [
        "default/configmap/used",
        "other/configmap/use",
        "node/edge-1",
        "default/pod/web",
        "default/service",
        "other/persistentvolumeclaim/data",
        "null/persistentvolume/pv2",
    ];
    assert_eq!(left, kept);
    assert_eq!(store.apply(drop_unused()).await.unwrap(), [Outcome::Unchanged]);
    running.close().await;
}

#[tokio::test]
async fn an_older_acceptance_leaves_the_newer_state() {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::open(&dir.path().join("e.db"));
    let store = &running.store;
    let key = "default/podpatch/web";
    let put = |value: &str| Change::PutState { key: key.into(), uid: "u1".into(), value: value.into() };
    store.apply(vec![put("old"), put("new")]).await.unwrap();
    let states = store.states().await.unwrap();
    assert_eq!((states.len(), states[0].version, states[0].value.as_slice()), (1, 2, b"new".as_slice()));
    store.apply(vec![Change::ClearState { key: key.into(), uid: "u1".into(), version: 1 }]).await.unwrap();
    assert_eq!(store.states().await.unwrap().len(), 1);
    store.apply(vec![Change::ClearState { key: key.into(), uid: "u1".into(), version: 2 }]).await.unwrap();
    assert_eq!(store.reported().await.unwrap(), []);
    running.close().await;
}

/// The answer about a pod that is gone may come when another one of its name has said how it is.
#[tokio::test]
async fn a_late_answer_about_one_pod_says_nothing_of_the_next_of_its_name() {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::open(&dir.path().join("e.db"));
    let store = &running.store;
    let key = "default/podpatch/web";
    let put = |uid: &str| Change::PutState { key: key.into(), uid: uid.into(), value: uid.into() };
    let changes = vec![put("u1"), Change::ForgetPod { uid: "u1".into() }, put("u2")];
    store.apply(changes).await.unwrap();
    let (key, uid) = (key.to_owned(), "u1".to_owned());
    let accepted = Change::AcceptState { key: key.clone(), uid: uid.clone(), version: 1 };
    store.apply(vec![accepted, Change::ClearState { key, uid, version: 1 }]).await.unwrap();
    let states = store.states().await.unwrap();
    assert_eq!(states.iter().map(|state| state.uid.as_str()).collect::<Vec<_>>(), ["u2"]);
    running.close().await;
}

#[tokio::test]
async fn what_the_cloud_has_is_kept_and_not_sent_again_until_it_is_reported_again() {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::open(&dir.path().join("e.db"));
    let store = &running.store;
    let key = "default/podpatch/web";
    let put = |value: &str| Change::PutState { key: key.into(), uid: "u1".into(), value: value.into() };
    let accept = |version| Change::AcceptState { key: key.into(), uid: "u1".into(), version };
    store.apply(vec![put("old"), put("new"), accept(1)]).await.unwrap();
    assert_eq!(store.states().await.unwrap().len(), 1, "the newer one is still to be sent");
    assert_eq!(store.apply(vec![put("new")]).await.unwrap(), [Outcome::Unchanged]);
    store.apply(vec![accept(2)]).await.unwrap();
    assert_eq!((store.states().await.unwrap(), store.waiting().await.unwrap().states), (Vec::new(), 0));
    assert_eq!(store.reported().await.unwrap()[0].value, b"new");
    // Whoever reports the same again wants it to be sent: somebody may have changed it in the cloud.
    store.apply(vec![put("new")]).await.unwrap();
    assert_eq!(store.states().await.unwrap().len(), 1);
    running.close().await;
}

#[tokio::test]
async fn events_are_bounded_and_deletions_are_not_dropped_for_them() {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::open(&dir.path().join("e.db"));
    let store = &running.store;
    let entry = |kind, n: i64| Change::Enqueue { kind, key: format!("default/event/{n}"), value: vec![] };
    store.apply(vec![entry(QueueKind::PodGone, -1)]).await.unwrap();
    let events = (0..EVENTS_KEPT + 5).map(|n| entry(QueueKind::Event, n)).collect();
    store.apply(events).await.unwrap();
    let kept = store.queued(usize::MAX).await.unwrap();
    assert_eq!(kept.len() as i64, EVENTS_KEPT + 1);
    assert_eq!(kept[0].kind, QueueKind::PodGone);
    assert_eq!(kept[1].key, "default/event/5");
    running.close().await;
}

#[tokio::test]
async fn a_pod_that_is_gone_takes_its_tokens_and_its_state_along() {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::open(&dir.path().join("e.db"));
    let store = &running.store;
    let token = |request: &str, uid: &str| Change::PutToken {
        request: request.into(),
        pod_uid: uid.into(),
        value: b"t".to_vec(),
    };
    let state = Change::PutState { key: "default/podpatch/web".into(), uid: "u1".into(), value: vec![] };
    store.apply(vec![token("r1", "u1"), token("r2", "u2"), state]).await.unwrap();
    store.apply(vec![Change::ForgetPod { uid: "u1".into() }]).await.unwrap();
    assert_eq!(store.token("r1").await.unwrap(), None);
    assert_eq!(store.token("r2").await.unwrap(), Some(b"t".to_vec()));
    assert_eq!(store.states().await.unwrap(), []);
    running.close().await;
}

#[tokio::test]
async fn a_damaged_file_is_kept_aside_and_the_snapshot_takes_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("edgecore.db");
    let running = Running::open(&path);
    // The first write of objects takes the first snapshot.
    running.store.apply(vec![Change::PutObject(pod("web", "u1", "{}"))]).await.unwrap();
    running.close().await;
    fs::write(&path, b"this is no database, and it is long enough to be looked at as one........").unwrap();
    let after = Running::open(&path);
    assert_eq!(after.store.objects("pod").await.unwrap().len(), 1);
    after.close().await;
    let kept = fs::read_dir(dir.path())
        .unwrap()
        .any(|entry| entry.unwrap().file_name().to_string_lossy().starts_with("edgecore.db.damaged-"));
    assert!(kept, "the damaged file is gone");
}

#[tokio::test]
async fn without_a_snapshot_a_damaged_file_becomes_an_empty_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("edgecore.db");
    fs::write(&path, vec![7; 8192]).unwrap();
    let running = Running::open(&path);
    assert_eq!(running.store.objects("pod").await.unwrap(), []);
    running.close().await;
}

#[tokio::test]
async fn a_newer_file_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("edgecore.db");
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    drop(connection);
    let error = open(&path, Clock::system()).unwrap_err();
    assert!(matches!(error, StoreError::Newer { found: 99, .. }), "{error}");
}

#[tokio::test]
async fn a_stock_file_is_taken_over() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("edgecore.db");
    let stock = rusqlite::Connection::open(&path).unwrap();
    stock
        .execute_batch(
            r#"CREATE TABLE meta (key text PRIMARY KEY, type text, value text);
               INSERT INTO meta VALUES
                 ('default/pod/web', 'pod', '{"metadata":{"name":"web","uid":"u1"}}'),
                 ('default/configmap/lost', 'configmap', '{"ErrStatus":{"reason":"NotFound"}}'),
                 ('default/secret/broken', 'secret', 'not json'),
                 ('default/podpatch/web', 'podpatch', '{"metadata":{"uid":"u1"}}');"#,
        )
        .unwrap();
    drop(stock);
    let running = Running::open(&path);
    let pods = running.store.objects("pod").await.unwrap();
    assert_eq!(pods.iter().map(|pod| pod.uid.as_str()).collect::<Vec<_>>(), ["u1"]);
    assert_eq!(running.store.objects("configmap").await.unwrap(), []);
    assert_eq!(running.store.objects("secret").await.unwrap(), []);
    running.close().await;
}

#[tokio::test]
async fn a_full_disk_is_named_and_nothing_is_half_written() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("edgecore.db");
    let (store, mut writer) = open(&path, Clock::system()).unwrap();
    // SQLite's own limit on the number of pages gives the same error as a full disk.
    writer.limit_pages_to_what_is_used();
    let (_trigger, shutdown) = Shutdown::new();
    #[expect(clippy::disallowed_methods, reason = "the test is the supervisor here")]
    let running = tokio::spawn(writer.run(shutdown));
    let big = Object { value: vec![b'x'; 1 << 20], ..pod("big", "u1", "") };
    let error = store.apply(vec![Change::PutObject(pod("small", "u0", "{}")), Change::PutObject(big)]).await;
    let error = error.unwrap_err();
    assert!(matches!(error, StoreError::Full { .. }), "{error:?}");
    assert!(error.to_string().contains("edgecore.db") && error.to_string().contains("full"), "{error}");
    assert_eq!(store.objects("pod").await.unwrap(), []);
    drop(store);
    running.await.unwrap().unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever is written in whatever batches, the store holds what a map would.
    #[test]
    fn objects_are_a_map(batches in prop::collection::vec(prop::collection::vec((0_u8..6, 0_u8..3, any::<bool>()), 1..8), 1..8)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let dir = tempfile::tempdir().unwrap();
            let running = Running::open(&dir.path().join("e.db"));
            let mut model = std::collections::BTreeMap::new();
            for batch in batches {
                let changes = batch
                    .iter()
                    .map(|&(name, value, put)| {
                        let object = pod(&name.to_string(), "u", &value.to_string());
                        if put {
                            model.insert(object.key.clone(), object.clone());
                            Change::PutObject(object)
                        } else {
                            model.remove(&object.key);
                            Change::DeleteObject { key: object.key, uid: String::new() }
                        }
                    })
                    .collect();
                running.store.apply(changes).await.unwrap();
            }
            let held = running.store.objects("pod").await.unwrap();
            prop_assert_eq!(held, model.into_values().collect::<Vec<_>>());
            running.close().await;
            Ok(())
        })?;
    }
}

mod claims;
