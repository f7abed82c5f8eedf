//! Objects for the controllers' tests, built fluently.

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Node, Pod, ServiceAccount};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

fn object<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

pub(super) fn wall() -> Timestamp {
    "2026-01-01T00:00:00Z".parse().unwrap()
}

pub(super) fn pod(name: &str) -> Pod {
    object(json!({
        "metadata": {"namespace": "default", "name": name, "uid": format!("uid-{name}")},
        "spec": {"containers": [{"name": "c"}]},
    }))
}

pub(super) fn with_spec(mut pod: Pod, spec: Value) -> Pod {
    pod.spec = Some(object(spec));
    pod
}

pub(super) fn bound(mut pod: Pod, node: &str) -> Pod {
    pod.spec.get_or_insert_default().node_name = Some(node.to_owned());
    pod
}

pub(super) fn node(name: &str) -> Node {
    object(json!({"metadata": {"name": name, "resourceVersion": "1"}}))
}

pub(super) fn sized(mut node: Node, cpu: &str, memory: &str) -> Node {
    node.status = Some(object(json!({"allocatable": {"cpu": cpu, "memory": memory, "pods": "110"}})));
    node
}

pub(super) fn labelled(mut node: Node, labels: &[(&str, &str)]) -> Node {
    let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    node.metadata.labels = Some(labels.iter().map(owned).collect());
    node
}

pub(super) fn tainted(mut node: Node, key: &str) -> Node {
    let taint = object(json!({"key": key, "effect": "NoSchedule"}));
    node.spec.get_or_insert_default().taints.get_or_insert_default().push(taint);
    node
}

pub(super) fn ready(mut node: Node, status: &str) -> Node {
    node.status = Some(object(json!({"conditions": [{"type": "Ready", "status": status}]})));
    node
}

pub(super) fn lease(name: &str, renewed: &str) -> Lease {
    object(json!({
        "metadata": {"namespace": "kube-node-lease", "name": name},
        "spec": {"holderIdentity": name, "renewTime": renewed.replace('Z', ".000000Z")},
    }))
}

pub(super) fn namespace(name: &str) -> Namespace {
    object(json!({"metadata": {"name": name}}))
}

pub(super) fn account(namespace: &str, name: &str) -> ServiceAccount {
    object(json!({"metadata": {"namespace": namespace, "name": name}}))
}

pub(super) fn root(namespace: &str, pem: &str) -> ConfigMap {
    object(json!({"metadata": {"namespace": namespace, "name": "kube-root-ca.crt"}, "data": {"ca.crt": pem}}))
}
