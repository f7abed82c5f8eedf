//! Lifecycle hooks, by the rules of <https://kubernetes.io/docs/concepts/containers/container-lifecycle-hooks/>
//! ("the page" below) and <https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-termination>.

use k8s_openapi::api::core::v1::PodStatus;

use super::*;
use crate::edged::testing::{container, waiting_reason};

fn run(command: &str) -> Value {
    json!({"exec": {"command": command.split(' ').collect::<Vec<_>>()}})
}

/// A pod of one container `app` with these hooks.
fn hooked(name: &str, image: &str, lifecycle: Value) -> Pod {
    let app = json!({"name": "app", "image": image, "lifecycle": lifecycle});
    pod(name, json!({"containers": [app]}))
}

fn stubborn() -> Node {
    Node::new().with_image("stubborn:1", Behaviour { stubborn: true, ..Behaviour::default() })
}

fn restarted(times: i32) -> impl Fn(&PodStatus) -> bool {
    move |status| container(status, "app").restart_count == times
}

/// The page: the container does not reach the running state before the hook has ended. What follows it in the pod
/// waits as well: the containers are started one after the other, each with its hook.
#[tokio::test(start_paused = true)]
async fn a_container_waits_for_its_post_start_hook() {
    let node = Node::new();
    node.runtime.on_exec("warm up", ExecAnswer::after(Duration::from_secs(40)));
    let edge = node.start(&[]).await;
    let begin = Instant::now();
    let spec = json!({"containers": [
        {"name": "app", "image": APP, "lifecycle": {"postStart": run("warm up")},
         "readinessProbe": {"exec": {"command": ["ready"]}, "initialDelaySeconds": 50}},
        {"name": "next", "image": APP}]});
    edge.meta.apply(&pod("web", spec)).await;
    pass(Duration::from_secs(39)).await;
    assert_eq!(node.runtime.running(), ["web/app#0"]);
    let status = edge.meta.read(|book| book.statuses["web"].clone());
    assert_eq!(waiting_reason(&status, "app").as_deref(), Some("ContainerCreating"));
    assert_eq!((status.phase.as_deref(), container(&status, "app").ready), (Some("Pending"), false));
    edge.meta.until_ready("web").await;
    assert_eq!(seconds_since(begin), 50, "delays count from the start, not from the end of the hook");
    assert_eq!(executed(&node, "warm up", begin), [0]);
    assert_eq!(node.runtime.running(), ["web/app#0", "web/next#0"]);
}

/// The page: "if either a PostStart or PreStop hook fails, it kills the container", and an event says so.
#[tokio::test(start_paused = true)]
async fn a_failed_post_start_hook_ends_the_container() {
    let node = Node::new();
    node.runtime.on_exec("warm up", ExecAnswer::code(4).saying("password=secret"));
    let edge = node.start(&[]).await;
    edge.meta.apply(&hooked("web", APP, json!({"postStart": run("warm up")}))).await;
    let failed = |status: &PodStatus| waiting_reason(status, "app").as_deref() == Some("PostStartHookError");
    edge.meta.until_status("web", "failed", failed).await;
    let told = edge.meta.until_event("FailedPostStartHook").await;
    assert_eq!(told, "PostStartHook failed: command exited with 4", "and not what it said");
    assert_eq!(edge.meta.until_event("Killing").await, "FailedPostStartHook");
    edge.meta.until_status("web", "restarted", restarted(2)).await;
    pass(Duration::from_secs(100)).await;
    let attempts = node.runtime.calls("StartContainer");
    assert!((4..=6).contains(&attempts), "restarts slow down as after a crash: {attempts}");
    node.runtime.on_exec("warm up", ExecAnswer::default());
    edge.meta.until_ready("web").await;
}

/// The page (API reference): "TCPSocket is NOT supported as a LifecycleHandler [...] will fail at runtime".
#[tokio::test(start_paused = true)]
async fn a_tcp_hook_fails() {
    let node = Node::new();
    let edge = node.start(&[]).await;
    edge.meta.apply(&hooked("web", APP, json!({"postStart": {"tcpSocket": {"port": 80}}}))).await;
    let told = edge.meta.until_event("FailedPostStartHook").await;
    assert_eq!(told, "PostStartHook failed: tcpSocket is not supported as a hook");
}

/// The page, hook delivery guarantees: a hook "may be resent after the kubelet comes back up". Here it is, so that a
/// container is not taken for started whose hook was cut off.
#[tokio::test(start_paused = true)]
async fn a_post_start_hook_that_edgecore_left_is_run_again() {
    let node = Node::new();
    node.runtime.on_exec("warm up", ExecAnswer::after(Duration::from_secs(40)));
    let web = hooked("web", APP, json!({"postStart": run("warm up")}));
    let first = node.start(&[]).await;
    let begin = Instant::now();
    first.meta.apply(&web).await;
    pass(Duration::from_secs(20)).await;
    drop(first);
    let second = node.start(std::slice::from_ref(&web)).await;
    second.meta.until_ready("web").await;
    assert_eq!((executed(&node, "warm up", begin), seconds_since(begin)), (vec![0, 20], 60));
    drop(second);
    let third = node.start(std::slice::from_ref(&web)).await;
    third.meta.until_ready("web").await;
    pass(Duration::from_secs(60)).await;
    assert_eq!(executed(&node, "warm up", begin).len(), 2, "one that has ended is not");
    assert_eq!(node.runtime.running(), ["web/app#0"]);
}

