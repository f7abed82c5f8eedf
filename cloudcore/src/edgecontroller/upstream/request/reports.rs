//! What a node reports of itself and its pods: the parts that are ours to pass on.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Deserialize;
use serde_json::{Map, Value};

/// Fields of a status. None of them changes nothing: a stock edge sends the patch `{}` when it has nothing to say, and a
/// `null` in the place of all of them would take away the status that is there.
pub(in crate::edgecontroller::upstream) type StatusFields = Map<String, Value>;

/// A strategic merge patch of a status. What else stands in a patch is not ours to pass on: a node reports, it
/// does not edit.
#[derive(Debug, Deserialize)]
pub(in crate::edgecontroller::upstream) struct StatusPatch {
    #[serde(default)]
    pub(in crate::edgecontroller::upstream) metadata: PatchMetadata,
    #[serde(default)]
    pub(in crate::edgecontroller::upstream) status: StatusFields,
}

/// The part of the metadata in a status patch that says which object is meant.
#[derive(Debug, Default, Deserialize)]
pub(in crate::edgecontroller::upstream) struct PatchMetadata {
    #[serde(default)]
    pub(in crate::edgecontroller::upstream) uid: Option<String>,
}

/// Legacy report of a node. A first report is the whole Node, later ones have the status only; in both the key
/// of the status is looked at, in either case.
#[derive(Debug, Deserialize)]
pub(in crate::edgecontroller::upstream) struct NodeReport {
    #[serde(default, alias = "Status")]
    pub(in crate::edgecontroller::upstream) status: StatusFields,
    /// In a first report only.
    #[serde(default)]
    pub(in crate::edgecontroller::upstream) metadata: Option<Box<ObjectMeta>>,
}

/// Legacy report of a pod.
#[derive(Debug, Clone, Deserialize)]
pub(in crate::edgecontroller::upstream) struct PodReport {
    #[serde(rename = "UID", default)]
    pub(in crate::edgecontroller::upstream) uid: String,
    #[serde(rename = "Name", default)]
    pub(in crate::edgecontroller::upstream) name: String,
    #[serde(rename = "Status", default)]
    pub(in crate::edgecontroller::upstream) status: StatusFields,
}
