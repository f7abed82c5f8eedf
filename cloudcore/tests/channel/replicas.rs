//! This CloudCore among others: whose a node is, and how a CloudCore ends that has others beside it.

use std::time::Duration;

use certs::authority::NAMESPACE;
use cloudcore::flow::{ADDRESS, HELD_BY};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Node;
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use proto::{Content, Operation};
use serde_json::json;
use tokio::time::Instant;

use crate::cloud::Cloud;
use crate::edge::Edge;
use crate::objects;

const EDGE: &str = "edge-1";
const SECOND: Duration = Duration::from_secs(1);

/// Another CloudCore, as far as one can tell from its Lease. It lives for ten seconds.
async fn other(cloud: &Cloud) {
    let lease = json!({
        "metadata": {"name": "cloudcore-other", "labels": {"replica.kubeedge.io/lease": "cloudcore"},
            "annotations": {"replica.kubeedge.io/forwarding": "192.0.2.2:10006", "replica.kubeedge.io/address": "192.0.2.2"}},
        "spec": {"holderIdentity": "other", "leaseDurationSeconds": 10, "renewTime": "2026-01-01T00:00:00.000000Z"},
    });
    let leases: Api<Lease> = Api::namespaced(cloud.client.clone(), NAMESPACE);
    leases.create(&PostParams::default(), &serde_json::from_value(lease).unwrap()).await.unwrap();
    cloud.settle().await;
}

async fn moved(cloud: &Cloud, node: &str, address: &str, held_by: &str) {
    let nodes: Api<Node> = Api::all(cloud.client.clone());
    let annotations = json!({ADDRESS: address, HELD_BY: held_by});
    let patch = Patch::Merge(json!({"metadata": {"annotations": annotations}}));
    nodes.patch(node, &PatchParams::default(), &patch).await.unwrap();
}

async fn held_by(cloud: &Cloud, node: &str) -> String {
    let node = Api::<Node>::all(cloud.client.clone()).get(node).await.unwrap();
    node.metadata.annotations.unwrap_or_default().remove(HELD_BY).unwrap_or_default()
}

fn counted(cloud: &Cloud, metric: &str) -> u64 {
    cloud.metric(&format!("{metric}_total")).map_or(0, |value| value.parse().unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_node_names_who_holds_it_and_that_is_not_written_twice() {
    let cloud = Cloud::start().await;
    let edge = Edge::join(&cloud, EDGE).await;
    assert_eq!(held_by(&cloud, EDGE).await, "cloud");
    drop(edge);
    for _ in 0..3 {
        let mut again = Edge::connect(&cloud, EDGE).await;
        again.take().await;
    }
    assert_eq!(counted(&cloud, "replicas_claims_written"), 0, "it was registered here");
    moved(&cloud, EDGE, "192.0.2.2", "other").await;
    cloud.settle().await;
    let _again = Edge::connect(&cloud, EDGE).await;
    cloud.settle().await;
    assert_eq!(
        (held_by(&cloud, EDGE).await.as_str(), counted(&cloud, "replicas_claims_written")),
        ("cloud", 1)
    );
}

#[tokio::test(start_paused = true)]
async fn the_connection_of_a_node_that_is_elsewhere_ends_at_once() {
    let cloud = Cloud::start().await;
    // A stock CloudCore leaves our annotation as it is.
    for (address, held_by, lost) in [("192.0.2.2", "other", 1), ("192.0.2.9", "cloud", 2)] {
        let mut edge =
            if lost == 1 { Edge::join(&cloud, EDGE).await } else { Edge::connect(&cloud, EDGE).await };
        cloud.settle().await;
        moved(&cloud, EDGE, address, held_by).await;
        let at = Instant::now();
        edge.closed().await.unwrap();
        assert!(at.elapsed() < SECOND, "{:?}", at.elapsed());
        assert_eq!(counted(&cloud, "replicas_claims_lost"), lost);
    }
    let ended = r#"cloudhub_ended_sessions_total{reason="elsewhere"}"#;
    assert_eq!(cloud.metric(ended).as_deref(), Some("2"));
}

#[tokio::test(start_paused = true)]
async fn one_that_ends_alone_closes_at_once() {
    let cloud = Cloud::start().await;
    let mut edge = Edge::join(&cloud, EDGE).await;
    let registry = cloud.registry.clone();
    let at = Instant::now();
    let (stopped, closed) = tokio::join!(cloud.stop(), edge.closed());
    stopped.unwrap();
    closed.unwrap();
    assert!(at.elapsed() < SECOND, "{:?}", at.elapsed());
    assert!(registry.encode().contains("cloudhub_drained_sessions_total 0"));
}

#[tokio::test(start_paused = true)]
async fn one_that_ends_beside_others_sends_its_nodes_there_when_they_have_their_answers() {
    let cloud = Cloud::start().await;
    let mut edges = Vec::new();
    for number in 0..30 {
        edges.push(Edge::join(&cloud, &format!("edge-{number}")).await);
    }
    other(&cloud).await;
    let client = cloud.client.clone();
    let registry = cloud.registry.clone();
    let lease = Content::object(&objects::lease("edge-0")).unwrap();
    let asked = edges[0].request(Operation::Insert, "kube-node-lease/lease/edge-0", lease).await;
    let ending = async {
        tokio::task::yield_now().await;
        cloud.stop().await.unwrap();
    };
    let at = Instant::now();
    let hearing = async {
        let answer = edges[0].next().await;
        assert_eq!(answer.header.parent_id, Some(asked));
        for edge in &mut edges {
            edge.closed().await.unwrap();
            assert!(edge.link.rx.is_going_away());
        }
    };
    tokio::join!(ending, hearing);
    // Three steps of ten.
    assert!(at.elapsed() >= Duration::from_millis(100) && at.elapsed() < SECOND, "{:?}", at.elapsed());
    assert!(registry.encode().contains("cloudhub_drained_sessions_total 30"));
    let leases: Api<Lease> = Api::namespaced(client, NAMESPACE);
    assert!(leases.get_opt("cloudcore-cloud").await.unwrap().is_none());
    let leader = leases.get("cloudcore-leader").await.unwrap().spec.unwrap_or_default();
    assert_eq!(leader.holder_identity.as_deref(), Some(""), "whoever comes next takes it at once");
}
