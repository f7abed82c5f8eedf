//! Conversations with KubeEdge 1.23, as they were recorded on the wire between it and ours. What is random in them (uids) is
//! exchanged for what it is here, the rest is verbatim.

use std::collections::BTreeSet;

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Node, ServiceAccount};
use kube::Api;
use kube::api::PostParams;
use proto::{Operation, codec};
use serde_json::{Value, json};

use crate::cloud::Cloud;
use crate::edge::Edge;
use crate::objects;

/// Requests of an edge, each with the answer of a stock CloudCore.
const STOCK_CLOUD: &str = include_str!("recorded/stock-cloud.jsonl");
/// What a stock edge says from its first moment on, acknowledgements left out.
const STOCK_EDGE: &str = include_str!("recorded/stock-edge.jsonl");
/// The uid of the pod in the recordings.
const POD_UIDS: [&str; 2] = ["538fb4ce-c7e5-4c3b-86c1-77beef80e11c", "a9b86713-c101-40fa-9305-4ef2afe16381"];

fn lines(recording: &str) -> impl Iterator<Item = Value> {
    recording.lines().map(|line| serde_json::from_str(line).unwrap())
}

/// The recording with the uid that the pod has here.
fn about(recording: &str, pod_uid: &str) -> String {
    POD_UIDS.iter().fold(recording.to_owned(), |text, recorded| text.replace(recorded, pod_uid))
}

/// A lease in a request is owned by the Node, and replaces the lease, that there are today.
async fn of_today(cloud: &Cloud, mut request: Value) -> Value {
    let owner = request.pointer("/content/metadata/ownerReferences/0/name");
    let Some(name) = owner.and_then(Value::as_str).map(str::to_owned) else { return request };
    let metadata = &mut request["content"]["metadata"];
    let node = Api::<Node>::all(cloud.client.clone()).get(&name).await.unwrap();
    metadata["ownerReferences"][0]["uid"] = json!(node.metadata.uid);
    let leases: Api<Lease> = Api::namespaced(cloud.client.clone(), "kube-node-lease");
    if let Some(lease) = leases.get_opt(&name).await.unwrap() {
        metadata["uid"] = json!(lease.metadata.uid);
        metadata["resourceVersion"] = json!(lease.metadata.resource_version);
    }
    request
}

/// The answer to a request that is sent as it stands.
async fn answer(edge: &mut Edge, request: &Value) -> Value {
    edge.send_raw(request.to_string()).await;
    let id = request["header"]["msg_id"].as_str().unwrap();
    loop {
        let message = edge.next().await;
        if message.header.parent_id.as_deref() == Some(id) {
            return serde_json::from_slice(&codec::encode(&message)).unwrap();
        }
        edge.ack(&message).await;
    }
}

/// The fields that an edge goes by: those of the answer, and those that say which object is in it.
fn fields(content: &Value) -> BTreeSet<String> {
    let keys = |value: &Value| {
        value.as_object().into_iter().flatten().map(|(key, _)| key.clone()).collect::<Vec<_>>()
    };
    let mut found: BTreeSet<String> = keys(content).into_iter().collect();
    let identity = ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"];
    let metadata =
        keys(&content["Object"]["metadata"]).into_iter().filter(|key| identity.contains(&key.as_str()));
    found.extend(metadata.map(|key| format!("Object.metadata.{key}")));
    found
}

#[tokio::test(start_paused = true)]
async fn we_answer_as_a_stock_cloud_did() {
    let cloud = Cloud::start().await;
    let mut edge = Edge::join(&cloud, "edge-ours").await;
    edge.ask(Operation::Insert, "kube-node-lease/lease/edge-ours", &objects::lease("edge-ours")).await;
    let account: ServiceAccount = serde_json::from_value(json!({"metadata": {"name": "default"}})).unwrap();
    let accounts = Api::namespaced(cloud.client.clone(), "default");
    accounts.create(&PostParams::default(), &account).await.unwrap();
    let uid = cloud.create_pod("web", "edge-ours").await.metadata.uid.unwrap();
    cloud.settle().await;

    let mut compared = Vec::new();
    for pair in lines(&about(STOCK_CLOUD, &uid)) {
        let request = of_today(&cloud, pair["request"].clone()).await;
        let (ours, stock) = (answer(&mut edge, &request).await, &pair["answer"]);
        assert_eq!(ours["route"], stock["route"], "{}", pair["request"]);
        for header in stock["header"].as_object().unwrap().keys() {
            assert!(ours["header"].get(header).is_some(), "{header} is missing: {ours}");
        }
        let (ours, stock) = (&ours["content"], &stock["content"]);
        let missing: Vec<_> = fields(stock).difference(&fields(ours)).cloned().collect();
        assert!(missing.is_empty(), "{missing:?} in answer to {}: {ours}", pair["request"]);
        if stock.is_string() {
            assert_eq!(ours, stock);
        }
        assert_eq!(ours["Err"], stock["Err"]);
        compared.push(format!(
            "{} {}",
            pair["request"]["route"]["operation"], pair["request"]["route"]["resource"]
        ));
    }
    assert_eq!(
        compared,
        [
            r#""patch" "null/nodepatch/edge-ours""#,
            r#""update" "kube-node-lease/lease/edge-ours""#,
            r#""query" "kube-node-lease/lease/edge-ours""#,
            r#""patch" "default/podpatch/web""#,
            r#""query" "default/serviceaccounttoken/default""#,
            r#""delete" "default/pod/web""#,
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_stock_edge_registers_and_reports() {
    let cloud = Cloud::start().await;
    let uid = cloud.create_pod("web", "edge-stock").await.metadata.uid.unwrap();
    cloud.settle().await;
    let mut edge = Edge::connect(&cloud, "edge-stock").await;
    for said in lines(&about(STOCK_EDGE, &uid)) {
        let route = &said["route"];
        match route["operation"].as_str().unwrap() {
            "keepalive" => edge.send_raw(said.to_string()).await,
            "get" => {
                let refused = answer(&mut edge, &said).await;
                assert_eq!(refused["route"]["operation"], "error", "devices are not there yet: {refused}");
            }
            "query" => {
                let lease = answer(&mut edge, &said).await;
                assert_eq!(lease["content"]["Err"]["ErrStatus"]["reason"], "NotFound", "{lease}");
            }
            _ => {
                let said = of_today(&cloud, said).await;
                let done = answer(&mut edge, &said).await;
                assert_eq!(done["content"]["Err"], Value::Null, "{said}: {done}");
                assert!(done["content"]["Object"]["metadata"]["name"].is_string(), "{done}");
            }
        }
    }
    let nodes: Api<Node> = Api::all(cloud.client.clone());
    let node = nodes.get("edge-stock").await.unwrap();
    let conditions = node.status.unwrap().conditions.unwrap();
    assert!(conditions.iter().any(|condition| condition.type_ == "Ready" && condition.status == "True"));
    let pod = cloud.pods().get("web").await.unwrap();
    assert_eq!(pod.status.unwrap().reason.as_deref(), Some("Evicted"), "its disk was full");
}
