use std::time::Duration;

use proto::api::device::{DeviceModel, DeviceSpec};
use serde_json::{Value, json};

use super::*;
use crate::flow::{DeviceKey, MqttDevice};

fn key() -> DeviceKey {
    ("default".to_owned(), "lamp".to_owned())
}

fn model() -> Arc<DeviceModel> {
    let properties = json!([
        {"name": "on", "type": "BOOLEAN"}, {"name": "level", "type": "INT", "minimum": "0", "maximum": "100"},
        {"name": "note", "type": "STRING"},
    ]);
    Arc::new(serde_json::from_value(json!({"spec": {"properties": properties}})).unwrap())
}

fn spec(level: &str) -> Value {
    json!({
        "protocol": {"protocolName": "mqtt", "configData": {"stateTopic": "{{name}}/up", "silentAfterSeconds": 60}},
        "properties": [
            {"name": "on", "reportToCloud": true, "visitors": {"configData": {
                "topic": "{{name}}/state", "jsonPointer": "/state", "trueText": "ON", "falseText": "OFF"}}},
            {"name": "level", "reportToCloud": true, "desired": {"value": level}, "visitors": {"configData": {
                "topic": "{{name}}/state", "jsonPointer": "/level", "setTopic": "{{name}}/set",
                "setTemplate": "{\"level\":{{json}}}"}}},
            {"name": "note", "visitors": {"configData": {"topic": "{{name}}/note"}}},
        ],
    })
}

fn wanted(spec: Value) -> Arc<Wanted> {
    let spec: DeviceSpec = serde_json::from_value(spec).unwrap();
    Arc::new([(key(), MqttDevice { spec: Arc::new(spec), model: Some(model()) })].into())
}

fn message(topic: &str, payload: &str) -> MqttMessage {
    MqttMessage { topic: topic.to_owned(), payload: payload.as_bytes().to_vec().into() }
}

/// What was said of values: `name=value`, `name:=desired`.
fn shown(said: &[Said]) -> Vec<String> {
    let mut shown = Vec::new();
    for one in said {
        match one {
            Said::State(call) => shown.push(call.state.clone()),
            Said::Status(call) => {
                for twin in &call.reported_device.as_ref().unwrap().twins {
                    let name = &twin.property_name;
                    shown.extend(twin.reported.as_ref().map(|value| format!("{name}={}", value.value)));
                    shown.extend(
                        twin.observed_desired.as_ref().map(|value| format!("{name}:={}", value.value)),
                    );
                }
            }
        }
    }
    shown
}

struct Rig {
    devices: Devices,
    metrics: Metrics,
}

impl Rig {
    fn new(level: &str) -> Self {
        let mut devices = Devices::default();
        devices.apply(&wanted(spec(level)));
        Self { devices, metrics: Metrics::default() }
    }

    fn hear(&mut self, topic: &str, payload: &str, now: Instant) -> Vec<String> {
        shown(&self.devices.hear(&message(topic, payload), now, &self.metrics))
    }

    fn writes(&mut self) -> Vec<(String, String)> {
        std::iter::from_fn(|| self.devices.next_write())
            .map(|(publish, _)| (publish.topic, String::from_utf8(publish.payload.to_vec()).unwrap()))
            .collect()
    }
}

#[tokio::test(start_paused = true)]
async fn one_message_tells_several_properties() {
    let mut rig = Rig::new("");
    let now = Instant::now();
    assert_eq!(rig.devices.topics(), ["lamp/note", "lamp/state", "lamp/up"].map(str::to_owned).into());
    assert_eq!(rig.hear("lamp/state", r#"{"state":"ON","level":7}"#, now), ["on=true", "level=7"]);
    assert_eq!(rig.hear("lamp/up", "online", now), ["online"]);
    // Half of it: the other half counts.
    assert_eq!(rig.hear("lamp/state", r#"{"level":8}"#, now), ["level=8"]);
    // What is not for the cloud shows that the device is there, and nothing else.
    let said = rig.devices.hear(&message("lamp/note", "x"), now, &rig.metrics);
    assert_eq!((said.len(), shown(&said).len()), (1, 0));
    for (topic, payload) in
        [("lamp/state", "{"), ("lamp/up", "perhaps"), ("other", "x"), ("lamp/state", "[]")]
    {
        assert_eq!(rig.hear(topic, payload, now), [""; 0], "{topic} {payload}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_desired_value_is_sent_when_it_is_set_and_when_the_device_is_back_without_it() {
    let mut rig = Rig::new("5");
    let set = |level: &str| vec![("lamp/set".to_owned(), format!("{{\"level\":{level}}}"))];
    let (publish, observed) = rig.devices.next_write().unwrap();
    assert_eq!((publish.qos, publish.retain), (1, false));
    assert_eq!(shown(&[observed]), ["level:=5"]);
    assert_eq!(rig.writes(), []);
    // The same once more is nothing new; another value is.
    rig.devices.apply(&wanted(spec("5")));
    assert_eq!(rig.writes(), []);
    rig.devices.apply(&wanted(spec("6")));
    assert_eq!(rig.writes(), set("6"));
    let start = Instant::now();
    rig.hear("lamp/state", r#"{"state":"ON","level":1}"#, start);
    rig.hear("lamp/state", r#"{"state":"ON","level":1}"#, start + Duration::from_secs(50));
    assert_eq!(rig.writes(), [], "it was told, and takes its time");
    rig.hear("lamp/state", r#"{"state":"ON","level":1}"#, start + Duration::from_secs(200));
    assert_eq!(rig.writes(), set("6"), "it may have been without power");
    rig.hear("lamp/state", r#"{"state":"ON","level":6}"#, start + Duration::from_secs(201));
    rig.hear("lamp/state", r#"{"state":"ON","level":6}"#, start + Duration::from_secs(400));
    assert_eq!(rig.writes(), []);
    // A device that goes takes with it what was not sent.
    rig.devices.apply(&wanted(spec("7")));
    rig.devices.apply(&Arc::default());
    assert_eq!(rig.writes(), []);
    assert!(rig.devices.topics().is_empty());
}
