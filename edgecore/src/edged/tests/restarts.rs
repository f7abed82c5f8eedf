//! Containers that end, and a runtime that does.

use super::*;
use crate::edged::pod::backoff::{CRASH_INITIAL, CRASH_MAX};
use crate::edged::testing::{container, waiting_reason};

#[tokio::test(start_paused = true)]
async fn crashes_slow_down_and_are_told() {
    let node = Node::new().with_image("crash:1", Behaviour::ends(Duration::from_secs(1), 2));
    let edge = node.start(&[]).await;
    edge.meta.apply(&simple("web", "crash:1", "Always")).await;
    let status = edge
        .meta
        .until_status("web", "backing off", |status| {
            waiting_reason(status, "app").as_deref() == Some("CrashLoopBackOff")
        })
        .await;
    let app = container(&status, "app");
    let message = app.state.clone().unwrap().waiting.unwrap().message.unwrap();
    assert_eq!(message, "back-off 10s restarting failed container=app pod=web_shop(uid-web)");
    assert_eq!(app.last_state.clone().unwrap().terminated.unwrap().exit_code, 2);
    assert_eq!((app.restart_count, status.phase.as_deref()), (1, Some("Running")));
    assert_eq!(edge.meta.until_event("BackOff").await, message);

    // 10 + 20 + 40 + 80 + 160 s of waits, and then 300 s each; the runtime is asked every few seconds.
    pass(CRASH_INITIAL * 31 + Duration::from_secs(30)).await;
    assert_eq!(node.runtime.calls("StartContainer"), 2 + 5);
    pass(CRASH_MAX * 3).await;
    assert_eq!(node.runtime.calls("StartContainer"), 2 + 5 + 3);
    assert!(
        node.runtime.containers().len() <= 2,
        "old containers are removed: {:?}",
        node.runtime.containers()
    );
}

#[tokio::test(start_paused = true)]
async fn a_container_that_ran_long_restarts_at_once() {
    let node = Node::new().with_image("crash:1", Behaviour::ends(Duration::from_secs(660), 2));
    let edge = node.start(&[]).await;
    edge.meta.apply(&simple("web", "crash:1", "Always")).await;
    edge.meta.until_ready("web").await;
    pass(Duration::from_secs(3 * 670)).await;
    assert_eq!(node.runtime.running(), ["web/app#3"]);
    assert!(edge.meta.read(|book| book.events.iter().all(|(reason, _)| reason != "BackOff")));
}

#[tokio::test(start_paused = true)]
async fn on_failure_restarts_failures_only() {
    let node = Node::new();
    let edge = node.start(&[]).await;
    edge.meta.apply(&simple("job", APP, "OnFailure")).await;
    edge.meta.until_ready("job").await;
    node.runtime.exit("app", 1);
    edge.meta.until_status("job", "restarted", |status| container(status, "app").restart_count == 1).await;
    edge.meta.until_ready("job").await;
    node.runtime.exit("app", 0);
    let done = |status: &k8s_openapi::api::core::v1::PodStatus| status.phase.as_deref() == Some("Succeeded");
    edge.meta.until_status("job", "done", done).await;
}

#[tokio::test(start_paused = true)]
async fn a_container_that_cannot_start_says_so() {
    let broken = Behaviour { broken: Some("exec: \"/app\": not found".to_owned()), ..Behaviour::default() };
    let node = Node::new().with_image("broken:1", broken);
    let edge = node.start(&[]).await;
    edge.meta.apply(&simple("web", "broken:1", "Always")).await;
    let status = edge
        .meta
        .until_status("web", "failing to start", |status| {
            waiting_reason(status, "app").as_deref() == Some("RunContainerError")
        })
        .await;
    let message = container(&status, "app").state.clone().unwrap().waiting.unwrap().message.unwrap();
    assert!(message.contains("not found"), "{message}");
    pass(Duration::from_secs(100)).await;
    assert!((3..=6).contains(&node.runtime.calls("StartContainer")), "it is tried again, but not in a hurry");
}

