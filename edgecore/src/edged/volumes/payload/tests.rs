use serde_json::{Value, json};

use super::*;
use crate::edged::sources::testing::FakeSource;
use crate::edged::sources::{ConfigSet, references};
use crate::edged::volumes::plan::{Kind, plans};

fn pod_with(volume: Value, extra: Value) -> Pod {
    let mut volume = volume;
    volume["name"] = json!("v");
    let mut spec = json!({
        "volumes": [volume],
        "containers": [{"name": "c", "volumeMounts": [{"name": "v", "mountPath": "/v"}]}],
    });
    for (key, value) in extra.as_object().unwrap() {
        spec[key] = value.clone();
    }
    serde_json::from_value(json!({
        "metadata": {"name": "p", "namespace": "ns", "labels": {"app": "web"}},
        "spec": spec,
    }))
    .unwrap()
}

async fn files_of(pod: &Pod) -> Result<Payload, PayloadError> {
    let source = FakeSource::default()
        .with_config_map("cm", &[("a", "1"), ("b", "2")])
        .with_config_map("odd", &[("..evil", "x")])
        .with_secret("s", &[("key", &[0xff, 0x00])]);
    let config = ConfigSet::load("ns", &references(pod), &source).await;
    let Kind::Files(files) = plans(pod).unwrap().remove(0).kind else { panic!("no files") };
    let tokens = files
        .sources
        .iter()
        .filter_map(|source| match source {
            Source::Token(token) => Some((token.clone(), "the-token".to_owned())),
            _ => None,
        })
        .collect();
    payload(&files, &Inputs { pod, facts: &PodFacts::default(), config: &config, tokens: &tokens })
}

async fn error_of(volume: Value) -> String {
    files_of(&pod_with(volume, json!({}))).await.unwrap_err().to_string()
}

fn file(text: &[u8], mode: u32) -> File {
    File { bytes: text.to_vec(), mode, user: None }
}

#[tokio::test]
async fn all_keys_or_chosen_ones() {
    let all = files_of(&pod_with(json!({"configMap": {"name": "cm"}}), json!({}))).await.unwrap();
    assert_eq!(all, [("a".into(), file(b"1", 0o644)), ("b".into(), file(b"2", 0o644))].into());
    let chosen = json!({"configMap": {"name": "cm", "defaultMode": 0o400, "items": [
        {"key": "b", "path": "deep/er"}, {"key": "b", "path": "own", "mode": 0o755}]}});
    let chosen = files_of(&pod_with(chosen, json!({}))).await.unwrap();
    assert_eq!(chosen, [("deep/er".into(), file(b"2", 0o400)), ("own".into(), file(b"2", 0o755))].into());
}

#[tokio::test]
async fn secrets_are_bytes() {
    let files = files_of(&pod_with(json!({"secret": {"secretName": "s"}}), json!({}))).await.unwrap();
    assert_eq!(files["key"], file(&[0xff, 0x00], 0o644));
}

#[tokio::test]
async fn what_is_missing_is_named_as_kubelet_does() {
    assert_eq!(error_of(json!({"configMap": {"name": "gone"}})).await, "configmap \"gone\" not found");
    assert_eq!(error_of(json!({"secret": {"secretName": "gone"}})).await, "secret \"gone\" not found");
    let items = json!([{"key": "foo", "path": "x"}]);
    assert_eq!(
        error_of(json!({"configMap": {"name": "cm", "items": items}})).await,
        "references non-existent config key: foo"
    );
    assert_eq!(
        error_of(json!({"secret": {"secretName": "s", "items": items}})).await,
        "references non-existent secret key: foo"
    );
    assert_eq!(error_of(json!({"configMap": {"name": "odd"}})).await, "key \"..evil\" is not a file name");
    let no_field = json!({"downwardAPI": {"items": [{"path": "x"}]}});
    assert!(error_of(no_field).await.contains("neither fieldRef nor resourceFieldRef"));
}

#[tokio::test]
async fn optional_objects_and_keys_may_be_missing() {
    for volume in [
        json!({"configMap": {"name": "gone", "optional": true}}),
        json!({"secret": {"secretName": "s", "optional": true, "items": [{"key": "foo", "path": "x"}]}}),
    ] {
        assert_eq!(files_of(&pod_with(volume, json!({}))).await.unwrap(), Payload::new());
    }
}

/// What the API server puts into every pod that does not opt out.
fn api_access() -> Value {
    json!({"projected": {"defaultMode": 0o644, "sources": [
        {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
        {"configMap": {"name": "cm", "items": [{"key": "a", "path": "ca.crt"}]}},
        {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": {"fieldPath": "metadata.namespace"}}]}},
        {"downwardAPI": {"items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]}},
    ]}})
}

#[tokio::test]
async fn projected_volumes_gather_their_sources() {
    let files = files_of(&pod_with(api_access(), json!({}))).await.unwrap();
    let texts: Vec<_> =
        files.iter().map(|(path, file)| (path.as_str(), String::from_utf8_lossy(&file.bytes))).collect();
    assert_eq!(
        texts,
        [
            ("ca.crt", "1".into()),
            ("labels", "app=\"web\"".into()),
            ("namespace", "ns".into()),
            ("token", "the-token".into())
        ]
    );
}

#[tokio::test]
async fn tokens_are_for_the_pod_alone() {
    let mode = async |extra: Value| {
        let file = files_of(&pod_with(api_access(), extra)).await.unwrap().remove("token").unwrap();
        (file.mode, file.user)
    };
    assert_eq!(mode(json!({})).await, (0o644, None));
    assert_eq!(mode(json!({"securityContext": {"fsGroup": 2000}})).await, (0o600, None));
    assert_eq!(mode(json!({"securityContext": {"runAsUser": 1000}})).await, (0o600, Some(1000)));
    let mixed = json!({
        "securityContext": {"runAsUser": 1000},
        "initContainers": [{"name": "i", "securityContext": {"runAsUser": 0}}],
    });
    assert_eq!(mode(mixed).await, (0o644, None), "several users");
}
