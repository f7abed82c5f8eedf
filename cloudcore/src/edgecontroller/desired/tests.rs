use proptest::prelude::*;
use serde_json::json;

use super::*;

fn node(name: &str) -> NodeName {
    NodeName::new(name)
}

fn path(kind: ResourceKind, name: &str) -> ObjectPath {
    ObjectPath { namespace: Some("default".to_owned()), kind, name: Some(name.to_owned()) }
}

fn pod(name: &str, uid: &str, version: u64, on: &str, maps: &[&str]) -> Pod {
    let volumes: Vec<_> = maps.iter().map(|map| json!({"name": map, "configMap": {"name": map}})).collect();
    serde_json::from_value(json!({
        "metadata": {"namespace": "default", "name": name, "uid": uid, "resourceVersion": version.to_string()},
        "spec": {"nodeName": on, "containers": [], "volumes": volumes, "serviceAccountName": "robot"},
    }))
    .unwrap()
}

fn config_map(name: &str, uid: &str, version: u64) -> ConfigMap {
    serde_json::from_value(json!({
        "metadata": {"namespace": "default", "name": name, "uid": uid, "resourceVersion": version.to_string()},
        "data": {"version": version.to_string()},
    }))
    .unwrap()
}

/// `edge-1 insert default/pod/web v1`
fn summary(out: &[Outgoing]) -> Vec<String> {
    out.iter()
        .map(|(node, change)| {
            format!("{node} {} {} v{}", change.operation, change.path, change.resource_version)
        })
        .collect()
}

#[test]
fn a_pod_brings_what_it_uses_and_takes_it_along() {
    let mut desired = Desired::default();
    assert!(desired.config_map_applied(&config_map("web-cfg", "c", 1)).is_empty(), "nobody uses it");
    let out = desired.pod_applied(pod("web", "a", 2, "edge-1", &["web-cfg"]));
    assert_eq!(
        summary(&out),
        ["edge-1 insert default/configmap/web-cfg v1", "edge-1 insert default/pod/web v2"]
    );

    let out = desired.config_map_applied(&config_map("web-cfg", "c", 3));
    assert_eq!(summary(&out), ["edge-1 update default/configmap/web-cfg v3"]);

    let out = desired.pod_deleted(&pod("web", "a", 4, "edge-1", &[]));
    assert_eq!(
        summary(&out),
        ["edge-1 delete default/pod/web v2", "edge-1 delete default/configmap/web-cfg v3"]
    );
    assert!(!desired.uses(&node("edge-1"), &path(ResourceKind::ConfigMap, "web-cfg")));
    assert!(desired.on_node.is_empty() && desired.users.is_empty(), "nothing is remembered");
}

#[test]
fn what_two_pods_use_stays_until_both_are_gone() {
    let mut desired = Desired::default();
    desired.config_map_applied(&config_map("shared", "c", 1));
    desired.pod_applied(pod("one", "a", 2, "edge-1", &["shared"]));
    assert_eq!(
        summary(&desired.pod_applied(pod("two", "b", 3, "edge-1", &["shared"]))),
        ["edge-1 insert default/pod/two v3"]
    );
    let gone = desired.pod_deleted(&pod("one", "a", 2, "edge-1", &[]));
    assert_eq!(summary(&gone), ["edge-1 delete default/pod/one v2"]);
    assert!(desired.uses(&node("edge-1"), &path(ResourceKind::ConfigMap, "shared")));
    assert!(!desired.uses(&node("edge-2"), &path(ResourceKind::ConfigMap, "shared")));
}

#[test]
fn a_report_of_the_edge_is_not_echoed_but_a_deletion_mark_is() {
    let mut desired = Desired::default();
    let mut web = pod("web", "a", 1, "edge-1", &[]);
    desired.pod_applied(web.clone());
    web.metadata.resource_version = Some("2".to_owned());
    web.status = serde_json::from_value(json!({"phase": "Running"})).unwrap();
    assert!(desired.pod_applied(web.clone()).is_empty());
    let snapshot = desired.snapshot(&node("edge-1"));
    assert_eq!(snapshot[0].resource_version, "2", "a node that connects gets the newest all the same");

    web.metadata.deletion_timestamp = serde_json::from_value(json!("2026-01-01T00:00:00Z")).unwrap();
    assert_eq!(summary(&desired.pod_applied(web)), ["edge-1 update default/pod/web v2"]);
}

