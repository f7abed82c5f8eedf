use proptest::prelude::*;
use serde_json::json;

use super::validation::{MAX_VALUE, ValueError, check_call, check_device, check_model, check_value};
use super::*;

/// As a stock CloudCore sent it (samples/messages.jsonl, without the bookkeeping in the metadata).
fn stock_device() -> Value {
    json!({
        "kind": "Device",
        "apiVersion": "devices.kubeedge.io/v1beta1",
        "metadata": {"name": "dev1", "namespace": "default", "uid": "ff1f7380", "resourceVersion": "1036"},
        "spec": {
            "deviceModelRef": {"name": "model1"},
            "nodeName": "edge1",
            "properties": [
                {
                    "name": "temperature",
                    "desired": {"value": "30", "metadata": {"unit": "C"}},
                    "visitors": {"protocolName": "virtual", "configData": {"dataType": "int", "register": 7}},
                    "reportCycle": 10000, "collectCycle": 10000, "reportToCloud": true
                },
                {
                    "name": "label", "desired": {"value": ""},
                    "visitors": {"protocolName": "virtual", "configData": {"dataType": "string"}}
                }
            ],
            "protocol": {
                "protocolName": "virtual",
                "configData": {"ip": "127.0.0.1", "nested": {"a": [1, 2]}, "port": 502}
            },
            "methods": [{"name": "setTemp", "description": "set", "propertyNames": ["temperature"]}]
        }
    })
}

fn stock_model() -> Value {
    json!({
        "kind": "DeviceModel",
        "apiVersion": "devices.kubeedge.io/v1beta1",
        "metadata": {"name": "model1", "namespace": "default"},
        "spec": {
            "properties": [
                {
                    "name": "temperature", "description": "temp", "type": "INT", "accessMode": "ReadWrite",
                    "minimum": "-40", "maximum": "120", "unit": "C"
                },
                {"name": "label", "type": "STRING", "accessMode": "ReadOnly"}
            ],
            "protocol": "virtual"
        }
    })
}

fn device() -> DeviceSpec {
    serde_json::from_value::<Device>(stock_device()).unwrap().spec
}

fn model() -> DeviceModelSpec {
    serde_json::from_value::<DeviceModel>(stock_model()).unwrap().spec
}

#[test]
fn what_stock_writes_is_read_and_written_the_same() {
    let device: Device = serde_json::from_value(stock_device()).unwrap();
    assert_eq!(serde_json::to_value(&device).unwrap(), stock_device());
    let model: DeviceModel = serde_json::from_value(stock_model()).unwrap();
    assert_eq!(serde_json::to_value(&model).unwrap(), stock_model());
}

#[test]
fn an_unknown_word_does_not_keep_an_object_from_being_read() {
    let mut json = stock_model();
    json["spec"]["properties"][0]["type"] = json!("COMPLEX");
    let model: DeviceModel = serde_json::from_value(json.clone()).unwrap();
    assert_eq!(serde_json::to_value(&model).unwrap(), json);
    assert_eq!(check_model(&model.spec)[0].path, "spec.properties[0].type");
}

/// The files of `build/crds` are those of the types: `cargo run -p proto --example definitions`.
#[test]
fn the_definitions_are_those_of_the_types() {
    for (name, made) in definitions() {
        let path = format!("{}/../build/crds/{name}", env!("CARGO_MANIFEST_DIR"));
        let file: Value = serde_saphyr::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        assert_eq!(file, made, "{name}: cargo run -p proto --example definitions");
    }
}

#[test]
fn every_field_is_explained() {
    fn look(path: &str, schema: &Value) {
        for (key, field) in schema["properties"].as_object().into_iter().flatten() {
            let path = format!("{path}.{key}");
            assert!(key == "metadata" || field["description"].is_string(), "{path}");
            look(&path, field);
            look(&path, &field["items"]);
        }
    }
    for (name, made) in definitions() {
        look(&name, &made["spec"]["versions"][0]["schema"]["openAPIV3Schema"]);
    }
}

