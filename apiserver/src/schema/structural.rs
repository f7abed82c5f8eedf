//! Custom resource schemas: which ones are accepted, and what becomes of them.

use serde_json::{Map, Value, json};

use super::builtin::OBJECT_META;
use super::check::Pattern;
use super::{Schema, Type, parse};
use crate::field_error::{FieldError, join};

/// Schemas nest no deeper than this: validation walks them recursively, and no real one comes near.
const MAX_DEPTH: usize = 64;

/// Parses the schema of one version of a CustomResourceDefinition.
///
/// `path` is where it stands in the definition, for the messages. `preserve_unknown` is the definition's own
/// `spec.preserveUnknownFields`.
///
/// Source: "Specifying a structural schema" in the Kubernetes documentation of custom resources.
pub fn parse(raw: &Value, path: &str, preserve_unknown: bool) -> Result<Schema, Vec<FieldError>> {
    let mut errors = Vec::new();
    if raw.get("type").and_then(Value::as_str) != Some("object") {
        let found = raw.get("type").cloned().unwrap_or(json!(""));
        errors.push(FieldError::invalid(join(path, "type"), &found, "must be object at the root"));
    }
    examine(raw, path, 0, &mut errors);
    if !errors.is_empty() {
        return Err(errors);
    }
    let mut schema = parse::custom(raw);
    schema.preserve_unknown |= preserve_unknown;
    own_object(&mut schema);
    Ok(schema)
}

/// Gives the root, and every embedded object, the fields that all objects have.
fn own_object(schema: &mut Schema) {
    for name in ["apiVersion", "kind"] {
        schema
            .properties
            .entry(name.to_owned())
            .or_insert_with(|| Schema { ty: Some(Type::String), ..Schema::default() });
    }
    schema.properties.insert("metadata".to_owned(), Schema::reference_to(OBJECT_META));
    embedded(schema);
}

fn embedded(schema: &mut Schema) {
    let children = schema.properties.values_mut().chain(schema.items.as_deref_mut());
    for child in children {
        if child.embedded_resource { own_object(child) } else { embedded(child) }
    }
}

fn examine(raw: &Value, path: &str, depth: usize, errors: &mut Vec<FieldError>) {
    let Some(map) = raw.as_object() else {
        errors.push(FieldError::type_invalid(path, raw, "must be an object"));
        return;
    };
    if depth > MAX_DEPTH {
        errors.push(FieldError::forbidden(path, &format!("must not nest deeper than {MAX_DEPTH} levels")));
        return;
    }
    examine_type(map, path, depth, errors);
    examine_forbidden(map, path, errors);
    examine_lists(map, path, errors);
    if let Some(pattern) = map.get("pattern").and_then(Value::as_str)
        && let Err(error) = Pattern::parse(pattern)
    {
        let detail = format!("must be a valid regular expression, but isn't: {error}");
        errors.push(FieldError::invalid(join(path, "pattern"), &json!(pattern), &detail));
    }
    for (name, property) in map.get("properties").and_then(Value::as_object).into_iter().flatten() {
        examine(property, &format!("{path}.properties[{name}]"), depth + 1, errors);
    }
    for key in ["items", "additionalProperties"] {
        if let Some(child) = map.get(key).filter(|child| !child.is_boolean()) {
            examine(child, &join(path, key), depth + 1, errors);
        }
    }
}

fn examine_type(map: &Map<String, Value>, path: &str, depth: usize, errors: &mut Vec<FieldError>) {
    let flag = |key: &str| map.get(key).and_then(Value::as_bool).unwrap_or(false);
    let field = join(path, "type");
    match map.get("type").and_then(Value::as_str) {
        Some(name) if Type::parse(name).is_none() => {
            let known = ["array", "boolean", "integer", "number", "object", "string"];
            errors.push(FieldError::not_supported(field, &json!(name), &known));
        }
        Some("array") if !map.contains_key("items") => {
            errors.push(FieldError::required(join(path, "items"), "must be specified"));
        }
        Some(_) => {}
        None if depth == 0 => {}
        None if flag("x-kubernetes-int-or-string") || flag("x-kubernetes-preserve-unknown-fields") => {}
        None => {
            let what = if path.ends_with(".items") { "array items" } else { "object fields" };
            errors.push(FieldError::required(field, &format!("must not be empty for specified {what}")));
        }
    }
}

fn examine_forbidden(map: &Map<String, Value>, path: &str, errors: &mut Vec<FieldError>) {
    for key in ["$ref", "definitions", "dependencies", "id", "patternProperties", "additionalItems"] {
        if map.contains_key(key) {
            errors.push(FieldError::forbidden(join(path, key), &format!("{key} is not supported")));
        }
    }
    if map.get("uniqueItems").and_then(Value::as_bool) == Some(true) {
        let detail = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic";
        errors.push(FieldError::forbidden(join(path, "uniqueItems"), detail));
    }
    let has_properties = map.get("properties").and_then(Value::as_object).is_some_and(|map| !map.is_empty());
    let additional = map.get("additionalProperties");
    if has_properties && additional.is_some_and(|additional| additional != false) {
        let detail = "additionalProperties and properties are mutual exclusive";
        errors.push(FieldError::forbidden(join(path, "additionalProperties"), detail));
    }
}

fn examine_lists(map: &Map<String, Value>, path: &str, errors: &mut Vec<FieldError>) {
    let keys = map.get("x-kubernetes-list-map-keys").and_then(Value::as_array);
    let keys_path = join(path, "x-kubernetes-list-map-keys");
    let list_type = map.get("x-kubernetes-list-type");
    match list_type.and_then(Value::as_str) {
        Some("map") if keys.is_none_or(Vec::is_empty) => {
            let detail = "must not be empty if x-kubernetes-list-type is map";
            errors.push(FieldError::required(keys_path, detail));
        }
        Some("map") => {
            let properties = &map.get("items").unwrap_or(&Value::Null)["properties"];
            for key in
                keys.into_iter().flatten().filter(|key| properties.get(key.as_str().unwrap_or("")).is_none())
            {
                let detail = "entries must all be names of item properties";
                errors.push(FieldError::invalid(&keys_path, key, detail));
            }
        }
        Some("atomic" | "set") | None => {}
        Some(_) => {
            let found = list_type.unwrap_or(&Value::Null);
            let field = join(path, "x-kubernetes-list-type");
            errors.push(FieldError::not_supported(field, found, &["atomic", "map", "set"]));
        }
    }
}
