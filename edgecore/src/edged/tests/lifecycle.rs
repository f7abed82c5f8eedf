//! From the first word about a pod to its end.

use super::*;
use crate::edged::testing::{container, waiting_reason};

#[tokio::test(start_paused = true)]
async fn a_pod_runs_as_kubelet_would_run_it() {
    let node = Node::new();
    let edge = node.start(&[]).await;
    edge.meta.apply(&simple("web", APP, "Always")).await;
    let status = edge.meta.until_ready("web").await;
    assert_eq!(status.phase.as_deref(), Some("Running"));
    assert_eq!(status.pod_ip.as_deref(), Some("10.1.0.2"));
    assert_eq!(status.qos_class.as_deref(), Some("BestEffort"));
    let app = container(&status, "app");
    assert!(app.container_id.as_deref().unwrap().starts_with("fake://c"));
    assert_eq!((app.image.as_str(), app.image_id.as_str(), app.restart_count), (APP, "sha256:app:1", 0));
    assert_eq!(node.runtime.running(), ["web/app#0"]);
    let sandbox = node.runtime.last_sandbox_config();
    assert!(sandbox.log_directory.ends_with("/logs/shop_web_uid-web"));
    assert_eq!(sandbox.linux.unwrap().cgroup_parent, "/kubepods/besteffort/poduid-web");
    let first = edge.meta.read(|book| book.history[0].1.clone());
    assert_eq!(first.phase.as_deref(), Some("Pending"));
    assert_eq!(waiting_reason(&first, "app").as_deref(), Some("ContainerCreating"));
    for reason in ["Pulled", "Created", "Started"] {
        edge.meta.until_event(reason).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_deleted_pod_ends_is_reported_and_leaves_nothing() {
    let node = Node::new();
    let edge = node.start(&[]).await;
    let web = simple("web", APP, "Always");
    edge.meta.apply(&web).await;
    edge.meta.until_ready("web").await;
    edge.meta.apply(&deleted(&web, 30)).await;
    edge.meta.until_gone("uid-web").await;
    let last = edge.meta.read(|book| book.statuses["web"].clone());
    assert_eq!(container(&last, "app").state.clone().unwrap().terminated.unwrap().exit_code, 0);
    assert_eq!(last.phase.as_deref(), Some("Succeeded"));
    assert_eq!(last.pod_ip.as_deref(), Some("10.1.0.2"), "where it was is still known");
    assert_eq!((node.runtime.containers().len(), node.runtime.sandboxes()), (0, 0));
    assert!(!node.disk.path().join("kubelet/pods/uid-web").exists());
    assert!(!node.disk.path().join("logs/shop_web_uid-web").exists());
}

#[tokio::test(start_paused = true)]
async fn a_stubborn_program_gets_its_grace_and_no_more() {
    let stubborn = Behaviour { stubborn: true, ..Behaviour::default() };
    let node = Node::new().with_image("stubborn:1", stubborn);
    let edge = node.start(&[]).await;
    let web = simple("web", "stubborn:1", "Always");
    edge.meta.apply(&web).await;
    edge.meta.until_ready("web").await;
    let begin = Instant::now();
    edge.meta.apply(&deleted(&web, 20)).await;
    edge.meta.until_gone("uid-web").await;
    assert_eq!(seconds_since(begin), 20);
    let last = edge.meta.read(|book| book.statuses["web"].clone());
    assert_eq!(container(&last, "app").state.clone().unwrap().terminated.unwrap().exit_code, 137);
    assert_eq!(last.phase.as_deref(), Some("Failed"));
}

#[tokio::test(start_paused = true)]
async fn a_grace_period_can_be_cut_short() {
    let stubborn = Behaviour { stubborn: true, ..Behaviour::default() };
    let node = Node::new().with_image("stubborn:1", stubborn);
    let edge = node.start(&[]).await;
    let web = simple("web", "stubborn:1", "Always");
    edge.meta.apply(&web).await;
    edge.meta.until_ready("web").await;
    edge.meta.apply(&deleted(&web, 3000)).await;
    pass(Duration::from_secs(10)).await;
    let begin = Instant::now();
    edge.meta.tell(PodChange::Delete(key(&web))).await;
    pass(Duration::from_secs(5)).await;
    assert!(node.runtime.containers().is_empty(), "after {} s", seconds_since(begin));
    assert!(edge.meta.read(|book| book.gone.is_empty()), "the cloud knows already");
}

#[tokio::test(start_paused = true)]
async fn init_containers_run_one_after_the_other() {
    let node = Node::new().with_image("init:1", Behaviour::ends(Duration::from_secs(5), 0));
    let edge = node.start(&[]).await;
    let spec = json!({
        "initContainers": [{"name": "one", "image": "init:1"}, {"name": "two", "image": "init:1"}],
        "containers": [{"name": "app", "image": APP}],
    });
    edge.meta.apply(&pod("web", spec)).await;
    let status =
        edge.meta.until_status("web", "starting the second", |status| container(status, "one").ready).await;
    assert_eq!(waiting_reason(&status, "app").as_deref(), Some("PodInitializing"));
    assert_eq!(status.phase.as_deref(), Some("Pending"));
    let status = edge.meta.until_ready("web").await;
    assert!(container(&status, "two").ready);
    assert_eq!(node.runtime.running(), ["web/app#0"]);
    assert_eq!(node.runtime.calls("RunPodSandbox"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_failed_init_container_fails_a_pod_that_never_restarts() {
    let node = Node::new().with_image("init:1", Behaviour::ends(Duration::from_secs(1), 4));
    let edge = node.start(&[]).await;
    let spec = json!({
        "restartPolicy": "Never",
        "initContainers": [{"name": "one", "image": "init:1"}],
        "containers": [{"name": "app", "image": APP}],
    });
    edge.meta.apply(&pod("job", spec)).await;
    let failed = |status: &k8s_openapi::api::core::v1::PodStatus| status.phase.as_deref() == Some("Failed");
    edge.meta.until_status("job", "failed", failed).await;
    pass(Duration::from_secs(600)).await;
    assert_eq!(node.runtime.containers().len(), 1, "nothing else was started");
}

#[tokio::test(start_paused = true)]
async fn a_sidecar_runs_beside_the_others_and_ends_with_them() {
    let node = Node::new().with_image("job:1", Behaviour::ends(Duration::from_secs(30), 0));
    let edge = node.start(&[]).await;
    let spec = json!({
        "restartPolicy": "Never",
        "initContainers": [{"name": "side", "image": APP, "restartPolicy": "Always"}],
        "containers": [{"name": "job", "image": "job:1"}],
    });
    edge.meta.apply(&pod("job", spec)).await;
    edge.meta.until_ready("job").await;
    assert_eq!(node.runtime.running(), ["job/side#0", "job/job#0"]);
    let done = |status: &k8s_openapi::api::core::v1::PodStatus| status.phase.as_deref() == Some("Succeeded");
    edge.meta.until_status("job", "done", done).await;
    pass(Duration::from_secs(5)).await;
    assert!(node.runtime.running().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_is_done_keeps_its_containers_until_it_is_deleted() {
    let node = Node::new().with_image("job:1", Behaviour::ends(Duration::from_secs(3), 0));
    let edge = node.start(&[]).await;
    let job = simple("job", "job:1", "OnFailure");
    edge.meta.apply(&job).await;
    let done = |status: &k8s_openapi::api::core::v1::PodStatus| status.phase.as_deref() == Some("Succeeded");
    let status = edge.meta.until_status("job", "done", done).await;
    let app = container(&status, "app");
    assert_eq!(app.state.clone().unwrap().terminated.unwrap().reason.as_deref(), Some("Completed"));
    pass(Duration::from_secs(600)).await;
    assert_eq!((node.runtime.containers().len(), node.runtime.calls("StopPodSandbox")), (1, 1));
    edge.meta.apply(&deleted(&job, 30)).await;
    edge.meta.until_gone("uid-job").await;
    assert!(node.runtime.containers().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_changed_image_replaces_the_container() {
    let node = Node::new().with_image("app:2", Behaviour::serves());
    let edge = node.start(&[]).await;
    edge.meta.apply(&simple("web", APP, "Always")).await;
    edge.meta.until_ready("web").await;
    edge.meta.apply(&simple("web", "app:2", "Always")).await;
    let status = edge
        .meta
        .until_status("web", "running the new image", |status| {
            let app = container(status, "app");
            app.ready && app.restart_count == 1
        })
        .await;
    assert_eq!(container(&status, "app").image, "app:2");
    assert_eq!(node.runtime.running(), ["web/app#1"]);
    assert_eq!(node.runtime.calls("RunPodSandbox"), 1, "the network is kept");
}

#[tokio::test(start_paused = true)]
async fn a_sandbox_that_cannot_be_made_is_told_and_tried_again() {
    let node = Node::new();
    node.runtime.fail_next("RunPodSandbox", 2, tonic::Code::Unknown, "cni plugin not initialized");
    let edge = node.start(&[]).await;
    edge.meta.apply(&simple("web", APP, "Always")).await;
    let message = edge.meta.until_event("FailedCreatePodSandBox").await;
    assert!(message.contains("cni plugin not initialized"), "{message}");
    edge.meta.until_ready("web").await;
    assert_eq!(node.runtime.calls("RunPodSandbox"), 3);
}

/// Kubelet's word for it; a pod on the node's network needs none of its own.
#[tokio::test(start_paused = true)]
async fn a_pod_waits_for_the_network_and_says_so() {
    let node = Node::new();
    node.runtime.network_fails(Some("Network plugin returns error: cni plugin not initialized"));
    let edge = node.start(&[]).await;
    let is_unready = |book: &crate::edged::testing::Book| {
        let conditions = book.node.as_ref()?.conditions.clone()?;
        conditions.iter().find(|one| one.type_ == "Ready" && one.status == "False").map(drop)
    };
    edge.meta.until("the node not ready", is_unready).await;
    edge.meta.apply(&simple("web", APP, "Always")).await;
    assert_eq!(
        edge.meta.until_event("NetworkNotReady").await,
        "network is not ready: container runtime network not ready: NetworkPluginNotReady: Network plugin returns error: \
         cni plugin not initialized"
    );
    let host = pod("host", json!({"hostNetwork": true, "containers": [{"name": "app", "image": APP}]}));
    edge.meta.apply(&host).await;
    edge.meta.until_ready("host").await;
    pass(Duration::from_secs(600)).await;
    assert_eq!(node.runtime.calls("RunPodSandbox"), 1);
    // It does not wait for its next try once there is one.
    node.runtime.network_fails(None);
    let begin = Instant::now();
    edge.meta.until_ready("web").await;
    assert!(seconds_since(begin) <= 2, "{:?}", begin.elapsed());
}

/// Spec edge-keadm-mapper 3.2.
#[tokio::test(start_paused = true)]
async fn a_pod_that_is_held_waits_until_it_is_let_go() {
    let held = |held: &str| {
        let mut web = simple("web", APP, "Always");
        web.metadata.annotations =
            Some([("edge.kubeedge.io/hold-upgrade".to_owned(), held.to_owned())].into());
        web
    };
    let is = |status: &k8s_openapi::api::core::v1::PodStatus, wanted: &str| {
        let mut conditions = status.conditions.iter().flatten();
        conditions.any(|condition| condition.type_ == "HeldUpgrade" && condition.status == wanted)
    };
    let node = Node::new();
    let edge = node.start(&[]).await;
    edge.meta.apply(&held("true")).await;
    let status = edge.meta.until_status("web", "held", |status| is(status, "True")).await;
    assert_eq!(status.phase.as_deref(), Some("Pending"));
    pass(Duration::from_secs(600)).await;
    assert_eq!(node.runtime.calls("RunPodSandbox"), 0);
    // A restart of edged changes nothing of it.
    drop(edge);
    let edge = node.start(&[held("true")]).await;
    edge.meta.until_status("web", "still held", |status| is(status, "True")).await;
    assert_eq!(node.runtime.calls("RunPodSandbox"), 0);
    edge.meta.apply(&held("false")).await;
    assert!(is(&edge.meta.until_ready("web").await, "False"));
    // It has begun: nothing holds it any more.
    edge.meta.apply(&held("true")).await;
    pass(Duration::from_secs(5)).await;
    assert_eq!(node.runtime.running(), ["web/app#0"]);
}

/// <https://kubernetes.io/docs/concepts/containers/runtime-class/>
#[tokio::test(start_paused = true)]
async fn a_runtime_class_says_what_runs_the_pod() {
    let node = Node::new();
    let edge = node.start(&[]).await;
    let asking = |name: &str, class: &str| {
        pod(name, json!({"runtimeClassName": class, "containers": [{"name": "app", "image": APP}]}))
    };
    edge.meta.apply(&asking("early", "light")).await;
    let message = edge.meta.until_event("FailedCreatePodSandBox").await;
    assert!(message.contains("RuntimeClass \"light\""), "{message}");
    let light = json!({"metadata": {"name": "light"}, "handler": "crun"});
    edge.meta.edit(|book| {
        book.runtime_classes.insert("light".to_owned(), serde_json::from_value(light).unwrap());
    });
    // It is tried again.
    edge.meta.until_ready("early").await;
    assert_eq!(node.runtime.last_handler(), "crun");
    edge.meta.apply(&simple("usual", APP, "Always")).await;
    edge.meta.until_ready("usual").await;
    assert_eq!(node.runtime.last_handler(), "");
}

/// A pod must not get less protection than it asks for.
#[tokio::test(start_paused = true)]
async fn what_would_protect_the_node_is_not_left_out() {
    let node = Node::new();
    let edge = node.start(&[]).await;
    let spec = json!({"hostUsers": false, "containers": [{"name": "app", "image": APP}]});
    edge.meta.apply(&pod("users", spec)).await;
    let message = edge.meta.until_event("FailedCreatePodSandBox").await;
    assert!(message.contains("user namespaces"), "{message}");
    let mount = json!({"name": "v", "mountPath": "/v", "readOnly": true, "recursiveReadOnly": "Enabled"});
    let containers = json!([{"name": "app", "image": APP, "volumeMounts": [mount]}]);
    let spec = json!({"containers": containers, "volumes": [{"name": "v", "emptyDir": {}}]});
    edge.meta.apply(&pod("mounts", spec)).await;
    let refused = |status: &k8s_openapi::api::core::v1::PodStatus| {
        waiting_reason(status, "app").as_deref() == Some("CreateContainerConfigError")
    };
    edge.meta.until_status("mounts", "refused", refused).await;
    assert_eq!(node.runtime.calls("StartContainer"), 0);
}
