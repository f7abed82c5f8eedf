use std::sync::Arc;

use k8s_openapi::api::core::v1::PodCondition;
use serde_json::{Value, json};

use super::*;
use crate::edged::pod::fixtures::{at, exited, pod, running, sandbox};
use crate::edged::pod::observed::ObservedContainer;

const HOST: [IpAddr; 1] = [IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1))];

fn observed(containers: Vec<ObservedContainer>) -> Observed {
    let ips = vec!["10.1.0.2".parse().unwrap()];
    Observed { sandboxes: vec![sandbox(0, true)], ips, containers }
}

fn status_after(pod: &Pod, observed: &Observed, previous: Option<&PodStatus>, now: i64) -> PodStatus {
    let instant = Instant::now();
    let mut state = PodState::new(Arc::new(pod.clone()), instant);
    state.observe(observed, instant);
    pod_status(&StatusInput {
        state: &state,
        observed,
        previous,
        host_ips: &HOST,
        runtime_name: "containerd",
        start_time: at(0),
        now: at(now),
        instant,
    })
}

fn status(pod: &Pod, observed: &Observed) -> PodStatus {
    status_after(pod, observed, None, 0)
}

fn condition<'a>(status: &'a PodStatus, kind: &str) -> &'a PodCondition {
    status.conditions.iter().flatten().find(|condition| condition.type_ == kind).unwrap()
}

fn two(policy: &str) -> Pod {
    let container = |name: &str| json!({"name": name, "image": "app:1"});
    pod(json!({"restartPolicy": policy, "containers": [container("a"), container("b")]}))
}

/// `Some(code)`: ended; `None`: runs.
fn phase_of(policy: &str, a: Option<i32>, b: Option<i32>) -> String {
    let pod = two(policy);
    let make = |name: &str, code: Option<i32>| match code {
        Some(code) => exited(&pod, name, 0, 0, code),
        None => running(&pod, name, 0, 0),
    };
    status(&pod, &observed(vec![make("a", a), make("b", b)])).phase.unwrap()
}

#[test]
fn phases_follow_the_containers() {
    assert_eq!(status(&two("Always"), &Observed::default()).phase.as_deref(), Some("Pending"));
    assert_eq!(phase_of("Always", None, None), "Running");
    assert_eq!(phase_of("Always", Some(1), Some(0)), "Running");
    assert_eq!(phase_of("OnFailure", Some(0), None), "Running");
    assert_eq!(phase_of("OnFailure", Some(0), Some(1)), "Running");
    assert_eq!(phase_of("OnFailure", Some(0), Some(0)), "Succeeded");
    assert_eq!(phase_of("Never", Some(0), Some(1)), "Failed");
    assert_eq!(phase_of("Never", Some(1), None), "Running");
}

#[test]
fn a_final_phase_stays() {
    let pod = two("Always");
    let before = PodStatus { phase: Some("Failed".to_owned()), ..PodStatus::default() };
    let status = status_after(&pod, &Observed::default(), Some(&before), 0);
    assert_eq!(status.phase.as_deref(), Some("Failed"));
}

#[test]
fn a_running_container_is_described() {
    let pod = two("Always");
    let status = status(&pod, &observed(vec![running(&pod, "a", 2, 0), running(&pod, "b", 0, 0)]));
    let a = &status.container_statuses.as_ref().unwrap()[0];
    assert_eq!(a.container_id.as_deref(), Some("containerd://a-2"));
    assert_eq!((a.restart_count, a.ready, a.started), (2, true, Some(true)));
    assert_eq!(a.state.as_ref().unwrap().running.as_ref().unwrap().started_at.as_ref().unwrap().0, at(1));
    assert_eq!(status.host_ip.as_deref(), Some("192.0.2.1"));
    assert_eq!(status.pod_ips.as_ref().unwrap()[0].ip, "10.1.0.2");
}

