use proptest::prelude::*;

use super::*;

const RAWS: [Raw; 10] = [
    Raw::Int8,
    Raw::Uint8,
    Raw::Int16,
    Raw::Uint16,
    Raw::Int32,
    Raw::Uint32,
    Raw::Int64,
    Raw::Uint64,
    Raw::Float32,
    Raw::Float64,
];
const ORDERS: [ByteOrder; 4] = [ByteOrder::Abcd, ByteOrder::Dcba, ByteOrder::Badc, ByteOrder::Cdab];

proptest! {
    #[test]
    fn every_number_survives_the_way_to_bytes_and_back(bytes: [u8; 8], raw in 0..10usize, order in 0..4usize) {
        let (raw, order) = (RAWS[raw], ORDERS[order]);
        let bytes = &bytes[..raw.size()];
        let number = decode(raw, order, bytes).unwrap();
        prop_assume!(!matches!(number, Number::Real(real) if !real.is_finite()));
        prop_assert_eq!(encode(raw, order, number).unwrap(), bytes);
    }

    #[test]
    fn scale_and_offset_are_undone(raw: u16, scale in 0.001f64..1000.0, offset in -1000.0f64..1000.0) {
        let conversion = Conversion { scale, offset, ..Conversion::default() };
        let value = conversion.value(Number::Whole(raw.into()), DataType::Double).unwrap();
        let back = conversion.raw(&value).unwrap();
        prop_assert_eq!(encode(Raw::Uint16, ByteOrder::Abcd, back).unwrap(), raw.to_be_bytes());
    }

    #[test]
    fn nothing_breaks_it(bytes in prop::collection::vec(any::<u8>(), 0..12), number: f64, scale: f64, offset: f64) {
        let conversion = Conversion { scale, offset, ..Conversion::default() };
        for raw in RAWS {
            for order in ORDERS {
                prop_assert_eq!(decode(raw, order, &bytes).is_ok(), bytes.len() == raw.size());
                drop(encode(raw, order, Number::Real(number)));
            }
        }
        for data_type in [DataType::Int, DataType::Float, DataType::Double, DataType::Boolean, DataType::String] {
            drop(conversion.value(Number::Real(number), data_type));
        }
        drop(conversion.raw(&Value::Double(number)));
    }
}

#[test]
fn the_four_orders_are_what_manuals_call_them() {
    let number = Number::Whole(0x1122_3344);
    let bytes = ORDERS.map(|order| encode(Raw::Uint32, order, number).unwrap());
    assert_eq!(
        bytes,
        [
            vec![0x11, 0x22, 0x33, 0x44],
            vec![0x44, 0x33, 0x22, 0x11],
            vec![0x22, 0x11, 0x44, 0x33],
            vec![0x33, 0x44, 0x11, 0x22]
        ]
    );
}

#[test]
fn a_register_becomes_a_temperature() {
    let conversion: Conversion = serde_json::from_value(serde_json::json!({
        "rawType": "int16", "byteOrder": "little", "scale": 0.1, "offset": -40
    }))
    .unwrap();
    let raw = decode(conversion.raw_type.unwrap(), conversion.byte_order, &[0x69, 0x02]).unwrap();
    assert_eq!(raw, Number::Whole(617));
    assert_eq!(conversion.value(raw, DataType::Float), Ok(Value::Float(21.7)));
    assert_eq!(conversion.value(raw, DataType::Double), Ok(Value::Double(21.7)));
    assert_eq!(conversion.value(raw, DataType::Int), Ok(Value::Int(22)));
    let back = conversion.raw(&Value::Double(21.7)).unwrap();
    assert_eq!(encode(Raw::Int16, ByteOrder::Dcba, back), Ok(vec![0x69, 0x02]));
}

#[test]
fn what_does_not_fit_is_refused_and_not_wrapped() {
    let error = encode(Raw::Int16, ByteOrder::Abcd, Number::Whole(40_000)).unwrap_err();
    assert_eq!(error.to_string(), "40000 does not fit into Int16");
    assert!(encode(Raw::Uint8, ByteOrder::Abcd, Number::Real(-1.0)).is_err());
    assert!(encode(Raw::Float32, ByteOrder::Abcd, Number::Real(1e300)).is_err());
    assert_eq!(
        decode(Raw::Int32, ByteOrder::Abcd, &[1, 2]).unwrap_err().to_string(),
        "2 bytes are no Int32, which has 4"
    );
    let stuck = Conversion { scale: 0.0, ..Conversion::default() };
    assert!(stuck.raw(&Value::Double(1.0)).is_err());
    assert!(Conversion::default().raw(&Value::String("x".into())).is_err());
    assert_eq!(Conversion::default().raw(&Value::Boolean(true)), Ok(Number::Whole(1)));
}
