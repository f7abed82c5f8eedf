//! Pods and what they use go to their node, and what the node says about them comes back (spec cloud-and-wire 3.1,
//! 3.6 to 3.8, 9.2).

use std::time::Duration;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams};
use proto::{Content, Operation};
use serde_json::{Value, json};

use crate::cloud::Cloud;
use crate::edge::{Edge, error_text, json};

fn running(uid: &str) -> Content {
    Content::text(json!({"metadata": {"uid": uid}, "status": {"phase": "Running"}}).to_string())
}

#[tokio::test(start_paused = true)]
async fn a_pod_comes_after_what_it_uses_and_with_its_type() {
    let cloud = Cloud::start().await;
    let mut edge = Edge::join(&cloud, "edge-1").await;
    cloud.create_config_map("web-cfg").await;
    cloud.create_config_map("other").await;
    cloud.create_secret("web-secret").await;
    let pod = cloud.create_pod("web", "edge-1").await;
    cloud.create_pod("elsewhere", "edge-2").await;

    assert_eq!(edge.take().await, "insert default/configmap/web-cfg");
    assert_eq!(edge.take().await, "update default/secret/web-secret");
    let push = edge.pushed().await;
    assert_eq!(push.route.operation, Operation::Insert);
    assert_eq!(push.header.resource_version, pod.metadata.resource_version);
    let content = json(&push);
    assert_eq!((content["apiVersion"].as_str(), content["kind"].as_str()), (Some("v1"), Some("Pod")));
    assert_eq!(content["metadata"]["uid"].as_str(), pod.metadata.uid.as_deref());
    assert_eq!(content["metadata"].get("managedFields"), None);
    edge.ack(&push).await;
    assert!(edge.hears_nothing_for(Duration::from_secs(10)).await);
}

#[tokio::test(start_paused = true)]
async fn a_report_is_stored_and_not_echoed() {
    let cloud = Cloud::start().await;
    let mut edge = Edge::join(&cloud, "edge-1").await;
    let uid = cloud.create_pod("web", "edge-1").await.metadata.uid.unwrap();
    assert_eq!(edge.take().await, "insert default/pod/web");
    let answer = edge.ask_with(Operation::Patch, "default/podpatch/web", running(&uid)).await;
    assert_eq!(json(&answer)["Err"], Value::Null);
    assert_eq!(json(&answer)["Object"]["status"]["phase"], "Running");
    assert!(edge.hears_nothing_for(Duration::from_secs(10)).await);
    let nothing = Content::text(json!({"metadata": {"uid": uid}}).to_string());
    let answer = edge.ask_with(Operation::Patch, "default/podpatch/web", nothing).await;
    assert_eq!(json(&answer)["Err"], Value::Null);
    assert_eq!(cloud.pods().get("web").await.unwrap().status.unwrap().phase.as_deref(), Some("Running"));

    let labels = Patch::Merge(json!({"metadata": {"labels": {"app": "web"}}}));
    cloud.pods().patch("web", &PatchParams::default(), &labels).await.unwrap();
    assert_eq!(edge.take().await, "update default/pod/web");
}

#[tokio::test(start_paused = true)]
async fn a_pod_is_deleted_in_two_steps() {
    let cloud = Cloud::start().await;
    let mut edge = Edge::join(&cloud, "edge-1").await;
    let uid = cloud.create_pod("web", "edge-1").await.metadata.uid.unwrap();
    assert_eq!(edge.take().await, "insert default/pod/web");

    cloud.pods().delete("web", &DeleteParams::default()).await.unwrap();
    let marked = edge.pushed().await;
    assert_eq!(marked.route.operation, Operation::Update);
    assert!(json(&marked)["metadata"]["deletionTimestamp"].is_string());
    edge.ack(&marked).await;

    let options = json!({"gracePeriodSeconds": 0, "preconditions": {"uid": uid}});
    let answer = edge.ask(Operation::Delete, "default/pod/web", &options).await;
    assert!(answer.content.is_ok(), "{answer:?}");
    let gone = edge.pushed().await;
    assert_eq!(gone.route.operation, Operation::Delete);
    assert_eq!(json(&gone)["metadata"]["uid"].as_str(), Some(uid.as_str()));
    edge.ack(&gone).await;
    assert!(cloud.pods().get_opt("web").await.unwrap().is_none());

    let again = edge.ask(Operation::Delete, "default/pod/web", &options).await;
    assert!(again.content.is_ok(), "a pod that is gone is deleted");
}

