use serde_json::{Value, json};

use super::*;

fn deployment(status: Value) -> Deployment {
    serde_json::from_value(json!({
        "metadata": {"name": "cloudcore", "generation": 2}, "spec": {"replicas": 2, "selector": {},
        "template": {}}, "status": status,
    }))
    .unwrap()
}

fn seen(status: Value, pods: &[(&str, Value)]) -> Seen {
    let pod = |(name, status): &(&str, Value)| {
        let pod = json!({"metadata": {"name": name}, "status": status});
        ((*name).to_owned(), serde_json::from_value(pod).unwrap())
    };
    Seen {
        deployment: Some(deployment(status)),
        pods: pods.iter().map(pod).collect(),
        warnings: BTreeMap::default(),
    }
}

fn texts(seen: &Seen) -> Vec<String> {
    match seen.progress() {
        Progress::Ready => Vec::new(),
        Progress::Waiting(causes) => causes.into_iter().map(|cause| cause.text).collect(),
    }
}

fn container(state: &Value, last: &Value) -> Value {
    json!({"containerStatuses": [{"name": "cloudcore", "image": "i", "imageID": "", "ready": false,
        "restartCount": 4, "state": state, "lastState": last}]})
}

#[test]
fn ready_is_all_replicas_of_the_newest_template_and_none_of_the_old() {
    let done = json!({"observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "readyReplicas": 2,
        "availableReplicas": 2});
    assert_eq!(seen(done.clone(), &[]).progress(), Progress::Ready);
    for (key, value, first) in [
        ("observedGeneration", 1, "0 of 2 pods ready"),
        ("updatedReplicas", 1, "2 of 2 pods ready"),
        ("replicas", 3, "2 of 2 pods ready"),
        ("availableReplicas", 1, "2 of 2 pods ready"),
    ] {
        let mut status = done.clone();
        status[key] = json!(value);
        assert_eq!(texts(&seen(status, &[])), [first], "{key}");
    }
    assert_eq!(texts(&Seen::default()), ["the Deployment is not there yet"]);
}

#[test]
fn what_stands_in_the_way_is_said_as_the_cluster_says_it() {
    let unscheduled = json!({"conditions": [{"type": "PodScheduled", "status": "False",
        "message": "0/3 nodes are available"}]});
    let pull = json!({"waiting": {"reason": "ImagePullBackOff", "message": "not found"}});
    let name = json!({"waiting": {"reason": "InvalidImageName", "message": "bad"}});
    let running = json!({"running": {}});
    let none = Value::Null;
    for (status, text, is_final) in [
        (unscheduled, "p cannot be scheduled: 0/3 nodes are available", false),
        (container(&pull, &none), "p: ImagePullBackOff: not found", false),
        (container(&name, &none), "p: InvalidImageName: bad", true),
    ] {
        let Progress::Waiting(causes) = seen(json!({}), &[("p", status)]).progress() else {
            panic!("{text}")
        };
        assert_eq!(causes[1], Cause { text: text.to_owned(), log_of: None, is_final });
    }
    assert_eq!(texts(&seen(json!({}), &[("p", container(&running, &none))])), ["0 of 2 pods ready"]);
}

#[test]
fn a_pod_that_ends_again_and_again_has_last_words() {
    let looping = json!({"waiting": {"reason": "CrashLoopBackOff"}});
    for (code, is_final) in [(1, false), (64, true)] {
        let last = json!({"terminated": {"exitCode": code}});
        let Progress::Waiting(causes) = seen(json!({}), &[("p", container(&looping, &last))]).progress()
        else {
            panic!("it waits")
        };
        assert_eq!(causes[1].text, format!("p: it has ended with exit code {code} 4 times; its last words:"));
        assert_eq!(causes[1].log_of, Some(("p".to_owned(), true)));
        assert_eq!(causes[1].is_final, is_final);
    }
}

#[test]
fn what_no_status_says_an_event_or_the_deployment_does() {
    let creating = json!({"waiting": {"reason": "ContainerCreating"}});
    let mut seen = seen(
        json!({"conditions": [{"type": "ReplicaFailure", "status": "True", "message": "exceeded quota"}]}),
        &[("p", container(&creating, &Value::Null))],
    );
    let event = json!({"metadata": {}, "involvedObject": {"kind": "Pod", "name": "p"}, "message": "MountVolume failed"});
    seen.warning(&serde_json::from_value(event).unwrap());
    assert_eq!(texts(&seen), ["0 of 2 pods ready", "exceeded quota", "p: MountVolume failed"]);
}

#[test]
fn pods_that_are_ready_or_leave_stand_in_nobodys_way() {
    let ready = json!({"conditions": [{"type": "Ready", "status": "True"}]});
    let mut seen = seen(json!({}), &[("ready", ready), ("leaving", json!({}))]);
    let leaving = seen.pods.get_mut("leaving").unwrap();
    let gone = json!({"metadata": {"name": "leaving", "deletionTimestamp": "2026-01-01T00:00:00Z"}, "status":
        {"conditions": [{"type": "PodScheduled", "status": "False"}]}});
    *leaving = serde_json::from_value(gone).unwrap();
    assert_eq!(texts(&seen), ["0 of 2 pods ready"]);
}
