use opcua::types::{Array, ByteString, StatusCode};
use proptest::prelude::*;

use super::*;

fn text(text: &str) -> Value {
    Value::String(text.to_owned())
}

#[test]
fn what_nodes_hold_are_values_of_the_model() {
    let read = |variant: Variant, data_type| value(&variant, Some(data_type)).unwrap();
    assert_eq!(read(Variant::Int16(-7), DataType::Int), Value::Int(-7));
    assert_eq!(read(Variant::Byte(7), DataType::Double), Value::Double(7.0));
    assert_eq!(read(Variant::Float(21.7), DataType::Double), Value::Double(21.7));
    assert_eq!(read(Variant::Double(3.0), DataType::Int), Value::Int(3));
    assert_eq!(read(Variant::Boolean(true), DataType::Int), Value::Int(1));
    assert_eq!(read(Variant::UInt32(1), DataType::Boolean), Value::Boolean(true));
    assert_eq!(read(Variant::UInt64(u64::MAX), DataType::String), text("18446744073709551615"));
    assert_eq!(read(Variant::from("Pump"), DataType::String), text("Pump"));
    assert_eq!(
        read(Variant::ByteString(ByteString::from(vec![1, 2])), DataType::Bytes),
        Value::Bytes(vec![1, 2])
    );
    assert_eq!(read(Variant::ByteString(ByteString::from(b"Pump".to_vec())), DataType::String), text("Pump"));
    assert_eq!(read(Variant::StatusCode(StatusCode::BadNoData), DataType::String), text("BadNoData"));
    assert_eq!(value(&Variant::Int64(5), None).unwrap(), Value::Int(5));
}

#[test]
fn an_array_is_json_and_one_element_is_itself() {
    let array = |values: Vec<f64>| {
        let values: Vec<Variant> = values.into_iter().map(Variant::Double).collect();
        Variant::Array(Box::new(Array::new(VariantScalarTypeId::Double, values).unwrap()))
    };
    assert_eq!(value(&array(vec![1.0, 2.5]), Some(DataType::String)).unwrap(), text("[1.0,2.5]"));
    assert_eq!(value(&array(vec![2.5]), Some(DataType::Double)).unwrap(), Value::Double(2.5));
    value(&array(vec![1.0, 2.5]), Some(DataType::Double)).unwrap_err();
}

#[test]
fn a_server_that_does_not_know_ranges_is_found_out() {
    let values = [1, 2, 3].map(Variant::Int32).to_vec();
    let array = Variant::Array(Box::new(Array::new(VariantScalarTypeId::Int32, values).unwrap()));
    check_range(&array, &NumericRange::None).unwrap();
    check_range(&array, &NumericRange::Range(4, 6)).unwrap();
    check_range(&array, &NumericRange::Range(4, 5)).unwrap_err();
    check_range(&array, &NumericRange::Index(0)).unwrap_err();
    check_range(&Variant::Int32(1), &NumericRange::Index(0)).unwrap();
}

#[test]
fn what_is_no_value_of_the_type_is_refused() {
    value(&Variant::Empty, Some(DataType::Int)).unwrap_err();
    value(&Variant::Double(f64::NAN), Some(DataType::Double)).unwrap_err();
    value(&Variant::Double(2.5), Some(DataType::Int)).unwrap_err();
    value(&Variant::UInt64(u64::MAX), Some(DataType::Int)).unwrap_err();
    value(&Variant::from("warm"), Some(DataType::Double)).unwrap_err();
}

#[test]
fn values_are_written_with_the_type_of_the_node_or_not_at_all() {
    use VariantScalarTypeId as Type;
    let written = |value: Value, target| variant(&value, target).unwrap();
    assert_eq!(written(Value::Int(7), Type::Byte), Variant::Byte(7));
    assert_eq!(written(Value::Double(7.0), Type::Int16), Variant::Int16(7));
    assert_eq!(written(Value::Int(7), Type::Double), Variant::Double(7.0));
    assert_eq!(written(Value::Float(0.1), Type::Double), Variant::Double(0.1));
    assert_eq!(written(text("18446744073709551615"), Type::UInt64), Variant::UInt64(u64::MAX));
    assert_eq!(written(text("7"), Type::Int32), Variant::Int32(7));
    assert_eq!(written(Value::Int(1), Type::Boolean), Variant::Boolean(true));
    assert_eq!(written(text("TRUE"), Type::Boolean), Variant::Boolean(true));
    assert_eq!(written(Value::Int(7), Type::String), Variant::from("7"));
    assert_eq!(
        written(Value::Bytes(vec![7]), Type::ByteString),
        Variant::ByteString(ByteString::from(vec![7]))
    );
    let time = written(text("2026-01-02T03:04:05Z"), Type::DateTime);
    assert!(value(&time, Some(DataType::String)).unwrap().to_string().starts_with("2026-01-02T03:04:05"));
    for (value, target) in [
        (Value::Int(300), Type::Byte),
        (Value::Int(-1), Type::UInt64),
        (Value::Double(2.5), Type::Int32),
        (Value::Int(2), Type::Boolean),
        (text("warm"), Type::Float),
        (text("yesterday"), Type::DateTime),
        (text("x"), Type::Guid),
        (Value::Double(1e300), Type::Float),
        (Value::Int(1), Type::NodeId),
    ] {
        let error = variant(&value, target).unwrap_err();
        assert!(!error.is_lost(), "{error}");
    }
}

proptest! {
    #[test]
    fn a_whole_number_survives_every_type_that_it_fits_into(number: i64, kind in 2u32..=9) {
        let target = VariantScalarTypeId::try_from(kind).unwrap();
        match variant(&Value::Int(number), target) {
            Ok(written) => prop_assert_eq!(value(&written, Some(DataType::Int)).unwrap(), Value::Int(number)),
            Err(_) => prop_assert!(kind != 8 && !(0..=127).contains(&number)),
        }
    }

    #[test]
    fn a_fraction_survives(number in -1e30f64..1e30) {
        let written = variant(&Value::Double(number), VariantScalarTypeId::Double).unwrap();
        prop_assert_eq!(value(&written, Some(DataType::Double)).unwrap(), Value::Double(number));
    }

    #[test]
    fn a_text_survives_and_breaks_nothing(said in ".*", kind in 1u32..=25) {
        let written = variant(&text(&said), VariantScalarTypeId::String).unwrap();
        prop_assert_eq!(value(&written, Some(DataType::String)).unwrap(), text(&said));
        if let Ok(target) = VariantScalarTypeId::try_from(kind) {
            drop(variant(&text(&said), target));
        }
    }
}
