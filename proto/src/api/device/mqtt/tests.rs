use serde_json::json;

use super::*;
use crate::api::device::{DataType, validation};

fn spec(protocol: Value, properties: Value) -> DeviceSpec {
    let spec =
        json!({"protocol": {"protocolName": "mqtt", "configData": protocol}, "properties": properties});
    serde_json::from_value(spec).unwrap()
}

fn one(data: Value) -> (Option<PropertyMapping>, Vec<Problem>) {
    let spec = spec(json!({}), json!([{"name": "t", "visitors": {"configData": data}}]));
    let (mapping, problems) = mapping("default", "d", &spec);
    (mapping.properties.into_iter().next(), problems)
}

fn ours(data: Value) -> PropertyMapping {
    let (mapping, problems) = one(data);
    assert_eq!(problems, []);
    mapping.unwrap()
}

#[test]
fn a_device_says_where_it_is() {
    let spec = spec(
        json!({"stateTopic": "{{name}}/state", "silentAfterSeconds": 5}),
        json!([
            {"name": "t", "visitors": {"configData": {"topic": "{{namespace}}/{{name}}/t", "jsonPointer": "/a/0"}}},
            {"name": "s", "visitors": {"configData": {"setTopic": "s/set", "setTemplate": "{\"{{name}}\": {{json}}}",
                "qos": 0, "retain": true}}},
            {"name": "none"},
        ]),
    );
    assert!(speaks_itself(&spec));
    let (mapping, problems) = mapping("default", "d", &spec);
    assert_eq!(problems, []);
    assert_eq!(mapping.silent_after, 5);
    let state = mapping.state.unwrap();
    assert_eq!((state.topic.as_str(), state.online.as_str()), ("d/state", "online"));
    let [t, s] = mapping.properties.try_into().unwrap();
    assert_eq!((t.topic.as_deref(), t.pointer.as_deref(), t.set), (Some("default/d/t"), Some("/a/0"), None));
    let set = s.set.unwrap();
    assert_eq!((set.template.as_str(), set.qos, set.retain), ("{\"d\": {{json}}}", 0, true));
}

#[test]
fn a_device_of_a_mapper_that_speaks_mqtt_is_left_to_it() {
    let spec =
        spec(json!({"url": "tcp://x"}), json!([{"name": "t", "visitors": {"configData": {"path": "a"}}}]));
    assert!(!speaks_itself(&spec));
    let other: DeviceSpec = serde_json::from_value(json!({
        "protocol": {"protocolName": "modbus", "configData": {"stateTopic": "x"}},
    }))
    .unwrap();
    assert!(!speaks_itself(&other));
}

#[test]
fn what_makes_no_sense_is_named_with_its_place() {
    for (key, data) in [
        ("topic", json!({"topic": "a/+"})),
        ("topic", json!({"topic": ""})),
        ("topic", json!({"topic": 5})),
        ("topic", json!({"topic": "$hw/events/device/a/b/twin/update"})),
        ("jsonPointer", json!({"topic": "a", "jsonPointer": "$.a"})),
        ("jsonPointer", json!({"topic": "a", "jsonPointer": "/a~2"})),
        ("jsonPath", json!({"topic": "a", "jsonPath": "$.a"})),
        ("setTemplate", json!({"setTopic": "a", "setTemplate": "on"})),
        ("qos", json!({"setTopic": "a", "qos": 3})),
        ("retain", json!({"setTopic": "a", "retain": "maybe"})),
        ("falseText", json!({"topic": "a", "trueText": "x", "falseText": "x"})),
    ] {
        let (_, problems) = one(data.clone());
        let paths: Vec<&str> = problems.iter().map(|problem| problem.path.as_str()).collect();
        assert_eq!(paths, [format!("spec.properties[0].visitors.configData.{key}")], "{data}");
    }
    let (mapping, _) = one(json!({"topic": "a", "jsonPointer": "$.a"}));
    assert_eq!(mapping, None, "the whole message is not the value");
    // The webhook says so, too.
    let spec = spec(
        json!({"silentAfterSeconds": -1}),
        json!([{"name": "t", "visitors": {"configData": {"topic": "#"}}}]),
    );
    let paths: Vec<String> =
        validation::check_device(&spec, None).into_iter().map(|problem| problem.path).collect();
    assert_eq!(
        paths,
        ["spec.protocol.configData.silentAfterSeconds", "spec.properties[0].visitors.configData.topic"]
    );
}

