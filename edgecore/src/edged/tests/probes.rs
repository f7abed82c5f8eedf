//! Probes, by the rules of
//! <https://kubernetes.io/docs/concepts/configuration/liveness-readiness-startup-probes/> ("the page" below; the
//! values are in its section "Configure probes") and <https://kubernetes.io/docs/concepts/workloads/pods/probes/>.

use k8s_openapi::api::core::v1::PodStatus;

use super::*;
use crate::edged::testing::{container, is_ready, waiting_reason};

/// A probe that runs this command; by default every 10 s, with 3 failures in a row.
fn exec(command: &str, more: Value) -> Value {
    let mut probe = json!({"exec": {"command": command.split(' ').collect::<Vec<_>>()}});
    probe.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    probe
}

/// A pod of one container `app` with these probes.
fn probed(name: &str, probes: Value) -> Pod {
    let mut app = json!({"name": "app", "image": APP});
    app.as_object_mut().unwrap().extend(probes.as_object().unwrap().clone());
    pod(name, json!({"containers": [app]}))
}

fn restarted(times: i32) -> impl Fn(&PodStatus) -> bool {
    move |status| container(status, "app").restart_count == times
}

fn started(status: &PodStatus) -> bool {
    container(status, "app").started == Some(true)
}

fn events(edge: &Edge, reason: &str) -> Vec<String> {
    edge.meta.read(|book| {
        let all = book.events.iter().filter(|(known, _)| known == reason);
        all.map(|(_, message)| message.clone()).collect()
    })
}

/// The page: `initialDelaySeconds`, `periodSeconds`; "the default state of readiness before the initial delay is
/// Failure" (pod lifecycle, container probes).
#[tokio::test(start_paused = true)]
async fn a_container_is_ready_once_its_probe_says_so() {
    let node = Node::new();
    let edge = node.start(&[]).await;
    let begin = Instant::now();
    let probe = exec("ready", json!({"initialDelaySeconds": 7, "periodSeconds": 4}));
    edge.meta.apply(&probed("web", json!({"readinessProbe": probe}))).await;
    let status = edge.meta.until_status("web", "started", started).await;
    assert!(!container(&status, "app").ready && !is_ready(&status));
    edge.meta.until_ready("web").await;
    assert_eq!(seconds_since(begin), 7);
    pass(Duration::from_secs(9)).await;
    assert_eq!(executed(&node, "ready", begin), [7, 11, 15]);
    assert!(events(&edge, "Unhealthy").is_empty());
}

/// The page: `failureThreshold`, `successThreshold`: "minimum consecutive failures / successes".
#[tokio::test(start_paused = true)]
async fn readiness_comes_and_goes_with_its_thresholds() {
    let node = Node::new();
    let edge = node.start(&[]).await;
    let begin = Instant::now();
    let thresholds = json!({"periodSeconds": 10, "failureThreshold": 2, "successThreshold": 3});
    edge.meta.apply(&probed("web", json!({"readinessProbe": exec("ready", thresholds)}))).await;
    edge.meta.until_ready("web").await;
    assert_eq!(seconds_since(begin), 20, "the third success");
    node.runtime.on_exec("ready", ExecAnswer::code(1).saying("cat: /tmp/ready: No such file or directory"));
    let status = edge.meta.until_status("web", "unready", |status| !is_ready(status)).await;
    assert_eq!(seconds_since(begin), 40, "the second failure");
    let conditions = status.conditions.unwrap();
    let condition = conditions.iter().find(|condition| condition.type_ == "ContainersReady").unwrap();
    assert_eq!(condition.message.as_deref(), Some("containers with unready status: [app]"));
    assert_eq!(container(&edge.meta.read(|book| book.statuses["web"].clone()), "app").restart_count, 0);
    let told = edge.meta.until_event("Unhealthy").await;
    assert_eq!(told, "Readiness probe failed: cat: /tmp/ready: No such file or directory");
    node.runtime.on_exec("ready", ExecAnswer::default());
    edge.meta.until_ready("web").await;
    assert_eq!(seconds_since(begin), 70);
}

