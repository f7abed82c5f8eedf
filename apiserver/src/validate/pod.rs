//! Pods.
//!
//! The rules that a pod meets on its way to a node; what only a controller of the real server could know
//! (quotas, admission plugins, feature gates) is not here.

mod container;
mod ephemeral;
mod volume;

use serde_json::{Value, json};

pub use ephemeral::validate_ephemeral;

use super::meta::check;
use super::names::{dns_label, dns_subdomain, label_key, label_value};
use crate::field_error::FieldError;

/// What is wrong with a port that is out of range.
pub(super) const PORT_RANGE: &str = "must be between 1 and 65535, inclusive";

/// What is wrong with a new pod.
pub fn validate(object: &Value) -> Vec<FieldError> {
    let spec = &object["spec"];
    let mut errors = Vec::new();
    let volumes = volume::volumes(spec, &mut errors);
    container::containers(spec, &volumes, &mut errors);
    enumerated(spec, "restartPolicy", &["Always", "OnFailure", "Never"], &mut errors);
    enumerated(
        spec,
        "dnsPolicy",
        &["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"],
        &mut errors,
    );
    for (name, least) in [("terminationGracePeriodSeconds", 0), ("activeDeadlineSeconds", 1)] {
        if spec[name].as_i64().is_some_and(|seconds| seconds < least) {
            let detail = format!("must be greater than or equal to {least}");
            errors.push(FieldError::invalid(format!("spec.{name}"), &spec[name], &detail));
        }
    }
    references(spec, &mut errors);
    tolerations(spec, &mut errors);
    errors
}

/// What may not change in a pod once it exists.
pub fn validate_update(old: &Value, new: &Value) -> Vec<FieldError> {
    let mut expected = new["spec"].clone();
    take_mutable_fields(&mut expected, &old["spec"]);
    let mut errors = Vec::new();
    if expected != old["spec"] {
        let detail = "pod updates may not change fields other than `spec.containers[*].image`,\
                      `spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only \
                      additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be \
                      set to 1 if it was previously negative)";
        errors.push(FieldError::forbidden("spec", detail));
    }
    errors.extend(images(&new["spec"]));
    errors
}

/// Sets in `spec` what an update may change back to what it was.
fn take_mutable_fields(spec: &mut Value, old: &Value) {
    for list in ["containers", "initContainers"] {
        let containers = spec.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten();
        for (container, old) in containers.zip(old[list].as_array().into_iter().flatten()) {
            container["image"] = old["image"].clone();
        }
    }
    let Some(spec) = spec.as_object_mut() else { return };
    for name in ["activeDeadlineSeconds", "tolerations"] {
        let additions_only = name != "tolerations"
            || old[name].as_array().into_iter().flatten().all(|toleration| {
                spec.get(name).and_then(Value::as_array).is_some_and(|new| new.contains(toleration))
            });
        if !additions_only {
            continue;
        }
        match &old[name] {
            Value::Null => drop(spec.remove(name)),
            before => drop(spec.insert(name.to_owned(), before.clone())),
        }
    }
}

fn images(spec: &Value) -> Vec<FieldError> {
    let lists = ["initContainers", "containers"];
    let of =
        |list: &'static str| spec[list].as_array().into_iter().flatten().enumerate().map(move |c| (list, c));
    lists
        .into_iter()
        .flat_map(of)
        .filter(|(_, (_, container))| container["image"].as_str().is_none_or(str::is_empty))
        .map(|(list, (index, _))| FieldError::required(format!("spec.{list}[{index}].image"), ""))
        .collect()
}

fn references(spec: &Value, errors: &mut Vec<FieldError>) {
    type Rule = fn(&str) -> Result<(), String>;
    let rules: [(&str, Rule); 4] = [
        ("nodeName", dns_subdomain),
        ("serviceAccountName", dns_subdomain),
        ("hostname", dns_label),
        ("subdomain", dns_label),
    ];
    for (name, rule) in rules {
        if let Some(text) = spec[name].as_str().filter(|text| !text.is_empty()) {
            check(errors, &format!("spec.{name}"), text, rule);
        }
    }
    for (key, value) in spec["nodeSelector"].as_object().into_iter().flatten() {
        check(errors, "spec.nodeSelector", key, label_key);
        check(errors, "spec.nodeSelector", value.as_str().unwrap_or_default(), label_value);
    }
    for (index, secret) in spec["imagePullSecrets"].as_array().into_iter().flatten().enumerate() {
        if secret["name"].as_str().is_none_or(str::is_empty) {
            errors.push(FieldError::required(format!("spec.imagePullSecrets[{index}].name"), ""));
        }
    }
}

fn tolerations(spec: &Value, errors: &mut Vec<FieldError>) {
    for (index, toleration) in spec["tolerations"].as_array().into_iter().flatten().enumerate() {
        let at = |name: &str| format!("spec.tolerations[{index}].{name}");
        let key = toleration["key"].as_str().unwrap_or_default();
        let exists = toleration["operator"] == "Exists";
        if key.is_empty() && !exists {
            let detail =
                "operator must be Exists when `key` is empty, which means \"match all values and all keys\"";
            errors.push(FieldError::invalid(at("operator"), &toleration["operator"], detail));
        }
        if exists && toleration["value"].as_str().is_some_and(|value| !value.is_empty()) {
            let detail = "value must be empty when `operator` is 'Exists'";
            errors.push(FieldError::invalid(at("operator"), &toleration["operator"], detail));
        }
        one_of(toleration, "operator", &at("operator"), &["Equal", "Exists"], errors);
        let effects = ["NoSchedule", "PreferNoSchedule", "NoExecute"];
        one_of(toleration, "effect", &at("effect"), &effects, errors);
    }
}

fn enumerated(spec: &Value, name: &str, allowed: &[&str], errors: &mut Vec<FieldError>) {
    one_of(spec, name, &format!("spec.{name}"), allowed, errors);
}

/// Complains if `holder[name]` is set to something else than one of `allowed`.
fn one_of(holder: &Value, name: &str, field: &str, allowed: &[&str], errors: &mut Vec<FieldError>) {
    if let Some(value) = holder[name].as_str().filter(|value| !value.is_empty() && !allowed.contains(value)) {
        errors.push(FieldError::not_supported(field, &json!(value), allowed));
    }
}
