//! A node joins, reports itself and stays alive (spec cloud-and-wire 3.3 to 3.5, 9.1).

use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Node;
use kube::Api;
use kube::api::DeleteParams;
use proto::reply::QueryFailure;
use proto::{Content, Group, Operation, Source};
use serde_json::{Value, json};

use crate::cloud::Cloud;
use crate::edge::{Edge, json};
use crate::objects;

#[tokio::test(start_paused = true)]
async fn a_node_registers_and_hears_of_itself() {
    let cloud = Cloud::start().await;
    let mut edge = Edge::connect(&cloud, "edge-1").await;
    let answer = edge.ask(Operation::Insert, "default/node/edge-1", &objects::node("edge-1")).await;
    assert_eq!(answer.route.operation, Operation::Response);
    assert_eq!((&answer.route.source, &answer.route.group), (&Source::EdgeController, &Group::Resource));
    assert_eq!(answer.route.resource.to_string(), "default/node/edge-1");
    let content = json(&answer);
    assert_eq!(content["Err"], Value::Null);
    let metadata = &content["Object"]["metadata"];
    assert_eq!(metadata["annotations"]["cloudcore"], "192.0.2.1");
    assert_eq!(metadata["labels"]["kubernetes.io/hostname"], "edge-1");
    assert_eq!(metadata["labels"].get("node-restriction.kubernetes.io/team"), None, "not a node's to set");

    let push = edge.pushed().await;
    assert_eq!(push.route.operation, Operation::Update);
    assert_eq!(push.route.resource.to_string(), "null/node/edge-1");
    assert_eq!(json(&push)["kind"], "Node");
    assert!(push.header.resource_version.is_some());

    let again = edge.ask(Operation::Insert, "null/node/edge-1", &objects::node("edge-1")).await;
    let status = &json(&again)["Err"]["ErrStatus"];
    assert_eq!((status["reason"].as_str(), status["code"].as_i64()), (Some("AlreadyExists"), Some(409)));
}

#[tokio::test(start_paused = true)]
async fn a_node_reports_its_status_as_text_or_as_object() {
    let cloud = Cloud::start().await;
    let mut edge = Edge::join(&cloud, "edge-1").await;
    let patch = json!({"status": {"conditions": [{"type": "Ready", "status": "True", "reason": "EdgeReady"}]}, "spec": {"unschedulable": true}});
    let as_text = Content::text(patch.to_string());
    let answer = edge.ask_with(Operation::Patch, "default/nodepatch/edge-1", as_text).await;
    assert_eq!(json(&answer)["Object"]["status"]["conditions"][0]["reason"], "EdgeReady");
    assert!(answer.header.resource_version.is_some());
    let answer = edge.ask(Operation::Patch, "default/nodepatch/edge-1", &patch).await;
    assert_eq!(json(&answer)["Err"], Value::Null);

    let node = Api::<Node>::all(cloud.client.clone()).get("edge-1").await.unwrap();
    assert_eq!(node.spec.and_then(|spec| spec.unschedulable), None, "a status report edits nothing else");

    // What a stock edge sends when nothing has changed: the status stays.
    let answer = edge.ask_with(Operation::Patch, "null/nodepatch/edge-1", Content::text("{}")).await;
    assert_eq!(json(&answer)["Object"]["status"]["conditions"][0]["reason"], "EdgeReady");

    let labels = json!({"metadata": {"labels": {"zone": "north"}}});
    let answer = edge.ask(Operation::Update, "null/node/edge-1", &labels).await;
    assert!(answer.content.is_ok());
    let answer = edge.ask_with(Operation::Query, "null/node/edge-1", Content::Null).await;
    assert_eq!(json(&answer)["kind"], "Node");
}

#[tokio::test(start_paused = true)]
async fn a_lease_is_made_renewed_and_read() {
    let cloud = Cloud::start().await;
    let mut edge = Edge::join(&cloud, "edge-1").await;
    let path = "kube-node-lease/lease/edge-1";
    let none = edge.ask_with(Operation::Query, path, Content::Null).await;
    assert_eq!(json(&none)["Object"], Value::Null);
    assert_eq!(json(&none)["Err"]["ErrStatus"]["reason"], "NotFound");

    let made = edge.ask(Operation::Insert, path, &objects::lease("edge-1")).await;
    let mut lease = json(&made)["Object"].clone();
    lease["spec"]["renewTime"] = json!("2026-01-01T00:00:10.000000Z");
    let renewed = edge.ask(Operation::Update, path, &lease).await;
    assert_eq!(json(&renewed)["Object"]["spec"]["renewTime"], "2026-01-01T00:00:10.000000Z");

    let without_version = edge.ask(Operation::Update, path, &objects::lease("edge-1")).await;
    assert_eq!(json(&without_version)["Err"], Value::Null);
    let elsewhere = edge.ask(Operation::Insert, "default/lease/edge-1", &objects::lease("edge-1")).await;
    assert_eq!(json(&elsewhere)["Err"]["ErrStatus"]["reason"], "Forbidden");
}

