use serde_json::json;

use super::*;
use proto::twin::{CallReport, CallState};

fn key() -> Key {
    ("default".into(), "d".into())
}

fn spec() -> DeviceSpec {
    serde_json::from_value(json!({"properties": [{"name": "t"}, {"name": "u"}]})).unwrap()
}

fn twins(value: &str) -> TwinDoc {
    let mut twin = MsgTwin { actual: Some(TwinValue::new(value, 7)), ..MsgTwin::default() };
    twin.set_type("int");
    [("t".to_owned(), twin.clone()), ("gone".to_owned(), twin)].into()
}

struct Rig {
    statuses: Statuses<u32>,
    spec: DeviceSpec,
}

impl Rig {
    fn new() -> Self {
        Self { statuses: Statuses::default(), spec: spec() }
    }

    fn next(&mut self, now: Instant) -> Option<Write<u32>> {
        let spec = &self.spec;
        self.statuses.next(now, |_| Some((spec, "uid-1")))
    }
}

fn value<'a>(write: &'a Write<u32>, name: &str) -> Option<&'a str> {
    let twin = write.status.twins.iter().find(|twin| twin.property_name == name)?;
    twin.reported.as_ref().map(TwinProperty::text)
}

#[tokio::test(start_paused = true)]
async fn the_first_report_counts_and_those_that_follow_share_a_write() {
    let (mut rig, now) = (Rig::new(), Instant::now());
    rig.statuses.report(&key(), twins("20"), 1, now);
    let write = rig.next(now).unwrap();
    assert!(write.create && write.adopt);
    assert_eq!(value(&write, "t"), Some("20"));
    assert_eq!(value(&write, "gone"), None, "the device has no such property");
    let reported = write.status.twins[0].reported.as_ref().unwrap();
    assert_eq!((reported.metadata["timestamp"].as_str(), reported.metadata["type"].as_str()), ("7", "int"));
    // Meanwhile two more come.
    rig.statuses.report(&key(), twins("21"), 2, now);
    rig.statuses.report(&key(), twins("22"), 3, now);
    assert!(rig.next(now).is_none(), "one at a time");
    assert_eq!(rig.statuses.done(write, &Written::Done(5), now), [1]);
    assert!(rig.next(now).is_none(), "not more often than that");
    assert_eq!(rig.statuses.deadline(), Some(now + WRITE_EVERY));
    let write = rig.next(now + WRITE_EVERY).unwrap();
    assert!(!write.create && !write.adopt);
    assert_eq!(value(&write, "t"), Some("22"));
    assert_eq!(rig.statuses.done(write, &Written::Done(6), now + WRITE_EVERY), [2, 3]);
    assert_eq!(rig.statuses.deadline(), None);
}

#[tokio::test(start_paused = true)]
async fn nobody_is_told_before_it_is_written_and_what_failed_loses_to_what_came_later() {
    let (mut rig, now) = (Rig::new(), Instant::now());
    rig.statuses.report(&key(), twins("20"), 1, now);
    let write = rig.next(now).unwrap();
    rig.statuses.report(&key(), twins("21"), 2, now);
    assert!(rig.statuses.done(write, &Written::Failed, now).is_empty());
    assert!(rig.next(now + WRITE_EVERY).is_none(), "it waits longer");
    let later = now + RETRY_MAX;
    let write = rig.next(later).unwrap();
    assert_eq!(value(&write, "t"), Some("21"));
    assert_eq!(rig.statuses.done(write, &Written::Done(1), later), [1, 2]);
}

