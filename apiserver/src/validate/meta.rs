//! `metadata`, which every kind has.

use serde_json::{Value, json};

use super::names::{dns_label, dns_subdomain, label_key, label_value, service_name};
use crate::field_error::FieldError;
use crate::registry::KindInfo;

/// The real server's limit of all annotations of an object together.
const MAX_ANNOTATION_BYTES: usize = 256 << 10;

/// What is wrong with an object's `metadata`.
pub fn metadata(object: &Value, kind: &KindInfo) -> Vec<FieldError> {
    let meta = &object["metadata"];
    let mut errors = Vec::new();
    match meta["name"].as_str().filter(|name| !name.is_empty()) {
        None => errors.push(FieldError::required("metadata.name", "name or generateName is required")),
        Some(name) => check(&mut errors, "metadata.name", name, |name| name_rule(kind, name)),
    }
    for (key, value) in meta["labels"].as_object().into_iter().flatten() {
        check(&mut errors, "metadata.labels", key, label_key);
        check(&mut errors, "metadata.labels", value.as_str().unwrap_or_default(), label_value);
    }
    annotations(meta, &mut errors);
    for finalizer in meta["finalizers"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        check(&mut errors, "metadata.finalizers", finalizer, label_key);
    }
    owners(meta, &mut errors);
    errors
}

/// What may not change in an object's `metadata`.
pub fn metadata_update(old: &Value, new: &Value) -> Vec<FieldError> {
    ["name", "namespace", "uid", "creationTimestamp"]
        .into_iter()
        .filter(|name| !new["metadata"][*name].is_null() && old["metadata"][*name] != new["metadata"][*name])
        .map(|name| {
            let field = format!("metadata.{name}");
            FieldError::invalid(field, &new["metadata"][name], "field is immutable")
        })
        .collect()
}

fn name_rule(kind: &KindInfo, name: &str) -> Result<(), String> {
    match kind.kind.as_str() {
        "Namespace" => dns_label(name),
        "Service" => service_name(name),
        // Certificate requests and the like may have any name that a path can hold.
        "CertificateSigningRequest" => path_segment(name),
        _ => dns_subdomain(name),
    }
}

fn path_segment(name: &str) -> Result<(), String> {
    match name {
        "." | ".." => Err(format!("may not be '{name}'")),
        _ => match name.chars().find(|c| matches!(c, '/' | '%')) {
            Some(c) => Err(format!("may not contain '{c}'")),
            None => Ok(()),
        },
    }
}

fn annotations(meta: &Value, errors: &mut Vec<FieldError>) {
    let mut size = 0;
    for (key, value) in meta["annotations"].as_object().into_iter().flatten() {
        // Unlike labels, annotation keys are compared in lower case.
        check(errors, "metadata.annotations", &key.to_lowercase(), label_key);
        size += key.len() + value.as_str().map_or(0, str::len);
    }
    if size > MAX_ANNOTATION_BYTES {
        errors.push(FieldError::too_long("metadata.annotations", MAX_ANNOTATION_BYTES as u64));
    }
}

fn owners(meta: &Value, errors: &mut Vec<FieldError>) {
    let owners = meta["ownerReferences"].as_array().map_or(&[][..], Vec::as_slice);
    for (index, owner) in owners.iter().enumerate() {
        for name in ["apiVersion", "kind", "name", "uid"] {
            if owner[name].as_str().is_none_or(str::is_empty) {
                let field = format!("metadata.ownerReferences[{index}].{name}");
                errors.push(FieldError::invalid(field, &owner[name], "must not be empty"));
            }
        }
    }
    if owners.iter().filter(|owner| owner["controller"] == true).count() > 1 {
        let detail = "Only one reference can have Controller set to true";
        errors.push(FieldError::invalid("metadata.ownerReferences", &json!(owners), detail));
    }
}

/// Adds the complaint of `rule` about `text`, if it has one.
pub(super) fn check(
    errors: &mut Vec<FieldError>,
    field: &str,
    text: &str,
    rule: impl FnOnce(&str) -> Result<(), String>,
) {
    if let Err(detail) = rule(text) {
        errors.push(FieldError::invalid(field, &json!(text), &detail));
    }
}
