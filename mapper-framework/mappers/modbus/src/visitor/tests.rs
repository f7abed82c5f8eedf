use mapper_framework::{Device, Visitor as _};

use super::*;

/// A device with one property for each visitor; types are those of the model, `-` for none.
fn device(visitors: &[(&str, &str)]) -> Device {
    let mut model =
        String::from("kind: DeviceModel\nmetadata: {name: m}\nspec:\n  protocol: modbus\n  properties:\n");
    let mut properties = String::new();
    let mut has_model = false;
    for (at, (data_type, visitor)) in visitors.iter().enumerate() {
        if *data_type != "-" {
            has_model = true;
            model += &format!("    - {{name: p{at}, type: {data_type}, accessMode: ReadWrite}}\n");
        }
        properties +=
            &format!("    - {{name: p{at}, visitors: {{protocolName: modbus, configData: {visitor}}}}}\n");
    }
    let reference = if has_model { "  deviceModelRef: {name: m}\n" } else { "" };
    let model = if has_model { model } else { String::new() };
    let device = format!(
        "kind: Device\nmetadata: {{name: d}}\nspec:\n{reference}  protocol: {{protocolName: modbus}}\n  properties:\n{properties}"
    );
    mapper_framework::devices(&format!("{model}---\n{device}"), "modbus").unwrap().remove(0)
}

fn read(data_type: &str, visitor: &str) -> Result<Visitor, Vec<String>> {
    let device = device(&[(data_type, visitor)]);
    Visitor::read(device.property("p0").unwrap()).value
}

fn ok(data_type: &str, visitor: &str) -> Visitor {
    read(data_type, visitor).unwrap()
}

fn span(table: Table, start: u16, count: u16) -> Span {
    Span::new(table, start, count).unwrap()
}

#[test]
fn what_stands_in_stocks_manifests_is_understood() {
    let coil = ok(
        "INT",
        "{register: CoilRegister, offset: 2, limit: 1, scale: 1, isSwap: true, isRegisterSwap: true}",
    );
    assert_eq!((coil.span, coil.form), (span(Table::Coil, 2, 1), Form::Number(Raw::Uint8)));
    let scaled = ok(
        "FLOAT",
        "{dataType: float, register: HoldingRegister, offset: 0, limit: 1, scale: 0.1, isSwap: false, max: 100.0, min: 1.0}",
    );
    assert_eq!((scaled.form, scaled.conversion.scale), (Form::Number(Raw::Uint16), 0.1));
    let texts = ok(
        "-",
        "{DataType: int, Register: InputRegister, Offset: '7', Limit: '2', Scale: '1', IsSwap: 'false', IsRegisterSwap: 'true'}",
    );
    assert_eq!((texts.span, texts.order), (span(Table::Input, 7, 2), ByteOrder::Cdab));
    assert_eq!(texts.data_type, Some(DataType::Int));
}

#[test]
fn how_many_registers_there_are_follows_from_the_type() {
    let form = |data_type, more: &str| {
        let visitor = ok(data_type, &format!("{{register: holding, offset: 0{more}}}"));
        (visitor.span.count, visitor.form)
    };
    assert_eq!(form("INT", ""), (1, Form::Number(Raw::Uint16)));
    assert_eq!(form("INT", ", rawType: int32"), (2, Form::Number(Raw::Int32)));
    assert_eq!(form("INT", ", limit: 4"), (4, Form::Number(Raw::Uint64)));
    assert_eq!(form("FLOAT", ""), (2, Form::Number(Raw::Float32)));
    assert_eq!(form("DOUBLE", ""), (4, Form::Number(Raw::Float64)));
    assert_eq!(form("DOUBLE", ", limit: 2"), (2, Form::Number(Raw::Float32)));
    assert_eq!(form("BOOLEAN", ""), (1, Form::Number(Raw::Uint16)));
    assert_eq!(form("STRING", ", limit: 8"), (8, Form::Text));
    assert_eq!(form("STRING", ", rawType: int16"), (1, Form::Number(Raw::Int16)));
    assert_eq!(form("BYTES", ", limit: 3"), (3, Form::Bytes));
    assert_eq!(ok("INT", "{register: coil, offset: 9, limit: 12}").form, Form::Number(Raw::Uint16));
}

#[test]
fn the_two_swaps_are_the_four_orders() {
    let order = |more: &str| ok("INT", &format!("{{register: holding, offset: 0, limit: 2{more}}}")).order;
    assert_eq!(order(""), ByteOrder::Abcd);
    assert_eq!(order(", isSwap: true"), ByteOrder::Badc);
    assert_eq!(order(", isRegisterSwap: true"), ByteOrder::Cdab);
    assert_eq!(order(", isSwap: true, isRegisterSwap: true"), ByteOrder::Dcba);
    assert_eq!(order(", byteOrder: CDAB"), ByteOrder::Cdab);
    assert_eq!(order(", byteOrder: CDAB, isSwap: false"), ByteOrder::Cdab);
}

#[test]
fn everything_wrong_is_said_at_once_and_where() {
    let problems =
        read("INT", "{register: Holding Register, limit: 0, scale: 0, isSwap: perhaps, byteOrder: xyz}");
    let place = "properties[p0].visitors.configData";
    assert_eq!(
        problems.unwrap_err(),
        [
            format!(
                "{place}.register: \"Holding Register\" is none of CoilRegister, DiscreteInputRegister, HoldingRegister, \
                 InputRegister, coil, discreteInput, holding, input"
            ),
            format!("{place}.offset: is missing: the address of the first register, counted from 0"),
            format!("{place}.limit: 0 is no whole number from 1 to 2000"),
            format!("{place}.isSwap: \"perhaps\" is neither true nor false"),
            format!("{place}.byteOrder: \"xyz\" is none of abcd, dcba, badc, cdab, big, little"),
            format!("{place}.scale: 0 would make every value 0: 1 leaves values as they are"),
        ]
    );
}

#[test]
fn registers_that_cannot_hold_the_type_are_refused() {
    let says = |data_type, visitor: &str, part: &str| {
        let problems = read(data_type, visitor).unwrap_err();
        assert!(problems.len() == 1 && problems[0].contains(part), "{visitor}: {problems:?}");
    };
    says("INT", "{register: holding, offset: 0, limit: 3}", "3 registers are no number");
    says(
        "INT",
        "{register: holding, offset: 0, limit: 1, rawType: int32}",
        "1 registers are no Int32: it has 2",
    );
    says("INT", "{register: holding, offset: 65535, limit: 2}", "go past 65535");
    says("INT", "{register: holding, offset: 0, limit: 126}", "from 1 to 125");
    says("BOOLEAN", "{register: coil, offset: 0, limit: 2}", "2 bits are no BOOLEAN");
    says("INT", "{register: coil, offset: 0, limit: 20}", "20 bits are no number");
    says("INT", "{register: coil, offset: 0, rawType: int16}", "is for words");
    says("STRING", "{register: holding, offset: 0}", "is missing: how many registers");
    says("STREAM", "{register: holding, offset: 0, limit: 1}", "is not read from registers");
    says(
        "INT",
        "{register: holding, offset: 0, limit: 2, byteOrder: abcd, isSwap: true}",
        "leave one of them out",
    );
    says("INT", "{offset: 0}", "is missing: CoilRegister");
}

#[test]
fn keys_that_mean_nothing_are_found() {
    let device = device(&[("INT", "{register: coil, offset: 0, offest: 1, max: 3}")]);
    let read = Visitor::read(device.property("p0").unwrap());
    assert!(read.value.is_ok());
    assert_eq!(read.unread, ["properties[p0].visitors.configData.offest"]);
}
