use apiserver::store::Database;
use apiserver::{ApiServer, Options, User};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;

use super::*;
use crate::hint;
use crate::manifests::parse_documents;

async fn client() -> Client {
    let api = ApiServer::open(Options::new(Database::Memory).unwrap()).await.unwrap();
    Client::new(api.service(User::admin()), "default")
}

fn map(name: &str, key: &str) -> Object {
    let text = format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, namespace: default}}\ndata: {{key: '{key}'}}"
    );
    parse_documents(&text).unwrap().remove(0)
}

fn maps(client: &Client) -> Api<ConfigMap> {
    Api::namespaced(client.clone(), "default")
}

/// `somebody` says something else.
async fn changed_by_somebody(client: &Client, name: &str) {
    let patch = Patch::Merge(serde_json::json!({"data": {"key": "theirs"}}));
    let params = PatchParams { field_manager: Some("somebody".to_owned()), ..PatchParams::default() };
    maps(client).patch(name, &params, &patch).await.unwrap();
}

#[tokio::test]
async fn what_is_so_already_is_left_as_it_is() {
    let client = client().await;
    let applier = Applier::new(client.clone(), false);
    assert_eq!(applier.apply(&map("m", "1")).await.unwrap(), Outcome::Created);
    let before = maps(&client).get("m").await.unwrap();
    assert_eq!(applier.apply(&map("m", "1")).await.unwrap(), Outcome::Unchanged);
    assert_eq!(maps(&client).get("m").await.unwrap(), before);
    let changed = applier.apply(&map("m", "2")).await.unwrap();
    assert_eq!(changed, Outcome::Changed(vec!["data.key: 1 -> 2".to_owned()]));
}

#[tokio::test]
async fn a_check_changes_nothing_and_says_what_would_come() {
    let client = client().await;
    let applier = Applier::new(client.clone(), false);
    applier.apply(&map("m", "1")).await.unwrap();
    let outcomes = applier.check(&[map("m", "2"), map("other", "1")]).await.unwrap();
    assert_eq!(outcomes, [Outcome::Changed(vec!["data.key: 1 -> 2".to_owned()]), Outcome::Created]);
    assert_eq!(maps(&client).get("m").await.unwrap().data.unwrap()["key"], "1");
    assert!(maps(&client).get_opt("other").await.unwrap().is_none());
}

#[tokio::test]
async fn what_somebody_else_decided_is_named_before_anything_is_changed() {
    let client = client().await;
    let applier = Applier::new(client.clone(), false);
    for name in ["m", "other"] {
        applier.apply(&map(name, "1")).await.unwrap();
        changed_by_somebody(&client, name).await;
    }
    let error = applier.check(&[map("first", "1"), map("m", "2"), map("other", "2")]).await.unwrap_err();
    let text = error.to_string();
    for line in
        ["ConfigMap default/m .data.key: conflict with \"somebody\"", "ConfigMap default/other .data.key"]
    {
        assert!(text.contains(line), "{text}");
    }
    assert!(hint::of(&error).unwrap().to_string().contains("--force"));
    assert!(maps(&client).get_opt("first").await.unwrap().is_none());
    applier.apply(&map("m", "2")).await.unwrap_err();
    let forced = Applier::new(client.clone(), true);
    forced.check(&[map("m", "2")]).await.unwrap();
    assert_eq!(maps(&client).get("m").await.unwrap().data.unwrap()["key"], "theirs");
    let changed = forced.apply(&map("m", "2")).await.unwrap();
    assert_eq!(changed, Outcome::Changed(vec!["data.key: theirs -> 2".to_owned()]));
}

#[tokio::test]
async fn a_key_that_the_cluster_does_not_know_is_refused() {
    let text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: m, namespace: default}\ndatum: {a: b}";
    let object = parse_documents(text).unwrap().remove(0);
    let error = Applier::new(client().await, false).apply(&object).await.unwrap_err();
    assert!(format!("{error:#}").contains("datum"), "{error:#}");
}