#[test]
fn a_pod_of_the_same_name_is_another_pod() {
    let mut desired = Desired::default();
    desired.pod_applied(pod("web", "a", 1, "edge-1", &[]));
    let out = desired.pod_applied(pod("web", "b", 5, "edge-2", &[]));
    assert_eq!(summary(&out), ["edge-1 delete default/pod/web v1", "edge-2 insert default/pod/web v5"]);
    assert_eq!(out[0].1.uid, "a");
    assert_eq!(desired.pod_on(&node("edge-1"), "default", "web"), None);
    let bound = BoundPod { uid: "b".to_owned(), service_account: "robot".to_owned() };
    assert_eq!(desired.pod_on(&node("edge-2"), "default", "web"), Some(bound));
}

#[test]
fn a_pod_without_a_node_concerns_nobody() {
    let mut desired = Desired::default();
    assert!(desired.pod_applied(pod("web", "a", 1, "", &["web-cfg"])).is_empty());
    assert!(desired.pods.is_empty());
}

#[test]
fn what_a_relist_does_not_show_is_gone() {
    let mut desired = Desired::default();
    desired.config_map_applied(&config_map("cfg", "c", 1));
    desired.pod_applied(pod("one", "a", 2, "edge-1", &["cfg"]));
    desired.pod_applied(pod("two", "b", 3, "edge-1", &["cfg"]));
    let out = desired.pods_replaced(vec![pod("two", "b", 3, "edge-1", &["cfg"])]);
    assert_eq!(summary(&out), ["edge-1 delete default/pod/one v2"]);
    let out = desired.config_maps_replaced(&[]);
    assert_eq!(summary(&out), ["edge-1 delete default/configmap/cfg v1"]);
}

// === properties ===

#[derive(Debug, Clone)]
enum Fact {
    Pod { name: u8, uid: u8, on: u8, maps: BTreeSet<u8> },
    PodGone(u8),
    Map { name: u8, uid: u8 },
    MapGone(u8),
    Relist(Vec<(u8, u8)>),
}

fn fact() -> impl Strategy<Value = Fact> {
    let maps = || prop::collection::btree_set(0_u8..3, 0..3);
    prop_oneof![
        (0_u8..3, 0_u8..2, 0_u8..2, maps()).prop_map(|(name, uid, on, maps)| Fact::Pod {
            name,
            uid,
            on,
            maps
        }),
        (0_u8..3).prop_map(Fact::PodGone),
        (0_u8..3, 0_u8..2).prop_map(|(name, uid)| Fact::Map { name, uid }),
        (0_u8..3).prop_map(Fact::MapGone),
        prop::collection::vec((0_u8..3, 0_u8..2), 0..3).prop_map(Fact::Relist),
    ]
}

