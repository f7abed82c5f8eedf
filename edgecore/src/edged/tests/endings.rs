//! Pods that end for another reason than that their containers do, and the order in which they end.

use super::*;
use crate::edged::testing::container;

/// <https://kubernetes.io/docs/concepts/workloads/pods/init-containers/#detailed-behavior>
#[tokio::test(start_paused = true)]
async fn a_pod_is_over_when_its_deadline_is() {
    let node = Node::new();
    let edge = node.start(&[]).await;
    let spec = json!({
        "activeDeadlineSeconds": 60, "terminationGracePeriodSeconds": 1,
        "containers": [{"name": "app", "image": APP}],
    });
    edge.meta.apply(&pod("web", spec)).await;
    edge.meta.until_ready("web").await;
    pass(Duration::from_secs(55)).await;
    assert_eq!(node.runtime.running(), ["web/app#0"]);
    let failed = |status: &k8s_openapi::api::core::v1::PodStatus| status.phase.as_deref() == Some("Failed");
    let status = edge.meta.until_status("web", "failed", failed).await;
    assert_eq!(status.reason.as_deref(), Some("DeadlineExceeded"));
    assert!(edge.meta.until_event("DeadlineExceeded").await.contains("longer than the specified deadline"));
    assert!(node.runtime.running().is_empty());
    pass(Duration::from_secs(600)).await;
    assert_eq!(node.runtime.calls("StartContainer"), 1, "what has failed is not started again");
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_has_failed_by_the_nodes_word_stays_so_after_a_restart() {
    let node = Node::new();
    let mut web = pod("web", json!({"containers": [{"name": "app", "image": APP}]}));
    web.status = Some(k8s_openapi::api::core::v1::PodStatus {
        phase: Some("Failed".to_owned()),
        reason: Some("Evicted".to_owned()),
        message: Some("The node was low on resource: memory.".to_owned()),
        ..Default::default()
    });
    let edge = node.start(&[web]).await;
    let status = edge.meta.until_status("web", "told", |status| status.reason.is_some()).await;
    let told = (status.phase.as_deref(), status.reason.as_deref(), status.message.as_deref());
    assert_eq!(told, (Some("Failed"), Some("Evicted"), Some("The node was low on resource: memory.")));
    pass(Duration::from_secs(600)).await;
    assert_eq!(node.runtime.calls("RunPodSandbox"), 0);
    assert!(edge.meta.read(|book| book.events.iter().all(|(reason, _)| reason != "Evicted")), "told before");
}

/// <https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#termination-with-sidecars>
#[tokio::test(start_paused = true)]
async fn sidecars_end_after_the_others_the_last_first() {
    let stubborn = Behaviour { stubborn: true, ..Behaviour::default() };
    let node = Node::new().with_image("stubborn:1", stubborn);
    let edge = node.start(&[]).await;
    let side = |name: &str| json!({"name": name, "image": "app:1", "restartPolicy": "Always"});
    let web = pod(
        "web",
        json!({
            "initContainers": [side("one"), side("two")],
            "containers": [{"name": "app", "image": "stubborn:1"}],
        }),
    );
    edge.meta.apply(&web).await;
    edge.meta.until_ready("web").await;
    edge.meta.apply(&deleted(&web, 20)).await;
    pass(Duration::from_secs(19)).await;
    assert_eq!(node.runtime.running(), ["web/one#0", "web/two#0", "web/app#0"], "they serve to the end");
    edge.meta.until_gone("uid-web").await;
    let ends = edge.meta.read(|book| {
        let killing = book.events.iter().filter(|(reason, _)| reason == "Killing");
        killing.map(|(_, message)| message.clone()).collect::<Vec<_>>()
    });
    let order = ["app", "two", "one"].map(|name| format!("Stopping container {name}"));
    // The grace period was used up by the first: the sidecars go together.
    assert_eq!(ends.len(), 3, "{ends:?}");
    assert_eq!(ends[0], order[0]);
}

/// <https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/#jobs-with-sidecar-containers>
#[tokio::test(start_paused = true)]
async fn a_pod_is_not_done_before_its_sidecars_are() {
    let stubborn = Behaviour { stubborn: true, ..Behaviour::default() };
    let node = Node::new()
        .with_image("stubborn:1", stubborn)
        .with_image("job:1", Behaviour::ends(Duration::from_secs(5), 0));
    let edge = node.start(&[]).await;
    let side = |name: &str, image: &str| json!({"name": name, "image": image, "restartPolicy": "Always"});
    let job = json!({
        "restartPolicy": "Never", "terminationGracePeriodSeconds": 10,
        "initContainers": [side("one", APP), side("two", "stubborn:1")],
        "containers": [{"name": "job", "image": "job:1"}],
    });
    edge.meta.apply(&pod("job", job)).await;
    let ended = |status: &k8s_openapi::api::core::v1::PodStatus| {
        container(status, "job").state.as_ref().is_some_and(|state| state.terminated.is_some())
    };
    let status = edge.meta.until_status("job", "ended", ended).await;
    assert_eq!(status.phase.as_deref(), Some("Running"), "its sidecars run");
    pass(Duration::from_secs(5)).await;
    assert_eq!(node.runtime.running(), ["job/one#0", "job/two#0"], "the first outlives the second");
    let done = |status: &k8s_openapi::api::core::v1::PodStatus| status.phase.as_deref() == Some("Succeeded");
    edge.meta.until_status("job", "done", done).await;
    assert!(node.runtime.running().is_empty());
}

/// <https://kubernetes.io/docs/concepts/workloads/pods/ephemeral-containers/>
#[tokio::test(start_paused = true)]
async fn an_ephemeral_container_runs_once() {
    let node = Node::new().with_image("look:1", Behaviour::ends(Duration::from_secs(5), 3));
    let edge = node.start(&[]).await;
    let plain = json!({"containers": [{"name": "app", "image": APP}]});
    edge.meta.apply(&pod("web", plain.clone())).await;
    edge.meta.until_ready("web").await;
    let mut looked_at = plain;
    looked_at["ephemeralContainers"] =
        json!([{"name": "look", "image": "look:1", "targetContainerName": "app"}]);
    edge.meta.apply(&pod("web", looked_at)).await;
    let ended = |status: &k8s_openapi::api::core::v1::PodStatus| {
        let look = status.ephemeral_container_statuses.iter().flatten().next();
        look.and_then(|look| look.state.as_ref()?.terminated.as_ref())
            .is_some_and(|ended| ended.exit_code == 3)
    };
    let status = edge.meta.until_status("web", "looked at", ended).await;
    assert_eq!(status.phase.as_deref(), Some("Running"));
    assert!(crate::edged::testing::is_ready(&status), "it does not count");
    pass(Duration::from_secs(600)).await;
    assert_eq!(node.runtime.calls("StartContainer"), 2);
    assert_eq!(node.runtime.calls("RunPodSandbox"), 1);
}

/// <https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#individual-container-restart-policy-and-rules>
#[tokio::test(start_paused = true)]
async fn a_container_has_a_restart_policy_of_its_own() {
    let node = Node::new()
        .with_image("once:1", Behaviour::ends(Duration::from_secs(2), 1))
        .with_image("again:1", Behaviour::ends(Duration::from_secs(2), 42));
    let edge = node.start(&[]).await;
    let spec = json!({"restartPolicy": "Never", "containers": [
        {"name": "app", "image": APP},
        {"name": "once", "image": "once:1"},
        {"name": "again", "image": "again:1", "restartPolicy": "Never", "restartPolicyRules": [
            {"action": "Restart", "exitCodes": {"operator": "In", "values": [42]}}]},
    ]});
    edge.meta.apply(&pod("web", spec)).await;
    let again =
        |status: &k8s_openapi::api::core::v1::PodStatus| container(status, "again").restart_count >= 2;
    let status = edge.meta.until_status("web", "restarting one of its containers", again).await;
    assert_eq!(container(&status, "once").restart_count, 0);
    assert_eq!(status.phase.as_deref(), Some("Running"));
}

/// What a pod has taken of the node is free again when it has ended.
#[tokio::test(start_paused = true)]
async fn a_pod_for_which_there_is_no_room_is_refused() {
    let node = Node::new().with_image("job:1", Behaviour::ends(Duration::from_secs(30), 0));
    let edge = node.start(&[]).await;
    let taking_port = |name: &str| {
        let ports = json!([{"containerPort": 80, "hostPort": 80}]);
        let containers = json!([{"name": "job", "image": "job:1", "ports": ports}]);
        pod(name, json!({"restartPolicy": "Never", "containers": containers}))
    };
    let phase = |wanted: &'static str| {
        move |status: &k8s_openapi::api::core::v1::PodStatus| status.phase.as_deref() == Some(wanted)
    };
    edge.meta.apply(&taking_port("first")).await;
    edge.meta.until_ready("first").await;
    edge.meta.apply(&taking_port("second")).await;
    let status = edge.meta.until_status("second", "refused", phase("Failed")).await;
    assert_eq!(status.reason.as_deref(), Some("NodePorts"));
    assert!(edge.meta.until_event("NodePorts").await.contains("free ports"));
    let huge = json!({"requests": {"cpu": "100000"}});
    let huge = json!({"containers": [{"name": "app", "image": APP, "resources": huge}]});
    edge.meta.apply(&pod("huge", huge)).await;
    let status = edge.meta.until_status("huge", "refused", phase("Failed")).await;
    assert_eq!(status.reason.as_deref(), Some("OutOfcpu"));
    edge.meta.until_status("first", "done", phase("Succeeded")).await;
    edge.meta.apply(&taking_port("third")).await;
    edge.meta.until_ready("third").await;
    assert_eq!(node.runtime.calls("RunPodSandbox"), 2);
}

