//! How long a look at the graph takes: `make bench-authorization`.

use std::hint::black_box;

use serde_json::json;
use tokio::time::Instant;

use super::*;

const NODES: usize = 10_000;
const PODS: usize = 30;
const ROUNDS: usize = 1_000_000;

fn fleet() -> Desired {
    let mut desired = Desired::default();
    for node in 0..NODES {
        for pod in 0..PODS {
            let pod: Pod = serde_json::from_value(json!({
                "metadata": {"namespace": "default", "name": format!("pod-{node}-{pod}"), "uid": format!("{node}-{pod}"), "resourceVersion": "1"},
                "spec": {
                    "nodeName": format!("edge-{node}"),
                    "containers": [{"name": "main", "envFrom": [{"secretRef": {"name": format!("secret-{node}-{pod}")}}]}],
                    "volumes": [{"name": "config", "configMap": {"name": format!("map-{node}-{pod}")}}],
                },
            }))
            .unwrap();
            desired.pod_applied(pod);
        }
    }
    desired
}

/// Not a check: it prints.
#[test]
#[ignore = "a measurement, worth something in release only"]
fn looks_at_the_graph() {
    let desired = fleet();
    let node = NodeName::new("edge-5000");
    let secret = |node: usize| ObjectPath {
        namespace: Some("default".to_owned()),
        kind: ResourceKind::Secret,
        name: Some(format!("secret-{node}-7")),
    };
    let (own, foreign) = (secret(5000), secret(5001));
    assert!(desired.uses(&node, &own) && !desired.uses(&node, &foreign));
    let measure = |what: &str, look: &dyn Fn() -> bool| {
        let begun = Instant::now();
        for _ in 0..ROUNDS {
            black_box(look());
        }
        let nanoseconds = begun.elapsed().as_nanos() / ROUNDS as u128;
        println!("| {what} | {nanoseconds} ns |");
    };
    println!("graph of {NODES} nodes with {PODS} pods each");
    measure("a secret that the node's pods use", &|| desired.uses(black_box(&node), black_box(&own)));
    measure("a secret of another node", &|| desired.uses(black_box(&node), black_box(&foreign)));
    measure("a pod of the node", &|| desired.pod_on(black_box(&node), "default", "pod-5000-7").is_some());
    measure("a pod of another node", &|| desired.is_elsewhere(black_box(&node), "default", "pod-5001-7"));
}
