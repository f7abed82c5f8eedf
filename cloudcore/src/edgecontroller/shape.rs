//! The form in which objects go to a node (spec cloud-and-wire 3.1).

use std::sync::Arc;

use k8s_openapi::api::core::v1::{ConfigMap, Node, Pod, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use proto::hello::Held;
use proto::{Content, ObjectPath, Operation, Resource, ResourceKind, Source};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::flow::Change;

/// A pod: new ones are inserted.
pub(crate) fn pod(pod: &Pod) -> Option<Change> {
    change(ResourceKind::Pod, Operation::Insert, &pod.metadata, pod, &pod.spec)
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

/// `essence` is what the edge acts on beside the metadata. Status comes from the edge itself: sending it back would
/// echo each report. `None` for an object without a name, which the API server never sends.
fn change<T: Serialize, E: Serialize>(
    kind: ResourceKind,
    operation: Operation,
    metadata: &ObjectMeta,
    object: &T,
    essence: &E,
) -> Option<Change> {
    let path = ObjectPath { namespace: metadata.namespace.clone(), kind, name: Some(metadata.name.clone()?) };
    Some(Change {
        source: Source::EdgeController,
        operation,
        path,
        uid: metadata.uid.clone().unwrap_or_default(),
        resource_version: metadata.resource_version.clone().unwrap_or_default(),
        digest: digest(metadata, essence)?,
        is_echo: false,
        content: Content::object(object).ok()?,
    })
}

/// The first eight bytes of SHA-256 over the JSON of what counts; never 0, which stands for "none". The bookkeeping in
/// the metadata moves with every write of a status, so it does not count.
fn digest<E: Serialize>(metadata: &ObjectMeta, essence: &E) -> Option<u64> {
    let metadata =
        ObjectMeta { resource_version: None, generation: None, managed_fields: None, ..metadata.clone() };
    let text = serde_json::to_vec(&(metadata, essence)).ok()?;
    let hash = Sha256::digest(&text);
    let first = hash.first_chunk::<8>()?;
    Some(u64::from_le_bytes(*first).max(1))
}
