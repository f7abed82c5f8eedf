//! Devices over MQTT, from `kubectl` to `mosquitto_sub` and back, with a real CloudCore.

use anyhow::ensure;
use integration::daemons::{Cloud, SOON, start};
use integration::kubectl::Kubectl;
use integration::mqtt::{Broker, Whose};
use integration::process::Process;
use integration::wait::until;
use proto::config::edgecore::EdgeCore;
use serde_json::Value;

use crate::{attached, folder, with_each_broker};

with_each_broker! {
    a_device_on_the_topics_of_stock;
    a_device_that_speaks_mqtt_itself;
    whatever_is_wrong_is_answered_and_stops_nothing;
}

async fn shows(kubectl: &Kubectl, object: &str, path: &str, expected: &str) {
    until(&format!("{object} {path} is {expected}"), SOON, || async {
        let value = kubectl.value(object, path).await?;
        ensure!(value == expected, "it is {value:?}");
        Ok(())
    })
    .await
    .unwrap();
}

/// Says something again and again until the device is seen to be online: it is offline after five seconds of silence.
async fn is_online(kubectl: &Kubectl, status: &str, broker: &Broker, topic: &str, line: &str) {
    until(&format!("{status} is online"), SOON, || async {
        broker.publish(topic, 1, format!("{line}\n")).await;
        let value = kubectl.value(status, "{.status.state}").await?;
        ensure!(value == "online", "it is {value:?}");
        Ok(())
    })
    .await
    .unwrap();
}

fn reported(property: &str) -> String {
    format!("{{.status.twins[?(@.propertyName=='{property}')].reported.value}}")
}

const MODEL: &str = "apiVersion: devices.kubeedge.io/v1beta1
kind: DeviceModel
metadata: {name: lamp, namespace: default}
spec:
  protocol: mqtt
  properties:
    - {name: 'on', type: BOOLEAN, accessMode: ReadWrite}
    - {name: level, type: INT, accessMode: ReadWrite, minimum: '0', maximum: '100'}
";

/// A device that is at home on the topics of stock: something that is no part of EdgeCore speaks for it.
const PLAIN: &str = "apiVersion: devices.kubeedge.io/v1beta1
kind: Device
metadata: {name: plain, namespace: default}
spec:
  deviceModelRef: {name: lamp}
  nodeName: edge-1
  protocol: {protocolName: custom}
  properties:
    - {name: level, desired: {value: '5'}, reportToCloud: true, collectCycle: 60000}
    - {name: 'on', reportToCloud: true, collectCycle: 60000}
";

/// As a Zigbee bridge or a flashed socket says it.
const SPEAKING: &str = r#"apiVersion: devices.kubeedge.io/v1beta1
kind: Device
metadata: {name: lamp1, namespace: default}
spec:
  deviceModelRef: {name: lamp}
  nodeName: edge-1
  protocol:
    protocolName: mqtt
    configData: {stateTopic: 'home/{{name}}/lwt', silentAfterSeconds: 5}
  properties:
    - name: 'on'
      reportToCloud: true
      visitors:
        protocolName: mqtt
        configData: {topic: 'home/{{name}}', jsonPointer: /state, trueText: 'ON', falseText: 'OFF',
          setTopic: 'home/{{name}}/set', setTemplate: '{"state":{{json}}}'}
    - name: level
      desired: {value: '5'}
      reportToCloud: true
      visitors:
        protocolName: mqtt
        configData: {topic: 'home/{{name}}', jsonPointer: /brightness,
          setTopic: 'home/{{name}}/set', setTemplate: '{"brightness":{{json}}}', retain: true}
"#;

struct Home {
    cloud: Cloud,
    broker: Broker,
    config: EdgeCore,
    _edge: Process,
}

impl Home {
    async fn start(whose: Whose) -> Self {
        let cloud = Cloud::start().await;
        let broker = Broker::start(whose, cloud.dir.path()).await;
        let mut config = cloud.edge("edge-1");
        let dir = folder(cloud.dir.path(), "edge-1");
        config.modules.device_twin.enable = true;
        config.modules.device_twin.dmi_sock_path = dir.to_str().unwrap().to_owned();
        broker.configure(&mut config);
        let edge = start("edgecore", &config, &dir);
        attached(&config, &broker).await;
        Self { cloud, broker, config, _edge: edge }
    }
}