/// Of a node that renews every ten seconds every second renewal is written, and the first of each connection; one that says
/// nothing renews nothing.
#[tokio::test(start_paused = true)]
async fn every_second_renewal_of_a_lease_is_written() {
    let cloud = Cloud::start().await;
    let mut edge = Edge::join(&cloud, "edge-1").await;
    let path = "kube-node-lease/lease/edge-1";
    let mut lease =
        json(&edge.ask(Operation::Insert, path, &objects::lease("edge-1")).await)["Object"].clone();
    let stored = async || {
        let stored = Api::<Lease>::namespaced(cloud.client.clone(), "kube-node-lease").get("edge-1").await;
        json!(stored.unwrap().spec.unwrap().renew_time)
    };
    let at = |second: u32| json!(format!("2026-01-01T00:00:{second:02}.000000Z"));
    for (second, written) in [(10, 10), (20, 10), (30, 30), (40, 30), (50, 50)] {
        tokio::time::sleep(Duration::from_secs(10)).await;
        edge.keepalive().await;
        lease["spec"]["renewTime"] = at(second);
        lease = json(&edge.ask(Operation::Update, path, &lease).await)["Object"].clone();
        assert_eq!(lease["spec"]["renewTime"], at(written), "what a node is told is what is there");
        assert_eq!(stored().await, at(written));
    }
    drop(edge);
    let mut edge = Edge::connect(&cloud, "edge-1").await;
    lease["spec"]["renewTime"] = at(51);
    edge.ask(Operation::Update, path, &lease).await;
    assert_eq!(stored().await, at(51));
    let spared = cloud.metric(r#"edgecontroller_spared_writes_total{what="lease"}"#);
    assert_eq!(spared.as_deref(), Some("2"));
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(stored().await, at(51), "nobody renews in the name of the node");
}

/// A node of ours sends the part of its lease that moves, and is told the version that it has now.
#[tokio::test(start_paused = true)]
async fn a_lease_is_renewed_by_what_moves_in_it() {
    let cloud = Cloud::start().await;
    let mut edge = Edge::join(&cloud, "edge-1").await;
    let path = "kube-node-lease/lease/edge-1";
    let mut lease = objects::lease("edge-1");
    let patch = |second: u32| {
        json!({"spec": {
            "holderIdentity": "edge-1", "leaseDurationSeconds": 40,
            "renewTime": format!("2026-01-01T00:00:{second:02}.000000Z"),
        }})
    };
    let none = edge.ask(Operation::Patch, path, &patch(0)).await;
    let failure = QueryFailure::from_answer(&none).unwrap();
    assert_eq!(failure.reason, "NotFound", "nothing is made by renewing it");

    lease["metadata"]["labels"] = json!({"kept": "yes"});
    edge.ask(Operation::Insert, path, &lease).await;
    let leases = Api::<Lease>::namespaced(cloud.client.clone(), "kube-node-lease");
    for (second, written) in [(10, 0), (20, 20), (30, 20), (40, 40)] {
        tokio::time::sleep(Duration::from_secs(10)).await;
        let answer = edge.ask(Operation::Patch, path, &patch(second)).await;
        assert!(answer.content.is_ok(), "{answer:?}");
        let stored = leases.get("edge-1").await.unwrap();
        assert_eq!(answer.header.resource_version, stored.metadata.resource_version);
        assert_eq!(json!(stored.spec.unwrap().renew_time), patch(written)["spec"]["renewTime"]);
        assert_eq!(stored.metadata.labels.unwrap()["kept"], "yes");
    }
    let other = json!({"spec": {"holderIdentity": "edge-1", "leaseDurationSeconds": 80}});
    edge.ask(Operation::Patch, path, &other).await;
    let stored = leases.get("edge-1").await.unwrap().spec.unwrap();
    assert_eq!(stored.lease_duration_seconds, Some(80), "whatever else a node says is written");

    let elsewhere = edge.ask(Operation::Patch, "kube-node-lease/lease/edge-2", &patch(1)).await;
    assert_eq!(QueryFailure::from_answer(&elsewhere).unwrap().reason, "Forbidden");
}

#[tokio::test(start_paused = true)]
async fn a_node_speaks_for_itself_only() {
    let cloud = Cloud::start().await;
    let _other = Edge::join(&cloud, "edge-2").await;
    let mut edge = Edge::join(&cloud, "edge-1").await;
    for (operation, resource, content) in [
        (Operation::Insert, "default/node/edge-3", objects::node("edge-3")),
        (Operation::Patch, "default/nodepatch/edge-2", json!({"status": {}})),
        (Operation::Insert, "kube-node-lease/lease/edge-2", objects::lease("edge-2")),
        (Operation::Query, "kube-node-lease/lease/edge-2", Value::Null),
    ] {
        let answer = edge.ask(operation, resource, &content).await;
        assert_eq!(json(&answer)["Err"]["ErrStatus"]["reason"], "Forbidden", "{resource}");
    }
    let disguised = edge.ask(Operation::Insert, "default/node/edge-1", &objects::node("edge-2")).await;
    assert_eq!(json(&disguised)["Err"]["ErrStatus"]["reason"], "BadRequest");
}

#[tokio::test(start_paused = true)]
async fn the_session_of_a_deleted_node_ends() {
    let cloud = Cloud::start().await;
    let mut edge = Edge::join(&cloud, "edge-1").await;
    Api::<Node>::all(cloud.client.clone()).delete("edge-1", &DeleteParams::default()).await.unwrap();
    edge.closed().await.unwrap();
    assert_eq!(cloud.metric(r#"cloudhub_ended_sessions_total{reason="node_deleted"}"#).as_deref(), Some("1"));
}
