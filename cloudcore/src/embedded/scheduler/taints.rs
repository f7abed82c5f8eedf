//! Taints and tolerations (<https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/>).

use k8s_openapi::api::core::v1::{Node, PodSpec, Taint};
use proto::placement::{requests, tolerates};

use super::Refusal;
use crate::embedded::lifecycle::MEMORY_PRESSURE;

/// The taint of a node that is cordoned; set through `spec.unschedulable`.
const UNSCHEDULABLE: &str = "node.kubernetes.io/unschedulable";

/// Whether the pod may go to the node in spite of its taints.
pub(super) fn tolerated(spec: Option<&PodSpec>, node: &Node) -> Result<(), Refusal> {
    let Some(node) = &node.spec else { return Ok(()) };
    let cordoned = (node.unschedulable == Some(true)).then(|| Taint {
        key: UNSCHEDULABLE.to_owned(),
        effect: "NoSchedule".to_owned(),
        ..Taint::default()
    });
    let tolerations = spec.and_then(|spec| spec.tolerations.as_deref()).unwrap_or_default();
    let keeps_out = |taint: &&Taint| {
        matches!(taint.effect.as_str(), "NoSchedule" | "NoExecute")
            && !tolerations.iter().any(|toleration| tolerates(toleration, taint))
            && !(taint.key == MEMORY_PRESSURE && asks_for_something(spec))
    };
    let taints = node.taints.as_deref().unwrap_or_default();
    match taints.iter().chain(&cordoned).find(keeps_out) {
        None => Ok(()),
        Some(taint) => {
            Err(Refusal::Taint { key: taint.key.clone(), value: taint.value.clone().unwrap_or_default() })
        }
    }
}

/// Not of the class `BestEffort`, which alone a node short of memory does not take on
/// (<https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/#taint-nodes-by-condition>).
fn asks_for_something(spec: Option<&PodSpec>) -> bool {
    let requests = spec.map(requests).unwrap_or_default();
    ["cpu", "memory"]
        .iter()
        .any(|resource| requests.get(*resource).is_some_and(|amount| amount.is_positive()))
}
