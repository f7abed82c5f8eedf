//! CustomResourceDefinitions: what they must say, and the kinds that come of them.
//!
//! Source: the Kubernetes documentation, "Extend the Kubernetes API with CustomResourceDefinitions".

use serde_json::{Value, json};

use crate::error::ApiResult;
use crate::object::{self, child, list, set_default, text};
use crate::registry::{Admission, Hooks};
use crate::server::ApiServer;

mod names;
mod served;
mod validation;

pub(crate) use served::kinds;

/// Where definitions are stored.
pub(crate) const STORAGE: &str = "customresourcedefinitions.apiextensions.k8s.io";

/// Finalizer: the objects of the kind go before its definition does.
pub(crate) const CLEANUP_FINALIZER: &str = "customresourcecleanup.apiextensions.k8s.io";

pub(crate) const HOOKS: Hooks = Hooks {
    default,
    initialize,
    admit,
    validate: validation::validate,
    validate_update: validation::validate_update,
    terminate,
    changed: ApiServer::reload_custom_kinds,
    ..Hooks::NONE
};

fn default(definition: &mut Value) {
    let spec = child(definition, "spec");
    let kind = spec.get("names").map(|names| text(names, "/kind").to_owned()).unwrap_or_default();
    set_default(spec, "conversion", json!({"strategy": "None"}));
    if let Some(names) = spec.get_mut("names").and_then(Value::as_object_mut) {
        set_default(names, "singular", kind.to_lowercase());
        set_default(names, "listKind", format!("{kind}List"));
    }
}

fn initialize(definition: &mut Value) {
    definition["status"] = json!({"conditions": [], "storedVersions": []});
}

/// Keeps the status true: which names are accepted, whether the kind is served, which versions were ever stored. The
/// real server has controllers for it; here it is decided with the write, so that the kind is served at once.
fn admit(admission: &Admission<'_>, definition: &mut Value) -> ApiResult<()> {
    let now = object::time(admission.api.clock().now());
    let conflict = names::conflict(&admission.api.registry(), definition);
    let names = definition["spec"]["names"].clone();
    let storage = list(definition, "/spec/versions")
        .iter()
        .find(|version| version["storage"] == true)
        .map(|version| version["name"].clone());
    let status = child(definition, "status");
    if let (Some(storage), Some(stored)) =
        (storage, status.entry("storedVersions").or_insert_with(|| json!([])).as_array_mut())
        && !stored.contains(&storage)
    {
        stored.push(storage);
    }
    match &conflict {
        None => {
            status.insert("acceptedNames".to_owned(), names);
            set_condition(definition, "NamesAccepted", true, "NoConflicts", "no conflicts found", &now);
            let established = "the initial names have been accepted";
            set_condition(definition, "Established", true, "InitialNamesAccepted", established, &now);
        }
        Some(problem) => {
            set_default(status, "acceptedNames", json!({"plural": "", "kind": ""}));
            set_condition(definition, "NamesAccepted", false, "NameConflict", problem, &now);
            if !is_established(definition) {
                set_condition(
                    definition,
                    "Established",
                    false,
                    "NotAccepted",
                    "not all names are accepted",
                    &now,
                );
            }
        }
    }
    Ok(())
}

fn terminate(definition: &mut Value) {
    let slot = object::metadata(definition).entry("finalizers").or_insert_with(|| json!([]));
    if let Some(finalizers) = slot.as_array_mut()
        && !finalizers.iter().any(|own| own == CLEANUP_FINALIZER)
    {
        finalizers.push(CLEANUP_FINALIZER.into());
    }
}

/// Whether the kinds of the definition are served.
fn is_established(definition: &Value) -> bool {
    list(definition, "/status/conditions")
        .iter()
        .any(|condition| condition["type"] == "Established" && condition["status"] == "True")
}

fn set_condition(definition: &mut Value, kind: &str, holds: bool, reason: &str, message: &str, now: &str) {
    let slot = child(definition, "status").entry("conditions").or_insert_with(|| json!([]));
    let Some(conditions) = slot.as_array_mut() else { return };
    let status = if holds { "True" } else { "False" };
    let mut new = json!({
        "type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": now,
    });
    match conditions.iter_mut().find(|condition| condition["type"] == kind) {
        Some(old) => {
            if old["status"] == status {
                new["lastTransitionTime"] = old["lastTransitionTime"].clone();
            }
            *old = new;
        }
        None => conditions.push(new),
    }
}