/// The page: "if the liveness probe fails, the kubelet kills the container, and the container is subjected to its
/// restart policy"; the delays of a restarted container begin anew.
#[tokio::test(start_paused = true)]
async fn a_container_that_is_not_alive_is_restarted() {
    let node = Node::new();
    let edge = node.start(&[]).await;
    let begin = Instant::now();
    let probe = exec("alive", json!({"initialDelaySeconds": 5, "periodSeconds": 3}));
    edge.meta.apply(&probed("web", json!({"livenessProbe": probe}))).await;
    edge.meta.until_ready("web").await;
    assert_eq!(seconds_since(begin), 0, "liveness is taken for granted until it fails");
    node.runtime.on_exec("alive", ExecAnswer::code(1));
    edge.meta.until_status("web", "restarted", restarted(1)).await;
    edge.meta.until_ready("web").await;
    assert_eq!(seconds_since(begin), 11, "5 s, then three failures 3 s apart");
    assert_eq!(
        edge.meta.until_event("Killing").await,
        "Container app failed liveness probe, will be restarted"
    );
    assert_eq!(edge.meta.until_event("Unhealthy").await, "Liveness probe failed: command exited with 1");
    // The second restart waits, as after any crash.
    let backing_off =
        |status: &PodStatus| waiting_reason(status, "app").as_deref() == Some("CrashLoopBackOff");
    edge.meta.until_status("web", "backing off", backing_off).await;
    assert_eq!(executed(&node, "alive", begin), [5, 8, 11, 16, 19, 22]);
    node.runtime.on_exec("alive", ExecAnswer::default());
    edge.meta.until_status("web", "restarted again", restarted(2)).await;
    edge.meta.until_ready("web").await;
    assert_eq!(seconds_since(begin), 32);
    pass(Duration::from_secs(600)).await;
    assert_eq!(node.runtime.running(), ["web/app#2"]);
}

/// The page: "If such a probe is configured, it disables liveness and readiness checks until it succeeds"; their
/// delays "do not begin until the startup probe has succeeded".
#[tokio::test(start_paused = true)]
async fn a_startup_probe_holds_back_the_others() {
    let node = Node::new();
    node.runtime.on_exec("up", ExecAnswer::code(1));
    let edge = node.start(&[]).await;
    let begin = Instant::now();
    let probes = json!({
        "startupProbe": exec("up", json!({"periodSeconds": 10, "failureThreshold": 30})),
        "livenessProbe": exec("alive", json!({"periodSeconds": 5, "initialDelaySeconds": 3})),
        "readinessProbe": exec("ready", json!({"periodSeconds": 5})),
    });
    edge.meta.apply(&probed("web", probes)).await;
    pass(Duration::from_secs(95)).await;
    let status = edge.meta.read(|book| book.statuses["web"].clone());
    let app = container(&status, "app");
    assert_eq!((app.started, app.ready, app.restart_count), (Some(false), false, 0));
    assert!(app.state.as_ref().unwrap().running.is_some());
    assert_eq!(executed(&node, "up", begin).len(), 10);
    node.runtime.on_exec("up", ExecAnswer::default());
    edge.meta.until_ready("web").await;
    assert_eq!(seconds_since(begin), 100);
    pass(Duration::from_secs(11)).await;
    assert_eq!(executed(&node, "alive", begin), [103, 108]);
    assert_eq!(executed(&node, "ready", begin), [100, 105, 110]);
    assert_eq!(executed(&node, "up", begin).len(), 11, "it has done its work");
}

/// The page: "if the startup probe never succeeds, the container is killed after 300s [failureThreshold times
/// periodSeconds] and subject to the pod's restartPolicy".
#[tokio::test(start_paused = true)]
async fn a_container_that_never_starts_is_restarted() {
    let node = Node::new();
    node.runtime.on_exec("up", ExecAnswer::code(1));
    let edge = node.start(&[]).await;
    let begin = Instant::now();
    let probe = exec("up", json!({"periodSeconds": 10, "failureThreshold": 30, "initialDelaySeconds": 10}));
    edge.meta.apply(&probed("web", json!({"startupProbe": probe}))).await;
    pass(Duration::from_secs(290)).await;
    edge.meta.until_status("web", "restarted", restarted(1)).await;
    assert_eq!(seconds_since(begin), 300);
    assert_eq!(
        edge.meta.until_event("Killing").await,
        "Container app failed startup probe, will be restarted"
    );
    node.runtime.on_exec("up", ExecAnswer::default());
    edge.meta.until_ready("web").await;
    assert_eq!(seconds_since(begin), 310);
}