/// Stock asks for one thing only: the value of a TwinProperty.
#[test]
fn nothing_is_required_that_stock_does_not_require() {
    let (_, made) = definitions().remove(0);
    let spec = &made["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
    assert!(spec.get("required").is_none());
    let property = &spec["properties"]["properties"]["items"];
    assert!(property.get("required").is_none());
    assert_eq!(property["properties"]["desired"]["required"], json!(["value"]));
    assert_eq!(spec["properties"]["deviceModelRef"]["x-kubernetes-map-type"], "atomic");
}

#[test]
fn a_sound_pair_has_no_problems() {
    assert_eq!(check_model(&model()), []);
    assert_eq!(check_device(&device(), Some(&model())), []);
    assert_eq!(check_device(&device(), None), []);
}

#[test]
fn each_problem_is_named_with_its_place() {
    let places = |device: &DeviceSpec| -> Vec<String> {
        check_device(device, Some(&model())).into_iter().map(|problem| problem.path).collect()
    };
    let mut wrong = device();
    wrong.properties[0].desired = Some(TwinProperty::new("warm"));
    wrong.properties[1].desired = Some(TwinProperty::new("x"));
    wrong.properties.push(DeviceProperty {
        name: "humidity".into(),
        collect_cycle: -1,
        ..Default::default()
    });
    wrong.properties.push(wrong.properties[0].clone());
    wrong.methods[0].property_names.push("pressure".into());
    assert_eq!(
        places(&wrong),
        [
            "spec.properties[3].name",
            "spec.properties[0].desired.value",
            "spec.properties[1].desired",
            "spec.properties[2].collectCycle",
            "spec.properties[2].name",
            "spec.properties[3].desired.value",
            "spec.methods[0].propertyNames",
        ]
    );
    let mut wrong = model();
    wrong.properties[0].maximum = "-41".into();
    wrong.properties[1].minimum = "1".into();
    let places: Vec<String> = check_model(&wrong).into_iter().map(|problem| problem.path).collect();
    assert_eq!(places, ["spec.properties[0].maximum", "spec.properties[1].minimum"]);
}

#[test]
fn a_call_fits_the_method_and_the_model() {
    let problems = |text: &str| -> Vec<String> {
        let call = crate::twin::CallRequest::parse(text).unwrap();
        let problems = check_call(&call, &device(), Some(&model()));
        problems.into_iter().map(|problem| problem.message).collect()
    };
    let none: [&str; 0] = [];
    assert_eq!(problems(r#"{"id": "1", "method": "setTemp", "values": {"temperature": 30}}"#), none);
    assert_eq!(problems(r#"{"id": "1", "method": "GetDevice"}"#), none);
    for (text, why) in [
        (r#"{"id": "1", "method": "explode"}"#, "the device has no method \"explode\""),
        (
            r#"{"id": "1", "method": "setTemp", "values": {"label": "x"}}"#,
            "method \"setTemp\" sets no property \"label\"",
        ),
        (
            r#"{"id": "1", "method": "setTemp", "values": {"temperature": 121}}"#,
            "temperature: 121 is not from -40 to 120",
        ),
    ] {
        assert_eq!(problems(text), [why]);
    }
}

/// What v1alpha2 has where v1beta1 has a word; no conversion makes one of it (stock has none).
#[test]
fn an_object_in_place_of_a_word_does_not_keep_the_others_from_being_read() {
    let mut json = stock_model();
    json["spec"]["properties"][0]["type"] = json!({"int": {"accessMode": "ReadWrite", "maximum": 120}});
    let model: DeviceModel = serde_json::from_value(json).unwrap();
    let made = model.spec.properties[0].data_type.as_ref().unwrap();
    assert!(matches!(made, DataType::Other(text) if text.contains("\"int\"")), "{made}");
}

fn typed(data_type: DataType, minimum: &str, maximum: &str) -> ModelProperty {
    ModelProperty {
        data_type: Some(data_type),
        minimum: minimum.into(),
        maximum: maximum.into(),
        ..ModelProperty::default()
    }
}

#[test]
fn a_value_has_the_type_of_its_model() {
    let fits = |data_type: DataType, value: &str| check_value(&typed(data_type, "", ""), value).is_ok();
    assert!(fits(DataType::Int, "9223372036854775807") && fits(DataType::Int, "-5"));
    assert!(!fits(DataType::Int, "9223372036854775808") && !fits(DataType::Int, "1.0"));
    assert!(fits(DataType::Double, "1e300") && !fits(DataType::Float, "1e300"));
    assert!(!fits(DataType::Double, "NaN") && !fits(DataType::Double, "inf") && !fits(DataType::Double, ""));
    assert!(
        fits(DataType::Boolean, "true") && !fits(DataType::Boolean, "TRUE") && !fits(DataType::Boolean, "1")
    );
    assert!(fits(DataType::String, "ä b") && fits(DataType::Bytes, "\u{0}"));
    let long = "x".repeat(MAX_VALUE + 1);
    assert_eq!(check_value(&typed(DataType::String, "", ""), &long), Err(ValueError::TooLong(MAX_VALUE + 1)));
}

proptest! {
    #[test]
    fn whole_numbers_are_compared_without_rounding(value: i64, minimum: i64, maximum: i64) {
        let property = typed(DataType::Int, &minimum.to_string(), &maximum.to_string());
        let fits = check_value(&property, &value.to_string()).is_ok();
        prop_assert_eq!(fits, (minimum..=maximum).contains(&value));
    }

    #[test]
    fn real_numbers_keep_to_their_range(value in -1e6..1e6_f64, minimum in -1e6..1e6_f64, maximum in -1e6..1e6_f64) {
        let property = typed(DataType::Double, &minimum.to_string(), &maximum.to_string());
        let fits = check_value(&property, &value.to_string()).is_ok();
        prop_assert_eq!(fits, (minimum..=maximum).contains(&value));
    }

    #[test]
    fn no_value_and_no_model_makes_it_panic(value in ".{0,40}", minimum in ".{0,8}", maximum in ".{0,8}", which in 0..8_usize) {
        let types = [
            DataType::Int, DataType::Float, DataType::Double, DataType::String, DataType::Boolean, DataType::Bytes,
            DataType::Stream, DataType::Other("x".into()),
        ];
        let property = typed(types[which].clone(), &minimum, &maximum);
        let model = DeviceModelSpec { properties: vec![property.clone()], ..DeviceModelSpec::default() };
        let mut device = device();
        device.properties[0].desired = Some(TwinProperty::new(value.clone()));
        drop((check_model(&model), check_device(&device, Some(&model))));
        // An end that is no number keeps nobody out.
        if minimum.parse::<f64>().is_err() && maximum.parse::<f64>().is_err() {
            let in_range = !matches!(check_value(&property, &value), Err(ValueError::Range { .. }));
            prop_assert!(in_range);
        }
    }
}
