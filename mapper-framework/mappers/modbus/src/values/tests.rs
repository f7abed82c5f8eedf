use mapper_framework::ByteOrder;
use proptest::prelude::*;

use super::*;
use crate::registers::{Span, Table};

fn visitor(form: Form, count: u16, data_type: Option<DataType>) -> Visitor {
    let span = Span::new(Table::Holding, 100, count).unwrap();
    Visitor { span, form, order: ByteOrder::Abcd, conversion: Conversion::default(), data_type }
}

fn number(raw: Raw, data_type: DataType) -> Visitor {
    let count = u16::try_from(raw.size() / 2).unwrap();
    visitor(Form::Number(raw), count, Some(data_type))
}

fn words(words: &[u16]) -> Content {
    Content::Words(words.to_vec())
}

#[test]
fn numbers_are_read_in_their_order_and_scale() {
    let mut tenths = number(Raw::Int16, DataType::Float);
    tenths.conversion.scale = 0.1;
    assert_eq!(tenths.value(&words(&[217])).unwrap(), Value::Float(21.7));
    assert_eq!(tenths.value(&words(&[0xFFF6])).unwrap(), Value::Float(-1.0));
    assert_eq!(tenths.content(&Value::Float(-2.5)).unwrap(), words(&[0xFFE7]));
    let mut float = number(Raw::Float32, DataType::Double);
    assert_eq!(float.value(&words(&[0x41C8, 0x0000])).unwrap(), Value::Double(25.0));
    float.order = ByteOrder::Cdab;
    assert_eq!(float.value(&words(&[0x0000, 0x41C8])).unwrap(), Value::Double(25.0));
    assert_eq!(float.content(&Value::Double(25.0)).unwrap(), words(&[0x0000, 0x41C8]));
    let mut moved = number(Raw::Uint16, DataType::Int);
    (moved.conversion.scale, moved.conversion.offset) = (2.0, -40.0);
    assert_eq!(moved.value(&words(&[30])).unwrap(), Value::Int(20));
    assert_eq!(moved.content(&Value::Int(-40)).unwrap(), words(&[0]));
}

#[test]
fn truth_is_anything_but_0_and_is_never_scaled() {
    let mut flag = number(Raw::Uint16, DataType::Boolean);
    flag.conversion.scale = 0.5;
    assert_eq!(flag.value(&words(&[0x0100])).unwrap(), Value::Boolean(true));
    assert_eq!(flag.value(&words(&[0])).unwrap(), Value::Boolean(false));
    assert_eq!(flag.content(&Value::Boolean(true)).unwrap(), words(&[1]));
}

#[test]
fn coils_are_bits_of_a_number() {
    let coils = |count, data_type| Visitor {
        span: Span::new(Table::Coil, 0, count).unwrap(),
        ..visitor(Form::Number(if count > 8 { Raw::Uint16 } else { Raw::Uint8 }), 1, data_type)
    };
    let bits = |bits: &[bool]| Content::Bits(bits.to_vec());
    let one = coils(1, Some(DataType::Int));
    assert_eq!(one.value(&bits(&[true])).unwrap(), Value::Int(1));
    assert_eq!(one.content(&Value::Int(1)).unwrap(), bits(&[true]));
    assert!(one.content(&Value::Int(2)).unwrap_err().to_string().contains("does not fit"));
    let three = coils(3, Some(DataType::Int));
    assert_eq!(three.value(&bits(&[false, true, true])).unwrap(), Value::Int(6));
    assert_eq!(three.content(&Value::Int(5)).unwrap(), bits(&[true, false, true]));
    assert_eq!(coils(1, None).value(&bits(&[true])).unwrap(), Value::Boolean(true));
}

#[test]
fn texts_are_padded_and_what_pads_them_is_cut_off() {
    let text = visitor(Form::Text, 3, Some(DataType::String));
    assert_eq!(text.value(&words(&[0x5075, 0x6D70, 0])).unwrap(), Value::String("Pump".into()));
    assert_eq!(text.content(&Value::String("Pump".into())).unwrap(), words(&[0x5075, 0x6D70, 0]));
    let swapped = Visitor { order: ByteOrder::Badc, ..text };
    assert_eq!(swapped.value(&words(&[0x7550, 0x706D, 0x2020])).unwrap(), Value::String("Pump".into()));
    let long = text.content(&Value::String("Pumpwork".into())).unwrap_err().to_string();
    assert!(long.contains("8 bytes") && long.contains("room for 6"), "{long}");
    assert!(text.value(&words(&[0xFFFF, 0, 0])).unwrap_err().to_string().contains("no text in UTF-8"));
}