/// Probes: "probe-level terminationGracePeriodSeconds": "the probe-level value overrides the pod-level value".
#[tokio::test(start_paused = true)]
async fn a_probe_may_have_less_patience_than_the_pod() {
    let node = Node::new().with_image("stubborn:1", Behaviour { stubborn: true, ..Behaviour::default() });
    node.runtime.on_exec("alive", ExecAnswer::code(1));
    let edge = node.start(&[]).await;
    let begin = Instant::now();
    let own = json!({"failureThreshold": 1, "periodSeconds": 1, "terminationGracePeriodSeconds": 15});
    let spec = |probe: Value| {
        json!({"terminationGracePeriodSeconds": 100, "containers": [
            {"name": "app", "image": "stubborn:1", "livenessProbe": probe}]})
    };
    edge.meta.apply(&pod("own", spec(exec("alive", own)))).await;
    edge.meta.until_status("own", "restarted", restarted(1)).await;
    assert_eq!(seconds_since(begin), 15);
    let begin = Instant::now();
    edge.meta.apply(&pod("pods", spec(exec("alive", json!({"failureThreshold": 1}))))).await;
    pass(Duration::from_secs(90)).await;
    let status = edge.meta.read(|book| book.statuses["pods"].clone());
    assert_eq!(container(&status, "app").restart_count, 0, "after {} s", seconds_since(begin));
    edge.meta.until_status("pods", "restarted", restarted(1)).await;
    assert_eq!(seconds_since(begin), 100);
}

/// The page: `timeoutSeconds`, "number of seconds after which the probe times out"; exec probes obey it.
#[tokio::test(start_paused = true)]
async fn an_answer_that_comes_too_late_is_none() {
    let node = Node::new();
    node.runtime.on_exec("check slow", ExecAnswer::after(Duration::from_secs(3)));
    let edge = node.start(&[]).await;
    let probe = |timeout: u32| exec("check slow", json!({"timeoutSeconds": timeout, "failureThreshold": 1}));
    edge.meta.apply(&probed("patient", json!({"readinessProbe": probe(3)}))).await;
    edge.meta.apply(&probed("hasty", json!({"readinessProbe": probe(2)}))).await;
    edge.meta.until_ready("patient").await;
    let told = edge.meta.until_event("Unhealthy").await;
    assert_eq!(told, "Readiness probe failed: command timed out: \"check slow\" timed out after 2s");
    pass(Duration::from_secs(60)).await;
    assert!(!edge.meta.read(|book| is_ready(&book.statuses["hasty"])));
}

/// Pod lifecycle, container probes: what a probe that cannot be made says is "Unknown": "no action should be taken".
#[tokio::test(start_paused = true)]
async fn what_cannot_be_asked_has_no_consequences() {
    let node = Node::new();
    let edge = node.start(&[]).await;
    let named = json!({"httpGet": {"port": "nowhere"}, "failureThreshold": 1, "periodSeconds": 1});
    edge.meta.apply(&probed("web", json!({"livenessProbe": named}))).await;
    edge.meta.until_ready("web").await;
    let told = edge.meta.until_event("Unhealthy").await;
    assert_eq!(told, "Liveness probe errored and resulted in unknown state: couldn't find port: \"nowhere\"");
    let probes =
        json!({"livenessProbe": exec("alive", json!({})), "readinessProbe": exec("ready", json!({}))});
    edge.meta.apply(&probed("other", probes)).await;
    edge.meta.until_ready("other").await;
    node.runtime.down();
    pass(Duration::from_secs(600)).await;
    node.runtime.up();
    pass(Duration::from_secs(60)).await;
    assert_eq!(node.runtime.running(), ["web/app#0", "other/app#0"]);
    let flapped = edge.meta.read(|book| {
        let mut of_other =
            book.history.iter().filter(|(name, _)| name == "other").map(|(_, status)| is_ready(status));
        of_other.by_ref().any(|ready| ready) && of_other.any(|ready| !ready)
    });
    assert!(!flapped, "an outage of the runtime says nothing about the pod");
}

