//! Ephemeral containers: added to a pod that is there, and never changed or taken away
//! (<https://kubernetes.io/docs/concepts/workloads/pods/ephemeral-containers/>).

use serde_json::Value;

use crate::field_error::FieldError;
use crate::object::list;

/// What a container that somebody looks around with has no use for.
const NOT_ALLOWED: [&str; 6] =
    ["ports", "livenessProbe", "readinessProbe", "startupProbe", "lifecycle", "resizePolicy"];

/// What is wrong with a change of a pod's ephemeral containers.
pub fn validate_ephemeral(old: &Value, new: &Value) -> Vec<FieldError> {
    let field = "spec.ephemeralContainers";
    let mut errors = Vec::new();
    let containers = list(new, "/spec/ephemeralContainers");
    for before in list(old, "/spec/ephemeralContainers") {
        let name = before["name"].as_str().unwrap_or_default();
        match containers.iter().find(|container| container["name"] == before["name"]) {
            Some(container) if container == before => {}
            Some(_) => {
                let detail = format!("existing ephemeral container {name:?} may not be changed");
                errors.push(FieldError::forbidden(field, &detail));
            }
            None => {
                let detail = format!("existing ephemeral container {name:?} may not be removed");
                errors.push(FieldError::forbidden(field, &detail));
            }
        }
    }
    let spec = &new["spec"];
    let lists = ["/spec/containers", "/spec/initContainers"];
    let others: Vec<&Value> = lists.iter().flat_map(|at| list(new, at)).map(|other| &other["name"]).collect();
    for (index, container) in containers.iter().enumerate() {
        let at = |name: &str| format!("{field}[{index}].{name}");
        for name in ["name", "image"] {
            if container[name].as_str().is_none_or(str::is_empty) {
                errors.push(FieldError::required(at(name), ""));
            }
        }
        let twin = containers[..index].iter().any(|earlier| earlier["name"] == container["name"]);
        if twin || others.contains(&&container["name"]) {
            errors.push(FieldError::duplicate(at("name"), &container["name"]));
        }
        for name in NOT_ALLOWED.iter().filter(|name| !container[**name].is_null()) {
            errors.push(FieldError::forbidden(at(name), "cannot be set for an Ephemeral Container"));
        }
        let target = &container["targetContainerName"];
        let is_there = list(spec, "/containers").iter().any(|other| other["name"] == *target);
        if target.as_str().is_some_and(|target| !target.is_empty()) && !is_there {
            errors.push(FieldError::not_found(at("targetContainerName"), target));
        }
    }
    errors
}
