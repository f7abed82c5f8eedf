//! What CloudCore may do in a cluster is what it does. That it may do enough, every test here says, behind [`Gate`]; that it
//! may not do more, this one: it makes CloudCore do everything once.
//!
//! [`Gate`]: crate::gate::Gate

use std::collections::BTreeSet;

use certs::SanList;
use certs::authority::{load_or_create_ca, load_or_create_server, load_or_refresh_token};
use cloudcore::cloudhub::secrets::KubeSecrets;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{ConfigMap, Node};
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use proto::api::device::{Device, DeviceModel};
use proto::api::reliablesync::{ClusterObjectSync, ObjectSync};
use proto::{Content, Operation};
use serde_json::{Value, json};

use crate::cloud::Cloud;
use crate::edge::Edge;
use crate::gate::all;
use crate::{objects, requests};

const EDGE: &str = "edge-1";

/// What CloudHub keeps in Secrets.
async fn keys_and_tokens(cloud: &Cloud) {
    let secrets = KubeSecrets::new(cloud.gate.client());
    let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    let ca = load_or_create_ca(&secrets, None, now).await.unwrap();
    let day = SignedDuration::from_hours(24);
    for (name, when) in [("10.0.0.1", now), ("10.0.0.2", now + day)] {
        load_or_create_server(&secrets, &ca, &SanList::new([name]), now).await.unwrap();
        load_or_refresh_token(&secrets, &ca, day, when, None).await.unwrap();
    }
}

