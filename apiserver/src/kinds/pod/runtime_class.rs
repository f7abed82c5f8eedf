//! What the RuntimeClass of a new pod adds to it: <https://kubernetes.io/docs/concepts/containers/runtime-class/> (the
//! RuntimeClass admission plugin).

use serde_json::{Value, json};

use crate::call::parse;
use crate::error::{ApiError, ApiResult};
use crate::object::{self, child, list, text};
use crate::server::ApiServer;
use crate::store::Place;

/// Adds the class's overhead and where its pods may be.
///
/// # Errors
/// 403 when there is no such class, or when the pod says something else than its class.
pub(super) fn apply(api: &ApiServer, pod: &mut Value) -> ApiResult<()> {
    let name = text(pod, "/spec/runtimeClassName").to_owned();
    let overhead = pod.pointer("/spec/overhead").filter(|own| **own != json!({})).cloned();
    if name.is_empty() {
        return match overhead {
            Some(_) => {
                Err(refused(api, pod, "Pod Overhead set without corresponding RuntimeClass defined Overhead"))
            }
            None => Ok(()),
        };
    }
    let registry = api.registry();
    let kind = registry.resource("node.k8s.io", "v1", "runtimeclasses").ok_or_else(ApiError::no_such_path)?;
    let Some(entry) = api.store().get(&kind.storage, &Place::new("", &name)) else {
        return Err(refused(api, pod, &format!("RuntimeClass {name:?} not found")));
    };
    let class = parse(&entry.object)?;
    let fixed = class.pointer("/overhead/podFixed").cloned();
    if overhead.is_some() && overhead != fixed {
        return Err(refused(api, pod, "Pod's Overhead doesn't match RuntimeClass's defined Overhead"));
    }
    if let Some(fixed) = fixed {
        child(pod, "spec").insert("overhead".to_owned(), fixed);
    }
    for (key, value) in
        class.pointer("/scheduling/nodeSelector").and_then(Value::as_object).into_iter().flatten()
    {
        let own = pod.pointer("/spec/nodeSelector").and_then(|selector| selector.get(key));
        if own.is_some_and(|own| own != value) {
            let why =
                format!("conflict: runtimeClass.scheduling.nodeSelector and pod.spec.nodeSelector: {key}");
            return Err(refused(api, pod, &why));
        }
        let spec = child(pod, "spec");
        object::entry_object(spec, "nodeSelector").insert(key.clone(), value.clone());
    }
    let own = list(pod, "/spec/tolerations").to_vec();
    for toleration in list(&class, "/scheduling/tolerations").iter().filter(|one| !own.contains(one)) {
        object::entry_list(child(pod, "spec"), "tolerations").push(toleration.clone());
    }
    Ok(())
}

fn refused(api: &ApiServer, pod: &Value, why: &str) -> ApiError {
    match api.registry().resource("", "v1", "pods") {
        Some(kind) => ApiError::forbidden(kind, object::name(pod), &format!("pod rejected: {why}")),
        None => ApiError::no_such_path(),
    }
}
