//! The other requests: secrets, tokens, events, certificates; and what is no request (spec cloud-and-wire 3.8 to 3.16).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use certs::{NodeIdentity, PrivateKey, csr};
use k8s_openapi::api::core::v1::{Event, PersistentVolume, PersistentVolumeClaim};
use k8s_openapi::api::storage::v1::{CSIDriver, CSINode};
use kube::Api;
use kube::api::PostParams;
use proto::config::cloudcore::{Authorization, CloudHub};
use proto::{Content, Operation, Source};
use serde_json::{Value, json};

use crate::cloud::Cloud;
use crate::edge::{Edge, error_text, json};
use crate::objects;

#[tokio::test(start_paused = true)]
async fn a_secret_is_shown_to_the_node_that_runs_a_pod_with_it_only() {
    let cloud = Cloud::start().await;
    cloud.create_secret("web-secret").await;
    let mut user = Edge::join(&cloud, "edge-1").await;
    let mut stranger = Edge::join(&cloud, "edge-2").await;
    cloud.create_pod("web", "edge-1").await;
    assert_eq!(user.take().await, "update default/secret/web-secret");
    let answer = user.ask_with(Operation::Query, "default/secret/web-secret", Content::Null).await;
    assert_eq!(json(&answer)["kind"], "Secret");
    let answer = stranger.ask_with(Operation::Query, "default/secret/web-secret", Content::Null).await;
    assert_eq!(error_text(&answer), r#"Forbidden: no pod on node "edge-2" uses default/secret/web-secret"#);
}

#[tokio::test(start_paused = true)]
async fn a_config_map_that_is_not_there_is_told_as_not_found() {
    let cloud = Cloud::start().await;
    let mut edge = Edge::join(&cloud, "edge-1").await;
    cloud.create_pod("web", "edge-1").await;
    assert_eq!(edge.take().await, "insert default/pod/web");
    let answer = edge.ask_with(Operation::Query, "default/configmap/web-cfg", Content::Null).await;
    assert_eq!(error_text(&answer), r#"NotFound: configmaps "web-cfg" not found"#);
    assert!(proto::reply::QueryFailure::from_answer(&answer).unwrap().is_not_found());
    cloud.create_config_map("web-cfg").await;
    assert_eq!(edge.take().await, "insert default/configmap/web-cfg");
}

#[tokio::test(start_paused = true)]
async fn a_token_is_bound_to_a_pod_of_the_node() {
    let cloud = Cloud::start().await;
    cloud.create_service_account("default").await;
    let mut edge = Edge::join(&cloud, "edge-1").await;
    let uid = cloud.create_pod("web", "edge-1").await.metadata.uid.unwrap();
    cloud.create_pod("elsewhere", "edge-2").await;
    assert_eq!(edge.take().await, "insert default/pod/web");
    let request = |pod: &str, uid: Option<&str>| {
        json!({"spec": {
            "audiences": [], "expirationSeconds": 3607,
            "boundObjectRef": {"kind": "Pod", "apiVersion": "v1", "name": pod, "uid": uid},
        }})
    };
    let path = "default/serviceaccounttoken/default";
    let answer = edge.ask(Operation::Query, path, &request("web", Some(&uid))).await;
    assert!(json(&answer)["status"]["token"].is_string(), "{answer:?}");
    assert!(!answer.needs_ack());

    for (path, request) in [
        (path, request("elsewhere", None)),
        (path, request("web", Some("another"))),
        (path, json!({"spec": {"audiences": []}})),
        ("default/serviceaccounttoken/admin", request("web", Some(&uid))),
    ] {
        let answer = edge.ask(Operation::Query, path, &request).await;
        assert!(error_text(&answer).starts_with("Forbidden: "), "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn events_are_recorded_in_the_name_of_the_node() {
    let cloud = Cloud::start().await;
    let mut edge = Edge::join(&cloud, "edge-1").await;
    let event = json!({
        "metadata": {"name": "web.1", "namespace": "default"},
        "involvedObject": {"kind": "Pod", "namespace": "default", "name": "web"},
        "reason": "Started", "message": "Started container", "count": 1,
        "source": {"component": "edged", "host": "edge-2"},
    });
    for _ in 0..2 {
        let answer = edge.ask(Operation::Insert, "default/event/web.1", &event).await;
        assert!(answer.content.is_ok(), "also when it comes twice");
    }
    let patch = json!({"event": event, "patchData": r#"{"count": 2, "reason": "Lie"}"#});
    assert!(edge.ask(Operation::Patch, "default/event/web.1", &patch).await.content.is_ok());

    let stored = Api::<Event>::namespaced(cloud.client.clone(), "default").get("web.1").await.unwrap();
    assert_eq!((stored.count, stored.reason.as_deref()), (Some(2), Some("Started")));
    assert_eq!(stored.source.unwrap().host.as_deref(), Some("edge-1"));
}

#[tokio::test(start_paused = true)]
async fn a_node_tells_nothing_of_others_and_trying_is_counted() {
    let cloud = Cloud::start().await;
    let mut edge = Edge::join(&cloud, "edge-1").await;
    cloud.create_pod("theirs", "edge-2").await;
    cloud.settle().await;
    let subjects = [
        json!({"kind": "Pod", "namespace": "default", "name": "theirs"}),
        json!({"kind": "Node", "name": "edge-2"}),
    ];
    for subject in subjects {
        let event = json!({
            "metadata": {"name": "lie.1", "namespace": "default"},
            "involvedObject": subject, "reason": "Lie", "message": "It is gone",
        });
        let answer = edge.ask(Operation::Insert, "default/event/lie.1", &event).await;
        assert!(error_text(&answer).starts_with("Forbidden: "), "{answer:?}");
    }
    assert_eq!(cloud.metric(DENIED_EVENTS).as_deref(), Some("2"));
}

/// The denials of events, as the metrics name them.
const DENIED_EVENTS: &str = r#"edgecontroller_denied_requests_total{resource="event"}"#;

#[tokio::test(start_paused = true)]
async fn denials_can_be_looked_at_before_they_count() {
    let authorization = Authorization { enable: true, debug: true, ..Authorization::default() };
    let cloud = Cloud::start_with(CloudHub { authorization, ..CloudHub::default() }).await;
    let mut edge = Edge::join(&cloud, "edge-1").await;
    let event = json!({
        "metadata": {"name": "odd.1", "namespace": "default"},
        "involvedObject": {"kind": "Node", "name": "edge-2"}, "reason": "Odd", "message": "Well",
    });
    assert!(edge.ask(Operation::Insert, "default/event/odd.1", &event).await.content.is_ok());
    assert_eq!(cloud.metric(DENIED_EVENTS).as_deref(), Some("1"));
}

#[tokio::test(start_paused = true)]
async fn the_ca_of_the_api_comes_from_the_hub() {
    let cloud = Cloud::start().await;
    let mut edge = Edge::connect(&cloud, "edge-1").await;
    let answer = edge.ask_with(Operation::Query, "k8s/ca.crt", Content::Null).await;
    assert_eq!(answer.content, Content::text("PEM of the API's CA"));
    assert_eq!(answer.route.source, Source::CloudHub);
}

#[tokio::test(start_paused = true)]
async fn every_request_gets_an_answer() {
    let cloud = Cloud::start().await;
    let mut edge = Edge::join(&cloud, "edge-1").await;
    for (operation, resource, content) in [
        (Operation::Query, "default/pod/web", Content::Null),
        (Operation::Get, "membership/detail", Content::text("{}")),
        (Operation::Insert, "default/gizmo/g", Content::Null),
        (Operation::Query, "default/configmap", Content::Null),
        (Operation::Insert, "default/event/e", Content::text("nonsense")),
        (Operation::Query, "default/serviceaccounttoken/default", Content::Null),
    ] {
        let answer = edge.ask_with(operation.clone(), resource, content).await;
        assert!(error_text(&answer).starts_with("BadRequest: "), "{operation} {resource}");
    }
    for (operation, resource) in [
        (Operation::Insert, "null/node/edge-1"),
        (Operation::Patch, "default/podpatch/web"),
        (Operation::Update, "kube-node-lease/lease/edge-1"),
    ] {
        let answer = edge.ask_with(operation, resource, Content::text("nonsense")).await;
        assert_eq!(json(&answer)["Object"], Value::Null, "{resource}");
        assert_eq!(json(&answer)["Err"]["ErrStatus"]["reason"], "BadRequest", "{resource}");
    }
}

/// A request for a serving certificate of `node`, as a kubelet sends it.
pub(crate) fn serving_request(node: &str) -> Value {
    let der = csr::request(&NodeIdentity::new(node).unwrap(), &PrivateKey::generate().unwrap()).unwrap();
    let pem = format!(
        "-----BEGIN CERTIFICATE REQUEST-----\n{}\n-----END CERTIFICATE REQUEST-----\n",
        BASE64.encode(&der)
    );
    json!({
        "metadata": {"name": format!("csr-{node}")},
        "spec": {"signerName": "kubernetes.io/kubelet-serving", "request": BASE64.encode(pem), "usages": ["server auth"]},
    })
}

#[tokio::test(start_paused = true)]
async fn a_node_asks_for_certificates_of_its_own_name_only() {
    let cloud = Cloud::start().await;
    let mut edge = Edge::join(&cloud, "edge-1").await;
    let answer = edge
        .ask(Operation::Insert, "default/certificatesigningrequest/csr-edge-2", &serving_request("edge-2"))
        .await;
    let error = &json(&answer)["Err"]["ErrStatus"];
    assert_eq!(error["reason"], "Forbidden");
    assert!(error["message"].as_str().unwrap().contains("edge-2"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_node_sees_the_volumes_of_its_pods_and_learns_of_no_other() {
    let cloud = Cloud::start().await;
    let mut edge = Edge::join(&cloud, "edge-1").await;
    for (volume, claim) in [("mine", "data"), ("theirs", "secrets")] {
        let volume: PersistentVolume = serde_json::from_value(json!({
            "metadata": {"name": volume},
            "spec": {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"],
                "hostPath": {"path": "/data"}, "claimRef": {"namespace": "default", "name": claim}},
        }))
        .unwrap();
        Api::all(cloud.client.clone()).create(&PostParams::default(), &volume).await.unwrap();
    }
    let mut pod = objects::pod("web", "edge-1");
    let volume = json!([{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]);
    pod.spec.as_mut().unwrap().volumes = serde_json::from_value(volume).unwrap();
    cloud.pods().create(&PostParams::default(), &pod).await.unwrap();
    cloud.settle().await;
    edge.take().await;

    let mut ask = async |name: &str| {
        let content = Content::Null;
        edge.ask_with(Operation::Query, &format!("null/persistentvolume/{name}"), content).await
    };
    let answer = ask("mine").await;
    assert_eq!(json(&answer)["metadata"]["name"], "mine");
    let (theirs, none) = (error_text(&ask("theirs").await), error_text(&ask("none").await));
    assert!(theirs.starts_with("Forbidden: "), "{theirs}");
    assert_eq!(theirs.replace("theirs", "none"), none, "whether it exists is not told");
}

#[tokio::test(start_paused = true)]
async fn a_node_asks_for_serving_certificates_only() {
    let cloud = Cloud::start().await;
    let mut edge = Edge::join(&cloud, "edge-1").await;
    let csr = json!({
        "metadata": {"name": "c1"},
        "spec": {"signerName": "kubernetes.io/kube-apiserver-client", "request": "", "usages": ["client auth"]},
    });
    let answer = edge.ask(Operation::Insert, "default/certificatesigningrequest/c1", &csr).await;
    assert_eq!(json(&answer)["Err"]["ErrStatus"]["reason"], "Forbidden");
}

#[tokio::test(start_paused = true)]
async fn a_request_with_more_than_the_api_would_take_is_refused_unread() {
    let cloud = Cloud::start().await;
    let mut edge = Edge::join(&cloud, "edge-1").await;
    cloud.create_pod("web", "edge-1").await;
    edge.take().await;
    let lists = format!("[{}[]]", "[],".repeat(2 << 20));
    let content = Content::text(format!(r#"{{"status":{lists}}}"#));
    let answer = edge.ask_with(Operation::Patch, "default/podpatch/web", content).await;
    let error = &json(&answer)["Err"]["ErrStatus"];
    assert_eq!(
        (error["code"].as_i64(), error["reason"].as_str()),
        (Some(413), Some("RequestEntityTooLarge"))
    );
    // The session goes on.
    let answer = edge.ask(Operation::Query, "null/node/edge-1", &Value::Null).await;
    assert_eq!(json(&answer)["metadata"]["name"], "edge-1");
}

#[tokio::test(start_paused = true)]
async fn a_node_sees_the_secrets_of_its_volumes_drivers_and_no_others() {
    let cloud = Cloud::start().await;
    for (name, mine) in [("stage", "mine"), ("theirs", "other")] {
        cloud.create_secret(name).await;
        let volume = json!({"metadata": {"name": mine}, "spec": {
            "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"],
            "claimRef": {"namespace": "default", "name": mine},
            "csi": {"driver": "d", "volumeHandle": "v",
                "nodeStageSecretRef": {"namespace": "default", "name": name},
                "controllerPublishSecretRef": {"namespace": "default", "name": "controllers"}}}});
        let volume: PersistentVolume = serde_json::from_value(volume).unwrap();
        Api::all(cloud.client.clone()).create(&PostParams::default(), &volume).await.unwrap();
    }
    cloud.create_secret("controllers").await;
    let mut edge = Edge::join(&cloud, "edge-1").await;
    let mut pod = objects::pod("web", "edge-1");
    let volume = json!([{"name": "data", "persistentVolumeClaim": {"claimName": "mine"}}]);
    pod.spec.as_mut().unwrap().volumes = serde_json::from_value(volume).unwrap();
    cloud.pods().create(&PostParams::default(), &pod).await.unwrap();
    cloud.settle().await;
    edge.take().await;
    let answer = edge.ask_with(Operation::Query, "default/secret/stage", Content::Null).await;
    assert_eq!(json(&answer)["metadata"]["name"], "stage");
    for name in ["theirs", "controllers"] {
        let answer = edge.ask_with(Operation::Query, &format!("default/secret/{name}"), Content::Null).await;
        assert!(error_text(&answer).starts_with("Forbidden: "), "{name}: {answer:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_tells_of_its_own_drivers_one_by_one() {
    let cloud = Cloud::start().await;
    let driver: CSIDriver =
        serde_json::from_value(json!({"metadata": {"name": "a"}, "spec": {"attachRequired": false}}))
            .unwrap();
    Api::all(cloud.client.clone()).create(&PostParams::default(), &driver).await.unwrap();
    let mut edge = Edge::join(&cloud, "edge-1").await;
    let answer = edge.ask_with(Operation::Query, "null/csidriver/a", Content::Null).await;
    assert_eq!(json(&answer)["spec"]["attachRequired"], false);
    let answer = edge.ask_with(Operation::Query, "null/csidriver/b", Content::Null).await;
    assert!(error_text(&answer).starts_with("NotFound: "));

    let nodes: Api<CSINode> = Api::all(cloud.client.clone());
    let mut tell = async |operation: Operation, node: &str, name: &str| {
        let content = json!({"spec": {"drivers": [{"name": name, "nodeID": "n"}]}});
        edge.ask(operation, &format!("null/csinode/{node}"), &content).await
    };
    for name in ["b", "a"] {
        assert!(tell(Operation::Update, "edge-1", name).await.content.is_ok());
    }
    let names = async || {
        let node = nodes.get("edge-1").await.unwrap();
        node.spec.drivers.into_iter().map(|driver| driver.name).collect::<Vec<_>>()
    };
    assert_eq!(names().await, ["a", "b"]);
    assert!(tell(Operation::Delete, "edge-1", "b").await.content.is_ok());
    assert_eq!(names().await, ["a"]);
    assert!(error_text(&tell(Operation::Update, "edge-2", "a").await).starts_with("Forbidden: "));
}

/// A claim of 1 GiB whose volume has 2, and which waits for a node to grow the file system. Its uid.
pub(crate) async fn growing_claim(cloud: &Cloud) -> String {
    let volume = json!({"metadata": {"name": "pv1"}, "spec": {
        "capacity": {"storage": "2Gi"}, "accessModes": ["ReadWriteOnce"],
        "claimRef": {"namespace": "default", "name": "data"}, "csi": {"driver": "d", "volumeHandle": "v"}}});
    let volume: PersistentVolume = serde_json::from_value(volume).unwrap();
    Api::all(cloud.client.clone()).create(&PostParams::default(), &volume).await.unwrap();
    let claim = json!({"metadata": {"name": "data"}, "spec": {"volumeName": "pv1", "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "2Gi"}}}});
    let claims: Api<PersistentVolumeClaim> = Api::namespaced(cloud.client.clone(), "default");
    let claim: PersistentVolumeClaim = serde_json::from_value(claim).unwrap();
    let mut claim = claims.create(&PostParams::default(), &claim).await.unwrap();
    let waits = json!({"phase": "Bound", "capacity": {"storage": "1Gi"},
        "conditions": [{"type": "FileSystemResizePending", "status": "True"}]});
    claim.status = serde_json::from_value(waits).unwrap();
    claims.replace_status("data", &PostParams::default(), &claim).await.unwrap();
    claim.metadata.uid.unwrap()
}

/// As a kubelet writes it: <https://kubernetes.io/docs/concepts/storage/persistent-volumes/#expanding-persistent-volumes-claims>.
#[tokio::test(start_paused = true)]
async fn a_node_says_what_came_of_the_growth_of_its_pods_claims() {
    let cloud = Cloud::start().await;
    let uid = growing_claim(&cloud).await;
    let claims: Api<PersistentVolumeClaim> = Api::namespaced(cloud.client.clone(), "default");
    let mut stranger = Edge::join(&cloud, "edge-2").await;
    let mut edge = Edge::join(&cloud, "edge-1").await;
    let mut pod = objects::pod("web", "edge-1");
    let volume = json!([{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]);
    pod.spec.as_mut().unwrap().volumes = serde_json::from_value(volume).unwrap();
    cloud.pods().create(&PostParams::default(), &pod).await.unwrap();
    cloud.settle().await;
    edge.take().await;

    let path = "default/persistentvolumeclaim/data";
    let of = |uid: &str, status: Value| json!({"metadata": {"uid": uid}, "status": status});
    let sized = |size: &str| json!({"capacity": {"storage": size}});
    let answer = stranger.ask(Operation::Patch, path, &of(&uid, sized("2Gi"))).await;
    assert!(error_text(&answer).starts_with("Forbidden: "), "{answer:?}");
    for (uid, size, reason) in
        [("another", "2Gi", "NotFound: "), (&uid, "3Gi", "Invalid: "), (&uid, "much", "Invalid: ")]
    {
        let answer = edge.ask(Operation::Patch, path, &of(uid, sized(size))).await;
        assert!(error_text(&answer).starts_with(reason), "{size}: {answer:?}");
    }
    let conditions = async || {
        let status = claims.get("data").await.unwrap().status.unwrap();
        let kinds =
            status.conditions.into_iter().flatten().map(|one| one.type_).collect::<Vec<_>>().join(" ");
        (kinds, status.capacity.unwrap()["storage"].0.clone())
    };
    let failed = json!({"conditions": [{"type": "NodeResizeError", "status": "True", "message": "no room"}]});
    assert!(edge.ask(Operation::Patch, path, &of(&uid, failed)).await.content.is_ok());
    assert_eq!(conditions().await, ("FileSystemResizePending NodeResizeError".to_owned(), "1Gi".to_owned()));
    assert!(edge.ask(Operation::Patch, path, &of(&uid, sized("2Gi"))).await.content.is_ok());
    assert_eq!(conditions().await, (String::new(), "2Gi".to_owned()));
}