async fn of_the_node(edge: &mut Edge) {
    let csr = requests::serving_request(EDGE);
    let csr_path = format!("default/certificatesigningrequest/csr-{EDGE}");
    let lease = format!("kube-node-lease/lease/{EDGE}");
    let mut shorter = objects::lease(EDGE);
    shorter["spec"]["leaseDurationSeconds"] = json!(20);
    let driver = |name: &str| json!({"spec": {"drivers": [{"name": name, "nodeID": "n"}]}});
    let event = json!({
        "metadata": {"name": "web.1", "namespace": "default"}, "reason": "Started", "message": "m", "count": 1,
        "involvedObject": {"kind": "Node", "name": EDGE},
    });
    for (operation, resource, content) in [
        (Operation::Update, format!("null/node/{EDGE}"), objects::node(EDGE)),
        (Operation::Patch, format!("default/nodepatch/{EDGE}"), json!({"status": {"phase": "Running"}})),
        (Operation::Query, lease.clone(), Value::Null),
        (Operation::Insert, lease.clone(), objects::lease(EDGE)),
        (Operation::Update, lease.clone(), shorter),
        (Operation::Patch, lease, json!({"spec": {"holderIdentity": EDGE, "leaseDurationSeconds": 30}})),
        (Operation::Insert, csr_path.clone(), csr),
        (Operation::Query, csr_path, Value::Null),
        (Operation::Insert, "default/event/web.1".to_owned(), event.clone()),
        (Operation::Update, "default/event/web.1".to_owned(), event.clone()),
        (
            Operation::Patch,
            "default/event/web.1".to_owned(),
            json!({"event": event, "patchData": r#"{"count": 2}"#}),
        ),
        (Operation::Update, format!("null/csinode/{EDGE}"), driver("a")),
        (Operation::Update, format!("null/csinode/{EDGE}"), driver("b")),
        (Operation::Query, "null/csidriver/a".to_owned(), Value::Null),
        (Operation::Query, "null/runtimeclass/a".to_owned(), Value::Null),
        (Operation::Query, "null/volumeattachment/a".to_owned(), Value::Null),
        (Operation::Query, "null/persistentvolume/a".to_owned(), Value::Null),
    ] {
        let content = if content.is_null() { Content::Null } else { Content::object(&content).unwrap() };
        edge.ask_with(operation, &resource, content).await;
    }
}

async fn of_its_pods(cloud: &Cloud, edge: &mut Edge) {
    cloud.create_service_account("default").await;
    let claim = requests::growing_claim(cloud).await;
    let mut pod = objects::pod("web", EDGE);
    let volume = json!([{"name": "data", "persistentVolumeClaim": {"claimName": "data"}},
        {"name": "cfg", "configMap": {"name": "web-cfg"}}]);
    pod.spec.as_mut().unwrap().volumes = serde_json::from_value(volume).unwrap();
    let pod = cloud.pods().create(&PostParams::default(), &pod).await.unwrap();
    let uid = pod.metadata.uid.unwrap();
    edge.take().await;
    let token = json!({"spec": {"audiences": [], "boundObjectRef":
        {"kind": "Pod", "apiVersion": "v1", "name": "web", "uid": uid}}});
    let mirror = json!({"metadata": {"name": "mirror", "annotations": {"kubernetes.io/config.mirror": "1"}},
        "spec": {"nodeName": EDGE, "containers": [{"name": "c", "image": "i"}]}});
    for (operation, resource, content) in [
        (Operation::Query, "default/configmap/web-cfg", Value::Null),
        (Operation::Query, "default/secret/web-secret", Value::Null),
        (Operation::Query, "default/persistentvolumeclaim/data", Value::Null),
        (Operation::Query, "default/service", Value::Null),
        (Operation::Query, "default/service/kubernetes", Value::Null),
        (
            Operation::Patch,
            "default/persistentvolumeclaim/data",
            json!({"metadata": {"uid": claim}, "status": {"capacity": {"storage": "2Gi"}}}),
        ),
        (Operation::Query, "default/serviceaccounttoken/default", token),
        (Operation::Insert, "default/pod/mirror", mirror),
        (
            Operation::Patch,
            "default/podpatch/web",
            json!({"metadata": {"uid": uid}, "status": {"phase": "Running"}}),
        ),
        (Operation::Delete, "default/pod/gone", Value::Null),
        (Operation::Delete, "default/pod/web", Value::Null),
    ] {
        let content = if content.is_null() { Content::Null } else { Content::object(&content).unwrap() };
        edge.ask_with(operation, resource, content).await;
    }
}

/// Bans by annotation, the second beside the first.
async fn bans(cloud: &Cloud) {
    for node in [EDGE, "edge-2"] {
        let patch = Patch::Merge(json!({"metadata": {"annotations": {proto::ban::ANNOTATION: "stolen"}}}));
        let nodes: Api<Node> = Api::all(cloud.client.clone());
        nodes.patch(node, &PatchParams::default(), &patch).await.unwrap();
        cloud.settle().await;
    }
}

/// Acknowledges whatever comes.
async fn take_all(edge: &mut Edge) {
    while let Some(message) = edge.pushed_within(std::time::Duration::from_secs(5)).await {
        edge.ack(&message).await;
    }
    edge.keepalive().await;
}

/// What a stock edge acknowledges is recorded. Records that say something else are put right, and go with their objects.
async fn records(cloud: &Cloud, edge: &mut Edge) {
    let maps: Api<ConfigMap> = Api::namespaced(cloud.client.clone(), "default");
    let nodes: Api<Node> = Api::all(cloud.client.clone());
    let map = cloud.create_config_map("web-cfg").await;
    take_all(edge).await;
    let node = nodes.get(EDGE).await.unwrap();
    let other = Patch::Merge(json!({"spec": {"objectName": "other"}}));
    let of_map: Api<ObjectSync> = Api::namespaced(cloud.client.clone(), "default");
    let name = |uid: Option<String>| format!("{EDGE}.{}", uid.unwrap());
    of_map.patch(&name(map.metadata.uid), &PatchParams::default(), &other).await.unwrap();
    let of_node: Api<ClusterObjectSync> = Api::all(cloud.client.clone());
    of_node.patch(&name(node.metadata.uid), &PatchParams::default(), &other).await.unwrap();
    cloud.settle().await;
    let data = Patch::Merge(json!({"data": {"key": "2"}}));
    maps.patch("web-cfg", &PatchParams::default(), &data).await.unwrap();
    let label = Patch::Merge(json!({"metadata": {"labels": {"a": "b"}}}));
    nodes.patch(EDGE, &PatchParams::default(), &label).await.unwrap();
    take_all(edge).await;
    maps.delete("web-cfg", &DeleteParams::default()).await.unwrap();
    nodes.delete("edge-3", &DeleteParams::default()).await.unwrap();
    take_all(edge).await;
}

/// A device of the node says twice how it is.
async fn devices(cloud: &Cloud, edge: &mut Edge) {
    let model = json!({"metadata": {"name": "m", "namespace": "default"}, "spec": {}});
    let device = json!({"metadata": {"name": "d", "namespace": "default"},
        "spec": {"nodeName": EDGE, "deviceModelRef": {"name": "m"}}});
    let models: Api<DeviceModel> = Api::namespaced(cloud.client.clone(), "default");
    models.create(&PostParams::default(), &serde_json::from_value(model).unwrap()).await.unwrap();
    let devices: Api<Device> = Api::namespaced(cloud.client.clone(), "default");
    devices.create(&PostParams::default(), &serde_json::from_value(device).unwrap()).await.unwrap();
    cloud.settle().await;
    for state in ["online", "offline"] {
        let report = json!({"device": {"name": "d", "state": state, "lastOnlineTime": ""}});
        let content = Content::object(&report).unwrap();
        edge.request(Operation::Update, "device/default/d/state/update", content).await;
        tokio::time::sleep(std::time::Duration::from_secs(10)).await;
        edge.keepalive().await;
    }
    // The API server looks at the model through CloudCore before it takes a device (`cloudcore::admission`).
    let models: Api<DeviceModel> = Api::namespaced(cloud.gate.client(), "default");
    models.get("m").await.unwrap();
}

/// What no call says: who names a Device as the owner of its status, and that it may not go before, has to be allowed to
/// finish the Device where the API server looks at that (its admission plugin OwnerReferencesPermissionEnforcement).
const UNSAID: &str = "update devices/finalizers";

/// What the router asks for, which is not among these modules.
const ROUTER: [&str; 4] = [" rules", " ruleendpoints", " tokenreviews", " subjectaccessreviews"];

#[tokio::test(start_paused = true)]
async fn everything_that_cloudcore_may_do_it_does() {
    let cloud = Cloud::start_with_devices().await;
    keys_and_tokens(&cloud).await;
    let mut edge = Edge::join(&cloud, EDGE).await;
    let _other = Edge::join(&cloud, "edge-2").await;
    drop(Edge::join(&cloud, "edge-3").await);
    of_the_node(&mut edge).await;
    of_its_pods(&cloud, &mut edge).await;
    records(&cloud, &mut edge).await;
    devices(&cloud, &mut edge).await;
    bans(&cloud).await;
    let gate = cloud.gate.clone();
    cloud.stop().await.unwrap();
    let is_router = |right: &&String| ROUTER.iter().any(|resource| right.ends_with(resource));
    let unused: BTreeSet<String> =
        all().difference(&gate.used()).filter(|right| !is_router(right)).cloned().collect();
    assert_eq!(unused, BTreeSet::from([UNSAID.to_owned()]));
}
