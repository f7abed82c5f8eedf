//! edged ends and starts again, and so does the machine.

use super::*;
use crate::edged::testing::container;

#[tokio::test(start_paused = true)]
async fn what_runs_is_adopted() {
    let node = Node::new();
    let web = simple("web", APP, "Always");
    let first = node.start(&[]).await;
    first.meta.apply(&web).await;
    let before = first.meta.until_ready("web").await;
    drop(first);
    pass(Duration::from_secs(600)).await;
    let second = node.start(std::slice::from_ref(&web)).await;
    let after = second.meta.until_ready("web").await;
    let (before, after) = (container(&before, "app"), container(&after, "app"));
    assert_eq!((&before.container_id, before.restart_count), (&after.container_id, after.restart_count));
    assert_eq!(node.runtime.calls("CreateContainer"), 1);
}

#[tokio::test(start_paused = true)]
async fn an_empty_store_kills_nothing() {
    let node = Node::new();
    let web = simple("web", APP, "Always");
    let first = node.start(&[]).await;
    first.meta.apply(&web).await;
    first.meta.until_ready("web").await;
    drop(first);
    let second = node.start(&[]).await;
    pass(Duration::from_secs(600)).await;
    assert_eq!(node.runtime.running(), ["web/app#0"]);
    // The cloud's word comes later.
    second.meta.apply(&web).await;
    second.meta.until_ready("web").await;
    assert_eq!(node.runtime.calls("CreateContainer"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_delete_reaches_a_pod_that_only_the_runtime_knows() {
    let node = Node::new();
    let web = simple("web", APP, "Always");
    let first = node.start(&[]).await;
    first.meta.apply(&web).await;
    first.meta.until_ready("web").await;
    drop(first);
    let second = node.start(&[]).await;
    second.meta.tell(PodChange::Delete(key(&web))).await;
    pass(Duration::from_secs(10)).await;
    assert_eq!((node.runtime.containers().len(), node.runtime.sandboxes()), (0, 0));
    assert!(!node.disk.path().join("kubelet/pods/uid-web").exists());
    // Until this is said, the delete is told again after each start.
    second.meta.until("the removal", |book| (book.removed == [key(&web)]).then_some(())).await;
}

#[tokio::test(start_paused = true)]
async fn another_pod_of_the_same_name_replaces_the_old_one() {
    let node = Node::new();
    let old = simple("web", APP, "Always");
    let mut new = old.clone();
    new.metadata.uid = Some("uid-new".to_owned());
    let first = node.start(&[]).await;
    first.meta.apply(&old).await;
    first.meta.until_ready("web").await;
    drop(first);
    let second = node.start(std::slice::from_ref(&new)).await;
    second.meta.until_ready("web").await;
    pass(Duration::from_secs(10)).await;
    assert_eq!(node.runtime.running(), ["web/app#0"]);
    assert_eq!(node.runtime.last_sandbox_config().metadata.unwrap().uid, "uid-new");
    // While edged runs, too.
    let mut newest = new.clone();
    newest.metadata.uid = Some("uid-newest".to_owned());
    second.meta.apply(&newest).await;
    pass(Duration::from_secs(10)).await;
    assert_eq!(node.runtime.running(), ["web/app#0"]);
    assert_eq!(node.runtime.last_sandbox_config().metadata.unwrap().uid, "uid-newest");
}

/// A status waits for the cloud under the pod's name: what is still said of an old pod would take the place of what a new
/// one of the same name has said, and nobody is there to hear it.
#[tokio::test(start_paused = true)]
async fn of_a_pod_that_the_cloud_has_removed_nothing_more_is_said() {
    let stubborn = Behaviour { stubborn: true, ..Behaviour::default() };
    let node = Node::new().with_image("stubborn:1", stubborn);
    let edge = node.start(&[]).await;
    let old = simple("web", "stubborn:1", "Always");
    edge.meta.apply(&old).await;
    edge.meta.until_ready("web").await;
    let said = edge.meta.read(|book| book.history.len());
    edge.meta.tell(PodChange::Delete(key(&old))).await;
    pass(Duration::from_secs(60)).await;
    assert!(node.runtime.running().is_empty(), "it was killed");
    assert_eq!(edge.meta.read(|book| book.history.len()), said);
}

#[tokio::test(start_paused = true)]
async fn a_cold_boot_starts_everything_from_the_store() {
    let node = Node::new().with_image("job:1", Behaviour::ends(Duration::from_secs(1), 0));
    let (web, job) = (simple("web", APP, "Always"), simple("job", "job:1", "Never"));
    let first = node.start(&[]).await;
    first.meta.apply(&web).await;
    first.meta.apply(&job).await;
    first.meta.until_ready("web").await;
    let done = |status: &k8s_openapi::api::core::v1::PodStatus| status.phase.as_deref() == Some("Succeeded");
    let job_status = first.meta.until_status("job", "done", done).await;
    drop(first);
    node.runtime.power_cut();
    let stored_job = Pod { status: Some(job_status), ..job };
    let second = node.start(&[web, stored_job]).await;
    let status = second.meta.until_ready("web").await;
    assert_eq!(container(&status, "app").restart_count, 1);
    pass(Duration::from_secs(60)).await;
    assert_eq!(node.runtime.running(), ["web/app#1"], "a job that is done stays done");
}

#[tokio::test(start_paused = true)]
async fn a_runtime_that_forgot_everything_goes_on_counting() {
    let node = Node::new();
    let mut web = simple("web", APP, "Always");
    let first = node.start(&[]).await;
    first.meta.apply(&web).await;
    first.meta.until_ready("web").await;
    node.runtime.exit("app", 1);
    let status = first
        .meta
        .until_status("web", "restarted", |status| {
            let app = container(status, "app");
            app.ready && app.restart_count == 1
        })
        .await;
    drop(first);
    let node = Node { runtime: Node::new().runtime, ..node };
    web.status = Some(status);
    let second = node.start(std::slice::from_ref(&web)).await;
    second
        .meta
        .until_status("web", "counted on", |status| {
            let app = container(status, "app");
            app.ready && app.restart_count == 2
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_was_being_deleted_is_finished_off() {
    let node = Node::new();
    let web = simple("web", APP, "Always");
    let first = node.start(&[]).await;
    first.meta.apply(&web).await;
    first.meta.until_ready("web").await;
    drop(first);
    let second = node.start(&[deleted(&web, 30)]).await;
    second.meta.until_gone("uid-web").await;
    assert!(node.runtime.containers().is_empty());
}

/// edged, five seconds after it has asked the runtime to start the pod's container, which takes a minute.
async fn amid_a_start(node: &Node, pod: &Pod) -> Edge {
    node.runtime.slow_down("StartContainer", Duration::from_secs(60));
    let edge = node.start(&[]).await;
    edge.meta.apply(pod).await;
    edge.meta.until_event("Created").await;
    pass(Duration::from_secs(5)).await;
    edge
}

#[tokio::test(start_paused = true)]
async fn a_container_that_was_only_made_is_made_again() {
    let node = Node::new();
    let web = simple("web", APP, "Always");
    let first = amid_a_start(&node, &web).await;
    drop(first);
    node.runtime.slow_down("StartContainer", Duration::ZERO);
    let second = node.start(std::slice::from_ref(&web)).await;
    second.meta.until_ready("web").await;
    pass(Duration::from_secs(120)).await;
    assert_eq!(node.runtime.running().len(), 1);
}

/// edged was killed in the middle of a start: the program has never run, so it has not failed, and a pod whose containers
/// run once still runs. A log that was begun for it does not count as a restart.
#[tokio::test(start_paused = true)]
async fn a_start_that_was_broken_off_is_no_failure() {
    let node = Node::new();
    let once = simple("web", APP, "Never");
    let first = amid_a_start(&node, &once).await;
    let log = node.disk.path().join("logs/shop_web_uid-web/app/0.log");
    std::fs::write(&log, "").unwrap();
    drop(first);
    node.runtime.slow_down("StartContainer", Duration::ZERO);
    let second = node.start(std::slice::from_ref(&once)).await;
    let status = second.meta.until_ready("web").await;
    assert_eq!(container(&status, "app").restart_count, 0);
    assert_eq!(node.runtime.running(), ["web/app#0"]);
}

/// containerd was killed while it made a container, and knows only its id after: its program has never run, so it has not failed.
#[tokio::test(start_paused = true)]
async fn a_container_of_which_nothing_but_the_id_is_known_is_made_again() {
    let node = Node::new();
    let once = simple("web", APP, "Never");
    let first = amid_a_start(&node, &once).await;
    drop(first);
    node.runtime.forget("app");
    node.runtime.slow_down("StartContainer", Duration::ZERO);
    let second = node.start(std::slice::from_ref(&once)).await;
    let status = second.meta.until_ready("web").await;
    assert_eq!(container(&status, "app").restart_count, 0);
    assert_eq!(node.runtime.running(), ["web/app#0"]);
}