/// They come in one go, as after a long time without the cloud.
#[tokio::test(start_paused = true)]
async fn a_pod_that_is_refused_leaves_its_room_to_the_next() {
    let node = Node::new();
    let edge = node.start(&[]).await;
    let asking = |name: &str, cpu: &str| {
        let requests = json!({"requests": {"cpu": cpu}});
        pod(name, json!({"containers": [{"name": "app", "image": APP, "resources": requests}]}))
    };
    for number in 0..20 {
        edge.meta.apply(&asking(&format!("large{number}"), "500")).await;
        edge.meta.apply(&asking(&format!("small{number}"), "1m")).await;
    }
    for number in 0..20 {
        edge.meta.until_ready(&format!("small{number}")).await;
    }
    let refused = |book: &crate::edged::testing::Book| {
        let statuses = book.statuses.values();
        statuses.filter(|status| status.reason.as_deref() == Some("OutOfcpu")).count()
    };
    assert_eq!(edge.meta.read(refused), 20);
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_runs_already_is_not_refused() {
    let node = Node::new();
    let huge = json!({"requests": {"cpu": "100000"}});
    let mut huge = pod("huge", json!({"containers": [{"name": "app", "image": APP, "resources": huge}]}));
    huge.status = Some(k8s_openapi::api::core::v1::PodStatus {
        start_time: Some(Time("2026-11-23T07:00:00Z".parse().unwrap())),
        ..Default::default()
    });
    let edge = node.start(&[huge]).await;
    edge.meta.until_ready("huge").await;
}

/// <https://kubernetes.io/docs/tasks/administer-cluster/sysctl-cluster/>
#[tokio::test(start_paused = true)]
async fn a_pod_that_would_change_the_nodes_kernel_is_refused() {
    let node = Node::new();
    let edge = node.start(&[]).await;
    let sysctls = json!({"sysctls": [{"name": "kernel.sem", "value": "1"}]});
    let spec = json!({"securityContext": sysctls, "containers": [{"name": "app", "image": APP}]});
    edge.meta.apply(&pod("web", spec)).await;
    let failed = |status: &k8s_openapi::api::core::v1::PodStatus| status.phase.as_deref() == Some("Failed");
    let status = edge.meta.until_status("web", "refused", failed).await;
    assert_eq!(status.reason.as_deref(), Some("SysctlForbidden"));
    assert_eq!(node.runtime.calls("RunPodSandbox"), 0);
}
