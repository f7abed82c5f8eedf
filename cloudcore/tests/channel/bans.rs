//! A banned node is out at once, and stays out (kk#4730).

use std::time::Duration;

use certs::authority::NAMESPACE;
use certs::{Ca, NodeIdentity, PrivateKey, csr};
use chassis::link::{Dialer as _, Peer};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Node};
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use proto::ban::{ANNOTATION, Ban, BanList, CONFIG_MAP};
use serde_json::json;

use crate::cloud::Cloud;
use crate::edge::{Edge, peer};
use crate::objects;

const EDGE: &str = "edge-1";

fn moment() -> Timestamp {
    "2026-01-01T00:00:00Z".parse().unwrap()
}

/// A node with a certificate that is valid from `not_before`.
fn with_certificate(node: &str, not_before: Timestamp) -> Peer {
    let ca = Ca::generate(not_before).unwrap();
    let key = PrivateKey::generate().unwrap();
    let request = csr::request(&NodeIdentity::new(node).unwrap(), &key).unwrap();
    let year = SignedDuration::from_hours(24 * 365);
    let certificate = ca.sign_node_csr_since(&request, node, year, not_before, Some(not_before)).unwrap();
    Peer { certificate: Some(certificate), ..peer(&format!("system:node:{node}"), node) }
}

async fn is_let_in(cloud: &Cloud, peer: Peer) -> bool {
    let mut link = cloud.net.dialer(EDGE, peer).dial().await.unwrap();
    match tokio::time::timeout(Duration::from_secs(1), link.rx.recv()).await {
        Ok(closed_or_pushed) => closed_or_pushed.unwrap().is_some(),
        Err(_quiet) => true,
    }
}

async fn annotate(cloud: &Cloud, reason: Option<&str>) {
    let patch = json!({"metadata": {"annotations": {ANNOTATION: reason}}});
    let nodes: Api<Node> = Api::all(cloud.client.clone());
    nodes.patch(EDGE, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
    cloud.settle().await;
}

/// Writes the list as `keadm ban` does.
async fn write(cloud: &Cloud, ban: &Ban) {
    let namespace = serde_json::from_value(json!({"metadata": {"name": NAMESPACE}})).unwrap();
    Api::<Namespace>::all(cloud.client.clone()).create(&PostParams::default(), &namespace).await.ok();
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": CONFIG_MAP},
        "data": {EDGE: ban.entry().unwrap()}});
    let maps: Api<ConfigMap> = Api::namespaced(cloud.client.clone(), NAMESPACE);
    maps.patch(CONFIG_MAP, &PatchParams::apply("test"), &Patch::Apply(map)).await.unwrap();
    cloud.settle().await;
}

async fn written(cloud: &Cloud) -> BanList {
    let maps: Api<ConfigMap> = Api::namespaced(cloud.client.clone(), NAMESPACE);
    let (list, problems) = BanList::from_data(&maps.get(CONFIG_MAP).await.unwrap().data.unwrap());
    assert!(problems.is_empty(), "{problems:?}");
    list
}

