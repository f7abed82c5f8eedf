//! The schemas of a document: those of its kinds, and all that they refer to.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::{Dialect, group_version_kind};
use crate::registry::KindInfo;
use crate::schema::builtin;

/// The prefix of references in our generated schemas.
const STORED_PREFIX: &str = "#/components/schemas/";

/// What every document has beside its kinds: the bodies of deletions and of errors.
const COMMON: [&str; 2] =
    ["io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions", "io.k8s.apimachinery.pkg.apis.meta.v1.Status"];

/// The name of a kind's definition; `None` if it has none.
pub(super) fn definition_name(kind: &KindInfo) -> Option<String> {
    match &kind.custom {
        Some(_) => {
            let reversed: Vec<&str> = kind.group.split('.').rev().collect();
            Some(format!("{}.{}.{}", reversed.join("."), kind.version, kind.kind))
        }
        None => builtin::definition_name(&kind.group, &kind.version, &kind.kind).map(str::to_owned),
    }
}

/// The definitions of `kinds`, of what hangs below them, and everything that those refer to.
pub(super) fn of(kinds: &[&KindInfo], dialect: Dialect) -> Map<String, Value> {
    let mut available = builtin::documents();
    let mut wanted: BTreeSet<String> = COMMON.iter().map(|&name| name.to_owned()).collect();
    for kind in kinds {
        let Some(name) = definition_name(kind) else { continue };
        if let Some(custom) = &kind.custom {
            let definition = custom_definition(kind, &custom.document, &available);
            available.insert(name.clone(), definition);
        }
        wanted.insert(name);
        for subresource in &kind.subresources {
            if let Some((group, version, kind)) = subresource.kind()
                && let Some(name) = builtin::definition_name(group, version, kind)
            {
                wanted.insert(name.to_owned());
            }
        }
    }
    closure(wanted, available)
        .into_iter()
        .map(|(name, mut definition)| {
            publish(&mut definition, dialect);
            (name, definition)
        })
        .collect()
}

fn closure(wanted: BTreeSet<String>, mut available: BTreeMap<String, Value>) -> BTreeMap<String, Value> {
    let mut chosen = BTreeMap::new();
    let mut pending: Vec<String> = wanted.into_iter().collect();
    while let Some(name) = pending.pop() {
        if let Some(definition) = available.remove(&name) {
            references(&definition, &mut pending);
            chosen.insert(name, definition);
        }
    }
    chosen
}

fn references(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            if let Some(name) = reference(map) {
                found.push(name.to_owned());
            }
            map.values().for_each(|child| references(child, found));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

/// What a node refers to. A property may be called `$ref` too; then it is an object.
fn reference(map: &Map<String, Value>) -> Option<&str> {
    map.get("$ref")?.as_str()?.strip_prefix(STORED_PREFIX)
}

/// A custom resource as its definition describes it, with the fields that all objects have.
fn custom_definition(kind: &KindInfo, document: &str, builtin: &BTreeMap<String, Value>) -> Value {
    let mut definition: Value = serde_json::from_str(document).unwrap_or_default();
    if !definition.is_object() {
        definition = json!({});
    }
    definition["type"] = json!("object");
    definition["x-kubernetes-group-version-kind"] = json!([group_version_kind(kind)]);
    // Any built-in kind would do: these three fields are the same in all.
    if let Some(namespace) = builtin.get("io.k8s.api.core.v1.Namespace") {
        for name in ["apiVersion", "kind", "metadata"] {
            definition["properties"][name] = namespace["properties"][name].clone();
        }
    }
    definition
}

/// Brings a stored schema to the words of the dialect.
fn publish(schema: &mut Value, dialect: Dialect) {
    match schema {
        Value::Object(map) => {
            int_or_string(map, dialect);
            if dialect == Dialect::V2 {
                to_v2(map);
            }
            if let Some(name) = reference(map).map(|name| dialect.reference(name)) {
                map.insert("$ref".to_owned(), Value::from(name));
            }
            map.values_mut().for_each(|child| publish(child, dialect));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| publish(item, dialect)),
        _ => {}
    }
}

fn int_or_string(map: &mut Map<String, Value>, dialect: Dialect) {
    if map.get("x-kubernetes-int-or-string") != Some(&Value::Bool(true)) || map.contains_key("type") {
        return;
    }
    map.insert("format".to_owned(), json!("int-or-string"));
    match dialect {
        Dialect::V2 => drop(map.insert("type".to_owned(), json!("string"))),
        Dialect::V3 if map.contains_key("anyOf") => {}
        Dialect::V3 => drop(map.insert("oneOf".to_owned(), json!([{"type": "integer"}, {"type": "string"}]))),
    }
}

/// OpenAPI v2 has no combinations and no `nullable`; a lone wrapped reference becomes a bare one.
fn to_v2(map: &mut Map<String, Value>) {
    if let Some(Value::Array(mut all)) = map.remove("allOf")
        && let [Value::Object(only)] = all.as_mut_slice()
        && let Some(name) = only.remove("$ref")
    {
        map.insert("$ref".to_owned(), name);
    }
    // A definition's properties may have these names: then they hold a schema, not a list or a flag.
    for keyword in ["oneOf", "anyOf"] {
        if map.get(keyword).is_some_and(Value::is_array) {
            map.remove(keyword);
        }
    }
    if map.get("nullable").is_some_and(Value::is_boolean) {
        map.remove("nullable");
    }
}