/// The API reference of `lifecycle`: management waits for the hook "unless the container process fails, in which case
/// the handler is aborted"; and a pod that goes does not wait for one that hangs.
#[tokio::test(start_paused = true)]
async fn a_post_start_hook_that_hangs_keeps_nobody() {
    let node = Node::new();
    node.runtime.on_exec("hang", ExecAnswer::after(Duration::from_secs(1_000_000)));
    let edge = node.start(&[]).await;
    let web = hooked("web", APP, json!({"postStart": run("hang")}));
    edge.meta.apply(&web).await;
    pass(Duration::from_secs(30)).await;
    node.runtime.exit("app", 1);
    pass(Duration::from_secs(5)).await;
    assert_eq!(node.runtime.running(), ["web/app#1"]);
    let begin = Instant::now();
    edge.meta.apply(&deleted(&web, 30)).await;
    edge.meta.until_gone("uid-web").await;
    assert_eq!(seconds_since(begin), 0);
}

/// Pod termination: the grace period "includes the time for the preStop hook and for the container to stop": a hook of 12
/// of 20 s leaves 8.
#[tokio::test(start_paused = true)]
async fn a_pre_stop_hook_counts_against_the_grace_period() {
    let node = stubborn();
    node.runtime.on_exec("drain", ExecAnswer::after(Duration::from_secs(12)));
    let edge = node.start(&[]).await;
    let web = hooked("web", "stubborn:1", json!({"preStop": run("drain")}));
    edge.meta.apply(&web).await;
    edge.meta.until_ready("web").await;
    let begin = Instant::now();
    edge.meta.apply(&deleted(&web, 20)).await;
    pass(Duration::from_secs(11)).await;
    assert_eq!(node.runtime.calls("StopContainer"), 0, "the signal comes after the hook");
    edge.meta.until_gone("uid-web").await;
    assert_eq!((seconds_since(begin), executed(&node, "drain", begin)), (20, vec![0]));
}

/// Pod termination: "if the preStop hook is still running after the grace period expires, the kubelet requests a small,
/// one-off grace period extension of 2 seconds".
#[tokio::test(start_paused = true)]
async fn after_a_pre_stop_hook_that_never_ends_there_are_two_seconds() {
    let node = stubborn();
    let edge = node.start(&[]).await;
    let web = hooked("web", "stubborn:1", json!({"preStop": {"sleep": {"seconds": 600}}}));
    edge.meta.apply(&web).await;
    edge.meta.until_ready("web").await;
    let begin = Instant::now();
    edge.meta.apply(&deleted(&web, 10)).await;
    edge.meta.until_gone("uid-web").await;
    assert_eq!(seconds_since(begin), 12);
    let told = edge.meta.until_event("FailedPreStopHook").await;
    assert_eq!(told, "PreStopHook failed: it did not end within the grace period");
}

/// The page: a failed hook is told by `FailedPreStopHook`, and the container ends all the same.
#[tokio::test(start_paused = true)]
async fn a_failed_pre_stop_hook_is_told_and_stops_nothing() {
    let node = Node::new();
    node.runtime.on_exec("drain", ExecAnswer::code(9));
    let edge = node.start(&[]).await;
    let web = hooked("web", APP, json!({"preStop": run("drain")}));
    edge.meta.apply(&web).await;
    edge.meta.until_ready("web").await;
    let begin = Instant::now();
    edge.meta.apply(&deleted(&web, 30)).await;
    edge.meta.until_gone("uid-web").await;
    assert_eq!(seconds_since(begin), 0);
    assert_eq!(edge.meta.until_event("FailedPreStopHook").await, "PreStopHook failed: command exited with 9");
}

/// The page: PreStop is called "due to an API request or management event such as a liveness/startup probe failure"; not
/// when "the container is already in a terminated or completed state".
#[tokio::test(start_paused = true)]
async fn a_pre_stop_hook_runs_for_those_that_are_ended_only() {
    let node = Node::new();
    let edge = node.start(&[]).await;
    let mut web = hooked("web", APP, json!({"preStop": run("drain")}));
    let probe = json!({"exec": {"command": ["alive"]}, "periodSeconds": 1});
    web.spec.as_mut().unwrap().containers[0].liveness_probe = Some(serde_json::from_value(probe).unwrap());
    edge.meta.apply(&web).await;
    edge.meta.until_ready("web").await;
    let begin = Instant::now();
    node.runtime.exit("app", 1);
    edge.meta.until_status("web", "restarted", restarted(1)).await;
    assert!(executed(&node, "drain", begin).is_empty());
    node.runtime.on_exec("alive", ExecAnswer::code(1));
    edge.meta.until_status("web", "restarted again", restarted(2)).await;
    assert_eq!(executed(&node, "drain", begin).len(), 1);
}

