//! Config maps and secrets.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::meta::check;
use super::names::data_key;
use crate::field_error::FieldError;

/// The real server's limit of the data of one config map or secret.
const MAX_BYTES: usize = 1 << 20;

/// What is wrong with a config map.
pub fn config_map(object: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let mut size = 0;
    for (field, other) in [("data", "binaryData"), ("binaryData", "data")] {
        for (key, value) in object[field].as_object().into_iter().flatten() {
            check(&mut errors, &format!("{field}[{key}]"), key, data_key);
            size += value.as_str().map_or(0, str::len);
            if !object[other][key].is_null() {
                let detail = format!("duplicate of key present in {other}");
                errors.push(FieldError::invalid(format!("{field}[{key}]"), &json!(key), &detail));
            }
        }
    }
    base64_values(object, "binaryData", &mut errors);
    if size > MAX_BYTES {
        errors.push(FieldError::too_long("", MAX_BYTES as u64));
    }
    errors
}

/// What is wrong with a secret.
pub fn secret(object: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let mut size = 0;
    for (key, value) in object["data"].as_object().into_iter().flatten() {
        check(&mut errors, &format!("data[{key}]"), key, data_key);
        size += value.as_str().map_or(0, |text| text.len() / 4 * 3);
    }
    base64_values(object, "data", &mut errors);
    if size > MAX_BYTES {
        errors.push(FieldError::too_long("data", MAX_BYTES as u64));
    }
    for key in required_keys(object["type"].as_str().unwrap_or_default()) {
        if object["data"][*key].is_null() {
            errors.push(FieldError::required(format!("data[{key}]"), ""));
        }
    }
    errors
}

/// What may not change in a config map.
pub fn config_map_update(old: &Value, new: &Value) -> Vec<FieldError> {
    immutable(old, new, &["data", "binaryData"])
}

/// What may not change in a secret.
pub fn secret_update(old: &Value, new: &Value) -> Vec<FieldError> {
    let mut errors = immutable(old, new, &["data"]);
    if old["type"] != new["type"] {
        errors.push(FieldError::invalid("type", &new["type"], "field is immutable"));
    }
    errors
}

/// Once an object says that it is immutable, it stays so, and so do these fields.
fn immutable(old: &Value, new: &Value, fields: &[&str]) -> Vec<FieldError> {
    if old["immutable"] != true {
        return Vec::new();
    }
    let unfrozen = (new["immutable"] != true).then_some("immutable");
    let changed = fields.iter().copied().filter(|field| old[*field] != new[*field]);
    unfrozen
        .into_iter()
        .chain(changed)
        .map(|field| FieldError::forbidden(field, "field is immutable when `immutable` is set"))
        .collect()
}

fn required_keys(secret_type: &str) -> &'static [&'static str] {
    match secret_type {
        "kubernetes.io/dockercfg" => &[".dockercfg"],
        "kubernetes.io/dockerconfigjson" => &[".dockerconfigjson"],
        "kubernetes.io/ssh-auth" => &["ssh-privatekey"],
        "kubernetes.io/tls" => &["tls.crt", "tls.key"],
        _ => &[],
    }
}

fn base64_values(object: &Value, field: &str, errors: &mut Vec<FieldError>) {
    for (key, value) in object[field].as_object().into_iter().flatten() {
        // The value itself may be a secret, so the message does not show it.
        if value.as_str().is_none_or(|text| STANDARD.decode(text).is_err()) {
            let detail = "must be base64";
            errors.push(FieldError::invalid(format!("{field}[{key}]"), &json!("<omitted>"), detail));
        }
    }
}
