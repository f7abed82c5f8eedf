//! Twins as MQTT shows them and writes them.

use proto::twin::{MsgTwin, TwinDoc, TwinUpdate};

use super::*;
use crate::flow::TwinChange;

fn update(twin: serde_json::Value) -> TwinUpdate {
    serde_json::from_value(json!({"event_id": "e", "twin": twin})).unwrap()
}

fn values(twin: Option<&MsgTwin>) -> (Option<&str>, Option<&str>) {
    match twin {
        None => (None, None),
        Some(twin) => (
            twin.expected.as_ref().and_then(|value| value.value.as_deref()),
            twin.actual.as_ref().and_then(|value| value.value.as_deref()),
        ),
    }
}

fn written(twins: &mut Twins, twin: serde_json::Value) -> Result<TwinChange, DriverError> {
    twins.write(&d(), &update(twin), now_at(0, Instant::now()))
}

fn with_desired(value: &str) -> Arc<Device> {
    let mut device = (*device()).clone();
    device.spec.properties[0].desired = Some(proto::api::device::TwinProperty::new(value));
    Arc::new(device)
}

#[tokio::test(start_paused = true)]
async fn a_write_gives_what_it_has_changed() {
    let mut twins = twins();
    let change =
        written(&mut twins, json!({"t": {"actual": {"value": "20"}, "expected": {"value": "30"}}})).unwrap();
    assert_eq!(change.last["t"], None);
    assert_eq!(values(change.changed["t"].as_ref()), (Some("30"), Some("20")));
    assert_eq!(change.delta(), [("t", "30")].into());
    let told = twins.news().pop().unwrap();
    assert_eq!(told.report.unwrap().state, "online");
    // Of the next one only the half that was written is in the result; versions are nothing for a device.
    let change = written(&mut twins, json!({"t": {"actual": {"value": "30"}}})).unwrap();
    assert_eq!(values(change.last["t"].as_ref()), (Some("30"), Some("20")));
    assert_eq!(values(change.changed["t"].as_ref()), (None, Some("30")));
    assert_eq!(values(change.twin.get("t")), (Some("30"), Some("30")));
    let shown = change.twin["t"].clone();
    assert_eq!((shown.actual_version, shown.optional), (None, Some(true)));
    assert_eq!(shown.metadata.unwrap().data_type, "int");
    assert!(change.delta().is_empty());
    // The same once more is a write like any other, and nothing for the cloud.
    drop(twins.news());
    assert_eq!(
        values(written(&mut twins, json!({"t": {"actual": {"value": "30"}}})).unwrap().changed["t"].as_ref())
            .1,
        Some("30")
    );
    assert!(!twins.has_news());
}

#[tokio::test(start_paused = true)]
async fn all_of_a_write_is_taken_or_nothing() {
    let mut twins = twins();
    for (twin, why) in [
        (
            json!({"t": {"actual": {"value": "1"}}, "label": {"actual": {"value": "x"}}, "u": {"actual": {"value": "1"}}}),
            "u: the device has no such property",
        ),
        (
            json!({"t": {"actual": {"value": "121"}}, "label": {"actual": {"value": "x"}}}),
            "t: 121 is not from -40 to 120",
        ),
        (json!({"t": {"actual": {"value": "warm"}}}), "t: \"warm\" is no INT"),
        (
            json!({"label": {"actual": {"value": "x".repeat(1 << 20)}}}),
            "label: the value has 1048576 bytes; 16384 are taken at most",
        ),
        (json!({"u": null}), "u: the device has no such property"),
        (json!({}), "Update twin error, key:twin does not exist"),
    ] {
        assert_eq!(written(&mut twins, twin).unwrap_err(), DriverError::Invalid(why.to_owned()));
    }
    assert!(!twins.has_news());
    assert_eq!(twins.shown(&d()), Some(TwinDoc::new()));
    let other = ("default".to_owned(), "e".to_owned());
    let refused = twins.write(&other, &update(json!({"t": {}})), now_at(0, Instant::now()));
    assert_eq!(refused.unwrap_err(), DriverError::NotFound(other.clone()));
    assert_eq!(twins.shown(&other), None);
}

#[tokio::test(start_paused = true)]
async fn values_are_forgotten_as_in_stock() {
    let mut twins = twins();
    let set = json!({"t": {"actual": {"value": "20"}}, "label": {"actual": {"value": "x"}}});
    written(&mut twins, set).unwrap();
    drop(twins.news());
    let change = written(&mut twins, json!({"t": null, "label": {"metadata": {"type": "deleted"}}})).unwrap();
    assert_eq!((&change.changed["t"], &change.changed["label"]), (&None, &None));
    assert_eq!(values(change.last["t"].as_ref()).1, Some("20"));
    assert!(change.twin.is_empty());
    assert!(twins.news().pop().unwrap().twin.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_the_cloud_wants_is_expected() {
    let mut twins = twins();
    twins.device_applied(with_desired("30"));
    assert_eq!(values(twins.shown(&d()).unwrap().get("t")), (Some("30"), None));
    let last = twins.shown(&d()).unwrap();
    twins.device_applied(with_desired("35"));
    let change = twins.change_since(&d(), &last, |_| true).unwrap();
    assert_eq!(change.delta(), [("t", "35")].into());
    assert_eq!(values(change.last["t"].as_ref()).0, Some("30"));
    assert_eq!(twins.change_since(&d(), &change.twin, |_| true), None);
    // Somebody at the edge writes something else: the cloud's word counts.
    let change =
        written(&mut twins, json!({"t": {"expected": {"value": "31"}, "actual": {"value": "35"}}})).unwrap();
    assert!(change.delta().is_empty());
    assert_eq!(values(change.twin.get("t")), (Some("35"), Some("35")));
}

#[tokio::test(start_paused = true)]
async fn devices_that_speak_mqtt_themselves_are_silent_when_they_say_so() {
    let mut twins = Twins::default();
    let spec = json!({
        "protocol": {"protocolName": "mqtt", "configData": {"silentAfterSeconds": 20}},
        "properties": [{"name": "t", "reportToCloud": true, "visitors": {"configData": {"topic": "x"}}}],
    });
    let device = json!({"metadata": {"namespace": "default", "name": "d", "uid": "u"}, "spec": spec});
    twins.device_applied(Arc::new(serde_json::from_value(device).unwrap()));
    assert_eq!(twins.speaking_mqtt().len(), 1);
    let start = Instant::now();
    twins.report(&d(), &[value("t", "1")], now_at(0, start)).unwrap();
    assert_eq!(twins.deadline(), Some(start + Duration::from_secs(20)));
    assert_eq!(twins.fall_silent(start + Duration::from_secs(20)), [d()]);
    assert_eq!(twins.state_shown(&d()).unwrap().state, "offline");
    assert_eq!(twins.members()[0].state, "offline");
}
