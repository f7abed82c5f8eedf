//! Defaults of custom resources.

use serde_json::{Map, Value};

use super::{Additional, Schema};

/// Fills in the defaults of absent fields, and of `null` where the schema does not admit it.
///
/// Source: "Defaulting" and "Defaulting and Nullable" on the Kubernetes page about structural schemas: a `null`
/// that is neither nullable nor defaulted is dropped.
pub fn apply(value: &mut Value, schema: &Schema) {
    let schema = schema.resolved();
    match value {
        Value::Object(map) => {
            for (name, property) in &schema.properties {
                fill(map, name, property);
            }
            if let Additional::Values(values) = &schema.additional {
                map.retain(|name, child| {
                    schema.properties.contains_key(name) || !child.is_null() || admits_null(values)
                });
            }
            for (name, child) in map.iter_mut() {
                apply(child, schema.field(name));
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| apply(item, schema.element())),
        _ => {}
    }
}

/// Drops every `null` that the schema does not admit.
pub fn drop_nulls(value: &mut Value, schema: &Schema) {
    let schema = schema.resolved();
    match value {
        Value::Object(map) => {
            map.retain(|name, child| !child.is_null() || admits_null(schema.field(name)));
            map.iter_mut().for_each(|(name, child)| drop_nulls(child, schema.field(name)));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| drop_nulls(item, schema.element())),
        _ => {}
    }
}

fn fill(map: &mut Map<String, Value>, name: &str, property: &Schema) {
    let absent = match map.get(name) {
        None => true,
        Some(Value::Null) => !admits_null(property),
        Some(_) => false,
    };
    if !absent {
        return;
    }
    match &property.default {
        Some(default) => drop(map.insert(name.to_owned(), default.clone())),
        None => drop(map.remove(name)),
    }
}

fn admits_null(schema: &Schema) -> bool {
    schema.nullable || (schema.ty.is_none() && schema.preserve_unknown)
}