#[test]
fn conditions_name_who_is_not_ready_and_keep_their_time() {
    let pod = two("Always");
    let waits = status(&pod, &observed(vec![running(&pod, "a", 0, 0)]));
    let ready = condition(&waits, "Ready");
    assert_eq!((ready.status.as_str(), ready.reason.as_deref()), ("False", Some("ContainersNotReady")));
    assert_eq!(ready.message.as_deref(), Some("containers with unready status: [b]"));
    assert_eq!(condition(&waits, "PodReadyToStartContainers").status, "True");
    let both = observed(vec![running(&pod, "a", 0, 0), running(&pod, "b", 0, 0)]);
    let runs = status_after(&pod, &both, Some(&waits), 60);
    let since = |kind: &str| condition(&runs, kind).last_transition_time.as_ref().unwrap().0;
    assert_eq!((since("Ready"), since("Initialized")), (at(60), at(0)));
    // The same again changes nothing, however late it is.
    assert_eq!(status_after(&pod, &both, Some(&runs), 600), runs);
}

#[test]
fn readiness_gates_are_waited_for() {
    let spec = json!({"readinessGates": [{"conditionType": "example.com/ok"}], "containers": [{"name": "a", "image": "app:1"}]});
    let mut pod = pod(spec);
    let seen = observed(vec![running(&pod, "a", 0, 0)]);
    let before = status(&pod, &seen);
    assert_eq!(condition(&before, "Ready").reason.as_deref(), Some("ReadinessGatesNotReady"));
    assert_eq!(condition(&before, "ContainersReady").status, "True");
    let open = json!({"conditions": [{"type": "example.com/ok", "status": "True"}]});
    pod.status = Some(serde_json::from_value(open).unwrap());
    let after = status(&pod, &seen);
    assert_eq!(condition(&after, "Ready").status, "True");
    assert_eq!(condition(&after, "example.com/ok").status, "True", "it is kept");
}

fn with_init() -> Pod {
    let init: Value = json!([{"name": "i", "image": "app:1"}]);
    pod(
        json!({"restartPolicy": "Never", "initContainers": init, "containers": [{"name": "a", "image": "app:1"}]}),
    )
}

#[test]
fn initialization_is_shown() {
    let pod = with_init();
    let begins = status(&pod, &observed(vec![running(&pod, "i", 0, 0)]));
    let message = condition(&begins, "Initialized").message.as_deref();
    assert_eq!(message, Some("containers with incomplete status: [i]"));
    let a = &begins.container_statuses.as_ref().unwrap()[0];
    assert_eq!(
        a.state.as_ref().unwrap().waiting.as_ref().unwrap().reason.as_deref(),
        Some("PodInitializing")
    );
    let failed = status(&pod, &observed(vec![exited(&pod, "i", 0, 0, 2)]));
    assert_eq!(failed.phase.as_deref(), Some("Failed"));
    let runs = status(&pod, &observed(vec![exited(&pod, "i", 0, 0, 0), running(&pod, "a", 0, 0)]));
    assert_eq!(runs.phase.as_deref(), Some("Running"));
    assert!(runs.init_container_statuses.as_ref().unwrap()[0].ready);
}

#[test]
fn the_life_before_is_the_last_state() {
    let pod = two("Always");
    let seen = observed(vec![running(&pod, "a", 1, 0), exited(&pod, "a", 0, 0, 3), running(&pod, "b", 0, 0)]);
    let now = status(&pod, &seen);
    let last = now.container_statuses.as_ref().unwrap()[0].last_state.clone().unwrap().terminated.unwrap();
    assert_eq!((last.exit_code, last.reason.as_deref()), (3, Some("Error")));
    assert_eq!(last.container_id.as_deref(), Some("containerd://a-0"));
    // Its container is removed, and yet it is known.
    let later = observed(vec![running(&pod, "a", 1, 0), running(&pod, "b", 0, 0)]);
    let later = status_after(&pod, &later, Some(&now), 60);
    assert_eq!(later.container_statuses, now.container_statuses);
}

