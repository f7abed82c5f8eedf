use proptest::prelude::*;

use super::*;

fn values() -> impl Strategy<Value = (DataType, Value)> {
    prop_oneof![
        any::<i64>().prop_map(|number| (DataType::Int, Value::Int(number))),
        any::<f32>()
            .prop_filter("finite", |n| n.is_finite())
            .prop_map(|n| (DataType::Float, Value::Float(n))),
        any::<f64>()
            .prop_filter("finite", |n| n.is_finite())
            .prop_map(|n| (DataType::Double, Value::Double(n))),
        any::<bool>().prop_map(|value| (DataType::Boolean, Value::Boolean(value))),
        ".*".prop_map(|text| (DataType::String, Value::String(text))),
        prop::collection::vec(any::<u8>(), 0..64).prop_map(|bytes| (DataType::Bytes, Value::Bytes(bytes))),
    ]
}

proptest! {
    #[test]
    fn text_and_json_read_back_as_the_same_value((data_type, value) in values()) {
        prop_assert_eq!(Value::parse(data_type, &value.to_string()).unwrap(), value.clone());
        prop_assert_eq!(Value::from_json(data_type, &value.to_json()).unwrap(), value.clone());
        prop_assert_eq!(value.clone().into_type(data_type).unwrap(), value);
    }

    #[test]
    fn no_text_breaks_it(text: String) {
        for name in ["INT", "FLOAT", "DOUBLE", "BOOLEAN", "STRING", "BYTES", "STREAM"] {
            let data_type = DataType::named(name).unwrap();
            prop_assert_eq!(data_type.name(), name);
            if let Ok(value) = Value::parse(data_type, &text) {
                prop_assert!(value.into_type(data_type).is_ok());
            }
        }
    }

    #[test]
    fn a_whole_number_never_changes_on_the_way_to_a_fraction(number: i64) {
        for data_type in [DataType::Float, DataType::Double] {
            if let Ok(value) = Value::Int(number).into_type(data_type) {
                prop_assert_eq!(value.into_type(DataType::Int).unwrap(), Value::Int(number));
            }
        }
    }
}

#[test]
fn what_would_lose_something_is_refused() {
    assert_eq!(Value::Double(21.0).into_type(DataType::Int), Ok(Value::Int(21)));
    assert!(Value::Double(21.5).into_type(DataType::Int).is_err());
    assert!(Value::Double(9.3e18).into_type(DataType::Int).is_err());
    assert!(Value::Int(16_777_217).into_type(DataType::Float).is_err());
    assert!(Value::Double(f64::NAN).into_type(DataType::Double).is_err());
    assert!(Value::Double(1e300).into_type(DataType::Float).is_err());
    assert!(Value::Boolean(true).into_type(DataType::Int).is_err());
    assert_eq!(Value::Float(0.1).into_type(DataType::Double), Ok(Value::Double(0.1)));
    let error = Value::parse(DataType::Int, "warm").unwrap_err();
    assert_eq!(error.to_string(), "\"warm\" is no INT");
}
