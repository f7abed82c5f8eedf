//! Who manages which field: `metadata.managedFields`, and server-side apply.

use serde_json::Value;

use crate::call::Call;
use crate::error::{ApiError, ApiResult};
use crate::verbs::change::Part;

/// How fields came to be managed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    /// By create, update or patch.
    Update,
    /// By server-side apply.
    Apply,
}

/// Records the fields that an ordinary write has changed.
pub(crate) fn track(
    call: &Call,
    _old: Option<&Value>,
    _new: &mut Value,
    _operation: Operation,
) -> ApiResult<()> {
    tracing::trace!(manager = call.manager(), "fields are not tracked yet");
    Ok(())
}

/// What `applied` makes of the live object.
pub(crate) fn apply(_call: &Call, _live: Option<&Value>, _applied: Value, _part: Part) -> ApiResult<Value> {
    Err(ApiError::internal("server-side apply is not wired yet"))
}
