use std::fmt::Write as _;

use prost::Message;
use serde_json::json;

use super::*;
use crate::api::device as api;

// samples/dmi.jsonl: what a stock EdgeCore and a stock driver said to each other.
const REGISTER: &str = "080112400a0b706565722d6d6170706572120276311a0676312e302e3022077669727475616c2a182f72756e2f6d61707065722f76312f6d61707065722e736b32026f6b";
const REGISTERED: &str = "0a450a066d6f64656c3212320a300a0b74656d7065726174757265120474656d701a03494e5422095265616457726974652a032d343032033132303a01431a0764656661756c741292030a046465763212fe020a066d6f64656c321293010a077669727475616c1287010a440a026970123e0a2f747970652e676f6f676c65617069732e636f6d2f676f6f676c652e70726f746f6275662e537472696e6756616c7565120b0a093132372e302e302e310a3f0a04706f727412370a2e747970652e676f6f676c65617069732e636f6d2f676f6f676c652e70726f746f6275662e466c6f617456616c756512050d0000fb431ac0010a0b74656d7065726174757265120f0a02333012090a04756e69741201431a97010a077669727475616c128b010a440a08646174615479706512380a2f747970652e676f6f676c65617069732e636f6d2f676f6f676c652e70726f746f6275662e537472696e6756616c756512050a03696e740a430a08726567697374657212370a2e747970652e676f6f676c65617069732e636f6d2f676f6f676c652e70726f746f6275662e466c6f617456616c756512050d0000e04020904e28904e3001221b0a0773657454656d7012037365741a0b74656d70657261747572651a00220764656661756c74";
const REPORT: &str = "0a046465763112720a6b0a0b74656d7065726174757265122d0a023330121a0a0974696d657374616d70120d31373935343033363630353330120b0a04747970651203494e541a2d0a023230121a0a0974696d657374616d70120d31373935343033363630353330120b0a04747970651203494e54100118e8071a0764656661756c74";
const STATE: &str = "0a0464657631120764656661756c741a026f6b";
const CREATE_MODEL: &str = "0a450a066d6f64656c3212320a300a0b74656d7065726174757265120474656d701a03494e5422095265616457726974652a032d343032033132303a01431a0764656661756c74";
const REMOVE_MODEL: &str = "0a066d6f64656c31120764656661756c74";

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

fn decoded<M: Message + Default>(hex: &str) -> M {
    let message = M::decode(bytes(hex).as_slice()).unwrap();
    let again = message.encode_to_vec();
    let again = again.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    });
    // The order of a map's entries is nobody's promise; all else is byte for byte.
    assert_eq!(again.len(), hex.len());
    assert_eq!(M::decode(message.encode_to_vec().as_slice()).unwrap().encoded_len(), message.encoded_len());
    message
}

#[test]
fn stock_messages_are_read_and_written() {
    let register: MapperRegisterRequest = decoded(REGISTER);
    let mapper = register.mapper.unwrap();
    assert!(register.with_data);
    assert_eq!(
        (mapper.protocol.as_str(), mapper.address.as_slice()),
        ("virtual", b"/run/mapper/v1/mapper.sk".as_slice())
    );
    let report: ReportDeviceStatusRequest = decoded(REPORT);
    let twin = &report.reported_device.unwrap().twins[0];
    assert_eq!(twin.property_name, "temperature");
    assert_eq!(twin.reported.as_ref().unwrap().metadata["type"], "INT");
    let state: ReportDeviceStatesRequest = decoded(STATE);
    assert_eq!((state.device_namespace.as_str(), state.state.as_str()), ("default", "ok"));
    let created: CreateDeviceModelRequest = decoded(CREATE_MODEL);
    assert_eq!(created.model.unwrap().spec.unwrap().properties[0].maximum, "120");
    let removed: RemoveDeviceModelRequest = decoded(REMOVE_MODEL);
    assert_eq!(removed.model_name, "model1");
}