/// The page: the container "is subjected to its restart policy", which counts it as failed, whatever its exit code.
#[tokio::test(start_paused = true)]
async fn the_restart_policy_decides_what_follows() {
    let node = Node::new();
    node.runtime.on_exec("alive", ExecAnswer::code(1));
    let edge = node.start(&[]).await;
    let mut never = probed("never", json!({"livenessProbe": exec("alive", json!({"periodSeconds": 1}))}));
    never.spec.as_mut().unwrap().restart_policy = Some("Never".to_owned());
    edge.meta.apply(&never).await;
    let over = |status: &PodStatus| status.phase.as_deref() == Some("Succeeded");
    edge.meta.until_status("never", "over", over).await;
    assert_eq!(edge.meta.until_event("Killing").await, "Container app failed liveness probe");
    let mut on_failure = probed("job", json!({"livenessProbe": exec("alive", json!({"periodSeconds": 1}))}));
    on_failure.spec.as_mut().unwrap().restart_policy = Some("OnFailure".to_owned());
    edge.meta.apply(&on_failure).await;
    edge.meta.until_status("job", "restarted twice", restarted(2)).await;
    assert!(edge.meta.read(|book| book.history.iter().all(|(name, status)| name != "job" || !over(status))));
    node.runtime.on_exec("alive", ExecAnswer::default());
    edge.meta.until_ready("job").await;
    node.runtime.exit("app", 0);
    edge.meta.until_status("job", "over", over).await;
}

/// Pod termination: "liveness and startup probes are not run any more"; readiness goes on, so that whoever still sends
/// work knows (<https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-termination>).
#[tokio::test(start_paused = true)]
async fn only_readiness_is_probed_in_a_pod_that_ends() {
    let slow = Behaviour { stops_after: Some(Duration::from_secs(25)), ..Behaviour::default() };
    let node = Node::new().with_image("slow:1", slow);
    let edge = node.start(&[]).await;
    let mut web = probed(
        "web",
        json!({
            "livenessProbe": exec("alive", json!({"periodSeconds": 1, "failureThreshold": 1})),
            "readinessProbe": exec("ready", json!({"periodSeconds": 1, "failureThreshold": 1})),
        }),
    );
    web.spec.as_mut().unwrap().containers[0].image = Some("slow:1".to_owned());
    edge.meta.apply(&web).await;
    edge.meta.until_ready("web").await;
    let begin = Instant::now();
    edge.meta.apply(&deleted(&web, 30)).await;
    node.runtime.on_exec("alive", ExecAnswer::code(1));
    node.runtime.on_exec("ready", ExecAnswer::code(1));
    let alive = executed(&node, "alive", begin).len();
    edge.meta.until_status("web", "unready while it ends", |status| !is_ready(status)).await;
    assert!(seconds_since(begin) <= 2);
    edge.meta.until_gone("uid-web").await;
    assert_eq!(seconds_since(begin), 25);
    assert_eq!(executed(&node, "alive", begin).len(), alive);
    assert!(events(&edge, "Killing").iter().all(|message| message == "Stopping container app"));
}

/// Sidecars: "the next init container is started when the sidecar has started", with a startup probe when that has
/// succeeded (<https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/>).
#[tokio::test(start_paused = true)]
async fn what_follows_a_sidecar_waits_for_its_startup_probe() {
    let node = Node::new().with_image("init:1", Behaviour::ends(Duration::from_secs(1), 0));
    node.runtime.on_exec("side up", ExecAnswer::code(1));
    let edge = node.start(&[]).await;
    let side = json!({"name": "side", "image": APP, "restartPolicy": "Always",
        "startupProbe": exec("side up", json!({"periodSeconds": 5, "failureThreshold": 100})),
        "readinessProbe": exec("side ready", json!({}))});
    let spec = json!({
        "initContainers": [side, {"name": "init", "image": "init:1"}],
        "containers": [{"name": "app", "image": APP}],
    });
    edge.meta.apply(&pod("web", spec)).await;
    pass(Duration::from_secs(42)).await;
    assert_eq!(node.runtime.running(), ["web/side#0"]);
    let status = edge.meta.read(|book| book.statuses["web"].clone());
    assert_eq!(status.phase.as_deref(), Some("Pending"));
    let initialized = status.conditions.as_ref().unwrap().iter().find(|c| c.type_ == "Initialized").unwrap();
    assert_eq!(initialized.message.as_deref(), Some("containers with incomplete status: [side init]"));
    node.runtime.on_exec("side up", ExecAnswer::default());
    node.runtime.on_exec("side ready", ExecAnswer::code(1));
    let runs = |status: &PodStatus| status.phase.as_deref() == Some("Running");
    let status = edge.meta.until_status("web", "running", runs).await;
    assert_eq!(container(&status, "side").started, Some(true));
    assert!(!is_ready(&status), "readiness of a sidecar counts");
    node.runtime.on_exec("side ready", ExecAnswer::default());
    edge.meta.until_ready("web").await;
}

