//! ObjectSync records of stock edges (spec cloud-and-wire 2.6, 2.12; USERS 4.7): what an edge has missed it is told of, and
//! no record keeps anything from an edge.

use std::time::Duration;

use k8s_openapi::api::core::v1::{ConfigMap, Node, Pod};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Api;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use proto::api::reliablesync::{ClusterObjectSync, ObjectSync};
use serde_json::json;

use crate::cloud::Cloud;
use crate::edge::{Edge, json};
use crate::native::NativeEdge;

const EDGE: &str = "edge-1";
/// Longer than records are held back.
const WRITTEN: Duration = Duration::from_secs(3);

impl Cloud {
    fn records(&self) -> Api<ObjectSync> {
        Api::namespaced(self.client.clone(), "default")
    }

    fn maps(&self) -> Api<ConfigMap> {
        Api::namespaced(self.client.clone(), "default")
    }

    /// All records of the namespace, as `ConfigMap/web-cfg@17`.
    async fn recorded(&self) -> Vec<String> {
        tokio::time::sleep(WRITTEN).await;
        let all = self.records().list(&ListParams::default()).await.unwrap();
        let mut all: Vec<String> = all
            .into_iter()
            .map(|record| {
                format!(
                    "{}/{}@{}",
                    record.spec.object_kind, record.spec.object_name, record.status.object_resource_version
                )
            })
            .collect();
        all.sort();
        all
    }
}

fn version<K: kube::Resource>(object: &K) -> &str {
    object.meta().resource_version.as_deref().unwrap()
}

fn uid<K: kube::Resource>(object: &K) -> &str {
    object.meta().uid.as_deref().unwrap()
}

/// A cloud with an edge that has pod `web` with its config map.
async fn with_web() -> (Cloud, Edge, Pod, ConfigMap) {
    let cloud = Cloud::start().await;
    let mut edge = Edge::join(&cloud, EDGE).await;
    let map = cloud.create_config_map("web-cfg").await;
    let pod = cloud.create_pod("web", EDGE).await;
    assert_eq!(edge.take().await, "insert default/configmap/web-cfg");
    assert_eq!(edge.take().await, "insert default/pod/web");
    (cloud, edge, pod, map)
}

/// What the edge gets when it comes again, until there is no more; everything is acknowledged.
async fn after_reconnect(cloud: &Cloud) -> (Edge, Vec<String>) {
    let mut edge = Edge::connect(cloud, EDGE).await;
    let mut taken = Vec::new();
    while let Some(message) = edge.pushed_within(Duration::from_secs(2)).await {
        edge.ack(&message).await;
        taken.push(format!("{} {}", message.route.operation, message.route.resource));
    }
    (edge, taken)
}

