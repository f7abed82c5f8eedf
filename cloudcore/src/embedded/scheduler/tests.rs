use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::embedded::testing::{bound, labelled, node, pod, sized, tainted, with_spec};

fn snapshot(pods: Vec<Pod>, nodes: Vec<Node>) -> Snapshot {
    Snapshot {
        pods: pods.into_iter().map(Arc::new).collect(),
        nodes: nodes.into_iter().map(Arc::new).collect(),
        ..Snapshot::default()
    }
}

fn plan(pods: Vec<Pod>, nodes: Vec<Node>) -> Vec<Action> {
    Scheduler::default().plan(&snapshot(pods, nodes))
}

/// Node that each pod was given, or the message that it got.
fn verdicts(actions: &[Action]) -> Vec<(&str, &str)> {
    actions
        .iter()
        .map(|action| match action {
            Action::Bind { pod, node } => (pod.name.as_str(), node.as_str()),
            Action::Unschedulable { pod, message } => (pod.name.as_str(), message.as_str()),
            other => panic!("{other:?}"),
        })
        .collect()
}

fn asking(name: &str, cpu: &str) -> Pod {
    with_spec(pod(name), json!({"containers": [{"name": "c", "resources": {"requests": {"cpu": cpu}}}]}))
}

#[test]
fn a_pod_goes_to_the_node_with_most_room() {
    let nodes = vec![sized(node("a"), "4", "4Gi"), sized(node("b"), "4", "4Gi")];
    let pods = vec![bound(asking("old", "3"), "a"), asking("new", "1")];
    assert_eq!(verdicts(&plan(pods, nodes)), [("new", "b")]);
}

#[test]
fn two_pods_do_not_get_the_same_room() {
    let nodes = vec![sized(node("a"), "2", "4Gi")];
    let pods = vec![asking("one", "1500m"), asking("two", "1500m")];
    let mut scheduler = Scheduler::default();
    let snapshot = snapshot(pods, nodes);
    let first = scheduler.plan(&snapshot);
    assert_eq!(verdicts(&first), [("one", "a"), ("two", "0/1 nodes are available: 1 Insufficient cpu.")]);
    // The watch does not show the binding yet: the room stays taken, the pod is not bound twice.
    let again = scheduler.plan(&snapshot);
    assert_eq!(verdicts(&again), [("two", "0/1 nodes are available: 1 Insufficient cpu.")]);
    scheduler.forget(&PodRef::of(&snapshot.pods[0]));
    assert_eq!(verdicts(&scheduler.plan(&snapshot))[0], ("one", "a"));
}

#[test]
fn every_node_says_why_it_is_not_the_one() {
    let nodes = vec![
        sized(node("small"), "500m", "1Gi"),
        tainted(sized(node("tainted"), "8", "8Gi"), "shop/only"),
        sized(node("plain"), "8", "8Gi"),
    ];
    let picky = with_spec(
        asking("picky", "1"),
        json!({"nodeSelector": {"disk": "ssd"}, "containers": [{"name": "c"}]}),
    );
    let [Action::Unschedulable { message, .. }] = &plan(vec![picky], nodes)[..] else { panic!("bound") };
    assert_eq!(
        message,
        "0/3 nodes are available: 2 node(s) didn't match Pod's node affinity/selector, \
         1 node(s) had untolerated taint {shop/only: }."
    );
}

#[test]
fn without_nodes_it_says_so() {
    assert_eq!(verdicts(&plan(vec![pod("p")], vec![])), [("p", "no nodes available to schedule pods")]);
}

#[test]
fn the_same_reason_is_not_written_again() {
    let message = "no nodes available to schedule pods";
    let mut told = pod("p");
    let condition = json!({"conditions": [{"type": "PodScheduled", "status": "False", "message": message}]});
    told.status = Some(serde_json::from_value(condition).unwrap());
    assert_eq!(plan(vec![told], vec![]), []);
}

#[test]
fn what_is_not_ours_is_left_alone() {
    let other = with_spec(pod("other"), json!({"schedulerName": "mine", "containers": []}));
    let gated = with_spec(pod("gated"), json!({"schedulingGates": [{"name": "wait"}], "containers": []}));
    let mut deleted = pod("deleted");
    deleted.metadata.deletion_timestamp =
        Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(crate::embedded::testing::wall()));
    assert_eq!(plan(vec![other, gated, deleted], vec![sized(node("a"), "4", "4Gi")]), []);
}

