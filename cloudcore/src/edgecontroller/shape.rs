//! The form in which objects go to a node (spec cloud-and-wire 3.1).

use std::sync::Arc;

use k8s_openapi::api::core::v1::{ConfigMap, Node, Pod, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use proto::hello::Held;
use proto::{Content, Operation, Resource, ResourceKind, Source};
use serde::Serialize;

use crate::flow::Change;

/// A pod: new ones are inserted. Of its status the edge acts on what others say: whether its readiness gates are open.
pub(crate) fn pod(pod: &Pod) -> Option<Change> {
    let (kind, operation) = (ResourceKind::Pod, Operation::Insert);
    let gates = gates(pod);
    if gates.is_empty() {
        return change(kind, operation, &pod.metadata, pod, &pod.spec);
    }
    change(kind, operation, &pod.metadata, pod, &(&pod.spec, gates))
}

/// The pod's readiness gates, and what is said of each.
fn gates(pod: &Pod) -> Vec<(&str, Option<&str>)> {
    let gates = pod.spec.iter().flat_map(|spec| spec.readiness_gates.iter().flatten());
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    let said = |kind: &str| conditions.iter().find(|one| one.type_ == kind).map(|one| one.status.as_str());
    gates.map(|gate| (gate.condition_type.as_str(), said(&gate.condition_type))).collect()
}

/// A config map: new ones are inserted.
pub(crate) fn config_map(map: &ConfigMap) -> Option<Change> {
    change(
        ResourceKind::ConfigMap,
        Operation::Insert,
        &map.metadata,
        map,
        &(&map.data, &map.binary_data, map.immutable),
    )
}

/// A secret: always an update, as in stock.
pub(crate) fn secret(secret: &Secret) -> Option<Change> {
    let essence = (&secret.data, &secret.string_data, &secret.type_, secret.immutable);
    change(ResourceKind::Secret, Operation::Update, &secret.metadata, secret, &essence)
}

/// A node: always an update, as in stock. That the cluster has lost sight of it is no report of its own, and it acts on that:
/// it says again how it is.
pub(crate) fn node(node: &Node) -> Option<Change> {
    let conditions = node.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    let is_lost = conditions.iter().any(|one| one.type_ == "Ready" && one.status == "Unknown");
    let (kind, operation) = (ResourceKind::Node, Operation::Update);
    if is_lost {
        return change(kind, operation, &node.metadata, node, &(&node.spec, "lost"));
    }
    change(kind, operation, &node.metadata, node, &node.spec)
}

/// The removal of what `change` put there. It carries the object as last seen, because the edge looks for the
/// uid in it.
pub(crate) fn removal(change: &Change) -> Arc<Change> {
    Arc::new(Change { operation: Operation::Delete, ..change.clone() })
}

/// The removal of a pod of which only the name and the uid are known.
pub(crate) fn removal_of_pod(namespace: &str, name: &str, uid: &str) -> Option<Change> {
    let gone = Pod { metadata: bare_metadata(namespace, name, uid), ..Pod::default() };
    change(ResourceKind::Pod, Operation::Delete, &gone.metadata, &gone, &())
}

/// The removal of a config map of which only the name and the uid are known.
pub(crate) fn removal_of_config_map(namespace: &str, name: &str, uid: &str) -> Option<Change> {
    let gone = ConfigMap { metadata: bare_metadata(namespace, name, uid), ..ConfigMap::default() };
    change(ResourceKind::ConfigMap, Operation::Delete, &gone.metadata, &gone, &())
}

/// The removal of a secret of which only the name and the uid are known.
pub(crate) fn removal_of_secret(namespace: &str, name: &str, uid: &str) -> Option<Change> {
    let gone = Secret { metadata: bare_metadata(namespace, name, uid), ..Secret::default() };
    change(ResourceKind::Secret, Operation::Delete, &gone.metadata, &gone, &())
}

fn bare_metadata(namespace: &str, name: &str, uid: &str) -> ObjectMeta {
    ObjectMeta {
        namespace: Some(namespace.to_owned()),
        name: Some(name.to_owned()),
        uid: Some(uid.to_owned()),
        ..ObjectMeta::default()
    }
}

/// What a native edge holds without its object being wanted any more. `None` for what is no object path.
pub(crate) fn removal_of(held: &Held) -> Option<Change> {
    let Resource::Object(path) = Resource::from(held.path.as_str()) else { return None };
    Some(Change {
        source: Source::EdgeController,
        operation: Operation::Delete,
        path,
        uid: held.uid.clone(),
        resource_version: String::new(),
        digest: held.digest,
        is_echo: false,
        content: Content::Null,
    })
}

fn change<T: Serialize, E: Serialize>(
    kind: ResourceKind,
    operation: Operation,
    metadata: &ObjectMeta,
    object: &T,
    essence: &E,
) -> Option<Change> {
    Change::of((Source::EdgeController, operation), kind, metadata, object, essence)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_gate_that_somebody_opens_is_news_and_the_edges_own_report_is_none() {
        let digest = |gates: serde_json::Value, conditions: serde_json::Value| {
            let object: Pod =
                serde_json::from_value(json!({"metadata": {"namespace": "shop", "name": "web"},
                "spec": {"containers": [], "readinessGates": gates}, "status": {"conditions": conditions}}))
                .unwrap();
            pod(&object).unwrap().digest
        };
        let gates = || json!([{"conditionType": "example.com/gate"}]);
        let ready = |status: &str| json!([{"type": "Ready", "status": status}]);
        let open = |status: &str| json!([{"type": "example.com/gate", "status": status}]);
        assert_eq!(digest(json!([]), ready("False")), digest(json!([]), ready("True")));
        assert_eq!(digest(gates(), ready("False")), digest(gates(), ready("True")));
        assert_eq!(digest(json!([]), open("False")), digest(json!([]), open("True")), "nobody waits for it");
        let all = [json!([]), open("False"), open("True")].map(|conditions| digest(gates(), conditions));
        assert!(all[0] != all[1] && all[1] != all[2] && all[0] != all[2], "{all:?}");
    }
}
