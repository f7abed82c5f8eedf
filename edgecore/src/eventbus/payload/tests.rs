//! The payloads that were recorded of a stock EdgeCore (spec samples, MQTT).

use proto::twin::{CallReport, CallState, TwinUpdate, TwinValue, TypeMetadata};

use super::*;

fn base(event_id: &str, timestamp: i64) -> Base {
    Base { event_id: event_id.to_owned(), timestamp }
}

fn key() -> (String, String) {
    ("default".to_owned(), "dev1".to_owned())
}

fn temperature(expected: Option<(&str, i64)>, actual: Option<(&str, i64)>) -> MsgTwin {
    let value = |half: Option<(&str, i64)>| half.map(|(value, seen)| TwinValue::new(value, seen));
    MsgTwin {
        expected: value(expected),
        actual: value(actual),
        optional: Some(true),
        metadata: Some(TypeMetadata { data_type: "string".to_owned() }),
        ..MsgTwin::default()
    }
}

fn change() -> TwinChange {
    let name = || "temperature".to_owned();
    let before = temperature(Some(("30", 1_795_403_664_536)), Some(("22", 1_795_403_664_536)));
    let now = temperature(Some(("30", 1_795_403_664_536)), Some(("27", 1_795_403_678_717)));
    TwinChange {
        changed: [(name(), Some(temperature(None, Some(("27", 1_795_403_678_717)))))].into(),
        last: [(name(), Some(before))].into(),
        twin: [(name(), now)].into(),
    }
}

#[test]
fn an_update_is_answered_as_stock_does() {
    let asked = r#"{"event_id":"e3","timestamp":1,"twin":{"temperature":{"actual":{"value":"27"},"metadata":{"type":"INT"}}}}"#;
    let asked: TwinUpdate = serde_json::from_str(asked).unwrap();
    assert_eq!(asked.event_id, "e3");
    assert_eq!(
        updated(&base("e3", 1_795_403_678_717), &change()),
        r#"{"event_id":"e3","timestamp":1795403678717,"twin":{"temperature":{"actual":{"value":"27","metadata":{"timestamp":1795403678717}},"optional":true,"metadata":{"type":"string"}}}}"#
    );
    assert_eq!(
        document(&base("e3", 1_795_403_678_717), &change()),
        r#"{"event_id":"e3","timestamp":1795403678717,"twin":{"temperature":{"last":{"expected":{"value":"30","metadata":{"timestamp":1795403664536}},"actual":{"value":"22","metadata":{"timestamp":1795403664536}},"optional":true,"metadata":{"type":"string"}},"current":{"expected":{"value":"30","metadata":{"timestamp":1795403664536}},"actual":{"value":"27","metadata":{"timestamp":1795403678717}},"optional":true,"metadata":{"type":"string"}}}}}"#
    );
    assert_eq!(
        delta(&base("0cda8d3d-e183-4fd6-b051-853db1fd9783", 1_795_403_678_718), &change()).unwrap(),
        r#"{"event_id":"0cda8d3d-e183-4fd6-b051-853db1fd9783","timestamp":1795403678718,"twin":{"temperature":{"expected":{"value":"30","metadata":{"timestamp":1795403664536}},"actual":{"value":"27","metadata":{"timestamp":1795403678717}},"optional":true,"metadata":{"type":"string"}}},"delta":{"temperature":"30"}}"#
    );
}

