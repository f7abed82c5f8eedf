use k8s_openapi::api::core::v1::{Container, Pod};
use serde_json::{Value, json};

use super::*;
use crate::edged::sources::testing::FakeSource;
use crate::edged::sources::{ConfigSet, references};

fn source() -> FakeSource {
    FakeSource::default()
        .with_config_map("cm", &[("color", "blue"), ("bad=key", "x"), ("both", "map")])
        .with_secret("secret", &[("password", b"hunter2"), ("bytes", &[0xff, 0xfe]), ("both", b"secret")])
        .with_secret("text", &[("password", b"hunter2"), ("both", b"secret")])
}

async fn environment(container: Value) -> Result<Environment, EnvError> {
    let mut pod: Pod = serde_json::from_value(json!({
        "metadata": {"name": "web", "namespace": "ns", "labels": {"app": "web"}},
        "spec": {"nodeName": "edge-1", "containers": []},
    }))
    .unwrap();
    let mut container: Container = serde_json::from_value(container).unwrap();
    container.name = "c".to_owned();
    pod.spec.as_mut().unwrap().containers = vec![container.clone()];
    let config = ConfigSet::load("ns", &references(&pod), &source()).await;
    let facts = PodFacts { pod_ips: vec!["10.1.0.2".parse().unwrap()], ..PodFacts::default() };
    let services = [("KUBERNETES_SERVICE_HOST".to_owned(), "169.254.30.10".to_owned())];
    Environment::of(
        &container,
        &EnvContext { pod: &pod, facts: &facts, config: &config, services: &services },
    )
}

async fn error_of(container: Value) -> String {
    environment(container).await.unwrap_err().to_string()
}

#[tokio::test]
async fn values_refer_to_earlier_ones() {
    let environment = environment(json!({"env": [
        {"name": "A", "value": "1"},
        {"name": "B", "value": "$(A)-$(LATER)-$$(A)"},
        {"name": "LATER", "value": "x"},
        {"name": "A", "value": "$(A)2"},
        {"name": "HOST", "value": "https://$(KUBERNETES_SERVICE_HOST)"},
        {"name": "NONE"},
    ]}))
    .await
    .unwrap();
    assert_eq!(environment.get("A"), Some("12"));
    assert_eq!(environment.get("B"), Some("1-$(LATER)-$(A)"));
    assert_eq!(environment.get("HOST"), Some("https://169.254.30.10"));
    assert_eq!(environment.get("NONE"), Some(""));
    assert_eq!(environment.expand("--a=$(A)"), "--a=12");
    assert_eq!(environment.iter().count(), 6, "each name once");
}

#[tokio::test]
async fn fields_and_resources_of_the_pod() {
    let environment = environment(json!({
        "resources": {"limits": {"memory": "64Mi"}},
        "env": [
            {"name": "NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            {"name": "APP", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['app']"}}},
            {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
            {"name": "MEM", "valueFrom": {"resourceFieldRef": {"resource": "limits.memory", "divisor": "1Mi"}}},
        ],
    }))
    .await
    .unwrap();
    for (name, value) in [("NAME", "web"), ("APP", "web"), ("IP", "10.1.0.2"), ("MEM", "64")] {
        assert_eq!(environment.get(name), Some(value));
    }
}

#[tokio::test]
async fn whole_objects_with_a_prefix() {
    let environment = environment(json!({
        "envFrom": [{"prefix": "P_", "configMapRef": {"name": "cm"}}, {"secretRef": {"name": "text"}}],
        "env": [{"name": "both", "value": "own"}],
    }))
    .await
    .unwrap();
    assert_eq!(environment.get("P_color"), Some("blue"));
    assert_eq!(environment.get("password"), Some("hunter2"));
    assert_eq!(environment.get("both"), Some("own"), "env replaces envFrom");
    assert_eq!(environment.get("P_bad=key"), None);
}

#[tokio::test]
async fn what_is_missing_is_named_as_kubelet_does() {
    let key = |kind: &str, name: &str, key: &str, optional: bool| json!({"env": [{"name": "X", "valueFrom": {kind: {"name": name, "key": key, "optional": optional}}}]});
    assert_eq!(error_of(key("configMapKeyRef", "gone", "k", false)).await, "configmap \"gone\" not found");
    assert_eq!(error_of(key("secretKeyRef", "gone", "k", false)).await, "secret \"gone\" not found");
    assert_eq!(
        error_of(key("configMapKeyRef", "cm", "k", false)).await,
        "couldn't find key k in ConfigMap ns/cm"
    );
    assert_eq!(
        error_of(key("secretKeyRef", "secret", "k", false)).await,
        "couldn't find key k in Secret ns/secret"
    );
    for optional in [key("configMapKeyRef", "gone", "k", true), key("secretKeyRef", "secret", "k", true)] {
        assert_eq!(environment(optional).await.unwrap().get("X"), None);
    }
    assert_eq!(
        error_of(json!({"envFrom": [{"secretRef": {"name": "gone"}}]})).await,
        "secret \"gone\" not found"
    );
    environment(json!({"envFrom": [{"secretRef": {"name": "gone", "optional": true}}]})).await.unwrap();
}

#[tokio::test]
async fn bytes_and_unknown_sources_are_refused() {
    let bytes =
        json!({"env": [{"name": "X", "valueFrom": {"secretKeyRef": {"name": "secret", "key": "bytes"}}}]});
    assert!(error_of(bytes).await.contains("is not UTF-8"));
    let unknown = json!({"env": [{"name": "X", "valueFrom": {}}]});
    assert_eq!(error_of(unknown).await, "environment variable X has a valueFrom of an unsupported kind");
    let field = json!({"env": [{"name": "X", "valueFrom": {"fieldRef": {"fieldPath": "spec.color"}}}]});
    assert_eq!(error_of(field).await, "unsupported fieldPath: spec.color");
}