#[tokio::test(start_paused = true)]
async fn what_a_stock_edge_acknowledges_is_recorded() {
    let (cloud, mut edge, pod, map) = with_web().await;
    let expected = [format!("ConfigMap/web-cfg@{}", version(&map)), format!("Pod/web@{}", version(&pod))];
    assert_eq!(cloud.recorded().await, expected);
    let name = format!("{EDGE}.{}", uid(&map));
    let record = cloud.records().get(&name).await.unwrap();
    assert_eq!(record.spec.object_api_version, "v1");
    let of_cluster: Api<ClusterObjectSync> = Api::all(cloud.client.clone());
    let node = Api::<Node>::all(cloud.client.clone()).get(EDGE).await.unwrap();
    let record = of_cluster.get(&format!("{EDGE}.{}", uid(&node))).await.unwrap();
    assert_eq!((record.spec.object_kind.as_str(), record.spec.object_name.as_str()), ("Node", EDGE));

    let patch = Patch::Merge(json!({"data": {"key": "2"}}));
    let map = cloud.maps().patch("web-cfg", &PatchParams::default(), &patch).await.unwrap();
    let update = edge.pushed().await;
    // Not before the edge says that it has it.
    assert_eq!(cloud.recorded().await, expected);
    edge.ack(&update).await;
    assert_eq!(cloud.recorded().await[0], format!("ConfigMap/web-cfg@{}", version(&map)));

    cloud.delete_pod_now("web").await;
    assert_eq!(edge.take().await, "delete default/pod/web");
    assert_eq!(edge.take().await, "delete default/configmap/web-cfg");
    assert_eq!(cloud.recorded().await, Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn what_was_removed_while_a_stock_edge_was_away_is_removed_there() {
    let (cloud, edge, _, map) = with_web().await;
    assert_eq!(cloud.recorded().await.len(), 2);
    drop(edge);
    cloud.settle().await;
    cloud.maps().delete("web-cfg", &DeleteParams::default()).await.unwrap();
    // CloudCore does not remember either.
    let cloud = cloud.restart().await;
    let mut edge = Edge::connect(&cloud, EDGE).await;
    let removal = edge.pushed().await;
    assert_eq!(
        format!("{} {}", removal.route.operation, removal.route.resource),
        "delete default/configmap/web-cfg"
    );
    assert_eq!(json(&removal)["metadata"]["uid"], uid(&map));
    edge.ack(&removal).await;
    assert_eq!(edge.take().await, format!("update null/node/{EDGE}"));
    assert_eq!(edge.take().await, "insert default/pod/web");
    assert_eq!(cloud.recorded().await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_was_made_anew_meanwhile_replaces_the_old_one() {
    let (cloud, edge, old, _) = with_web().await;
    cloud.recorded().await;
    drop(edge);
    cloud.settle().await;
    cloud.delete_pod_now("web").await;
    let new = cloud.create_pod("web", EDGE).await;
    let cloud = cloud.restart().await;
    let mut edge = Edge::connect(&cloud, EDGE).await;
    let removal = edge.pushed().await;
    assert_eq!(json(&removal)["metadata"]["uid"], uid(&old));
    edge.ack(&removal).await;
    let mut rest = Vec::new();
    for _ in 0..3 {
        rest.push(edge.take().await);
    }
    assert!(rest.contains(&"insert default/pod/web".to_owned()), "{rest:?}");
    let recorded = cloud.recorded().await;
    assert!(recorded.contains(&format!("Pod/web@{}", version(&new))), "{recorded:?}");
    assert_eq!(recorded.len(), 2);
}

/// kk#3445 and kk#4113: a record with an old uid, an empty one, one that is ahead, one that names the wrong object.
#[tokio::test(start_paused = true)]
async fn records_that_are_wrong_keep_nothing_from_an_edge_and_are_put_right() {
    let (cloud, edge, pod, map) = with_web().await;
    let expected = cloud.recorded().await;
    drop(edge);
    let records = cloud.records();
    let leftover: ObjectSync = serde_json::from_value(json!({
        "metadata": {"name": format!("{EDGE}.00000000-old")},
        "spec": {"objectAPIVersion": "v1", "objectKind": "ConfigMap", "objectName": "web-cfg"},
    }))
    .unwrap();
    records.create(&PostParams::default(), &leftover).await.unwrap();
    let ahead = Patch::Merge(json!({"status": {"objectResourceVersion": "99999999"}}));
    records.patch_status(&format!("{EDGE}.{}", uid(&map)), &PatchParams::default(), &ahead).await.unwrap();
    let wrong = Patch::Merge(json!({"spec": {"objectKind": null, "objectName": "other"}}));
    records.patch(&format!("{EDGE}.{}", uid(&pod)), &PatchParams::default(), &wrong).await.unwrap();
    let garbage: ObjectSync = serde_json::from_value(json!({"metadata": {"name": "no-record"}})).unwrap();
    records.create(&PostParams::default(), &garbage).await.unwrap();

    let cloud = cloud.restart().await;
    let (edge, taken) = after_reconnect(&cloud).await;
    let wanted = [
        format!("update null/node/{EDGE}"),
        "insert default/configmap/web-cfg".to_owned(),
        "insert default/pod/web".to_owned(),
    ];
    assert_eq!(taken, wanted, "everything comes, and nothing is taken away");
    let recorded = cloud.recorded().await;
    assert_eq!(recorded, [vec!["/@".to_owned()], expected].concat(), "what is no record of ours stays");
    drop(edge);
    let (_edge, taken) = after_reconnect(&cloud).await;
    assert_eq!(taken, wanted, "not once more");
}

#[tokio::test(start_paused = true)]
async fn the_records_of_a_node_go_with_it() {
    let (cloud, _edge, ..) = with_web().await;
    assert_eq!(cloud.recorded().await.len(), 2);
    Api::<Node>::all(cloud.client.clone()).delete(EDGE, &DeleteParams::default()).await.unwrap();
    assert_eq!(cloud.recorded().await, Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn the_records_of_a_node_that_went_while_nobody_looked_go_too() {
    let (cloud, edge, ..) = with_web().await;
    assert_eq!(cloud.recorded().await.len(), 2);
    drop(edge);
    let client = cloud.client.clone();
    let cloud = cloud
        .restart_after(async move {
            Api::<Node>::all(client).delete(EDGE, &DeleteParams::default()).await.unwrap();
        })
        .await;
    // A node that has just come for the first time would have registered by then.
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(cloud.recorded().await, Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn an_object_that_changes_often_costs_few_writes() {
    let (cloud, mut edge, ..) = with_web().await;
    cloud.recorded().await;
    let line = "synccontroller_writes_total{outcome=\"Done\"}";
    let before: u32 = cloud.metric(line).unwrap().parse().unwrap();
    for value in 0..20 {
        let patch = Patch::Merge(json!({"data": {"key": format!("v{value}")}}));
        cloud.maps().patch("web-cfg", &PatchParams::default(), &patch).await.unwrap();
        assert_eq!(edge.take().await, "update default/configmap/web-cfg");
    }
    let map = cloud.maps().get("web-cfg").await.unwrap();
    assert_eq!(cloud.recorded().await[0], format!("ConfigMap/web-cfg@{}", version(&map)));
    let after: u32 = cloud.metric(line).unwrap().parse().unwrap();
    assert!(after - before <= 2, "{} writes", after - before);
}

#[tokio::test(start_paused = true)]
async fn without_the_definitions_edges_are_served_all_the_same() {
    let (cloud, edge, ..) = with_web().await;
    drop(edge);
    let definitions: Api<CustomResourceDefinition> = Api::all(cloud.client.clone());
    for name in ["objectsyncs", "clusterobjectsyncs"] {
        let name = format!("{name}.reliablesyncs.kubeedge.io");
        definitions.delete(&name, &DeleteParams::default()).await.unwrap();
    }
    cloud.settle().await;
    let cloud = cloud.restart().await;
    let (_edge, taken) = after_reconnect(&cloud).await;
    assert_eq!(taken.len(), 3, "{taken:?}");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_recorded_of_a_native_edge() {
    let cloud = Cloud::start().await;
    // It registers in the stock dialect here, which records its Node.
    drop(Edge::join(&cloud, EDGE).await);
    tokio::time::sleep(WRITTEN).await;
    let line = "synccontroller_writes_total{outcome=\"Done\"}";
    let before = cloud.metric(line);
    let mut edge = NativeEdge::connect(&cloud, EDGE, Vec::new()).await;
    cloud.create_config_map("web-cfg").await;
    cloud.create_pod("web", EDGE).await;
    assert_eq!(edge.take_all().await.0.len(), 3);
    assert_eq!(cloud.recorded().await, Vec::<String>::new());
    assert_eq!(cloud.metric(line), before);
}