#[test]
fn the_first_value_has_none_before_it_and_a_reached_one_has_no_delta() {
    let mut change = change();
    change.last = [("temperature".to_owned(), None)].into();
    change.twin = [("temperature".to_owned(), temperature(Some(("20", 1)), Some(("20", 1))))].into();
    let text = document(&base("", 1), &change);
    assert!(
        text.starts_with(r#"{"event_id":"","timestamp":1,"twin":{"temperature":{"last":null,"current":{"#),
        "{text}"
    );
    assert_eq!(delta(&base("", 1), &change), None);
    // Nothing to reach.
    change.twin = [("temperature".to_owned(), temperature(None, Some(("20", 1))))].into();
    assert_eq!(delta(&base("", 1), &change), None);
    // What is gone is said to be.
    change.changed = [("temperature".to_owned(), None)].into();
    assert_eq!(
        updated(&base("", 1), &change),
        r#"{"event_id":"","timestamp":1,"twin":{"temperature":null}}"#
    );
}

#[test]
fn a_twin_is_got_as_stock_gives_it() {
    let now = temperature(Some(("30", 1_795_403_664_536)), Some(("22", 1_795_403_664_536)));
    let twin = [("temperature".to_owned(), now)].into();
    assert_eq!(
        got(&base("e2", 1_795_403_676_703), &twin),
        r#"{"event_id":"e2","timestamp":1795403676703,"twin":{"temperature":{"expected":{"value":"30","metadata":{"timestamp":1795403664536}},"actual":{"value":"22","metadata":{"timestamp":1795403664536}},"optional":true,"metadata":{"type":"string"}}}}"#
    );
}

#[test]
fn a_state_is_answered_as_stock_does() {
    let asked: StateRequest =
        serde_json::from_str(r#"{"event_id":"e4","timestamp":1,"State":"online"}"#).unwrap();
    let device = DeviceReport {
        name: "dev1".to_owned(),
        state: asked.state,
        last_online_time: "2026-11-23T03:14:41Z".to_owned(),
        // For the cloud alone: those who listen at the edge know stock's keys.
        call: Some(CallReport {
            id: "1".to_owned(),
            time: String::new(),
            method: "reboot".to_owned(),
            state: CallState::Done,
            result: String::new(),
            message: String::new(),
        }),
    };
    assert_eq!(
        state(base("e6282f25-ac1b-4fdd-957f-6f25b64fc0af", 1_795_403_681_730), device),
        r#"{"event_id":"e6282f25-ac1b-4fdd-957f-6f25b64fc0af","timestamp":1795403681730,"device":{"name":"dev1","state":"online","lastOnlineTime":"2026-11-23T03:14:41Z"}}"#
    );
}

#[test]
fn members_are_listed_as_stock_does() {
    let member = |state: &str, last_online: &str| Member {
        key: key(),
        state: state.to_owned(),
        last_online: last_online.to_owned(),
    };
    assert_eq!(
        members(&base("e1", 1_795_403_674_691), &[member("ok", "2026-11-23T03:14:24Z")]),
        r#"{"event_id":"e1","timestamp":1795403674691,"devices":[{"id":"default/dev1","name":"dev1","state":"ok","last_online":"2026-11-23T03:14:24Z"}]}"#
    );
    assert_eq!(
        membership(base("6bce9518-adfe-4c81-b445-bbf2e0c7df59", 1_795_403_644_499), &[member("", "")], &[]),
        r#"{"event_id":"6bce9518-adfe-4c81-b445-bbf2e0c7df59","timestamp":1795403644499,"added_devices":[{"id":"default/dev1","name":"dev1"}],"removed_devices":null}"#
    );
    assert_eq!(
        membership(base("797021ae-4bbe-41a2-87c7-72a098cf2f9a", 1_795_403_687_980), &[], &[member("", "")]),
        r#"{"event_id":"797021ae-4bbe-41a2-87c7-72a098cf2f9a","timestamp":1795403687980,"added_devices":null,"removed_devices":[{"id":"default/dev1","name":"dev1"}]}"#
    );
}

#[test]
fn errors_have_code_and_reason() {
    let (code, reason) = failure(&DriverError::NotFound(key()));
    assert_eq!(
        failed(&base("e", 1), code, &reason),
        r#"{"event_id":"e","timestamp":1,"code":404,"reason":"device default/dev1 is not on this node"}"#
    );
    assert_eq!(failure(&DriverError::Invalid("x".to_owned())), (400, "x".to_owned()));
    assert_eq!(failure(&DriverError::Closed).0, 500);
}
