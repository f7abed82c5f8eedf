//! What nodes hold, as values, and back.

use mapper_framework::{DataType, DriverError, Value};
use opcua::types::{
    DateTime, Guid, LocalizedText, NumericRange, QualifiedName, UAString, Variant, VariantScalarTypeId,
};
use serde_json::Value as Json;

/// What a node holds, as a value of the property's type.
///
/// # Errors
/// When it is none.
pub(crate) fn value(variant: &Variant, data_type: Option<DataType>) -> Result<Value, DriverError> {
    // One element of an array is itself.
    if let Variant::Array(array) = variant
        && let [only] = array.values.as_slice()
    {
        return value(only, data_type);
    }
    let value = plain(variant)?;
    Ok(match (value, data_type) {
        (Value::Int(number), Some(DataType::Boolean)) => Value::Boolean(number != 0),
        (Value::Boolean(flag), Some(DataType::Int)) => Value::Int(i64::from(flag)),
        // Bytes that are to be text are text.
        (Value::Bytes(bytes), Some(DataType::String)) => {
            let text = String::from_utf8(bytes);
            Value::String(text.map_err(|_| refused("it holds bytes that are no text: make it BYTES"))?)
        }
        (value, Some(data_type)) => value.into_type(data_type)?,
        (value, None) => value,
    })
}

/// Whether a server knows ranges: one that does not answers with the whole array, and would put one element in its place.
///
/// # Errors
/// When it does not.
pub(crate) fn check_range(variant: &Variant, range: &NumericRange) -> Result<(), DriverError> {
    let asked = match range {
        NumericRange::Index(_) => 1,
        NumericRange::Range(first, last) => {
            usize::try_from(last.saturating_sub(*first)).unwrap_or(usize::MAX).saturating_add(1)
        }
        NumericRange::None | NumericRange::MultipleRanges(_) => return Ok(()),
    };
    match variant {
        Variant::Array(array) if array.values.len() > asked => {
            let got = array.values.len();
            Err(refused(&format!(
                "it answers with {got} elements to indexRange: the server does not know ranges"
            )))
        }
        _ => Ok(()),
    }
}

fn plain(variant: &Variant) -> Result<Value, DriverError> {
    Ok(match variant {
        Variant::Empty => return Err(refused("it has no value")),
        Variant::Boolean(flag) => Value::Boolean(*flag),
        Variant::SByte(number) => Value::Int((*number).into()),
        Variant::Byte(number) => Value::Int((*number).into()),
        Variant::Int16(number) => Value::Int((*number).into()),
        Variant::UInt16(number) => Value::Int((*number).into()),
        Variant::Int32(number) => Value::Int((*number).into()),
        Variant::UInt32(number) => Value::Int((*number).into()),
        Variant::Int64(number) => Value::Int(*number),
        Variant::UInt64(number) => match i64::try_from(*number) {
            Ok(number) => Value::Int(number),
            // Beyond 64 bits with a sign: as text it loses nothing.
            Err(_) => Value::String(number.to_string()),
        },
        Variant::Float(number) => Value::Float(*number),
        Variant::Double(number) => Value::Double(*number),
        Variant::String(text) => Value::String(text.as_ref().to_owned()),
        Variant::XmlElement(text) => Value::String(text.to_string()),
        Variant::ByteString(bytes) => Value::Bytes(bytes.value.clone().unwrap_or_default().to_vec()),
        Variant::LocalizedText(text) => Value::String(text.text.as_ref().to_owned()),
        Variant::QualifiedName(name) => Value::String(name.name.as_ref().to_owned()),
        Variant::DateTime(time) => Value::String(time.to_rfc3339()),
        Variant::Guid(guid) => Value::String(guid.to_string()),
        Variant::NodeId(id) => Value::String(id.to_string()),
        Variant::ExpandedNodeId(id) => Value::String(id.to_string()),
        Variant::StatusCode(code) => Value::String(code.to_string()),
        Variant::Variant(inner) => plain(inner)?,
        Variant::Array(array) => {
            let values: Result<Vec<Json>, DriverError> =
                array.values.iter().map(|one| Ok(plain(one)?.to_json())).collect();
            Value::String(Json::Array(values?).to_string())
        }
        Variant::ExtensionObject(_) | Variant::DataValue(_) | Variant::DiagnosticInfo(_) => {
            return Err(refused("it holds a structure: name the nodes of its fields"));
        }
    })
}

