//! Where a property is in the device and what its registers mean: its visitor's `configData`.

use mapper_framework::{ByteOrder, Conversion, DataType, Keys, Raw};

use crate::registers::{Span, Table};

/// See the table at the top of the crate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Visitor {
    pub(crate) span: Span,
    pub(crate) form: Form,
    pub(crate) order: ByteOrder,
    pub(crate) conversion: Conversion,
    pub(crate) data_type: Option<DataType>,
}

/// What registers hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// A number.
    Number(Raw),
    /// Text in UTF-8, two characters to a word, padded with zeros or spaces.
    Text,
    /// Bytes.
    Bytes,
}

const TABLES: [(&str, Table); 8] = [
    ("CoilRegister", Table::Coil),
    ("DiscreteInputRegister", Table::DiscreteInput),
    ("HoldingRegister", Table::Holding),
    ("InputRegister", Table::Input),
    ("coil", Table::Coil),
    ("discreteInput", Table::DiscreteInput),
    ("holding", Table::Holding),
    ("input", Table::Input),
];

const RAWS: [(&str, Raw); 8] = [
    ("int16", Raw::Int16),
    ("uint16", Raw::Uint16),
    ("int32", Raw::Int32),
    ("uint32", Raw::Uint32),
    ("int64", Raw::Int64),
    ("uint64", Raw::Uint64),
    ("float32", Raw::Float32),
    ("float64", Raw::Float64),
];

const ORDERS: [(&str, ByteOrder); 6] = [
    ("abcd", ByteOrder::Abcd),
    ("dcba", ByteOrder::Dcba),
    ("badc", ByteOrder::Badc),
    ("cdab", ByteOrder::Cdab),
    ("big", ByteOrder::Abcd),
    ("little", ByteOrder::Dcba),
];

impl mapper_framework::Visitor for Visitor {
    /// The type and the range are the model's.
    const IGNORED: &'static [&'static str] = &["dataType", "value", "min", "max"];

    fn parse(keys: &mut Keys<'_>, data_type: Option<DataType>) -> Option<Self> {
        let table = keys.choice(&["register"], &TABLES);
        if !keys.has(&["register"]) {
            keys.problem(
                "register",
                "is missing: CoilRegister, DiscreteInputRegister, HoldingRegister or InputRegister",
            );
        }
        let start = keys.whole(&["offset"], 0..=65535);
        if !keys.has(&["offset"]) {
            keys.problem("offset", "is missing: the address of the first register, counted from 0");
        }
        let most = table.map_or(2000, Table::most_read);
        let count = keys.whole(&["limit"], 1..=i64::from(most));
        let raw = keys.choice(&["rawType"], &RAWS);
        let order = order(keys);
        let conversion = conversion(keys);
        let table = table?;
        let count = if keys.has(&["limit"]) { count? } else { usual_count(keys, table, raw, data_type)? };
        let (start, count) = (u16::try_from(start?).ok()?, u16::try_from(count).ok()?);
        let Some(span) = Span::new(table, start, count) else {
            keys.problem(
                "limit",
                &format!("{count} registers from {start} on go past 65535, the last address"),
            );
            return None;
        };
        let form = form(keys, span, raw, data_type)?;
        Some(Self { span, form, order, conversion, data_type })
    }
}

fn order(keys: &mut Keys<'_>) -> ByteOrder {
    let swaps = (keys.flag(&["isRegisterSwap"]), keys.flag(&["isSwap"]));
    let by_swaps = match (swaps.0.unwrap_or_default(), swaps.1.unwrap_or_default()) {
        (false, false) => ByteOrder::Abcd,
        (true, false) => ByteOrder::Cdab,
        (false, true) => ByteOrder::Badc,
        (true, true) => ByteOrder::Dcba,
    };
    let named = keys.choice(&["byteOrder"], &ORDERS);
    if named.is_some_and(|named| by_swaps != ByteOrder::Abcd && by_swaps != named) {
        keys.problem(
            "byteOrder",
            "says something else than isSwap and isRegisterSwap: leave one of them out",
        );
    }
    named.unwrap_or(by_swaps)
}

fn conversion(keys: &mut Keys<'_>) -> Conversion {
    let scale = keys.real(&["scale"]);
    if scale == Some(0.0) {
        keys.problem("scale", "0 would make every value 0: 1 leaves values as they are");
    }
    let offset = keys.real(&["valueOffset"]).unwrap_or(0.0);
    Conversion { scale: scale.unwrap_or(1.0), offset, ..Conversion::default() }
}

/// How many registers there are where nobody says it.
fn usual_count(
    keys: &mut Keys<'_>,
    table: Table,
    raw: Option<Raw>,
    data_type: Option<DataType>,
) -> Option<i64> {
    if table.is_bits() {
        return Some(1);
    }
    match (raw, data_type) {
        (Some(raw), _) => i64::try_from(raw.size() / 2).ok(),
        (None, Some(DataType::Float)) => Some(2),
        (None, Some(DataType::Double)) => Some(4),
        (None, Some(DataType::Int | DataType::Boolean) | None) => Some(1),
        (None, Some(other)) => {
            keys.problem("limit", &format!("is missing: how many registers the {other} has"));
            None
        }
    }
}

/// What so many registers are for values of that type.
fn form(keys: &mut Keys<'_>, span: Span, raw: Option<Raw>, data_type: Option<DataType>) -> Option<Form> {
    match (raw, data_type) {
        (_, Some(DataType::Bytes)) => return Some(Form::Bytes),
        (None, Some(DataType::String)) if !span.table.is_bits() => return Some(Form::Text),
        (_, Some(DataType::Stream)) => {
            keys.problem("register", "a STREAM is not read from registers");
            return None;
        }
        _ => {}
    }
    let count = span.count;
    if span.table.is_bits() {
        if raw.is_some() {
            keys.problem("rawType", &format!("is for words: {} are bits", span.table.name()));
        }
        if data_type == Some(DataType::Boolean) && count != 1 {
            keys.problem("limit", &format!("{count} bits are no BOOLEAN: it has one"));
            return None;
        }
        let raw = match count {
            1..=8 => Raw::Uint8,
            9..=16 => Raw::Uint16,
            25..=32 => Raw::Uint32,
            57..=64 => Raw::Uint64,
            _ => {
                keys.problem(
                    "limit",
                    &format!("{count} bits are no number: 1 to 16, 25 to 32 or 57 to 64 are"),
                );
                return None;
            }
        };
        return Some(Form::Number(raw));
    }
    let is_real = matches!(data_type, Some(DataType::Float | DataType::Double));
    let raw = match (raw, count) {
        (Some(raw), _) if raw.size() != usize::from(count) * 2 => {
            let own = raw.size() / 2;
            keys.problem("limit", &format!("{count} registers are no {raw:?}: it has {own}"));
            return None;
        }
        (Some(raw), _) => raw,
        (None, 1) => Raw::Uint16,
        (None, 2) if is_real => Raw::Float32,
        (None, 2) => Raw::Uint32,
        (None, 4) if is_real => Raw::Float64,
        (None, 4) => Raw::Uint64,
        (None, _) => {
            keys.problem("limit", &format!("{count} registers are no number: 1, 2 or 4 are"));
            return None;
        }
    };
    Some(Form::Number(raw))
}

#[cfg(test)]
mod tests;
