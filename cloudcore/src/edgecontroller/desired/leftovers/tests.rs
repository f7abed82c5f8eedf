use k8s_openapi::api::core::v1::{ConfigMap, Node, Pod};
use proto::Operation;
use serde_json::json;

use super::*;

const NODE: &str = "edge-1";

/// Node `n-1`, with pod `web` (uid `p-2`) that uses config map `cfg` (uid `c-2`).
fn desired() -> Desired {
    let mut desired = Desired::default();
    let node: Node = serde_json::from_value(json!({"metadata": {"name": NODE, "uid": "n-1"}})).unwrap();
    desired.node_applied(&node);
    let map: ConfigMap =
        serde_json::from_value(json!({"metadata": {"namespace": "default", "name": "cfg", "uid": "c-2"}}))
            .unwrap();
    desired.config_map_applied(&map);
    let unused: ConfigMap =
        serde_json::from_value(json!({"metadata": {"namespace": "default", "name": "unused", "uid": "c-3"}}))
            .unwrap();
    desired.config_map_applied(&unused);
    let pod: Pod = serde_json::from_value(json!({
        "metadata": {"namespace": "default", "name": "web", "uid": "p-2"},
        "spec": {
            "nodeName": NODE,
            "containers": [],
            "volumes": [{"name": "v", "configMap": {"name": "cfg"}}],
        },
    }))
    .unwrap();
    desired.pod_applied(pod);
    desired
}

fn record(namespace: Option<&str>, kind: &str, name: &str, uid: &str) -> (RecordId, ObjectSyncSpec) {
    let id =
        RecordId { node: NodeName::new(NODE), namespace: namespace.map(str::to_owned), uid: uid.to_owned() };
    let object = ObjectSyncSpec {
        object_api_version: "v1".to_owned(),
        object_kind: kind.to_owned(),
        object_name: name.to_owned(),
    };
    (id, object)
}

/// What is to be removed, and whose record is void.
fn judge(namespace: Option<&str>, kind: &str, name: &str, uid: &str) -> (Vec<String>, usize) {
    let found = desired().leftovers(&NodeName::new(NODE), &[record(namespace, kind, name, uid)]);
    for removal in &found.removals {
        assert_eq!((&removal.operation, removal.uid.as_str()), (&Operation::Delete, uid));
        let content: serde_json::Value = serde_json::from_slice(&removal.content.data()).unwrap();
        assert_eq!(content["metadata"]["uid"], uid, "a stock edge looks for it there");
    }
    (found.removals.iter().map(|change| change.path.to_string()).collect(), found.void.len())
}

fn fine() -> (Vec<String>, usize) {
    (Vec::new(), 0)
}

fn void() -> (Vec<String>, usize) {
    (Vec::new(), 1)
}

fn removed(path: &str) -> (Vec<String>, usize) {
    (vec![path.to_owned()], 0)
}

#[test]
fn what_a_node_should_have_is_fine() {
    assert_eq!(judge(Some("default"), "Pod", "web", "p-2"), fine());
    assert_eq!(judge(Some("default"), "ConfigMap", "cfg", "c-2"), fine());
    assert_eq!(judge(None, "Node", NODE, "n-1"), fine());
}

#[test]
fn what_is_gone_or_used_no_more_is_removed() {
    assert_eq!(judge(Some("default"), "Pod", "old", "p-1"), removed("default/pod/old"));
    assert_eq!(judge(Some("other"), "Pod", "web", "p-2"), removed("other/pod/web"));
    assert_eq!(judge(Some("default"), "ConfigMap", "gone", "c-1"), removed("default/configmap/gone"));
    assert_eq!(judge(Some("default"), "ConfigMap", "unused", "c-3"), removed("default/configmap/unused"));
    assert_eq!(judge(Some("default"), "Secret", "gone", "s-1"), removed("default/secret/gone"));
}

#[test]
fn an_older_pod_of_the_same_name_is_removed_and_an_older_config_map_is_not() {
    assert_eq!(judge(Some("default"), "Pod", "web", "p-1"), removed("default/pod/web"));
    // kk#3445: removing it would take away the new one at the edge.
    assert_eq!(judge(Some("default"), "ConfigMap", "cfg", "c-1"), void());
}

#[test]
fn what_nobody_can_make_sense_of_is_void_and_what_others_care_for_is_left_alone() {
    assert_eq!(judge(Some("default"), "", "", "c-9"), void());
    assert_eq!(judge(Some("default"), "", "", "c-2"), fine(), "half written: it is finished later");
    assert_eq!(judge(None, "Node", NODE, "n-0"), void());
    assert_eq!(judge(Some("default"), "Device", "valve", "d-1"), fine());
    assert_eq!(judge(None, "Widget", "w", "w-1"), fine());
}