#[test]
fn bytes_are_bytes_and_all_of_them() {
    let bytes = visitor(Form::Bytes, 2, Some(DataType::Bytes));
    assert_eq!(bytes.value(&words(&[0x0102, 0x0304])).unwrap(), Value::Bytes(vec![1, 2, 3, 4]));
    assert_eq!(bytes.content(&Value::Bytes(vec![1, 2, 3, 4])).unwrap(), words(&[0x0102, 0x0304]));
    bytes.content(&Value::Bytes(vec![1])).unwrap_err();
    bytes.content(&Value::Int(1)).unwrap_err();
}

#[test]
fn without_a_type_a_number_is_what_it_looks_like() {
    assert_eq!(visitor(Form::Number(Raw::Uint16), 1, None).value(&words(&[7])).unwrap(), Value::Int(7));
    let float = visitor(Form::Number(Raw::Float32), 2, None);
    assert_eq!(float.value(&words(&[0x3F80, 0])).unwrap(), Value::Double(1.0));
    assert_eq!(float.content(&Value::String("1.0".into())).unwrap(), words(&[0x3F80, 0]));
    float.content(&Value::String("warm".into())).unwrap_err();
}

#[test]
fn what_does_not_fit_is_refused_and_not_cut() {
    let wrong = |raw, value: Value| number(raw, DataType::Int).content(&value).unwrap_err().to_string();
    assert!(wrong(Raw::Uint16, Value::Int(-1)).contains("does not fit"));
    assert!(wrong(Raw::Int16, Value::Int(40_000)).contains("does not fit"));
    let nan = number(Raw::Float32, DataType::Double).value(&words(&[0x7FC0, 0])).unwrap_err().to_string();
    assert!(nan.contains("NaN"), "{nan}");
    number(Raw::Uint64, DataType::Int).value(&words(&[0xFFFF; 4])).unwrap_err();
}

fn some_raw() -> impl Strategy<Value = Raw> {
    let raws = [Raw::Int16, Raw::Uint16, Raw::Int32, Raw::Uint32, Raw::Int64, Raw::Float32, Raw::Float64];
    prop::sample::select(raws.to_vec())
}

fn some_order() -> impl Strategy<Value = ByteOrder> {
    prop::sample::select(vec![ByteOrder::Abcd, ByteOrder::Badc, ByteOrder::Cdab, ByteOrder::Dcba])
}

proptest! {
    /// What is written is what is read back, whatever the registers, their order, scale and type.
    #[test]
    fn a_value_survives_the_registers(
        raw in some_raw(), order in some_order(), whole in -10_000i64..10_000, scale in prop::sample::select(vec![1.0, 0.1, 0.01, 2.0]),
        data_type in prop::sample::select(vec![DataType::Int, DataType::Double]),
    ) {
        let mut visitor = number(raw, data_type);
        visitor.order = order;
        visitor.conversion.scale = scale;
        // A raw number, and the value that it stands for.
        let plain = if matches!(raw, Raw::Uint16 | Raw::Uint32) { whole.abs() } else { whole };
        let value = visitor.conversion.value(Number::Whole(plain.into()), DataType::Double).unwrap();
        prop_assume!(data_type == DataType::Double || value.as_f64().unwrap().fract() == 0.0);
        let content = visitor.content(&value).unwrap();
        let back = visitor.value(&content).unwrap().as_f64().unwrap();
        let wanted = value.as_f64().unwrap();
        prop_assert!((back - wanted).abs() <= wanted.abs() * 1e-6, "{back} {wanted}");
    }

    #[test]
    fn nothing_in_registers_breaks_it(
        content in prop::collection::vec(any::<u16>(), 0..9), raw in some_raw(), order in some_order(), scale: f64, text in ".*",
    ) {
        for form in [Form::Number(raw), Form::Text, Form::Bytes] {
            for data_type in [None, Some(DataType::Int), Some(DataType::Boolean), Some(DataType::String), Some(DataType::Bytes)] {
                let mut visitor = visitor(form, 2, data_type);
                visitor.order = order;
                visitor.conversion.scale = scale;
                drop(visitor.value(&Content::Words(content.clone())));
                drop(visitor.content(&Value::String(text.clone())));
                drop(visitor.content(&Value::Double(scale)));
            }
        }
    }
}
