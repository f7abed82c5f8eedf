//! Do the JSON types of an object fit its built-in kind?
//!
//! The real server finds out while it decodes into structs, and says so with status 400; custom resources are
//! checked by [`super::check`] instead, with status 422.

use serde_json::Value;

use super::{Additional, Schema, Type};
use crate::field_error::join;

/// A field whose JSON type does not fit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("json: cannot unmarshal {found} into Go struct field {field} of type {expected}")]
pub struct TypeMismatch {
    /// What was there: `string`, `number`, `object`, `array`, `bool`.
    pub found: &'static str,
    /// Where: `spec.containers[0].image`.
    pub field: String,
    /// What would fit.
    pub expected: &'static str,
}

/// Finds the first field whose JSON type does not fit `schema`, and drops every `null` on the way: to a struct,
/// `null` and absent are the same.
pub fn conform(value: &mut Value, schema: &Schema) -> Result<(), TypeMismatch> {
    visit(value, schema, "")
}

fn visit(value: &mut Value, schema: &Schema, path: &str) -> Result<(), TypeMismatch> {
    let schema = schema.resolved();
    if let Some(expected) = mismatch(value, schema) {
        return Err(TypeMismatch { found: json_name(value), field: path.to_owned(), expected });
    }
    match value {
        // A field that holds any JSON keeps its nulls.
        Value::Object(_) | Value::Array(_) if schema.ty.is_none() => Ok(()),
        Value::Object(map) => {
            // In a map such as `data`, a null value is the zero value of its type, not an absent key.
            if let Additional::Values(values) = &schema.additional
                && values.resolved().ty == Some(Type::String)
            {
                map.values_mut().filter(|child| child.is_null()).for_each(|child| *child = Value::from(""));
            }
            map.retain(|_, child| !child.is_null());
            map.iter_mut().try_for_each(|(name, child)| visit(child, schema.field(name), &join(path, name)))
        }
        Value::Array(items) => items
            .iter_mut()
            .enumerate()
            .try_for_each(|(index, item)| visit(item, schema.element(), &format!("{path}[{index}]"))),
        _ => Ok(()),
    }
}

fn mismatch(value: &Value, schema: &Schema) -> Option<&'static str> {
    if value.is_null() {
        return None;
    }
    if schema.int_or_string {
        return (!value.is_number() && !value.is_string()).then_some("int or string");
    }
    let ty = schema.ty?;
    if ty.admits(value) {
        return (ty == Type::Integer && !fits_width(value, schema)).then(|| go_name(schema, ty));
    }
    Some(go_name(schema, ty))
}

fn fits_width(value: &Value, schema: &Schema) -> bool {
    match (schema.format.as_deref(), value.as_i64()) {
        (Some("int32"), Some(number)) => i32::try_from(number).is_ok(),
        (_, number) => number.is_some(),
    }
}

fn go_name(schema: &Schema, ty: Type) -> &'static str {
    match (ty, schema.format.as_deref()) {
        (Type::Integer, Some("int32")) => "int32",
        (Type::Integer, _) => "int64",
        (Type::Number, _) => "float64",
        (Type::Boolean, _) => "bool",
        (Type::String, Some("byte")) => "[]uint8",
        (Type::String, Some("date-time")) => "time.Time",
        (Type::String, _) => "string",
        (Type::Array, _) => "slice",
        (Type::Object, _) if matches!(schema.additional, Additional::Values(_)) => "map",
        (Type::Object, _) => "struct",
    }
}

fn json_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}
