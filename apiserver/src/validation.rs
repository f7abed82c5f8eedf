//! All the rules that an object has to keep: those of every kind, of its own kind, and of its schema.

use serde_json::Value;

use crate::field_error::FieldError;
use crate::registry::KindInfo;
use crate::schema::{KindSchema, check};
use crate::validate;

/// What is wrong with an object as such, whatever it was before.
pub(crate) fn of_new(kind: &KindInfo, object: &Value) -> Vec<FieldError> {
    let mut errors = validate::metadata(object, kind);
    errors.extend((kind.hooks.validate)(object));
    errors.extend(of_schema(kind, object));
    errors
}

/// What is wrong with an object that a client has changed.
pub(crate) fn of_change(kind: &KindInfo, old: &Value, new: &Value) -> Vec<FieldError> {
    let mut errors = of_new(kind, new);
    errors.extend(validate::metadata_update(old, new));
    errors.extend((kind.hooks.validate_update)(old, new));
    errors
}

fn of_schema(kind: &KindInfo, object: &Value) -> Vec<FieldError> {
    match kind.schema() {
        KindSchema::Custom(schema) => check::check(object, &schema),
        KindSchema::Builtin(_) | KindSchema::Untyped => Vec::new(),
    }
}