/// Pod lifecycle, container probes: "if a container does not provide a readiness probe, the default state is Success";
/// with a startup probe that is from when it has started.
#[tokio::test(start_paused = true)]
async fn without_a_readiness_probe_what_has_started_is_ready() {
    let node = Node::new();
    let edge = node.start(&[]).await;
    let begin = Instant::now();
    let probe = exec("up", json!({"initialDelaySeconds": 9}));
    edge.meta.apply(&probed("web", json!({"startupProbe": probe}))).await;
    edge.meta.until_ready("web").await;
    assert_eq!(seconds_since(begin), 9);
}

/// A node is not unready because edgecore is started anew: what is ready stays so, what has started is not asked again
/// whether it has, and a container that is found running is alive until its probe says otherwise.
#[tokio::test(start_paused = true)]
async fn a_new_edged_takes_up_where_the_old_one_was() {
    let node = Node::new();
    let probes = |ready: &str| {
        json!({
            "startupProbe": exec("up", json!({})),
            "livenessProbe": exec("alive", json!({})),
            "readinessProbe": exec(ready, json!({"initialDelaySeconds": 20, "failureThreshold": 2})),
        })
    };
    node.runtime.on_exec("never", ExecAnswer::code(1));
    let (mut web, mut sick) = (probed("web", probes("ready")), probed("sick", probes("never")));
    let first = node.start(&[]).await;
    first.meta.apply(&web).await;
    first.meta.apply(&sick).await;
    first.meta.until_ready("web").await;
    pass(Duration::from_secs(30)).await;
    for pod in [&mut web, &mut sick] {
        let name = pod.metadata.name.clone().unwrap();
        pod.status = first.meta.read(|book| book.statuses.get(&name).cloned());
    }
    drop(first);
    pass(Duration::from_secs(60)).await;
    let before = node.runtime.executed().len();
    let second = node.start(&[web, sick]).await;
    second.meta.until_ready("web").await;
    pass(Duration::from_secs(120)).await;
    let history = second.meta.read(|book| book.history.clone());
    assert!(history.iter().all(|(name, status)| is_ready(status) == (name == "web")), "{history:?}");
    let since: Vec<_> = node.runtime.executed().split_off(before);
    assert!(since.iter().all(|one| one.command != "up") && since.iter().any(|one| one.command == "alive"));
    node.runtime.on_exec("ready", ExecAnswer::code(1));
    second.meta.until_status("web", "unready", |status| !is_ready(status)).await;
    let mut running = node.runtime.running();
    running.sort_unstable();
    assert_eq!(running, ["sick/app#0", "web/app#0"]);
}

/// Other than kubelet, which is busy: a container that has failed does not wait for the image of another one.
#[tokio::test(start_paused = true)]
async fn a_pull_gives_way_to_a_container_that_failed() {
    let node =
        Node { runtime: Node::new().runtime.with_remote_image("far:1", Behaviour::serves()), ..Node::new() };
    node.runtime.slow_down("PullImage", Duration::from_secs(1800));
    node.runtime.on_exec("alive", ExecAnswer::code(1));
    let edge = node.start(&[]).await;
    let begin = Instant::now();
    let spec = json!({"containers": [
        {"name": "app", "image": APP, "livenessProbe": exec("alive", json!({}))},
        {"name": "other", "image": "far:1"}]});
    edge.meta.apply(&pod("web", spec)).await;
    edge.meta.until_event("Pulling").await;
    edge.meta.until_status("web", "restarted", restarted(1)).await;
    assert_eq!(seconds_since(begin), 20);
}
