//! What a definition must and may not say.

use serde_json::{Value, json};

use crate::field_error::FieldError;
use crate::object::{list, name, text};
use crate::schema::structural;
use crate::validate::{dns_label, dns_subdomain};

pub(super) fn validate(definition: &Value) -> Vec<FieldError> {
    let spec = &definition["spec"];
    let mut errors = Vec::new();
    for field in ["group", "scope", "names.plural", "names.kind"] {
        let pointer = format!("/{}", field.replace('.', "/"));
        if text(spec, &pointer).is_empty() {
            errors.push(FieldError::required(format!("spec.{field}"), ""));
        }
    }
    if !errors.is_empty() {
        return errors;
    }
    let expected = format!("{}.{}", text(spec, "/names/plural"), text(spec, "/group"));
    if name(definition) != expected {
        let detail = "must be spec.names.plural+\".\"+spec.group";
        errors.push(FieldError::invalid("metadata.name", &json!(name(definition)), detail));
    }
    if let Err(detail) = dns_subdomain(text(spec, "/group")) {
        errors.push(FieldError::invalid("spec.group", &spec["group"], &detail));
    }
    if !matches!(text(spec, "/scope"), "Cluster" | "Namespaced") {
        errors.push(FieldError::not_supported("spec.scope", &spec["scope"], &["Cluster", "Namespaced"]));
    }
    if text(spec, "/conversion/strategy") == "Webhook" {
        errors.push(FieldError::not_supported("spec.conversion.strategy", &json!("Webhook"), &["None"]));
    }
    versions(spec, &mut errors);
    errors
}

fn versions(spec: &Value, errors: &mut Vec<FieldError>) {
    let versions = list(spec, "/versions");
    let stored = versions.iter().filter(|version| version["storage"] == true).count();
    if stored != 1 {
        let detail = "must have exactly one version marked as storage version";
        errors.push(FieldError::invalid("spec.versions", &json!(versions.len()), detail));
    }
    let preserve = spec["preserveUnknownFields"].as_bool().unwrap_or(false);
    for (index, version) in versions.iter().enumerate() {
        let path = format!("spec.versions[{index}]");
        if let Err(detail) = dns_label(text(version, "/name")) {
            errors.push(FieldError::invalid(format!("{path}.name"), &version["name"], &detail));
        }
        if versions[..index].iter().any(|other| other["name"] == version["name"]) {
            errors.push(FieldError::duplicate(format!("{path}.name"), &version["name"]));
        }
        let schema_path = format!("{path}.schema.openAPIV3Schema");
        match version.pointer("/schema/openAPIV3Schema") {
            None => errors.push(FieldError::required(schema_path, "schemas are required")),
            Some(schema) => {
                errors.extend(structural::parse(schema, &schema_path, preserve).err().into_iter().flatten());
            }
        }
    }
}

/// What names a kind may not change: its objects are stored under it.
pub(super) fn validate_update(old: &Value, new: &Value) -> Vec<FieldError> {
    ["group", "scope", "names.plural", "names.kind"]
        .into_iter()
        .filter_map(|field| {
            let pointer = format!("/spec/{}", field.replace('.', "/"));
            let (before, after) = (old.pointer(&pointer), new.pointer(&pointer));
            let after = after.filter(|_| before != after)?;
            Some(FieldError::invalid(format!("spec.{field}"), after, "field is immutable"))
        })
        .collect()
}