#[tokio::test(start_paused = true)]
async fn the_legacy_deletion_is_the_uid_alone() {
    let cloud = Cloud::start().await;
    let mut edge = Edge::join(&cloud, "edge-1").await;
    let uid = cloud.create_pod("web", "edge-1").await.metadata.uid.unwrap();
    let wrong = edge.ask_with(Operation::Delete, "default/pod/web", Content::text("another")).await;
    assert!(wrong.content.is_ok());
    assert!(cloud.pods().get_opt("web").await.unwrap().is_some(), "it is another pod's uid");
    let answer = edge.ask_with(Operation::Delete, "default/pod/web", Content::text(uid)).await;
    assert!(answer.content.is_ok());
    assert!(cloud.pods().get_opt("web").await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_pod_deleted_while_its_node_was_away_goes_when_the_node_reports_it() {
    let cloud = Cloud::start().await;
    let mut edge = Edge::join(&cloud, "edge-1").await;
    let old = cloud.create_pod("web", "edge-1").await.metadata.uid.unwrap();
    assert_eq!(edge.take().await, "insert default/pod/web");
    cloud.net.wire("edge-1").cut();
    cloud.delete_pod_now("web").await;
    let new = cloud.create_pod("web", "edge-1").await.metadata.uid.unwrap();
    cloud.settle().await;
    cloud.net.wire("edge-1").heal();

    let mut edge = Edge::connect(&cloud, "edge-1").await;
    assert_eq!(edge.take().await, "update null/node/edge-1");
    let put = edge.pushed().await;
    assert_eq!(json(&put)["metadata"]["uid"].as_str(), Some(new.as_str()));
    edge.ack(&put).await;

    let answer = edge.ask_with(Operation::Patch, "default/podpatch/web", running(&old)).await;
    assert_eq!(json(&answer)["Err"]["ErrStatus"]["reason"], "NotFound");
    let removal = edge.pushed().await;
    assert_eq!(removal.route.operation, Operation::Delete);
    assert_eq!(json(&removal)["metadata"]["uid"].as_str(), Some(old.as_str()), "only the old one");
    edge.ack(&removal).await;
    let answer = edge.ask_with(Operation::Patch, "default/podpatch/web", running(&new)).await;
    assert_eq!(json(&answer)["Err"], Value::Null);
}

#[tokio::test(start_paused = true)]
async fn what_no_pod_uses_any_more_is_taken_from_the_node() {
    let cloud = Cloud::start().await;
    let mut edge = Edge::join(&cloud, "edge-1").await;
    cloud.create_config_map("web-cfg").await;
    cloud.create_pod("web", "edge-1").await;
    assert_eq!(edge.take().await, "insert default/configmap/web-cfg");
    assert_eq!(edge.take().await, "insert default/pod/web");

    let maps: Api<ConfigMap> = Api::namespaced(cloud.client.clone(), "default");
    let patch = Patch::Merge(json!({"data": {"key": "2"}}));
    maps.patch("web-cfg", &PatchParams::default(), &patch).await.unwrap();
    assert_eq!(edge.take().await, "update default/configmap/web-cfg");
    let answer = edge.ask_with(Operation::Query, "default/configmap/web-cfg", Content::Null).await;
    assert_eq!(json(&answer)["data"]["key"], "2");
    assert!(answer.header.resource_version.is_some());

    cloud.delete_pod_now("web").await;
    assert_eq!(edge.take().await, "delete default/pod/web");
    assert_eq!(edge.take().await, "delete default/configmap/web-cfg");
    let answer = edge.ask_with(Operation::Query, "default/configmap/web-cfg", Content::Null).await;
    assert!(error_text(&answer).starts_with("Forbidden: "));
}

#[tokio::test(start_paused = true)]
async fn nobody_touches_the_pods_of_another_node() {
    let cloud = Cloud::start().await;
    let mut edge = Edge::join(&cloud, "edge-1").await;
    let uid = cloud.create_pod("web", "edge-2").await.metadata.uid.unwrap();
    let answer = edge.ask_with(Operation::Patch, "default/podpatch/web", running(&uid)).await;
    assert_eq!(json(&answer)["Err"]["ErrStatus"]["reason"], "Forbidden");
    let answer = edge.ask_with(Operation::Delete, "default/pod/web", Content::text(uid)).await;
    assert!(error_text(&answer).starts_with("Forbidden: "));
    assert!(cloud.pods().get_opt("web").await.unwrap().is_some());
    let pod = json!({"metadata": {"name": "mine"}, "spec": {"nodeName": "edge-1", "containers": []}});
    let answer = edge.ask(Operation::Insert, "default/pod/mine", &pod).await;
    assert_eq!(json(&answer)["Err"]["ErrStatus"]["reason"], "Forbidden", "only mirror pods");
}

#[tokio::test(start_paused = true)]
async fn legacy_reports_get_an_answer_each() {
    let cloud = Cloud::start().await;
    let mut edge = Edge::join(&cloud, "edge-1").await;
    let uid = cloud.create_pod("web", "edge-1").await.metadata.uid.unwrap();
    assert_eq!(edge.take().await, "insert default/pod/web");
    let reports = json!([
        {"UID": uid, "Name": "web", "Status": {"phase": "Running"}},
        {"UID": "gone", "Name": "ghost", "Status": {"phase": "Running"}},
    ]);
    let first = edge.ask(Operation::Update, "default/podstatus", &reports).await;
    assert!(first.content.is_ok());
    // The second answer, and (the two may overtake each other) the removal of the pod that is gone.
    let mut rest = [edge.next().await, edge.next().await];
    rest.sort_by_key(|message| message.header.parent_id.is_none());
    let [second, removal] = rest;
    assert_eq!(second.header.parent_id, first.header.parent_id);
    assert_eq!(removal.route.operation, Operation::Delete);
    assert_eq!(removal.route.resource.to_string(), "default/pod/ghost");
    assert_eq!(cloud.pods().get("web").await.unwrap().status.unwrap().phase.as_deref(), Some("Running"));
}
