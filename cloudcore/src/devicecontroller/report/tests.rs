use proto::api::device::Device;
use serde_json::{Value, json};

use super::*;

fn desired() -> Desired {
    let mut desired = Desired::default();
    let device: Device = serde_json::from_value(json!({
        "metadata": {"namespace": "default", "name": "dev1", "uid": "u"},
        "spec": {"nodeName": "edge1", "properties": [{"name": "temperature"}]},
    }))
    .unwrap();
    desired.device_applied(&device);
    desired
}

fn message(resource: &str, operation: Operation, content: Content) -> Message {
    let route = proto::Route {
        source: Source::Twin,
        group: Group::Resource,
        operation,
        resource: Resource::from(resource),
    };
    Message::new(Stamp { id: "r1".into(), timestamp: 1 }, route, content)
}

fn twins(twin: &Value) -> Content {
    Content::object(&json!({"event_id": "e", "timestamp": 1, "twin": twin})).unwrap()
}

const TWIN: &str = "device/default/dev1/twin/edge_updated";
const STATE: &str = "device/default/dev1/state/update";

#[test]
fn a_node_speaks_of_its_own_devices() {
    let values = json!({"temperature": {"actual": {"value": "20"}}, "other": {"actual": {"value": "1"}}, "gone": null});
    let report = message(TWIN, Operation::Update, twins(&values));
    let Ok(Report::Twins(_, taken)) = parse(&NodeName::new("edge1"), &report, &desired()) else { panic!() };
    assert_eq!(taken.keys().collect::<Vec<_>>(), ["temperature"]);
    let refused = parse(&NodeName::new("edge2"), &report, &desired()).unwrap_err();
    assert!(matches!(refused, Refusal::NotHere { is_elsewhere: true, .. }), "{refused}");
    let answer = refused.answer(&report, Stamp { id: "a".into(), timestamp: 2 });
    assert!(QueryFailure::from_answer(&answer).unwrap().is_not_found());
    assert_eq!((answer.route.group, answer.header.parent_id.as_deref()), (Group::Twin, Some("r1")));
}

#[test]
fn an_answer_has_the_form_that_stock_edges_wait_for() {
    let report = message(TWIN, Operation::Update, twins(&json!({})));
    let answer = accepted(&report, Stamp { id: "a".into(), timestamp: 2 });
    let route = proto::Route {
        source: Source::DeviceController,
        group: Group::Twin,
        operation: Operation::Response,
        resource: Resource::Twin,
    };
    assert_eq!(answer.route, route);
    assert!(answer.content.is_ok() && !answer.needs_ack());
}

#[test]
fn a_state_comes_as_text_of_json() {
    let text = r#"{"event_id":"e","timestamp":1,"device":{"name":"dev1","state":"ok","lastOnlineTime":"2026-11-23T03:14:20Z"}}"#;
    let node = NodeName::new("edge1");
    let taken = parse(&node, &message(STATE, Operation::Update, Content::text(text)), &desired()).unwrap();
    assert!(matches!(taken, Report::State(_, report) if report.state == "ok"));
    for garbage in ["", "{", "[]", r#"{"device":{"state":"on fire"}}"#, r#"{"device":7}"#] {
        let refused = parse(&node, &message(STATE, Operation::Update, Content::text(garbage)), &desired());
        assert!(matches!(refused, Err(Refusal::Malformed(_))), "{garbage}: {refused:?}");
    }
}

#[test]
fn what_came_of_a_call_may_be_told_before_there_is_a_state() {
    let node = NodeName::new("edge1");
    let told = |device: Value| {
        let text = json!({"event_id": "e", "timestamp": 1, "device": device}).to_string();
        parse(&node, &message(STATE, Operation::Update, Content::text(text)), &desired())
    };
    let call = |result: &str| json!({"id": "1", "method": "set", "state": "done", "result": result});
    let taken = told(json!({"name": "dev1", "call": call("20")})).unwrap();
    assert!(
        matches!(taken, Report::State(_, report) if report.call.as_ref().is_some_and(|call| call.result == "20"))
    );
    for wrong in
        [json!({"call": call(&"x".repeat(MAX_VALUE + 1))}), json!({"call": {"state": "perhaps"}}), json!({})]
    {
        let refused = told(wrong.clone());
        assert!(matches!(refused, Err(Refusal::Malformed(_))), "{wrong}: {refused:?}");
    }
}

#[test]
fn what_is_too_much_or_makes_no_sense_is_refused() {
    let node = NodeName::new("edge1");
    let long = json!({"temperature": {"actual": {"value": "x".repeat(1 << 20)}}});
    for content in
        [twins(&long), twins(&json!({"temperature": 5})), Content::Null, Content::text("x".repeat(4 << 20))]
    {
        let refused = parse(&node, &message(TWIN, Operation::Update, content), &desired());
        assert!(matches!(refused, Err(Refusal::Malformed(_))), "{refused:?}");
    }
    let other = message("device/default/dev1/twin/cloud_updated", Operation::Update, Content::Null);
    assert!(matches!(parse(&node, &other, &desired()), Err(Refusal::Unsupported(..))));
    let delete = message(TWIN, Operation::Delete, twins(&json!({})));
    assert!(matches!(parse(&node, &delete, &desired()), Err(Refusal::Unsupported(..))));
}
