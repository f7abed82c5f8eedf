//! The form in which objects go to a node (spec cloud-and-wire 3.1).

use std::sync::Arc;

use k8s_openapi::api::core::v1::{ConfigMap, Node, Pod, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use proto::{Content, ObjectPath, Operation, ResourceKind, Source};
use serde::Serialize;

use crate::flow::Change;

/// A pod: new ones are inserted.
pub(crate) fn pod(pod: &Pod) -> Option<Change> {
    change(ResourceKind::Pod, Operation::Insert, &pod.metadata, pod)
}

/// A config map: new ones are inserted.
pub(crate) fn config_map(map: &ConfigMap) -> Option<Change> {
    change(ResourceKind::ConfigMap, Operation::Insert, &map.metadata, map)
}

/// A secret: always an update, as in stock.
pub(crate) fn secret(secret: &Secret) -> Option<Change> {
    change(ResourceKind::Secret, Operation::Update, &secret.metadata, secret)
}

/// A node: always an update, as in stock.
pub(crate) fn node(node: &Node) -> Option<Change> {
    change(ResourceKind::Node, Operation::Update, &node.metadata, node)
}

/// The removal of what `change` put there. It carries the object as last seen, because the edge looks for the
/// uid in it.
pub(crate) fn removal(change: &Change) -> Arc<Change> {
    Arc::new(Change { operation: Operation::Delete, ..change.clone() })
}

/// The removal of a pod of which only the name and the uid are known.
pub(crate) fn removal_of_pod(namespace: &str, name: &str, uid: &str) -> Option<Change> {
    let metadata = ObjectMeta {
        namespace: Some(namespace.to_owned()),
        name: Some(name.to_owned()),
        uid: Some(uid.to_owned()),
        ..ObjectMeta::default()
    };
    let gone = Pod { metadata, ..Pod::default() };
    change(ResourceKind::Pod, Operation::Delete, &gone.metadata, &gone)
}

/// Whether nothing changed that the edge acts on. Status comes from the edge itself, and the bookkeeping in the
/// metadata moves with every write of it: sending those back would echo each report.
pub(crate) fn is_same_for_edge(before: &Pod, now: &Pod) -> bool {
    let essence = |metadata: &ObjectMeta| ObjectMeta {
        resource_version: None,
        generation: None,
        managed_fields: None,
        ..metadata.clone()
    };
    before.spec == now.spec && essence(&before.metadata) == essence(&now.metadata)
}

/// `None` for an object without a name, which the API server never sends.
fn change<T: Serialize>(
    kind: ResourceKind,
    operation: Operation,
    metadata: &ObjectMeta,
    object: &T,
) -> Option<Change> {
    let path = ObjectPath { namespace: metadata.namespace.clone(), kind, name: Some(metadata.name.clone()?) };
    Some(Change {
        source: Source::EdgeController,
        operation,
        path,
        uid: metadata.uid.clone().unwrap_or_default(),
        resource_version: metadata.resource_version.clone().unwrap_or_default(),
        content: Content::object(object).ok()?,
    })
}