/// The runtime learns from one source that memory was short and from another that the process has ended, and of the end
/// often first. <https://kubernetes.io/docs/tasks/configure-pod-container/assign-memory-resource/>
#[tokio::test(start_paused = true)]
async fn a_container_that_was_killed_for_its_memory_says_so_when_the_runtime_knows() {
    let node = Node::new();
    let edge = node.start(&[]).await;
    let containers = json!([{"name": "app", "image": APP}, {"name": "other", "image": APP}]);
    edge.meta.apply(&pod("web", json!({"restartPolicy": "Never", "containers": containers}))).await;
    edge.meta.until_ready("web").await;
    let reason = |status: &k8s_openapi::api::core::v1::PodStatus| {
        container(status, "app").state.clone()?.terminated?.reason
    };
    node.runtime.exit("app", 137);
    edge.meta.until_status("web", "killed", |status| reason(status).as_deref() == Some("Error")).await;
    node.runtime.explain("app", "OOMKilled");
    node.runtime.exit("other", 0);
    edge.meta.until_status("web", "explained", |status| reason(status).as_deref() == Some("OOMKilled")).await;
}

#[tokio::test(start_paused = true)]
async fn an_outage_of_the_runtime_costs_nothing_but_time() {
    let node = Node::new();
    let edge = node.start(&[]).await;
    edge.meta.apply(&simple("web", APP, "Always")).await;
    edge.meta.until_ready("web").await;
    node.runtime.down();
    pass(Duration::from_secs(60)).await;
    let condition = edge
        .meta
        .until("the node not ready", |book| {
            let conditions = book.node.as_ref()?.conditions.clone()?;
            conditions.into_iter().find(|condition| condition.type_ == "Ready" && condition.status == "False")
        })
        .await;
    assert!(condition.message.unwrap().contains("unix:///fake.sock"));
    edge.meta.apply(&simple("late", APP, "Always")).await;
    let gone = simple("web", APP, "Always");
    edge.meta.apply(&deleted(&gone, 5)).await;
    pass(Duration::from_secs(300)).await;
    assert_eq!(node.runtime.running(), ["web/app#0"]);
    node.runtime.up();
    edge.meta.until_ready("late").await;
    edge.meta.until_gone("uid-web").await;
    assert_eq!(node.runtime.running(), ["late/app#0"]);
}

#[tokio::test(start_paused = true)]
async fn a_dead_sandbox_is_replaced_with_everything_in_it() {
    let node = Node::new();
    let edge = node.start(&[]).await;
    edge.meta.apply(&simple("web", APP, "Always")).await;
    edge.meta.until_ready("web").await;
    node.runtime.power_cut();
    edge.meta
        .until_status("web", "running again", |status| {
            let app = container(status, "app");
            app.ready && app.restart_count == 1
        })
        .await;
    assert_eq!(node.runtime.running(), ["web/app#1"]);
    let metadata = node.runtime.last_sandbox_config().metadata.unwrap();
    assert_eq!(metadata.attempt, 1);
}

#[tokio::test(start_paused = true)]
async fn while_nothing_happens_the_runtime_is_left_alone() {
    let mut node = Node::new();
    node.runtime = node.runtime.with_events();
    let edge = node.start(&[]).await;
    edge.meta.apply(&simple("web", APP, "Always")).await;
    edge.meta.until_ready("web").await;
    pass(Duration::from_secs(60)).await;
    let before = node.runtime.calls("ListContainers");
    pass(Duration::from_secs(600)).await;
    let asked = node.runtime.calls("ListContainers") - before;
    assert!(asked <= 11, "{asked} lists in 10 minutes");
    // And yet an end is noticed at once.
    let begin = Instant::now();
    node.runtime.exit("app", 1);
    edge.meta
        .until_status("web", "restarted", |status| {
            let app = container(status, "app");
            app.ready && app.restart_count == 1
        })
        .await;
    assert_eq!(seconds_since(begin), 0);
}
