//! PriorityClasses: the number behind a name. Two are always there (Kubernetes documentation, "Guaranteed Scheduling For
//! Critical Add-On Pods").

use serde_json::{Value, json};

use crate::field_error::FieldError;
use crate::object::{name, set_default};
use crate::registry::Hooks;

/// Where they are stored.
pub(crate) const STORAGE: &str = "priorityclasses.scheduling.k8s.io";

/// Names that begin so are the system's own, and may have numbers that others may not.
const SYSTEM_PREFIX: &str = "system-";

/// The highest number of a class that is not the system's.
const HIGHEST: i64 = 1_000_000_000;

/// The classes that are always there.
pub(crate) const INITIAL: [(&str, i64); 2] =
    [("system-cluster-critical", 2_000_000_000), ("system-node-critical", 2_000_001_000)];

pub(crate) const HOOKS: Hooks = Hooks { default, validate, validate_update, ..Hooks::NONE };

fn default(class: &mut Value) {
    let Some(fields) = class.as_object_mut() else { return };
    set_default(fields, "preemptionPolicy", "PreemptLowerPriority");
}

fn validate(class: &Value) -> Vec<FieldError> {
    let is_initial = INITIAL.contains(&(name(class), class["value"].as_i64().unwrap_or(0)));
    if is_initial {
        return Vec::new();
    }
    let mut errors = Vec::new();
    if name(class).starts_with(SYSTEM_PREFIX) {
        let detail = "priority class names with 'system-' prefix are reserved for system use only";
        errors.push(FieldError::forbidden("metadata.name", detail));
    }
    if class["value"].as_i64().is_some_and(|value| value > HIGHEST) {
        let detail = format!("maximum allowed value of a user defined priority is {HIGHEST}");
        errors.push(FieldError::forbidden("value", &detail));
    }
    errors
}

fn validate_update(old: &Value, new: &Value) -> Vec<FieldError> {
    if old["value"] == new["value"] {
        return Vec::new();
    }
    vec![FieldError::forbidden("value", "may not be changed in an update.")]
}

/// The fields of one of the classes that are always there.
pub(crate) fn initial(value: i64) -> Value {
    json!({"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "value": value,
           "description": "Used for pods that must not be evicted."})
}