/// Whatever happens on the way, a hook is begun once for each container.
#[tokio::test(start_paused = true)]
async fn a_pre_stop_hook_goes_on_when_the_grace_period_is_cut_short() {
    let node = stubborn();
    node.runtime.on_exec("drain", ExecAnswer::after(Duration::from_secs(15)));
    let edge = node.start(&[]).await;
    let web = hooked("web", "stubborn:1", json!({"preStop": run("drain")}));
    edge.meta.apply(&web).await;
    edge.meta.until_ready("web").await;
    let begin = Instant::now();
    node.runtime.fail_next("StopContainer", 1, tonic::Code::Unknown, "no");
    edge.meta.apply(&deleted(&web, 3000)).await;
    pass(Duration::from_secs(5)).await;
    edge.meta.apply(&deleted(&web, 20)).await;
    edge.meta.until_gone("uid-web").await;
    assert_eq!((seconds_since(begin), executed(&node, "drain", begin)), (25, vec![0]));
}

/// The page: hooks are delivered at least once. edgecore ends in the middle of one: the pod is stopped all the same.
#[tokio::test(start_paused = true)]
async fn a_pre_stop_hook_that_edgecore_left_is_run_again() {
    let node = stubborn();
    node.runtime.on_exec("drain", ExecAnswer::after(Duration::from_secs(8)));
    let first = node.start(&[]).await;
    let web = hooked("web", "stubborn:1", json!({"preStop": run("drain")}));
    first.meta.apply(&web).await;
    first.meta.until_ready("web").await;
    let begin = Instant::now();
    first.meta.apply(&deleted(&web, 10)).await;
    pass(Duration::from_secs(5)).await;
    drop(first);
    let second = node.start(&[deleted(&web, 10)]).await;
    second.meta.until_gone("uid-web").await;
    assert_eq!((executed(&node, "drain", begin), seconds_since(begin)), (vec![0, 5], 15));
    assert!(node.runtime.containers().is_empty());
}

/// A pod that goes does not wait until one of its containers, which is to be restarted, has used up its time.
#[tokio::test(start_paused = true)]
async fn a_pod_that_goes_does_not_wait_for_a_restart() {
    let node = stubborn();
    node.runtime.on_exec("alive", ExecAnswer::code(1));
    let edge = node.start(&[]).await;
    let spec = json!({"terminationGracePeriodSeconds": 60, "containers": [
        {"name": "app", "image": "stubborn:1", "livenessProbe": {"exec": {"command": ["alive"]}, "periodSeconds": 1}},
        {"name": "other", "image": APP, "lifecycle": {"preStop": run("drain")}}]});
    let web = pod("web", spec);
    edge.meta.apply(&web).await;
    edge.meta.until_event("Killing").await;
    let begin = Instant::now();
    edge.meta.apply(&deleted(&web, 30)).await;
    edge.meta.until_gone("uid-web").await;
    assert_eq!((executed(&node, "drain", begin), seconds_since(begin)), (vec![0], 30));
}

/// While the runtime is away a hook is not held against its container.
#[tokio::test(start_paused = true)]
async fn a_hook_waits_for_the_runtime() {
    let node = Node::new();
    node.runtime.slow_down("ExecSync", Duration::from_secs(1));
    let edge = node.start(&[]).await;
    node.runtime.fail_next("ExecSync", 30, tonic::Code::Unavailable, "connection refused");
    edge.meta.apply(&hooked("web", APP, json!({"postStart": run("warm up")}))).await;
    edge.meta.until_ready("web").await;
    assert_eq!(node.runtime.running(), ["web/app#0"]);
    assert_eq!(node.runtime.calls("ExecSync"), 31);
}

/// Pod termination with sidecars: they are asked to end after the others; kubelet begins their hooks with those of the
/// others, so that all fit into one grace period.
#[tokio::test(start_paused = true)]
async fn a_sidecars_hook_begins_with_the_others() {
    let slow = Behaviour { stops_after: Some(Duration::from_secs(20)), ..Behaviour::default() };
    let node = Node::new().with_image("slow:1", slow);
    node.runtime.on_exec("drain side", ExecAnswer::after(Duration::from_secs(15)));
    let edge = node.start(&[]).await;
    let spec = json!({
        "initContainers": [{"name": "side", "image": APP, "restartPolicy": "Always",
            "lifecycle": {"preStop": run("drain side")}}],
        "containers": [{"name": "app", "image": "slow:1"}]});
    let web = pod("web", spec);
    edge.meta.apply(&web).await;
    edge.meta.until_ready("web").await;
    let begin = Instant::now();
    edge.meta.apply(&deleted(&web, 30)).await;
    pass(Duration::from_secs(19)).await;
    assert_eq!(node.runtime.running(), ["web/side#0", "web/app#0"]);
    edge.meta.until_gone("uid-web").await;
    assert_eq!((executed(&node, "drain side", begin), seconds_since(begin)), (vec![0], 20));
}
