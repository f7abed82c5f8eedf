//! Critical pods take the place of others
//! (<https://kubernetes.io/docs/tasks/administer-cluster/guaranteed-scheduling-critical-addon-pods/>).

use k8s_openapi::api::core::v1::PodStatus;

use super::*;

/// A node for two pods.
fn small_node() -> Node {
    let mut node = Node::new();
    node.configure = |kubelet| kubelet.max_pods = 2;
    node
}

/// A pod with this spec besides its container.
fn with(name: &str, image: &str, spec: Value, resources: Value) -> Pod {
    let mut all = json!({"containers": [{"name": "app", "image": image, "resources": resources}]});
    all.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    pod(name, all)
}

fn vital(name: &str) -> Pod {
    with(
        name,
        APP,
        json!({"priority": 2_000_001_000, "priorityClassName": "system-node-critical"}),
        json!({}),
    )
}

fn guaranteed(name: &str) -> Pod {
    let amounts = json!({"cpu": "1m", "memory": "1Mi"});
    with(name, APP, json!({}), json!({"requests": amounts, "limits": amounts}))
}

fn failed(status: &PodStatus) -> bool {
    status.phase.as_deref() == Some("Failed")
}

#[tokio::test(start_paused = true)]
async fn a_critical_pod_takes_the_place_of_the_one_that_guarantees_least() {
    let slow = Behaviour { stops_after: Some(Duration::from_secs(7)), ..Behaviour::default() };
    let node = small_node().with_image("slow:1", slow);
    let edge = node.start(&[]).await;
    edge.meta.apply(&guaranteed("kept")).await;
    edge.meta.apply(&simple("other", "slow:1", "Always")).await;
    edge.meta.until_ready("kept").await;
    edge.meta.until_ready("other").await;
    let begin = Instant::now();
    edge.meta.apply(&vital("vital")).await;
    let status = edge.meta.until_status("other", "failed", failed).await;
    assert_eq!(seconds_since(begin), 7, "it has its own grace period");
    assert_eq!(status.reason.as_deref(), Some("Preempting"));
    assert_eq!(status.message.as_deref(), Some("Preempted in order to admit critical pod"));
    let conditions = status.conditions.unwrap();
    let condition = conditions.iter().find(|one| one.type_ == "DisruptionTarget").unwrap();
    assert_eq!(condition.reason.as_deref(), Some("TerminationByKubelet"));
    assert_eq!(
        condition.message.as_deref(),
        Some("Pod was preempted by Kubelet to accommodate a critical pod.")
    );
    assert_eq!(edge.meta.until_event("Preempting").await, "Preempted in order to admit critical pod");
    edge.meta.until_ready("vital").await;
    pass(Duration::from_secs(600)).await;
    assert_eq!(node.runtime.running(), ["kept/app#0", "vital/app#0"]);
    let order = edge.meta.read(|book| {
        let position = |name: &str, phase: &str| {
            let is_it = |(known, status): &(String, PodStatus)| {
                known == name && status.phase.as_deref() == Some(phase)
            };
            book.history.iter().position(is_it).unwrap()
        };
        position("other", "Failed") < position("vital", "Running")
    });
    assert!(order, "it begins when there is room");
    assert_eq!(edge.view.metrics.preemptions(), [("pods".to_owned(), 1)].into());

    // The next one has nobody to take the place of but the pod with guarantees, and then nobody at all.
    edge.meta.apply(&vital("second")).await;
    edge.meta.until_ready("second").await;
    edge.meta.apply(&vital("third")).await;
    let status = edge.meta.until_status("third", "refused", failed).await;
    assert_eq!(status.reason.as_deref(), Some("UnexpectedAdmissionError"));
    assert_eq!(
        status.message.as_deref(),
        Some(
            "Unexpected error while attempting to recover from admission failure: preemption: error finding a set of \
             pods to preempt: no set of running pods found to reclaim resources: [(res: pods, q: 1), ]"
        )
    );
    assert_eq!(node.runtime.running(), ["vital/app#0", "second/app#0"]);
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_is_not_critical_or_could_not_run_here_ends_nobody() {
    let node = small_node();
    let edge = node.start(&[]).await;
    for name in ["one", "two"] {
        edge.meta.apply(&simple(name, APP, "Always")).await;
        edge.meta.until_ready(name).await;
    }
    edge.meta.apply(&with("plain", APP, json!({"priority": 1_000_000_000}), json!({}))).await;
    let status = edge.meta.until_status("plain", "refused", failed).await;
    assert_eq!(status.reason.as_deref(), Some("OutOfpods"));
    let spec = json!({"priority": 2_000_000_000, "os": {"name": "windows"}});
    edge.meta.apply(&with("odd", APP, spec, json!({}))).await;
    let status = edge.meta.until_status("odd", "refused", failed).await;
    assert_eq!(status.reason.as_deref(), Some("PodOSNotSupported"));
    pass(Duration::from_secs(60)).await;
    assert_eq!(node.runtime.running(), ["one/app#0", "two/app#0"]);
    assert_eq!(node.runtime.calls("StopContainer"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_preemption_that_a_crash_broke_off_is_ended() {
    let node = small_node().with_image("stubborn:1", Behaviour { stubborn: true, ..Behaviour::default() });
    let edge = node.start(&[]).await;
    edge.meta.apply(&guaranteed("kept")).await;
    edge.meta.apply(&simple("other", "stubborn:1", "Always")).await;
    edge.meta.until_ready("other").await;
    edge.meta.until_ready("kept").await;
    edge.meta.apply(&vital("vital")).await;
    let is_told =
        |status: &PodStatus| status.conditions.iter().flatten().any(|one| one.type_ == "DisruptionTarget");
    let last = edge.meta.until_status("other", "told", is_told).await;
    assert!(!failed(&last), "it still runs");
    drop(edge);
    let mut other = simple("other", "stubborn:1", "Always");
    other.status = Some(last);
    let mut kept = guaranteed("kept");
    kept.status = Some(PodStatus { start_time: Some(Time(node.clock.now())), ..PodStatus::default() });
    let edge = node.start(&[kept, other, vital("vital")]).await;
    let status = edge.meta.until_status("other", "failed", failed).await;
    assert_eq!(status.reason.as_deref(), Some("Preempting"));
    edge.meta.until_ready("vital").await;
    assert_eq!(node.runtime.running(), ["kept/app#0", "vital/app#0"]);
}

#[tokio::test(start_paused = true)]
async fn a_critical_pod_that_goes_does_not_wait_for_room() {
    let node = small_node().with_image("stubborn:1", Behaviour { stubborn: true, ..Behaviour::default() });
    let edge = node.start(&[]).await;
    for name in ["one", "two"] {
        edge.meta.apply(&simple(name, "stubborn:1", "Always")).await;
        edge.meta.until_ready(name).await;
    }
    let begin = Instant::now();
    edge.meta.apply(&vital("vital")).await;
    pass(Duration::from_secs(1)).await;
    edge.meta.apply(&deleted(&vital("vital"), 30)).await;
    edge.meta.until_gone("uid-vital").await;
    assert_eq!(seconds_since(begin), 1);
    assert_eq!(node.runtime.calls("RunPodSandbox"), 2);
}