/// The device that stock sent here, converted by us, is the same but for whole numbers, which stay whole.
#[test]
fn a_device_is_converted_as_stock_converts_it() {
    let stock: MapperRegisterResponse = decoded(REGISTERED);
    let spec: api::DeviceSpec = serde_json::from_value(json!({
        "deviceModelRef": {"name": "model2"},
        "protocol": {"protocolName": "virtual", "configData": {"ip": "127.0.0.1", "port": 502}},
        "properties": [{
            "name": "temperature", "desired": {"value": "30", "metadata": {"unit": "C"}},
            "visitors": {"protocolName": "virtual", "configData": {"dataType": "int", "register": 7}},
            "reportCycle": 10000, "collectCycle": 10000, "reportToCloud": true
        }],
        "methods": [{"name": "setTemp", "description": "set", "propertyNames": ["temperature"]}]
    }))
    .unwrap();
    let mut ours = device("default", "dev2", &spec, &api::DeviceState::default());
    let mut theirs = stock.device_list[0].clone();
    let number = |device: &mut Device| {
        let data =
            &mut device.spec.as_mut().unwrap().protocol.as_mut().unwrap().config_data.as_mut().unwrap().data;
        data.remove("port").unwrap()
    };
    let register = |device: &mut Device| {
        let visitors =
            &mut device.spec.as_mut().unwrap().properties[0].visitors.as_mut().unwrap().config_data;
        visitors.as_mut().unwrap().data.remove("register").unwrap()
    };
    let port = number(&mut ours);
    assert_eq!(port.type_url, "type.googleapis.com/google.protobuf.Int64Value");
    assert_eq!(i64::decode(port.value.as_slice()).unwrap(), 502);
    assert_eq!(number(&mut theirs).type_url, "type.googleapis.com/google.protobuf.FloatValue");
    register(&mut ours);
    register(&mut theirs);
    assert_eq!(ours, theirs);
}

#[test]
fn what_is_nested_does_not_keep_the_device_from_its_driver() {
    let spec: api::DeviceSpec = serde_json::from_value(json!({
        "protocol": {"configData": {"nested": {"a": [1, 2]}, "list": [true], "none": null, "half": 0.5, "on": true}}
    }))
    .unwrap();
    let device = device("ns", "d", &spec, &api::DeviceState::default());
    let data = device.spec.unwrap().protocol.unwrap().config_data.unwrap().data;
    assert_eq!(String::decode(data["nested"].value.as_slice()).unwrap(), r#"{"a":[1,2]}"#);
    assert_eq!(String::decode(data["list"].value.as_slice()).unwrap(), "[true]");
    assert!((f32::decode(data["half"].value.as_slice()).unwrap() - 0.5).abs() < f32::EPSILON);
    assert!(bool::decode(data["on"].value.as_slice()).unwrap());
    assert!(!data.contains_key("none"));
}

#[test]
fn a_device_has_what_its_model_says_and_may_say_otherwise() {
    let model: api::DeviceModelSpec = serde_json::from_value(json!({
        "protocolConfigData": {"baud": 9600, "parity": "even"},
        "properties": [{"name": "t", "visitors": {"protocolName": "modbus", "configData": {"register": 1, "scale": 2}}}]
    }))
    .unwrap();
    let spec: api::DeviceSpec = serde_json::from_value(json!({
        "protocol": {"protocolName": "modbus", "configData": {"baud": 115200}},
        "properties": [{"name": "t", "visitors": {"protocolName": "x", "configData": {"register": 5}}}, {"name": "u"}]
    }))
    .unwrap();
    let made = serde_json::to_value(configured(&spec, Some(&model))).unwrap();
    assert_eq!(made["protocol"]["configData"], json!({"baud": 115_200, "parity": "even"}));
    let visitors = json!({"protocolName": "modbus", "configData": {"register": 5, "scale": 2}});
    assert_eq!(made["properties"][0]["visitors"], visitors);
    assert_eq!(made["properties"].as_array().unwrap().len(), 1, "the model has no such property");
    assert_eq!(configured(&spec, None), spec);
}

/// What a driver of mapper-framework 1.23 follows without looking whether it is there (`buildTwinsFromGrpc`,
/// `buildPropertiesFromGrpc`, `BuildProtocolFromGrpc`).
#[test]
fn nothing_is_missing_that_a_stock_driver_takes_for_granted() {
    let bare: api::DeviceSpec = serde_json::from_value(json!({
        "properties": [{"name": "t"}, {"name": "u", "visitors": {"protocolName": "virtual"}}]
    }))
    .unwrap();
    let device = device("ns", "d", &bare, &api::DeviceState::default());
    let again = Device::decode(device.encode_to_vec().as_slice()).unwrap();
    let spec = again.spec.unwrap();
    assert!(spec.protocol.is_some() && again.status.is_some());
    for property in &spec.properties {
        assert!(property.desired.is_some(), "{property:?}");
        assert!(
            property.visitors.as_ref().is_some_and(|visitors| visitors.config_data.is_some()),
            "{property:?}"
        );
    }
}
