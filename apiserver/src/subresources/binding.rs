//! `pods/binding`: a scheduler gives a pod its node.

use http::{Response, StatusCode};
use serde_json::{Value, json};

use crate::call::Call;
use crate::error::{ApiError, ApiResult};
use crate::field_error::FieldError;
use crate::intake;
use crate::managed::Operation;
use crate::object::{self, child, text};
use crate::response::{self, Body};
use crate::verbs::change::{Part, change};

pub(super) async fn bind(call: &Call) -> ApiResult<Response<Body>> {
    let binding = intake::decode_any(call)?;
    let node = text(&binding, "/target/name").to_owned();
    let name = call.name()?;
    if node.is_empty() {
        let error = FieldError::required("target.name", "");
        return Err(ApiError::invalid(&call.kind, name, &[error]));
    }
    let now = object::time(call.api.clock().now());
    change(call, Part::Chosen, Operation::Update, |pod| {
        let mut bound = pod.clone();
        check(call, pod, &binding)?;
        child(&mut bound, "spec").insert("nodeName".to_owned(), node.clone().into());
        schedule(&mut bound, &now);
        Ok(bound)
    })
    .await?;
    Ok(response::json(
        StatusCode::CREATED,
        &json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}),
    ))
}

fn check(call: &Call, pod: &Value, binding: &Value) -> ApiResult<()> {
    let name = object::name(pod);
    let uid = object::uid(binding);
    if !uid.is_empty() && uid != object::uid(pod) {
        let own = object::uid(pod);
        let why = format!("Precondition failed: UID in precondition: {uid}, UID in object meta: {own}");
        return Err(ApiError::conflict(&call.kind, name, &why));
    }
    if object::is_terminating(pod) {
        return Err(ApiError::conflict(
            &call.kind,
            name,
            &format!("pod {name} is being deleted, cannot be assigned to a host"),
        ));
    }
    let node = text(pod, "/spec/nodeName");
    if !node.is_empty() {
        return Err(ApiError::conflict(
            &call.kind,
            name,
            &format!("pod {name} is already assigned to node {node:?}"),
        ));
    }
    Ok(())
}

/// Says in the pod's conditions that it has a node.
fn schedule(pod: &mut Value, now: &str) {
    let status = child(pod, "status");
    let slot = status.entry("conditions").or_insert_with(|| json!([]));
    let Some(conditions) = slot.as_array_mut() else { return };
    conditions.retain(|condition| condition["type"] != "PodScheduled");
    conditions.push(json!({
        "type": "PodScheduled", "status": "True", "lastProbeTime": null, "lastTransitionTime": now,
    }));
}