async fn a_device_on_the_topics_of_stock(whose: Whose) {
    let Home { cloud, broker, config: _config, _edge } = Home::start(whose).await;
    let kubectl = &cloud.kubectl;
    let listener = broker.subscribe("$hw/events/#").await;
    kubectl.apply(&format!("{MODEL}---\n{PLAIN}")).await.unwrap();
    let members = "$hw/events/node/edge-1/membership/updated";
    let added = listener.hears(members, "the new device", |payload| payload.contains("default/plain")).await;
    assert_eq!(serde_json::from_str::<Value>(&added).unwrap()["added_devices"][0]["name"], "plain");

    let topic = |suffix: &str| format!("$hw/events/device/default/plain/{suffix}");
    let update = r#"{"event_id":"e1","timestamp":1,"twin":{"level":{"actual":{"value":"3"}},"on":{"actual":{"value":"true"}}}}"#;
    broker.publish(&topic("twin/update"), 1, format!("{update}\n")).await;
    let result =
        listener.hears(&topic("twin/update/result"), "the result", |payload| payload.contains("e1")).await;
    assert!(!result.contains("code"), "{result}");
    listener
        .hears(&topic("twin/update/document"), "the document", |payload| payload.contains("\"last\""))
        .await;
    listener
        .hears(&topic("twin/update/delta"), "the delta", |payload| {
            payload.contains(r#""delta":{"level":"5"}"#)
        })
        .await;
    shows(kubectl, "devicestatus/plain", &reported("level"), "3").await;
    shows(kubectl, "devicestatus/plain", &reported("on"), "true").await;
    shows(kubectl, "devicestatus/plain", "{.status.state}", "online").await;

    // Set from the cloud: whoever listens to the delta is told.
    let patch = r#"[{"op": "replace", "path": "/spec/properties/0/desired/value", "value": "7"}]"#;
    kubectl.run(&["patch", "device", "plain", "--type=json", "-p", patch]).await.unwrap();
    listener
        .hears(&topic("twin/update/delta"), "the new delta", |payload| {
            payload.contains(r#""delta":{"level":"7"}"#)
        })
        .await;

    broker
        .publish(&topic("state/update"), 1, "{\"event_id\":\"e2\",\"state\":\"unhealthy\"}\n".to_owned())
        .await;
    listener.hears(&topic("state/update/result"), "the state", |payload| payload.contains("unhealthy")).await;
    shows(kubectl, "device/plain", "{.status.state}", "unhealthy").await;

    broker.publish(&topic("twin/get"), 1, "{\"event_id\":\"e3\"}\n".to_owned()).await;
    let got = listener.hears(&topic("twin/get/result"), "the twin", |payload| payload.contains("e3")).await;
    let got: Value = serde_json::from_str(&got).unwrap();
    assert_eq!(got["twin"]["level"]["expected"]["value"], "7");
    assert_eq!(got["twin"]["level"]["metadata"]["type"], "int");

    kubectl.run(&["delete", "device", "plain", "--wait=false"]).await.unwrap();
    listener
        .hears(members, "that it is gone", |payload| {
            payload.contains(r#""removed_devices":[{"id":"default/plain""#)
        })
        .await;
}

async fn a_device_that_speaks_mqtt_itself(whose: Whose) {
    let Home { cloud, broker, config: _config, _edge } = Home::start(whose).await;
    let kubectl = &cloud.kubectl;
    let device = broker.subscribe("home/#").await;
    kubectl.apply(&format!("{MODEL}---\n{SPEAKING}")).await.unwrap();
    // What it should do it is told at once.
    device.hears("home/lamp1/set", "the desired level", |payload| payload == r#"{"brightness":5}"#).await;
    let (status, state) = ("devicestatus/lamp1", r#"{"state":"ON","brightness":3}"#);
    is_online(kubectl, status, &broker, "home/lamp1", state).await;
    shows(kubectl, status, &reported("on"), "true").await;
    shows(kubectl, status, &reported("level"), "3").await;
    let observed = "{.status.twins[?(@.propertyName=='level')].observedDesired.value}";
    shows(kubectl, status, observed, "5").await;
    // It is silent: offline by itself.
    shows(kubectl, status, "{.status.state}", "offline").await;
    shows(kubectl, "device/lamp1", "{.status.state}", "offline").await;
    is_online(kubectl, status, &broker, "home/lamp1/lwt", "online").await;
    broker.publish("home/lamp1/lwt", 1, "offline\n".to_owned()).await;
    shows(kubectl, status, "{.status.state}", "offline").await;

    let patch = r#"[{"op": "add", "path": "/spec/properties/0/desired", "value": {"value": "false"}}]"#;
    kubectl.run(&["patch", "device", "lamp1", "--type=json", "-p", patch]).await.unwrap();
    device.hears("home/lamp1/set", "the desired switch", |payload| payload == r#"{"state":"OFF"}"#).await;
    // What is out of range, unreadable or too large is not believed, and the rest is.
    broker.publish("home/lamp1", 1, "{\"state\":\"OFF\",\"brightness\":101}\n{\n[]\n".to_owned()).await;
    broker.publish_bytes("home/lamp1", 1, &vec![0xff; 1 << 20]).await;
    shows(kubectl, status, &reported("on"), "false").await;
    shows(kubectl, status, &reported("level"), "3").await;
}

async fn whatever_is_wrong_is_answered_and_stops_nothing(whose: Whose) {
    let Home { cloud, broker, config, _edge } = Home::start(whose).await;
    let kubectl = &cloud.kubectl;
    let listener = broker.subscribe("$hw/events/#").await;
    let elsewhere = PLAIN.replace("name: plain", "name: elsewhere").replace("edge-1", "edge-2");
    kubectl.apply(&format!("{MODEL}---\n{PLAIN}---\n{elsewhere}")).await.unwrap();
    let members = "$hw/events/node/edge-1/membership/updated";
    listener.hears(members, "the new device", |payload| payload.contains("default/plain")).await;
    let huge = format!(
        r#"{{"event_id":"huge","twin":{{"level":{{"actual":{{"value":"{}"}}}}}}}}"#,
        "1".repeat(1 << 20)
    );
    let cases: [(&str, &str, &[u8], u64); 10] = [
        ("plain", "twin/update", b"{", 400),
        ("plain", "twin/update", &[0xff, 0x00, 0xfe], 400),
        ("plain", "twin/update", br#"{"event_id":"type","twin":{"level":{"actual":{"value":"warm"}}}}"#, 400),
        ("plain", "twin/update", br#"{"event_id":"range","twin":{"level":{"actual":{"value":"101"}}}}"#, 400),
        ("plain", "twin/update", br#"{"event_id":"name","twin":{"no":{"actual":{"value":"1"}}}}"#, 400),
        ("plain", "twin/update", huge.as_bytes(), 400),
        ("plain", "state/update", br#"{"event_id":"state","state":"perhaps"}"#, 400),
        ("plain", "twin/get", b"nonsense", 400),
        (
            "elsewhere",
            "twin/update",
            br#"{"event_id":"node","twin":{"level":{"actual":{"value":"1"}}}}"#,
            404,
        ),
        ("nobody", "twin/get", br#"{"event_id":"nobody"}"#, 404),
    ];
    for (index, (device, suffix, payload, code)) in cases.iter().enumerate() {
        let topic = format!("$hw/events/device/default/{device}/{suffix}");
        let result = format!("{topic}/result");
        let before = listener.payloads(&result).unwrap().len();
        broker.publish_bytes(&topic, 1, payload).await;
        until(&format!("case {index} is answered"), SOON, || async {
            let answers = listener.payloads(&result)?;
            let answer = answers.get(before).ok_or_else(|| anyhow::anyhow!("no answer"))?;
            let answer: Value = serde_json::from_str(answer)?;
            ensure!(answer["code"] == *code, "{answer}");
            Ok(())
        })
        .await
        .unwrap();
    }
    // Everything goes on.
    let update = r#"{"event_id":"good","twin":{"level":{"actual":{"value":"9"}}}}"#;
    broker.publish("$hw/events/device/default/plain/twin/update", 1, format!("{update}\n")).await;
    shows(kubectl, "devicestatus/plain", &reported("level"), "9").await;
    crate::counted(&config, "eventbus_messages_refused_total{", |count| count >= 10.0).await;
}
