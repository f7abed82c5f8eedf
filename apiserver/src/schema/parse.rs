//! JSON to [`Schema`]. Lenient: [`super::structural`] refuses what a custom resource may not say.

use serde_json::{Map, Value};

use super::check::Rules;
use super::node::{Additional, ListKind, PatchRule, Schema, Type};

/// Prefix of a reference to a built-in definition.
const REFERENCE: &str = "#/components/schemas/";

/// Parses one of our generated definitions.
pub(super) fn builtin(raw: &Value) -> Schema {
    let Some(map) = raw.as_object() else { return Schema::anything().clone() };
    let direct = map.get("$ref");
    let wrapped = map.get("allOf").and_then(|all| all.get(0)).and_then(|first| first.get("$ref"));
    if let Some(reference) = direct.or(wrapped).and_then(Value::as_str) {
        return Schema::reference_to(reference.strip_prefix(REFERENCE).unwrap_or(reference));
    }
    let mut schema = node(map, builtin);
    // A generated definition without a type holds any JSON.
    schema.preserve_unknown |= schema.ty.is_none() && !schema.int_or_string;
    schema
}

/// Parses a custom resource's schema, without judging it.
pub(super) fn custom(raw: &Value) -> Schema {
    let Some(map) = raw.as_object() else { return Schema::anything().clone() };
    let mut schema = node(map, custom);
    schema.rules = Rules::parse(map).map(Box::new);
    schema
}

fn node(map: &Map<String, Value>, child: fn(&Value) -> Schema) -> Schema {
    let text = |key: &str| map.get(key).and_then(Value::as_str);
    let flag = |key: &str| map.get(key).and_then(Value::as_bool).unwrap_or(false);
    let properties = map.get("properties").and_then(Value::as_object).into_iter().flatten();
    Schema {
        ty: text("type").and_then(Type::parse),
        format: text("format").map(Into::into),
        reference: None,
        properties: properties.map(|(name, property)| (name.clone(), child(property))).collect(),
        additional: additional(map.get("additionalProperties"), child),
        items: map.get("items").map(|items| Box::new(child(items))),
        list: list_kind(text("x-kubernetes-list-type"), map.get("x-kubernetes-list-map-keys")),
        atomic_map: text("x-kubernetes-map-type") == Some("atomic"),
        patch: patch_rule(text("x-kubernetes-patch-strategy"), text("x-kubernetes-patch-merge-key")),
        preserve_unknown: flag("x-kubernetes-preserve-unknown-fields"),
        embedded_resource: flag("x-kubernetes-embedded-resource"),
        int_or_string: flag("x-kubernetes-int-or-string"),
        nullable: flag("nullable"),
        default: map.get("default").cloned(),
        rules: None,
    }
}

fn additional(raw: Option<&Value>, child: fn(&Value) -> Schema) -> Additional {
    match raw {
        None | Some(Value::Bool(false)) => Additional::Denied,
        Some(values @ Value::Object(_)) => Additional::Values(Box::new(child(values))),
        Some(_) => Additional::Any,
    }
}

fn list_kind(kind: Option<&str>, keys: Option<&Value>) -> ListKind {
    match kind {
        Some("set") => ListKind::Set,
        Some("map") => {
            let keys = keys.and_then(Value::as_array).into_iter().flatten();
            ListKind::Map(keys.filter_map(Value::as_str).map(str::to_owned).collect())
        }
        _ => ListKind::Atomic,
    }
}

fn patch_rule(strategy: Option<&str>, key: Option<&str>) -> Option<PatchRule> {
    strategy?.split(',').any(|word| word == "merge").then(|| PatchRule { merge_key: key.map(str::to_owned) })
}
