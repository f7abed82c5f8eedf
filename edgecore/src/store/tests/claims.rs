//! Claims of volumes that have one of their own.

use super::*;

/// <https://kubernetes.io/docs/concepts/storage/ephemeral-volumes/#persistentvolumeclaim-naming>
#[tokio::test]
async fn a_claim_of_a_pods_own_volume_is_kept_as_long_as_the_pod() {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::open(&dir.path().join("e.db"));
    let store = &running.store;
    let owner = pod(
        "web",
        "u1",
        r#"{"spec":{"volumes":[{"name":"tmp","ephemeral":{}},{"name":"data","emptyDir":{}}]}}"#,
    );
    let broken = pod("broken", "u2", "{");
    store.apply(vec![Change::PutObject(owner), Change::PutObject(broken)]).await.unwrap();
    let claim = |name: &str| Change::PutUsed {
        instead_of: None,
        object: Object {
            key: format!("default/persistentvolumeclaim/{name}"),
            kind: "persistentvolumeclaim".to_owned(),
            ..pod("", "c", "{}")
        },
        pods: "default/pod/".to_owned(),
        name: name.to_owned(),
    };
    for (name, outcome) in
        [("web-tmp", Outcome::Changed), ("web-data", Outcome::Unchanged), ("other-tmp", Outcome::Unchanged)]
    {
        assert_eq!(store.apply(vec![claim(name)]).await.unwrap(), [outcome], "{name}");
    }
    let drop_unused =
        || vec![Change::DropUnused { namespace: "default".into(), kinds: &["persistentvolumeclaim"] }];
    assert_eq!(store.apply(drop_unused()).await.unwrap(), [Outcome::Unchanged]);
    let gone = Change::DeleteObject { key: "default/pod/web".to_owned(), uid: String::new() };
    store.apply(vec![gone]).await.unwrap();
    assert_eq!(store.apply(drop_unused()).await.unwrap(), [Outcome::Changed]);
    running.close().await;
}