#[tokio::test(start_paused = true)]
async fn what_the_cluster_has_of_other_properties_stays() {
    let (mut rig, now) = (Rig::new(), Instant::now());
    let object: DeviceStatus = serde_json::from_value(json!({
        "metadata": {
            "name": "d", "namespace": "default", "resourceVersion": "9",
            "ownerReferences": [{"apiVersion": "devices.kubeedge.io/v1beta1", "kind": "Device", "name": "d", "uid": "uid-1"}]
        },
        "status": {"state": "online", "twins": [
            {"propertyName": "u", "reported": {"value": "1"}},
            {"propertyName": "t", "reported": {"value": "19"}, "observedDesired": {"value": "30"}}
        ]}
    }))
    .unwrap();
    rig.statuses.seen(&key(), object.clone(), now);
    rig.statuses.expect(&key(), "uid-1", now);
    assert!(rig.next(now).is_none(), "it is there and owned");
    rig.statuses.report(&key(), twins("20"), 1, now);
    let write = rig.next(now).unwrap();
    assert_eq!((value(&write, "t"), value(&write, "u")), (Some("20"), Some("1")));
    assert_eq!(write.status.twins[0].observed_desired.as_ref().unwrap().text(), "30");
    assert!(!write.is_new_state && write.is_void().is_none());
    rig.statuses.done(write, &Written::Done(11), now);
    // What the watch brings late is older.
    rig.statuses.seen(&key(), object, now);
    rig.statuses.report(&key(), twins("20"), 2, now + WRITE_EVERY);
    let write = rig.next(now + WRITE_EVERY).unwrap();
    assert!(write.is_void().is_some(), "it is so already");
}

#[tokio::test(start_paused = true)]
async fn an_object_that_is_gone_is_made_again() {
    let (mut rig, now) = (Rig::new(), Instant::now());
    rig.statuses.expect(&key(), "uid-1", now);
    let write = rig.next(now).unwrap();
    rig.statuses.done(write, &Written::Exists(true), now);
    let write = rig.next(now + WRITE_EVERY).unwrap();
    assert!(!write.create);
    rig.statuses.done(write, &Written::Exists(false), now + WRITE_EVERY);
    assert!(rig.next(now + 2 * WRITE_EVERY).unwrap().create);
}

#[tokio::test(start_paused = true)]
async fn a_device_that_is_gone_is_forgotten_with_those_who_wait() {
    let (mut rig, now) = (Rig::new(), Instant::now());
    rig.statuses.report(&key(), twins("20"), 1, now);
    rig.statuses.forget(&key());
    assert_eq!(rig.statuses.deadline(), None);
    assert_eq!(rig.statuses.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_reports_is_held_within_bounds() {
    let (mut rig, now) = (Rig::new(), Instant::now());
    for number in 0..10_000 {
        rig.statuses.report(&key(), twins(&number.to_string()), number, now);
    }
    let write = rig.next(now).unwrap();
    assert_eq!(value(&write, "t"), Some("9999"));
    assert_eq!(rig.statuses.done(write, &Written::Done(1), now).len(), MAX_WAITING);
}

#[tokio::test(start_paused = true)]
async fn a_state_keeps_when_the_device_was_last_online() {
    let (mut rig, now) = (Rig::new(), Instant::now());
    let report = |state: &str, at: &str| DeviceReport {
        name: "d".into(),
        state: state.into(),
        last_online_time: at.into(),
        call: None,
    };
    rig.statuses.report_state(&key(), report("OK", "2026-11-23T03:14:20Z"), 1, now);
    rig.statuses.report_state(&key(), report("offline", ""), 2, now);
    let write = rig.next(now).unwrap();
    assert_eq!(
        (write.status.state.as_str(), write.status.last_online_time.as_str()),
        ("offline", "2026-11-23T03:14:20Z")
    );
    assert!(write.is_new_state);
}

#[tokio::test(start_paused = true)]
async fn what_came_of_a_call_stands_in_the_extensions_and_stays_there() {
    let (mut rig, now) = (Rig::new(), Instant::now());
    let at = "2026-11-23T03:14:20Z".parse().unwrap();
    let call = |state| Some(CallReport::new("1", "set", state, at));
    let report = |call| DeviceReport { call, ..DeviceReport::default() };
    rig.statuses.report_state(&key(), report(call(CallState::Running)), 1, now);
    rig.statuses.report_state(&key(), report(call(CallState::Done)), 2, now);
    // A report without one, as from a stock edge.
    let online = DeviceReport { state: "online".into(), ..DeviceReport::default() };
    rig.statuses.report_state(&key(), online, 3, now);
    let write = rig.next(now).unwrap();
    let shown = |write: &Write<u32>| write.status.extensions.as_ref().unwrap()["call"]["state"].clone();
    assert_eq!((shown(&write), write.status.state.as_str()), (json!("done"), "online"));
    rig.statuses.done(write, &Written::Done(5), now);
    rig.statuses.report(&key(), twins("20"), 4, now);
    assert_eq!(shown(&rig.next(now + WRITE_EVERY).unwrap()), "done");
}