#[tokio::test(start_paused = true)]
async fn an_annotated_node_is_cut_off_and_stays_out_when_its_node_is_deleted_and_after_a_restart() {
    let cloud = Cloud::start().await;
    let mut edge = Edge::join(&cloud, EDGE).await;
    let mut other = Edge::join(&cloud, "edge-2").await;

    annotate(&cloud, Some("stolen from the depot")).await;
    edge.closed().await.unwrap();
    assert!(!is_let_in(&cloud, peer("system:node:edge-1", EDGE)).await);
    assert_eq!(cloud.metric(r#"cloudhub_ended_sessions_total{reason="banned"}"#).as_deref(), Some("1"));
    assert_eq!(cloud.metric(r#"cloudhub_refused_connections_total{reason="banned"}"#).as_deref(), Some("1"));
    assert_eq!(cloud.metric("cloudhub_banned_nodes").as_deref(), Some("1"));
    assert_eq!(written(&cloud).await.get(EDGE), Some(&Ban::new(moment(), "stolen from the depot")));

    // Deleting the node, or taking the annotation away, lets nobody back in.
    annotate(&cloud, None).await;
    Api::<Node>::all(cloud.client.clone()).delete(EDGE, &DeleteParams::default()).await.unwrap();
    cloud.settle().await;
    assert!(!is_let_in(&cloud, peer("system:node:edge-1", EDGE)).await);

    let answer = other.ask(proto::Operation::Query, "null/node/edge-2", &json!(null)).await;
    assert_eq!(crate::edge::json(&answer)["metadata"]["name"], "edge-2", "nobody else was disturbed");
    drop(other);

    let cloud = cloud.restart().await;
    assert!(!is_let_in(&cloud, peer("system:node:edge-1", EDGE)).await, "after a restart");
    assert!(is_let_in(&cloud, peer("system:node:edge-2", "edge-2")).await);
}

#[tokio::test(start_paused = true)]
async fn a_ban_in_the_list_ends_the_session_and_a_lifted_one_leaves_old_certificates_revoked() {
    let cloud = Cloud::start().await;
    let old = with_certificate(EDGE, moment() - SignedDuration::from_hours(24));
    let new = with_certificate(EDGE, moment() + SignedDuration::from_hours(1));
    let mut link = cloud.net.dialer(EDGE, old.clone()).dial().await.unwrap();
    cloud.settle().await;

    write(&cloud, &Ban::new(moment(), "stolen")).await;
    assert!(link.rx.recv().await.is_ok_and(|frame| frame.is_none()), "closed");
    assert!(!is_let_in(&cloud, old.clone()).await);
    assert!(!is_let_in(&cloud, new.clone()).await, "the name is banned, whatever the certificate");

    write(&cloud, &Ban { lifted: Some(moment()), ..Ban::new(moment(), "stolen") }).await;
    assert!(!is_let_in(&cloud, old.clone()).await, "its certificate is from before");
    assert_eq!(cloud.metric(r#"cloudhub_refused_connections_total{reason="revoked"}"#).as_deref(), Some("1"));
    assert!(is_let_in(&cloud, new).await);

    let cloud = cloud.restart().await;
    assert!(!is_let_in(&cloud, old).await, "revoked for good");
}

/// Whoever writes by hand and makes a mistake meant to ban.
#[tokio::test(start_paused = true)]
async fn an_entry_that_cannot_be_read_bans_its_node_and_no_other() {
    let cloud = Cloud::start().await;
    write(&cloud, &Ban::new(moment(), "")).await;
    let maps: Api<ConfigMap> = Api::namespaced(cloud.client.clone(), NAMESPACE);
    let patch = Patch::Merge(json!({"data": {EDGE: "since yesterday"}}));
    maps.patch(CONFIG_MAP, &PatchParams::default(), &patch).await.unwrap();
    cloud.settle().await;
    assert!(!is_let_in(&cloud, peer("system:node:edge-1", EDGE)).await);
    assert!(is_let_in(&cloud, peer("system:node:edge-2", "edge-2")).await);
}

/// A node cannot take its own ban away, nor write the list: it has no say over annotations of bans.
#[tokio::test(start_paused = true)]
async fn a_node_that_bans_itself_or_another_by_annotation_is_not_heard() {
    let cloud = Cloud::start().await;
    let mut edge = Edge::join(&cloud, EDGE).await;
    let mut node = objects::node(EDGE);
    node["metadata"]["annotations"] = json!({ANNOTATION: "by myself"});
    edge.ask(proto::Operation::Update, "null/node/edge-1", &node).await;
    cloud.settle().await;
    let nodes: Api<Node> = Api::all(cloud.client.clone());
    let annotations = nodes.get(EDGE).await.unwrap().metadata.annotations.unwrap_or_default();
    assert!(!annotations.contains_key(ANNOTATION), "{annotations:?}");
}
