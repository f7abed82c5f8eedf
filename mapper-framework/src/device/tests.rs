use proto::api::device as api;
use serde_json::json;

use super::any::json as from_any;
use super::*;

fn device(spec: serde_json::Value, model: serde_json::Value) -> Device {
    let spec: api::DeviceSpec = serde_json::from_value(spec).unwrap();
    let model: api::DeviceModelSpec = serde_json::from_value(model).unwrap();
    let spec = dmi::configured(&spec, Some(&model));
    Device::new(
        &dmi::device("ns", "d", &spec, &api::DeviceState::default()),
        Some(&dmi::model("ns", "m", &model)),
    )
}

fn thermometer(desired: &str) -> Device {
    let spec = json!({
        "deviceModelRef": {"name": "m"},
        "protocol": {"protocolName": "virtual", "configData": {"port": 502, "nested": {"a": [1, 2]}, "ratio": 0.5}},
        "properties": [
            {"name": "temperature", "desired": {"value": desired}, "collectCycle": 5, "reportToCloud": true,
             "visitors": {"protocolName": "virtual", "configData": {"register": 7}}},
            {"name": "label"},
        ],
        "methods": [{"name": "warm", "propertyNames": ["temperature"]}],
        "stateReport": {"reportToCloud": true, "reportCycle": 3000},
    });
    let model = json!({"protocol": "virtual", "properties": [
        {"name": "temperature", "type": "INT", "accessMode": "ReadWrite", "minimum": "-40", "maximum": "120", "unit": "C"},
        {"name": "label", "type": "STRING", "accessMode": "ReadOnly"},
    ]});
    device(spec, model)
}

#[test]
fn a_device_is_typed_by_its_model() {
    let device = thermometer("30");
    assert_eq!(device.problems(), [] as [&str; 0]);
    let temperature = device.property("temperature").unwrap();
    assert_eq!(temperature.data_type(), Some(DataType::Int));
    assert_eq!(temperature.desired(), Some(&Value::Int(30)));
    assert_eq!(temperature.collected(), Some(LEAST_CYCLE));
    assert_eq!(temperature.config().get("register"), Some(&json!(7)));
    assert_eq!(temperature.unit(), "C");
    assert_eq!(device.property("label").unwrap().collected(), None);
    assert_eq!(device.state_cycle(), Some(Duration::from_secs(3)));
    #[derive(Debug, PartialEq, serde::Deserialize)]
    struct Reached {
        port: u16,
        nested: std::collections::BTreeMap<String, Vec<u8>>,
        ratio: f64,
    }
    let reached: Reached = device.config().read().unwrap();
    assert_eq!((reached.port, reached.ratio, &reached.nested["a"][..]), (502, 0.5, &[1, 2][..]));
}

#[test]
fn what_is_wrong_with_a_desired_value_is_said_and_the_rest_stands() {
    for wrong in ["warm", "121", "1.5"] {
        let device = thermometer(wrong);
        assert_eq!(device.property("temperature").unwrap().desired(), None);
        assert!(
            device.problems()[0].starts_with("temperature: the desired value is not set"),
            "{:?}",
            device.problems()
        );
    }
    assert_eq!(thermometer("").problems(), [] as [&str; 0]);
}

#[test]
fn values_are_checked_where_they_come_in() {
    let device = thermometer("30");
    let temperature = device.property("temperature").unwrap();
    assert_eq!(temperature.checked(Value::Double(20.0)), Ok(Value::Int(20)));
    assert!(temperature.checked(Value::Int(121)).is_err());
    assert_eq!(temperature.settable(&json!(21)), Ok(Value::Int(21)));
    assert_eq!(temperature.settable(&json!("21")), Ok(Value::Int(21)));
    assert!(temperature.settable(&json!(null)).is_err());
    let refused = device.property("label").unwrap().settable(&json!("x")).unwrap_err();
    assert_eq!(refused.to_string(), "not supported: label is read-only");
}

#[test]
fn numbers_of_a_stock_edgecore_are_whole_again() {
    let float = |number: f32| Any {
        type_url: "type.googleapis.com/google.protobuf.FloatValue".into(),
        value: prost::Message::encode_to_vec(&number),
    };
    assert_eq!(from_any(&float(502.0)), Some(json!(502)));
    assert_eq!(from_any(&float(0.1)), Some(json!(0.1)));
    assert_eq!(from_any(&Any { type_url: "x/google.protobuf.Duration".into(), value: vec![] }), None);
    assert_eq!(from_any(&Any { type_url: "google.protobuf.Int64Value".into(), value: vec![0xff] }), None);
}

#[test]
fn a_new_desired_value_needs_no_new_connection() {
    let (a, b) = (thermometer("30"), thermometer("31"));
    assert!(a != b && a.is_reached_as(&b));
    let mut c = thermometer("30");
    c.set_desired("temperature", "31").unwrap();
    assert_eq!(c, b);
    assert!(c.set_desired("temperature", "hot").is_err() && c.set_desired("x", "1").is_err());
}

use proto::dmi::Any;
