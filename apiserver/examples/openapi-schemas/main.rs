//! Writes `apiserver/src/openapi/schemas.json`: the schemas of the built-in kinds that we serve.
//!
//! ```text
//! cargo run -p apiserver --features openapi-generator --example openapi-schemas > apiserver/src/openapi/schemas.json
//! ```
//!
//! The shapes, and the first sentence of each description, come from k8s-openapi (Apache-2.0); how lists merge
//! comes from [`merging`], because k8s-openapi does not carry it. The output has one definition a line, so that
//! a newer Kubernetes shows up as a readable diff.

mod kinds;
mod merging;

use std::collections::BTreeMap;
use std::io::{self, Write as _};

use k8s_openapi::schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

fn main() -> io::Result<()> {
    let mut definitions = collect();
    for (name, definition) in &mut definitions {
        normalise(definition);
        flatten_free_form(name, definition);
    }
    annotate_kinds(&mut definitions);
    merging::annotate(&mut definitions);
    write(&definitions)
}

fn collect() -> BTreeMap<String, Value> {
    let settings = SchemaSettings::openapi3().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut generator = settings.into_generator();
    kinds::register(&mut generator);
    generator.take_definitions(true).into_iter().collect()
}

/// Brings schemars' output to what Kubernetes publishes (`metadata` is never required), and shortens
/// descriptions: in full they are three quarters of the file.
fn normalise(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            if let Some(Value::String(description)) = map.get_mut("description") {
                description.truncate(first_sentence(description).len());
            }
            if map.get("type").is_some_and(Value::is_string)
                && let Some(required) = map.get_mut("required").and_then(Value::as_array_mut)
            {
                required.retain(|field| field != "metadata");
                if required.is_empty() {
                    map.remove("required");
                }
            }
            map.values_mut().for_each(normalise);
        }
        Value::Array(items) => items.iter_mut().for_each(normalise),
        _ => {}
    }
}

/// The text up to the first full stop that ends a sentence, or the first blank line.
fn first_sentence(text: &str) -> &str {
    let paragraph = text.split("\n\n").next().unwrap_or(text);
    let mut from = 0;
    while let Some(offset) = paragraph[from..].find(". ") {
        let end = from + offset;
        let abbreviated = ["e.g", "i.e", "etc"].iter().any(|short| paragraph[..end].ends_with(short));
        if !abbreviated && paragraph[end + 2..].starts_with(|c: char| !c.is_lowercase()) {
            return &paragraph[..=end];
        }
        from = end + 2;
    }
    paragraph.trim_end()
}

/// Types that hold any JSON: their `oneOf` says less than "anything" does and no client reads it.
fn flatten_free_form(name: &str, definition: &mut Value) {
    let free_form =
        [".JSON", ".JSONSchemaPropsOrArray", ".JSONSchemaPropsOrBool", ".JSONSchemaPropsOrStringArray"];
    let Some(map) = definition.as_object_mut() else { return };
    if free_form.iter().any(|suffix| name.ends_with(suffix)) {
        map.retain(|key, _| key == "description");
    }
    if name.ends_with(".RawExtension") || name.ends_with(".FieldsV1") {
        map.insert("x-kubernetes-preserve-unknown-fields".into(), json!(true));
    }
}

fn annotate_kinds(definitions: &mut BTreeMap<String, Value>) {
    for (definition, group, version, kind) in kinds::GROUP_VERSION_KINDS {
        let target = definitions.get_mut(*definition).and_then(Value::as_object_mut);
        let target = target.unwrap_or_else(|| panic!("{definition} was not generated"));
        target.insert(
            "x-kubernetes-group-version-kind".into(),
            json!([{"group": group, "version": version, "kind": kind}]),
        );
    }
}

fn write(definitions: &BTreeMap<String, Value>) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{{")?;
    for (index, (name, definition)) in definitions.iter().enumerate() {
        let comma = if index + 1 < definitions.len() { "," } else { "" };
        writeln!(out, "{}:{}{comma}", json!(name), sorted(definition))?;
    }
    writeln!(out, "}}")
}

/// `definition` with its keys sorted, whatever map type serde_json was built with.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let ordered: BTreeMap<&String, Value> = map.iter().map(|(k, v)| (k, sorted(v))).collect();
            Value::Object(ordered.into_iter().map(|(k, v)| (k.clone(), v)).collect::<Map<_, _>>())
        }
        Value::Array(items) => Value::Array(items.iter().map(sorted).collect()),
        other => other.clone(),
    }
}