#[test]
fn tolerations_open_tainted_and_cordoned_nodes() {
    let toleration = |toleration: Value| {
        with_spec(pod("p"), json!({"tolerations": [toleration], "containers": [{"name": "c"}]}))
    };
    let tainted_node = || vec![tainted(sized(node("a"), "4", "4Gi"), "shop/only")];
    let passes = |pod: Pod, nodes: Vec<Node>| matches!(plan(vec![pod], nodes)[..], [Action::Bind { .. }]);
    assert!(passes(toleration(json!({"operator": "Exists"})), tainted_node()));
    assert!(passes(toleration(json!({"key": "shop/only", "operator": "Exists"})), tainted_node()));
    assert!(!passes(toleration(json!({"key": "other", "operator": "Exists"})), tainted_node()));
    assert!(!passes(
        toleration(json!({"key": "shop/only", "operator": "Exists", "effect": "NoExecute"})),
        tainted_node()
    ));
    assert!(!passes(toleration(json!({"key": "shop/only", "value": "x"})), tainted_node()));
    let mut cordoned = sized(node("a"), "4", "4Gi");
    cordoned.spec.get_or_insert_default().unschedulable = Some(true);
    assert!(!passes(pod("p"), vec![cordoned.clone()]));
    let through = json!({"key": "node.kubernetes.io/unschedulable", "operator": "Exists"});
    assert!(passes(toleration(through), vec![cordoned]));
}

/// <https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/#taint-nodes-by-condition>
#[test]
fn a_node_short_of_memory_takes_pods_that_ask_for_something() {
    let short = || vec![tainted(sized(node("a"), "4", "4Gi"), "node.kubernetes.io/memory-pressure")];
    let full = || vec![tainted(sized(node("a"), "4", "4Gi"), "node.kubernetes.io/disk-pressure")];
    let passes = |pod: Pod, nodes: Vec<Node>| matches!(plan(vec![pod], nodes)[..], [Action::Bind { .. }]);
    let asks = || {
        let resources = json!({"requests": {"memory": "1Mi"}});
        with_spec(pod("asks"), json!({"containers": [{"name": "c", "resources": resources}]}))
    };
    let nothing = || with_spec(pod("nothing"), json!({"containers": [{"name": "c"}]}));
    assert!(passes(asks(), short()));
    assert!(!passes(nothing(), short()));
    assert!(!passes(asks(), full()));
}

#[test]
fn required_affinity_is_any_term_of_all_expressions() {
    let with = |terms: Value| {
        let affinity = json!({"nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}});
        with_spec(pod("p"), json!({"affinity": affinity, "containers": [{"name": "c"}]}))
    };
    let node = || vec![labelled(sized(node("a"), "4", "4Gi"), &[("zone", "north"), ("cores", "8")])];
    let passes = |terms: Value| matches!(plan(vec![with(terms)], node())[..], [Action::Bind { .. }]);
    let expression = |key: &str, operator: &str, values: &[&str]| json!([{"matchExpressions": [{"key": key, "operator": operator, "values": values}]}]);
    assert!(passes(expression("zone", "In", &["north", "south"])));
    assert!(!passes(expression("zone", "NotIn", &["north"])));
    assert!(passes(expression("gpu", "NotIn", &["yes"])));
    assert!(passes(expression("zone", "Exists", &[])));
    assert!(passes(expression("gpu", "DoesNotExist", &[])));
    assert!(passes(expression("cores", "Gt", &["4"])));
    assert!(!passes(expression("cores", "Lt", &["4"])));
    assert!(!passes(json!([{}])), "an empty term matches nothing");
    assert!(passes(json!([{"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["a"]}]}])));
    assert!(passes(json!([{}, {"matchExpressions": [{"key": "zone", "operator": "Exists"}]}])));
}

#[test]
fn host_ports_are_not_shared() {
    let port = |name| {
        with_spec(
            pod(name),
            json!({"containers": [{"name": "c", "ports": [{"containerPort": 80, "hostPort": 8080}]}]}),
        )
    };
    let pods = vec![bound(port("old"), "a"), port("new")];
    let actions = plan(pods, vec![sized(node("a"), "4", "4Gi")]);
    assert!(verdicts(&actions)[0].1.contains("free ports"), "{actions:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// However many pods come, no node is given more CPU than it has.
    #[test]
    fn no_node_is_overfull(cores in 1_i64..8, wanted in prop::collection::vec(1_i64..3000, 1..20)) {
        let nodes = vec![sized(node("a"), &cores.to_string(), "64Gi"), sized(node("b"), &cores.to_string(), "64Gi")];
        let pods = wanted.iter().enumerate().map(|(n, cpu)| asking(&format!("p{n}"), &format!("{cpu}m"))).collect();
        let actions = plan(pods, nodes);
        prop_assert_eq!(actions.len(), wanted.len());
        for name in ["a", "b"] {
            let given: i64 = actions
                .iter()
                .filter_map(|action| match action {
                    Action::Bind { pod, node } if node == name => Some(wanted[pod.name[1..].parse::<usize>().unwrap()]),
                    _ => None,
                })
                .sum();
            prop_assert!(given <= cores * 1000);
        }
    }
}