#[test]
fn what_a_container_said_last_is_its_message() {
    let pod = two("Never");
    let mut spoke = exited(&pod, "a", 0, 0, 1);
    spoke.last_words = Some("disk full".to_owned());
    let status = status(&pod, &observed(vec![spoke, running(&pod, "b", 0, 0)]));
    let ended = status.container_statuses.as_ref().unwrap()[0].state.clone().unwrap().terminated.unwrap();
    assert_eq!(ended.message.as_deref(), Some("disk full"));
}

#[test]
fn many_containers_have_less_room_for_their_last_messages() {
    let names: Vec<String> = (0..12).map(|n| format!("c{n}")).collect();
    let containers: Vec<_> = names.iter().map(|name| json!({"name": name, "image": "app:1"})).collect();
    let pod = pod(json!({"restartPolicy": "Never", "containers": containers}));
    let spoke = |name: &String| {
        let mut spoke = exited(&pod, name, 0, 0, 1);
        spoke.last_words = Some(format!("{}\u{fc}{0}", "x".repeat(1023)));
        spoke
    };
    let status = status(&pod, &observed(names.iter().map(spoke).collect()));
    for container in status.container_statuses.as_ref().unwrap() {
        let ended = container.state.as_ref().unwrap().terminated.as_ref().unwrap();
        assert_eq!(ended.message.as_deref(), Some("x".repeat(1023).as_str()), "no half letter");
    }
}

#[test]
fn on_the_nodes_network_a_pod_has_the_nodes_address() {
    let pod = pod(json!({"hostNetwork": true, "containers": [{"name": "a", "image": "app:1"}]}));
    let mut seen = observed(vec![running(&pod, "a", 0, 0)]);
    seen.ips.clear();
    assert_eq!(status(&pod, &seen).pod_ip.as_deref(), Some("192.0.2.1"));
}

#[test]
fn a_container_that_nobody_can_find_is_lost() {
    let mut pod = two("Always");
    let before = status(&pod, &observed(vec![running(&pod, "a", 0, 0), running(&pod, "b", 0, 0)]));
    pod.metadata.deletion_timestamp = Some(Time(at(5)));
    let status = status_after(&pod, &Observed::default(), Some(&before), 9);
    let a = &status.container_statuses.as_ref().unwrap()[0];
    let ended = a.state.as_ref().unwrap().terminated.as_ref().unwrap();
    assert_eq!((ended.exit_code, ended.reason.as_deref()), (137, Some("ContainerStatusUnknown")));
    assert_eq!(status.phase.as_deref(), Some("Failed"));
}

/// What was reported of a container says which number the next one has, when the runtime knows none any more.
#[test]
fn the_next_attempt_is_known_from_what_was_reported() {
    let next = |reported: Value| {
        let mut pod = two("Always");
        let mut status = json!({"name": "a", "image": "", "imageID": "", "ready": false, "restartCount": 4});
        status.as_object_mut().unwrap().extend(reported.as_object().unwrap().clone());
        pod.status = Some(serde_json::from_value(json!({"containerStatuses": [status]})).unwrap());
        next_attempt(&pod, "a")
    };
    let waits = json!({"waiting": {"reason": "ContainerCreating"}});
    let ended = |id: &str| json!({"terminated": {"exitCode": 1, "containerID": id}});
    assert_eq!(next(json!({})), None, "there was none");
    assert_eq!(next(json!({"containerID": "x://4", "state": {"running": {}}})), Some(5));
    assert_eq!(next(json!({"containerID": "x://4", "state": ended("x://4")})), Some(5));
    assert_eq!(next(json!({"containerID": "x://4", "state": waits, "lastState": ended("x://4")})), Some(5));
    assert_eq!(next(json!({"containerID": "x://4", "state": waits})), Some(4), "it has never begun");
    let unborn = json!({"containerID": "x://4", "state": waits, "lastState": ended("x://3")});
    assert_eq!(next(unborn), Some(4), "the one before it has ended");
}