#[test]
fn values_are_read_by_their_type() {
    let whole = ours(json!({"topic": "a"}));
    let read = |payload: &str, data_type| whole.read(payload.as_bytes(), Some(&data_type));
    assert_eq!(read(" 21.0\n", DataType::Int).unwrap(), "21");
    assert_eq!(read("21.5", DataType::Int).unwrap(), "21.5", "DeviceTwin refuses it");
    assert_eq!(read("21.50", DataType::Double).unwrap(), "21.50");
    assert_eq!(read(" x ", DataType::Bytes).unwrap(), " x ");
    assert_eq!(whole.read(&[0xff, 0], Some(&DataType::Bytes)).unwrap(), "/wA=");
    assert_eq!(whole.read(&[0xff, 0], Some(&DataType::String)), Err(ReadError::NoText));
    let long = vec![b'1'; 1 << 20];
    assert_eq!(whole.read(&long, Some(&DataType::Int)), Err(ReadError::TooLong(1 << 20)));
    assert_eq!(
        whole.read(&[vec![0xff], long].concat(), Some(&DataType::Bytes)),
        Err(ReadError::TooLong((1 << 20) + 1))
    );

    let placed = ours(json!({"topic": "a", "jsonPointer": "/s/0/v", "trueText": "ON", "falseText": "OFF"}));
    let read = |payload: &str, data_type| placed.read(payload.as_bytes(), Some(&data_type));
    assert_eq!(read(r#"{"s": [{"v": 9007199254740993}]}"#, DataType::Int).unwrap(), "9007199254740993");
    assert_eq!(read(r#"{"s": [{"v": "ON"}]}"#, DataType::Boolean).unwrap(), "true");
    assert_eq!(read(r#"{"s": [{"v": "OFF"}]}"#, DataType::Boolean).unwrap(), "false");
    assert_eq!(read(r#"{"s": [{"v": true}]}"#, DataType::Boolean).unwrap(), "true");
    assert_eq!(read(r#"{"s": [{"v": {"x": 1}}]}"#, DataType::String).unwrap(), r#"{"x":1}"#);
    assert_eq!(read(r#"{"s": [{"v": null}]}"#, DataType::Int), Err(ReadError::Nothing("/s/0/v".into())));
    assert!(matches!(read("{", DataType::Int), Err(ReadError::NoJson(_))));
}

#[test]
fn desired_values_are_written_into_their_templates() {
    let write = |data: Value, value: &str, data_type| {
        let mapping = ours(data);
        mapping.write(mapping.set.as_ref().unwrap(), value, Some(&data_type))
    };
    let bare = json!({"setTopic": "s"});
    assert_eq!(write(bare.clone(), "21", DataType::Int), "21");
    assert_eq!(write(bare, "{{json}}", DataType::String), "{{json}}", "a value is a value");
    let template = json!({"setTopic": "s", "setTemplate": "{{{x\": {{json}}}"});
    assert_eq!(write(template, "21", DataType::Int), "{{{x\": 21}");
    let state =
        json!({"setTopic": "s", "setTemplate": "{\"state\":{{json}}}", "trueText": "ON", "falseText": "OFF"});
    assert_eq!(write(state.clone(), "true", DataType::Boolean), r#"{"state":"ON"}"#);
    assert_eq!(write(state.clone(), "a\"b", DataType::String), r#"{"state":"a\"b"}"#);
    assert_eq!(write(state, "NaN", DataType::Double), r#"{"state":"NaN"}"#);
    let flag = json!({"setTopic": "s", "setTemplate": "{{json}}"});
    assert_eq!(write(flag, "true", DataType::Boolean), "true");
}

#[test]
fn states_are_read_in_the_words_of_the_device() {
    let spec = spec(
        json!({"stateTopic": "s", "onlineText": "1", "offlineText": "0", "statePointer": "/up"}),
        json!([]),
    );
    let (mapping, problems) = mapping("default", "d", &spec);
    assert_eq!(problems, []);
    let state = mapping.state.unwrap();
    assert_eq!(state.read(br#"{"up": 1}"#).unwrap(), "online");
    assert_eq!(state.read(br#"{"up": "0"}"#).unwrap(), "offline");
    assert_eq!(state.read(br#"{"up": "Unhealthy"}"#).unwrap(), "unhealthy");
    assert!(matches!(state.read(br#"{"up": 2}"#), Err(ReadError::NoState(_))));
}
