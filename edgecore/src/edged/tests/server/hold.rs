//! Pods that wait for somebody at the edge (spec edge-keadm-mapper 3.2 and 2.5); the cloud has no part in it.

use k8s_openapi::api::core::v1::PodStatus;

use super::*;

const POD: &str = "/api/v1/pods/unhold-upgrade";
const NODE: &str = "/api/v1/nodes/unhold-upgrade";

fn held(name: &str) -> Pod {
    let mut pod = simple(name, APP, "Always");
    pod.metadata.annotations = Some([("edge.kubeedge.io/hold-upgrade".to_owned(), "true".to_owned())].into());
    pod
}

fn is_held(status: &PodStatus) -> bool {
    status.conditions.iter().flatten().any(|one| one.type_ == "HeldUpgrade" && one.status == "True")
}

#[tokio::test]
async fn a_pod_is_let_go_at_the_edge() {
    let node = Node::new();
    let local = Local::start(&node).await;
    for name in ["one", "two", "three"] {
        local.edge.meta.apply(&held(name)).await;
        local.edge.meta.until_status(name, "held", is_held).await;
    }
    local.run(&simple("plain", APP, "Always")).await;
    for (body, status) in [
        ("shop/none", StatusCode::NOT_FOUND),
        ("shop/plain", StatusCode::BAD_REQUEST),
        ("one", StatusCode::BAD_REQUEST),
        ("a/b/c", StatusCode::BAD_REQUEST),
        ("", StatusCode::BAD_REQUEST),
        (&"x".repeat(600), StatusCode::BAD_REQUEST),
    ] {
        let (answered, text) = local.client.post(POD, body).await;
        assert_eq!(answered, status, "{body}: {text}");
    }
    assert_eq!(local.client.get(POD).await.0, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(node.runtime.running(), ["plain/app#0"], "the others wait");

    assert_eq!(local.client.post(POD, "shop/one\n").await.0, StatusCode::OK);
    let status = local.edge.meta.until_ready("one").await;
    let condition = status.conditions.unwrap().into_iter().find(|one| one.type_ == "HeldUpgrade").unwrap();
    assert_eq!(
        (condition.status.as_str(), condition.reason.as_deref()),
        ("False", Some("HoldUpgradeReleased"))
    );
    assert!(is_held(&local.edge.meta.read(|book| book.statuses["two"].clone())));

    let (status, text) = local.client.post(NODE, "edge-2").await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{text}");
    assert_eq!(local.client.post(NODE, "edge-1").await, (StatusCode::OK, "2 pods go on\n".to_owned()));
    for name in ["two", "three"] {
        local.edge.meta.until_ready(name).await;
    }
    assert_eq!(local.client.post(NODE, "edge-1").await, (StatusCode::OK, "0 pods go on\n".to_owned()));
}

/// The power goes before the pod has begun.
#[tokio::test]
async fn what_was_let_go_is_not_held_again() {
    let node = Node::new();
    node.runtime.fail_next("RunPodSandbox", 1000, tonic::Code::Unknown, "not yet");
    let local = Local::start(&node).await;
    for name in ["web", "other"] {
        local.edge.meta.apply(&held(name)).await;
        local.edge.meta.until_status(name, "held", is_held).await;
    }
    assert_eq!(local.client.post(POD, "shop/web").await.0, StatusCode::OK);
    drop(local);
    let mut node = node;
    node.runtime = FakeRuntime::new(node.clock.clone()).with_image(APP, Behaviour::serves());
    let edge = node.start(&[held("web"), held("other")]).await;
    edge.meta.until_ready("web").await;
    edge.meta.until_status("other", "held", is_held).await;
    assert_eq!(node.runtime.running(), ["web/app#0"]);
    // Nothing is left of it with the pod.
    edge.meta.apply(&deleted(&held("web"), 0)).await;
    edge.meta.until_gone("uid-web").await;
    assert!(!node.disk.path().join("kubelet/pods/uid-web").exists());
}
