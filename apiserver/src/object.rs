//! Reading and writing the parts that every object has.
//!
//! The server is generic over kinds, custom resources included, so objects are JSON trees while they are worked
//! on; these functions are the only places that know where metadata lives.

use jiff::{RoundMode, Timestamp, TimestampRound, Unit};
use serde_json::{Map, Value};

use crate::registry::{KindInfo, Subresource};

/// A text at a JSON pointer, `""` where there is none.
pub(crate) fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// `metadata.name`, `""` where there is none.
pub(crate) fn name(object: &Value) -> &str {
    text(object, "/metadata/name")
}

/// `metadata.namespace`, `""` where there is none.
pub(crate) fn namespace(object: &Value) -> &str {
    text(object, "/metadata/namespace")
}

/// `metadata.uid`, `""` where there is none.
pub(crate) fn uid(object: &Value) -> &str {
    text(object, "/metadata/uid")
}

/// Whether the object waits to be removed.
pub(crate) fn is_terminating(object: &Value) -> bool {
    object.pointer("/metadata/deletionTimestamp").is_some_and(|time| !time.is_null())
}

/// `metadata.finalizers`.
pub(crate) fn finalizers(object: &Value) -> impl Iterator<Item = &str> {
    list(object, "/metadata/finalizers").iter().filter_map(Value::as_str)
}

/// A list at a JSON pointer, empty where there is none.
pub(crate) fn list<'a>(object: &'a Value, pointer: &str) -> &'a [Value] {
    object.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// The fields of `parent[key]`, which is made an object where it is none. `parent` must be an object.
pub(crate) fn child<'a>(parent: &'a mut Value, key: &str) -> &'a mut Map<String, Value> {
    if !parent.is_object() {
        *parent = Value::Object(Map::new());
    }
    entry_object(parent.as_object_mut().expect("it was made an object above"), key)
}

/// The fields of `fields[key]`, which is made an object where it is none.
pub(crate) fn entry_object<'a>(fields: &'a mut Map<String, Value>, key: &str) -> &'a mut Map<String, Value> {
    let slot = fields.entry(key).or_insert(Value::Null);
    if !slot.is_object() {
        *slot = Value::Object(Map::new());
    }
    slot.as_object_mut().expect("it was made an object two lines above")
}

/// The elements of `fields[key]`, which is made a list where it is none.
pub(crate) fn entry_list<'a>(fields: &'a mut Map<String, Value>, key: &str) -> &'a mut Vec<Value> {
    let slot = fields.entry(key).or_insert(Value::Null);
    if !slot.is_array() {
        *slot = Value::Array(Vec::new());
    }
    slot.as_array_mut().expect("it was made a list two lines above")
}

/// The fields of `metadata`.
pub(crate) fn metadata(object: &mut Value) -> &mut Map<String, Value> {
    child(object, "metadata")
}

/// Sets `parent[key]` where it is missing or null.
pub(crate) fn set_default(parent: &mut Map<String, Value>, key: &str, value: impl Into<Value>) {
    let slot = parent.entry(key).or_insert(Value::Null);
    if slot.is_null() {
        *slot = value.into();
    }
}

/// Copies `from[key]` over `to[key]`; where `from` has none, `to` loses it.
pub(crate) fn copy_field(from: &Value, to: &mut Value, key: &str) {
    let Some(fields) = to.as_object_mut() else { return };
    match from.get(key) {
        Some(value) => fields.insert(key.to_owned(), value.clone()),
        None => fields.remove(key),
    };
}

/// A time as metadata carries it: RFC 3339, UTC, whole seconds. What is left of the second is cut off, as in Kubernetes:
/// nothing was made in the future.
pub(crate) fn time(timestamp: Timestamp) -> String {
    let whole = TimestampRound::new().smallest(Unit::Second).mode(RoundMode::Floor);
    timestamp.round(whole).map_or_else(|_| timestamp.to_string(), |rounded| rounded.to_string())
}

/// Whether something has to happen before a terminating object may go: a finalizer.
pub(crate) fn waits(kind: &KindInfo, object: &Value) -> bool {
    finalizers(object).next().is_some()
        || (kind.subresources.contains(&Subresource::Finalize)
            && !list(object, "/spec/finalizers").is_empty())
}

/// What `metadata.generation` counts changes of: all but metadata, and but status where that is a subresource.
pub(crate) fn specification(kind: &KindInfo, object: &Value) -> Value {
    let mut specification = object.clone();
    if let Some(fields) = specification.as_object_mut() {
        fields.remove("metadata");
        if kind.has_status() {
            fields.remove("status");
        }
    }
    specification
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_never_later_than_it_was() {
        for (exact, whole) in [
            ("2026-11-27T16:19:59.680Z", "2026-11-27T16:19:59Z"),
            ("2026-11-27T16:19:59Z", "2026-11-27T16:19:59Z"),
            ("1969-12-31T23:59:58.5Z", "1969-12-31T23:59:58Z"),
        ] {
            assert_eq!(time(exact.parse().unwrap()), whole);
        }
    }
}