fn learn(desired: &mut Desired, version: u64, fact: Fact) -> Vec<Outgoing> {
    let make = |name: u8, uid: u8, on: u8, maps: &BTreeSet<u8>| {
        let maps: Vec<String> = maps.iter().map(|map| format!("map-{map}")).collect();
        let maps: Vec<&str> = maps.iter().map(String::as_str).collect();
        pod(&format!("pod-{name}"), &format!("{name}-{uid}-{on}"), version, &format!("edge-{on}"), &maps)
    };
    match fact {
        Fact::Pod { name, uid, on, maps } => desired.pod_applied(make(name, uid, on, &maps)),
        Fact::PodGone(name) => desired.pod_deleted(&make(name, 0, 0, &BTreeSet::new())),
        Fact::Map { name, uid } => {
            desired.config_map_applied(&config_map(&format!("map-{name}"), &uid.to_string(), version))
        }
        Fact::MapGone(name) => desired.config_deleted(&path(ResourceKind::ConfigMap, &format!("map-{name}"))),
        Fact::Relist(pods) => {
            desired.pods_replaced(pods.into_iter().map(|(name, on)| make(name, 0, on, &[0].into())).collect())
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]
    #[test]
    fn changes_add_up_to_the_snapshot(facts in prop::collection::vec(fact(), 0..40)) {
        let mut desired = Desired::default();
        let mut held: BTreeMap<NodeName, BTreeMap<ObjectPath, String>> = BTreeMap::new();
        for (version, fact) in (1_u64..).zip(facts) {
            for (node, change) in learn(&mut desired, version, fact) {
                let held = held.entry(node).or_default();
                if change.operation == Operation::Delete {
                    held.remove(&change.path);
                } else {
                    held.insert(change.path.clone(), change.uid.clone());
                }
            }
            for on in ["edge-0", "edge-1"].map(node) {
                let snapshot: BTreeMap<ObjectPath, String> =
                    desired.snapshot(&on).iter().map(|change| (change.path.clone(), change.uid.clone())).collect();
                prop_assert_eq!(&snapshot, held.entry(on).or_default());
            }
        }
        desired.pods_replaced(Vec::new());
        prop_assert!(desired.on_node.is_empty() && desired.users.is_empty(), "nothing is remembered");
    }
}

// === what a node lacks when it connects ===

fn held(change: &Change) -> Held {
    Held {
        path: change.path.to_string(),
        uid: change.uid.clone(),
        version: change.resource_version.clone(),
        digest: change.digest,
    }
}

fn told(delta: &[Arc<Change>]) -> Vec<String> {
    delta.iter().map(|change| format!("{} {} {}", change.operation, change.path, change.uid)).collect()
}

#[test]
fn a_node_that_holds_everything_is_sent_nothing() {
    let mut desired = Desired::default();
    desired.config_map_applied(&config_map("cfg", "c", 1));
    desired.pod_applied(pod("web", "a", 2, "edge-1", &["cfg"]));
    let all: Vec<Held> = desired.snapshot(&node("edge-1")).iter().map(|change| held(change)).collect();
    assert_eq!(all.len(), 2);
    assert!(desired.delta(&node("edge-1"), all.clone()).is_empty());

    // A report of the pod's status makes a new version of it, in which nothing is new for the edge.
    let mut reported = pod("web", "a", 9, "edge-1", &["cfg"]);
    reported.status = serde_json::from_value(json!({"phase": "Running"})).unwrap();
    assert!(desired.pod_applied(reported).is_empty());
    assert!(desired.delta(&node("edge-1"), all.clone()).is_empty());

    // What came from a stock cloud has no digest: then the version decides.
    let undigested = |held: &Held| Held { digest: 0, ..held.clone() };
    let delta = desired.delta(&node("edge-1"), all.iter().map(undigested).collect());
    assert_eq!(told(&delta), ["insert default/pod/web a"]);
}

#[test]
fn a_node_is_sent_what_it_lacks_and_told_what_has_to_go() {
    let mut desired = Desired::default();
    desired.config_map_applied(&config_map("cfg", "c", 1));
    desired.pod_applied(pod("web", "b", 2, "edge-1", &["cfg"]));
    let object =
        |path: &str, uid: &str| Held { path: path.into(), uid: uid.into(), version: "1".into(), digest: 5 };
    let held = vec![
        object("default/pod/web", "a"),
        object("default/pod/gone", "g"),
        object("default/secret/old", "s"),
        object("no path", "x"),
    ];
    assert_eq!(
        told(&desired.delta(&node("edge-1"), held)),
        [
            "insert default/configmap/cfg c",
            "delete default/pod/web a",
            "insert default/pod/web b",
            "delete default/pod/gone g",
            "delete default/secret/old s",
        ]
    );
    assert_eq!(told(&desired.delta(&node("edge-2"), Vec::new())), Vec::<String>::new());
}

#[test]
fn an_object_with_nothing_new_in_it_is_not_sent_and_its_version_is_known() {
    let mut desired = Desired::default();
    desired.pod_applied(pod("web", "a", 2, "edge-1", &["cfg"]));
    desired.config_map_applied(&config_map("cfg", "c", 3));
    let mut relabelled = config_map("cfg", "c", 3);
    relabelled.metadata.resource_version = Some("4".to_owned());
    assert!(desired.config_map_applied(&relabelled).is_empty());
    let known = desired.config(&path(ResourceKind::ConfigMap, "cfg")).unwrap();
    assert_eq!(known.resource_version, "4");

    assert!(desired.node_applied(&heartbeat("5", "True", "2026-01-01T00:00:00Z")).is_some());
    assert!(desired.node_applied(&heartbeat("6", "True", "2026-01-01T00:05:00Z")).unwrap().1.is_echo);
    assert!(desired.node_applied(&heartbeat("6", "True", "2026-01-01T00:05:00Z")).is_none());
}

fn heartbeat(version: &str, ready: &str, time: &str) -> Node {
    serde_json::from_value(json!({
        "metadata": {"name": "edge-1", "uid": "n", "resourceVersion": version},
        "status": {"conditions": [{"type": "Ready", "status": ready, "lastHeartbeatTime": time}]},
    }))
    .unwrap()
}

#[test]
fn a_node_hears_that_the_cluster_has_lost_sight_of_it_and_that_it_sees_it_again() {
    let mut desired = Desired::default();
    for (version, ready, is_echo) in [("1", "True", false), ("2", "False", true), ("3", "Unknown", false)] {
        let told = desired.node_applied(&heartbeat(version, ready, "2026-01-01T00:00:00Z")).unwrap();
        assert_eq!(told.1.is_echo, is_echo, "{version}");
    }
    assert!(desired.node_applied(&heartbeat("4", "Unknown", "2026-01-01T00:00:05Z")).unwrap().1.is_echo);
    assert!(!desired.node_applied(&heartbeat("5", "True", "2026-01-01T00:00:10Z")).unwrap().1.is_echo);
}
