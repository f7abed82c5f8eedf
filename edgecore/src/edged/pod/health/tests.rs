use serde_json::{Value, json};

use super::*;
use crate::edged::pod::fixtures::{end, pod, running, sandbox};

fn probed() -> Pod {
    let probe = json!({"exec": {"command": ["x"]}, "terminationGracePeriodSeconds": 7});
    let app: Value = json!({"name": "a", "image": "app:1", "lifecycle": {"postStart": {"sleep": {"seconds": 1}}},
        "startupProbe": {"exec": {"command": ["x"]}}, "livenessProbe": probe, "readinessProbe": probe});
    pod(json!({"containers": [app, {"name": "plain", "image": "app:1"}]}))
}

fn seen(pod: &Pod, attempt: u32) -> Observed {
    let containers = vec![running(pod, "a", attempt, 0), running(pod, "plain", 0, 0)];
    Observed { sandboxes: vec![sandbox(0, true)], ips: Vec::new(), containers }
}

fn begun(pod: &Pod, now: Instant) -> Health {
    let mut health = Health::default();
    health.begin(&pod.spec.as_ref().unwrap().containers[0], 0, now);
    health
}

fn take(health: &mut Health, change: impl FnOnce(&mut Verdict)) -> Vec<(String, String)> {
    let mut verdict = Verdict::default();
    change(&mut verdict);
    health.take(&[("a".to_owned(), verdict)].into(), Instant::now())
}

fn duties(health: &Health, pod: &Pod, ends: bool) -> Vec<Duty> {
    let duties = health.duties(pod.spec.as_ref().unwrap(), &seen(pod, 0), ends);
    duties.into_iter().map(|(name, duty, _)| (name == "a").then_some(duty).unwrap()).collect()
}

#[test]
fn one_duty_follows_the_other() {
    let pod = probed();
    let (spec, observed) = (&pod.spec.as_ref().unwrap().containers[0], seen(&pod, 0));
    let a = observed.newest("a").unwrap();
    let mut health = begun(&pod, Instant::now());
    assert_eq!(duties(&health, &pod, false), [Duty::PostStart]);
    assert!(health.awaits_hook(a) && !health.has_started(spec, a));
    take(&mut health, |verdict| verdict.hook = Some(Ok(())));
    assert_eq!(duties(&health, &pod, false), [Duty::Probe(ProbeKind::Startup)]);
    take(&mut health, |verdict| verdict.started = Some(true));
    let both = [Duty::Probe(ProbeKind::Liveness), Duty::Probe(ProbeKind::Readiness)];
    assert_eq!(duties(&health, &pod, false), both);
    assert_eq!(duties(&health, &pod, true), both[1..], "a pod that ends");
    assert!(health.has_started(spec, a) && !health.is_ready(spec, a));
    take(&mut health, |verdict| verdict.ready = Some(true));
    assert!(health.is_ready(spec, a));
    take(&mut health, |verdict| verdict.alive = Some(false));
    assert_eq!(duties(&health, &pod, false), both[1..]);
    let trouble = (StopReason::Unhealthy(ProbeKind::Liveness), Some(Duration::from_secs(7)));
    assert_eq!(health.trouble(spec, a), Some(trouble));
}

#[test]
fn a_container_without_probes_is_ready() {
    let pod = probed();
    let (plain, observed) = (&pod.spec.as_ref().unwrap().containers[1], seen(&pod, 0));
    let newest = observed.newest("plain").unwrap();
    let mut observing = Health::default();
    observing.observe(&pod, &observed, &Note::default(), Instant::now());
    assert!(!observing.lives.contains_key("plain"), "it costs nothing");
    for health in [observing, Health::default()] {
        assert!(health.is_ready(plain, newest) && health.trouble(plain, newest).is_none());
    }
}

#[test]
fn what_is_said_of_an_older_container_counts_for_nothing() {
    let pod = probed();
    let spec = pod.spec.as_ref().unwrap();
    let mut health = begun(&pod, Instant::now());
    take(&mut health, |verdict| verdict.alive = Some(false));
    health.begin(&spec.containers[0], 1, Instant::now());
    let fresh = health.clone();
    take(&mut health, |verdict| (verdict.hook, verdict.alive) = (Some(Err("late".to_owned())), Some(false)));
    assert_eq!(health, fresh);
    // But that the older one was given up is known until the new one has taken its place.
    let mut ended = running(&pod, "a", 0, 0);
    end(&mut ended, 0);
    assert!(health.was_given_up(&ended) && !health.was_given_up(&running(&pod, "a", 1, 0)));
    health.begin(&spec.containers[0], 1, Instant::now());
    assert!(health.was_given_up(&ended), "tried again");
}

