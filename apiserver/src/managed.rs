//! Who manages which field: `metadata.managedFields`, and server-side apply, for the writing verbs.

use http::StatusCode;
use serde_json::{Value, json};

use crate::apply::{self, ApplyError, Conflict, Writer};
use crate::call::Call;
use crate::error::{ApiError, ApiResult};

/// How fields come to be managed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    /// By create, update or patch.
    Update,
    /// By server-side apply, which records them itself.
    Apply,
}

/// Records the fields that an ordinary write has changed.
pub(crate) fn track(call: &Call, old: Option<&Value>, new: &mut Value) {
    let manager = manager(call);
    apply::track_update(&writer(call, &manager), old, new);
}

/// What `applied` makes of the live object.
///
/// # Errors
/// 409 when other managers own fields that it would change, 400 when it cannot be understood.
pub(crate) fn apply(call: &Call, live: Option<&Value>, applied: &Value) -> ApiResult<Value> {
    let manager = manager(call);
    let applied = apply::server_side(&writer(call, &manager), live, applied, call.params.force);
    applied.map_err(|error| refusal(call, error))
}

fn manager(call: &Call) -> String {
    apply::manager_name(call.params.field_manager.as_deref(), Some(&call.user_agent))
}

fn writer<'a>(call: &'a Call, manager: &'a str) -> Writer<'a> {
    Writer {
        kind: &call.kind,
        manager,
        subresource: call.path.subresource.as_deref(),
        now: call.api.clock().now(),
    }
}

fn refusal(call: &Call, error: ApplyError) -> ApiError {
    let message = error.to_string();
    match error {
        ApplyError::Malformed(_) => ApiError::bad_request(message),
        ApplyError::Conflicts(conflicts) => {
            let causes: Vec<Value> = conflicts.iter().map(Conflict::cause).collect();
            ApiError::new(StatusCode::CONFLICT, "Conflict", message)
                .with_details(json!({"name": call.path.name, "kind": call.kind.plural, "causes": causes}))
        }
    }
}