/// What a node of that type is to hold for a value.
///
/// # Errors
/// When the value does not fit into the type.
pub(crate) fn variant(value: &Value, target: VariantScalarTypeId) -> Result<Variant, DriverError> {
    use VariantScalarTypeId as Type;
    let wrong = || refused(&format!("{value} is no {target:?}, which is what the node holds"));
    let text = || value.to_string();
    Ok(match target {
        Type::Boolean => Variant::Boolean(truth(value).ok_or_else(wrong)?),
        Type::SByte => Variant::SByte(whole(value).ok_or_else(wrong)?),
        Type::Byte => Variant::Byte(whole(value).ok_or_else(wrong)?),
        Type::Int16 => Variant::Int16(whole(value).ok_or_else(wrong)?),
        Type::UInt16 => Variant::UInt16(whole(value).ok_or_else(wrong)?),
        Type::Int32 => Variant::Int32(whole(value).ok_or_else(wrong)?),
        Type::UInt32 => Variant::UInt32(whole(value).ok_or_else(wrong)?),
        Type::Int64 => Variant::Int64(whole(value).ok_or_else(wrong)?),
        Type::UInt64 => Variant::UInt64(whole(value).ok_or_else(wrong)?),
        Type::Float => match value.clone().into_type(DataType::Float)? {
            Value::Float(number) => Variant::Float(number),
            _ => return Err(wrong()),
        },
        Type::Double => match value.clone().into_type(DataType::Double)? {
            Value::Double(number) => Variant::Double(number),
            _ => return Err(wrong()),
        },
        Type::String => Variant::String(UAString::from(text())),
        Type::LocalizedText => Variant::LocalizedText(Box::new(LocalizedText::new("", &text()))),
        Type::QualifiedName => Variant::QualifiedName(Box::new(QualifiedName::new(0, text()))),
        Type::ByteString => match value {
            Value::Bytes(bytes) => Variant::ByteString(bytes.clone().into()),
            other => Variant::ByteString(other.to_string().into_bytes().into()),
        },
        Type::DateTime => {
            let time = DateTime::parse_from_rfc3339(&text()).map_err(|_| wrong())?;
            Variant::DateTime(Box::new(time))
        }
        Type::Guid => Variant::Guid(Box::new(text().parse::<Guid>().map_err(|_| wrong())?)),
        _ => return Err(refused(&format!("nodes of type {target:?} cannot be set"))),
    })
}

/// A whole number that fits; a text may hold one, too (values of properties without a type are texts).
fn whole<T: TryFrom<i128>>(value: &Value) -> Option<T> {
    let number = match value {
        Value::Boolean(flag) => i128::from(*flag),
        // More than 64 bits with a sign come as text.
        Value::String(text) => match text.trim().parse() {
            Ok(number) => number,
            Err(_) => i128::from(as_int(value)?),
        },
        other => i128::from(as_int(other)?),
    };
    T::try_from(number).ok()
}

fn as_int(value: &Value) -> Option<i64> {
    match value.clone().into_type(DataType::Int) {
        Ok(Value::Int(number)) => Some(number),
        _ => None,
    }
}

fn truth(value: &Value) -> Option<bool> {
    match value {
        Value::Boolean(flag) => Some(*flag),
        Value::String(text) if text.trim().eq_ignore_ascii_case("true") => Some(true),
        Value::String(text) if text.trim().eq_ignore_ascii_case("false") => Some(false),
        other => match as_int(other)? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        },
    }
}

fn refused(what: &str) -> DriverError {
    DriverError::Refused(what.to_owned())
}

#[cfg(test)]
mod tests;