#[test]
fn a_failed_hook_is_told_once() {
    let pod = probed();
    let mut health = begun(&pod, Instant::now());
    let fail = |verdict: &mut Verdict| verdict.hook = Some(Err("no".to_owned()));
    assert_eq!(take(&mut health, fail), [("a".to_owned(), "no".to_owned())]);
    assert!(take(&mut health, fail).is_empty());
    let observed = seen(&pod, 0);
    let trouble = health.trouble(&pod.spec.as_ref().unwrap().containers[0], observed.newest("a").unwrap());
    assert_eq!(trouble, Some((StopReason::HookFailed, None)));
}

/// What a new edgecore knows of the containers that run, from a note and the status that was reported last.
fn adopted(health: &Health, reported: Value, attempt: u32, now: Instant) -> Health {
    let mut pod = probed();
    pod.status = Some(serde_json::from_value(json!({"containerStatuses": [reported]})).unwrap());
    let note = serde_json::to_string(&health.note()).unwrap();
    let mut again = Health::default();
    again.observe(&pod, &seen(&pod, attempt), &serde_json::from_str(&note).unwrap(), now);
    again
}

fn reported(attempt: u32) -> Value {
    json!({"name": "a", "image": "", "imageID": "", "restartCount": attempt, "started": true, "ready": true,
        "containerID": format!("containerd://a-{attempt}")})
}

#[test]
fn a_hook_that_was_cut_off_is_noted_until_it_has_succeeded() {
    let (pod, now) = (probed(), Instant::now());
    let mut health = begun(&pod, now);
    assert_eq!(serde_json::to_string(&health.note()).unwrap(), r#"{"postStart":{"a":0}}"#);
    assert_eq!(duties(&adopted(&health, reported(0), 0, now), &pod, false), [Duty::PostStart]);
    let other = adopted(&health, reported(0), 1, now);
    let later = seen(&pod, 1);
    assert!(!other.awaits_hook(later.newest("a").unwrap()), "a note is about one container");
    take(&mut health, |verdict| verdict.hook = Some(Err("no".to_owned())));
    assert_eq!(duties(&adopted(&health, reported(0), 0, now), &pod, false), [Duty::PostStart]);
    let mut health = begun(&pod, now);
    take(&mut health, |verdict| verdict.hook = Some(Ok(())));
    assert_eq!(health.note(), Note::default());
}

#[test]
fn what_was_reported_of_a_container_is_taken_up() {
    let (pod, now) = (probed(), Instant::now());
    let (spec, observed) = (&pod.spec.as_ref().unwrap().containers[0], seen(&pod, 0));
    let a = observed.newest("a").unwrap();
    let again = adopted(&Health::default(), reported(0), 0, now);
    assert!(again.is_ready(spec, a) && again.trouble(spec, a).is_none());
    let begins = again.duties(pod.spec.as_ref().unwrap(), &observed, false);
    let begin = |verdict| Begin { since: now, is_adopted: true, verdict };
    assert_eq!(begins[0], ("a".to_owned(), Duty::Probe(ProbeKind::Liveness), begin(None)));
    assert_eq!(begins[1], ("a".to_owned(), Duty::Probe(ProbeKind::Readiness), begin(Some(true))));
    let replaced = adopted(&Health::default(), reported(1), 0, now);
    assert!(!replaced.has_started(spec, a), "it was another container");
}

#[test]
fn init_containers_that_end_have_neither_hooks_nor_probes() {
    let probe = json!({"exec": {"command": ["x"]}});
    let init =
        |policy: Value| json!({"name": "i", "image": "a:1", "restartPolicy": policy, "livenessProbe": probe});
    let spec = |policy: Value| {
        pod(json!({"initContainers": [init(policy)], "containers": [{"name": "a", "image": "app:1"}]}))
            .spec
            .unwrap()
    };
    assert!(!needs_care(&spec(Value::Null)) && needs_care(&spec(json!("Always"))));
}
