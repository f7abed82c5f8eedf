//! The priority of a new pod (Kubernetes documentation, "Pod Priority and Preemption").

use serde_json::Value;

use crate::call::parse;
use crate::error::{ApiError, ApiResult};
use crate::kinds::priority_class::STORAGE;
use crate::object::{self, child, text};
use crate::server::ApiServer;
use crate::store::Place;

/// Turns the name of the pod's class into a number.
///
/// # Errors
/// 403 when there is no such class.
pub(super) fn resolve(api: &ApiServer, pod: &mut Value) -> ApiResult<()> {
    let name = text(pod, "/spec/priorityClassName").to_owned();
    if name.is_empty() {
        return Ok(());
    }
    let Some(entry) = api.store().get(STORAGE, &Place::new("", &name)) else {
        let registry = api.registry();
        let kind = registry.resource("", "v1", "pods").ok_or_else(ApiError::no_such_path)?;
        let why = format!("no PriorityClass with name {name} was found");
        return Err(ApiError::forbidden(kind, object::name(pod), &why));
    };
    let class = parse(&entry.object)?;
    let spec = child(pod, "spec");
    spec.insert("priority".to_owned(), class["value"].clone());
    if let Some(policy) = class.get("preemptionPolicy") {
        spec.insert("preemptionPolicy".to_owned(), policy.clone());
    }
    Ok(())
}
