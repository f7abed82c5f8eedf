//! The strategic merge patches that carry status upward (spec cloud-and-wire 3.4 and 3.6).
//!
//! A merge keeps what it is not told about. What a status no longer has is therefore named: scalars and lists as `null`;
//! a list that the API merges by key has the `$patch: replace` directive.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{NodeStatus, PodStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::{Value, json};

use crate::flow::{ClaimGrowth, Growth};

/// Optional scalars of a pod's status that come and go.
const POD_SCALARS: [&str; 3] = ["message", "reason", "podIP"];
/// Lists of a pod's status that the API merges by IP: an old sandbox's address would stay for ever.
const POD_LISTS: [&str; 2] = ["podIPs", "hostIPs"];

/// Optional fields of a condition: why it was false must not stand beside that it is true.
const CONDITION_SCALARS: [&str; 2] = ["message", "reason"];

/// Patch for `pods/<name>/status`. The UID makes the API refuse it when another pod has the name by now.
pub(super) fn pod_status(uid: &str, status: &PodStatus) -> serde_json::Result<Vec<u8>> {
    let mut status = proto::json::value(status)?;
    if let Value::Object(fields) = &mut status {
        for name in POD_SCALARS {
            fields.entry(name).or_insert(Value::Null);
        }
        for name in POD_LISTS {
            match fields.entry(name).or_insert(Value::Null) {
                Value::Array(items) => items.push(json!({"$patch": "replace"})),
                // With no address there is no list either, as Kubernetes has it.
                other => *other = Value::Null,
            }
        }
    }
    complete_conditions(&mut status);
    serde_json::to_vec(&json!({"metadata": {"uid": uid}, "status": status}))
}

/// The status in a patch of [`pod_status`].
pub(super) fn reported(patch: &[u8]) -> serde_json::Result<PodStatus> {
    #[derive(serde::Deserialize)]
    struct Patch {
        status: Value,
    }
    let mut status = serde_json::from_slice::<Patch>(patch)?.status;
    for name in POD_LISTS {
        if let Some(Value::Array(items)) = status.get_mut(name) {
            items.retain(|item| item.get("$patch").is_none());
        }
    }
    proto::json::read_value(&status)
}

/// Patch for `nodes/<name>/status`. The API merges addresses by their type, of which a node with two families has
/// the same twice.
pub(super) fn node_status(status: &NodeStatus) -> serde_json::Result<Vec<u8>> {
    let mut status = proto::json::value(status)?;
    if let Some(Value::Array(addresses)) = status.get_mut("addresses") {
        addresses.push(json!({"$patch": "replace"}));
    }
    complete_conditions(&mut status);
    serde_json::to_vec(&json!({ "status": status }))
}

/// What is said of a claim whose volume has grown: that its file system has the whole of it, or why it has not. The cloud brings it
/// together with what else is said of the claim (`cloudcore`, `upstream/claims.rs`).
pub(super) fn claim_status(growth: &ClaimGrowth, now: Timestamp) -> serde_json::Result<Vec<u8>> {
    let status = match &growth.outcome {
        Growth::Done { capacity } => json!({"capacity": {"storage": capacity}}),
        Growth::Failed { message, is_infeasible } => {
            let condition = json!({
                "type": "NodeResizeError", "status": "True", "lastTransitionTime": Time(now),
                "message": format!("failed to expand pvc with {message}"),
            });
            match is_infeasible {
                true => json!({"conditions": [condition],
                    "allocatedResourceStatuses": {"storage": "NodeResizeInfeasible"}}),
                false => json!({"conditions": [condition]}),
            }
        }
    };
    serde_json::to_vec(&json!({"metadata": {"uid": growth.uid}, "status": status}))
}

/// The API merges conditions by their type, field by field.
fn complete_conditions(status: &mut Value) {
    let conditions = status.get_mut("conditions").and_then(Value::as_array_mut);
    for condition in conditions.into_iter().flatten().filter_map(Value::as_object_mut) {
        for name in CONDITION_SCALARS {
            condition.entry(name).or_insert(Value::Null);
        }
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::{NodeAddress, NodeStatus, PodCondition, PodIP, PodStatus};
    use serde_json::{Value, json};

    #[test]
    fn a_pod_that_lost_its_address_says_so() {
        let patch: Value =
            serde_json::from_slice(&super::pod_status("u1", &PodStatus::default()).unwrap()).unwrap();
        assert_eq!(patch["metadata"]["uid"], "u1");
        assert_eq!(patch["status"]["podIP"], Value::Null);
        assert_eq!(patch["status"].get("podIPs"), Some(&Value::Null));
    }

    #[test]
    fn what_was_reported_can_be_read_again() {
        let status = PodStatus {
            phase: Some("Failed".into()),
            reason: Some("Evicted".into()),
            pod_ips: Some(vec![PodIP { ip: "10.1.0.2".into() }]),
            host_ips: Some(Vec::new()),
            ..PodStatus::default()
        };
        let patch = super::pod_status("u1", &status).unwrap();
        assert_eq!(super::reported(&patch).unwrap(), status);
        assert!(super::reported(b"{}").is_err());
    }

    #[test]
    fn addresses_of_a_node_replace_the_old_ones() {
        let address = |address: &str| NodeAddress { type_: "InternalIP".into(), address: address.into() };
        let status = NodeStatus {
            addresses: Some(vec![address("10.0.0.1"), address("fd00::2")]),
            ..NodeStatus::default()
        };
        let patch: Value = serde_json::from_slice(&super::node_status(&status).unwrap()).unwrap();
        assert_eq!(patch["status"]["addresses"][1]["address"], "fd00::2");
        assert_eq!(patch["status"]["addresses"][2], json!({"$patch": "replace"}));
    }

    #[test]
    fn a_condition_that_has_become_true_says_no_longer_why_it_was_not() {
        let ready = PodCondition { type_: "Ready".into(), status: "True".into(), ..PodCondition::default() };
        let status = PodStatus { conditions: Some(vec![ready]), ..PodStatus::default() };
        let patch: Value = serde_json::from_slice(&super::pod_status("u1", &status).unwrap()).unwrap();
        let condition = &patch["status"]["conditions"][0];
        assert_eq!(*condition, json!({"type": "Ready", "status": "True", "message": null, "reason": null}));
    }

    #[test]
    fn present_fields_are_sent_as_they_are() {
        let status = PodStatus {
            pod_ip: Some("10.1.0.2".into()),
            pod_ips: Some(vec![PodIP { ip: "10.1.0.2".into() }]),
            reason: Some("Evicted".into()),
            ..PodStatus::default()
        };
        let patch: Value = serde_json::from_slice(&super::pod_status("u1", &status).unwrap()).unwrap();
        assert_eq!(patch["status"]["podIPs"], json!([{"ip": "10.1.0.2"}, {"$patch": "replace"}]));
        assert_eq!(patch["status"]["reason"], "Evicted");
        assert_eq!(patch["status"]["message"], Value::Null);
    }
}
