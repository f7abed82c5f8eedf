//! Pods.

use serde_json::{Value, json};

use crate::error::ApiResult;
use crate::object::{self, text};
use crate::registry::{Admission, Hooks};
use crate::validate;

mod account;
mod defaults;
mod priority;
mod qos;
mod runtime_class;

/// Seconds that containers get to end by themselves (`terminationGracePeriodSeconds`).
const DEFAULT_GRACE: i64 = 30;

pub(crate) const HOOKS: Hooks = Hooks {
    default: defaults::fill,
    initialize,
    admit,
    validate: validate::pod::validate,
    validate_update: validate::pod::validate_update,
    grace_period,
    ..Hooks::NONE
};

fn initialize(pod: &mut Value) {
    pod["status"] = json!({"phase": "Pending", "qosClass": qos::class(pod)});
}

fn admit(admission: &Admission<'_>, pod: &mut Value) -> ApiResult<()> {
    if admission.old.is_some() {
        return Ok(());
    }
    priority::resolve(admission.api, pod)?;
    runtime_class::apply(admission.api, pod)?;
    account::mount(admission.api, pod)?;
    defaults::tolerate_lost_nodes(pod);
    Ok(())
}

/// A pod that no node runs, or that has ended, has nobody to wait for.
fn grace_period(pod: &Value, asked: Option<i64>) -> i64 {
    let phase = text(pod, "/status/phase");
    if text(pod, "/spec/nodeName").is_empty() || phase == "Failed" || phase == "Succeeded" {
        return 0;
    }
    let own = pod.pointer("/spec/terminationGracePeriodSeconds").and_then(Value::as_i64);
    asked.or(own).unwrap_or(DEFAULT_GRACE)
}

/// Containers of all sorts in a pod spec, changeable.
fn containers_mut<'a>(
    spec: &'a mut serde_json::Map<String, Value>,
    list: &str,
) -> impl Iterator<Item = &'a mut serde_json::Map<String, Value>> {
    spec.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten().filter_map(Value::as_object_mut)
}

/// A mirror of a static pod is made by a node about what runs already; it gets no token.
fn is_mirror(pod: &Value) -> bool {
    pod.pointer("/metadata/annotations").is_some_and(|all| all.get("kubernetes.io/config.mirror").is_some())
}

/// The service account that a pod runs as.
fn account_name(pod: &Value) -> &str {
    match (text(pod, "/spec/serviceAccountName"), text(pod, "/spec/serviceAccount")) {
        ("", "") => "default",
        ("", old) => old,
        (name, _) => name,
    }
}

/// The namespace of a pod.
fn namespace_of(pod: &Value) -> &str {
    object::namespace(pod)
}
