//! The way from `kubectl apply` to `kubectl apply --server-side` and back.
//!
//! `kubectl apply` keeps what it applied in an annotation and writes by patches, so its fields belong to the
//! updater `kubectl-client-side-apply`. When the same user goes on with `--server-side`, those are not somebody
//! else's fields.

use serde_json::Value;

use super::conflict::Conflict;
use super::fieldset::FieldSet;
use super::typed;
use crate::schema::Schema;

const ANNOTATION: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// The manager of `kubectl apply --server-side`; only it means the annotation.
const SERVER_SIDE: &str = "kubectl";

/// The managers that `kubectl apply` may have left.
const CLIENT_SIDE: [&str; 2] = ["kubectl-client-side-apply", "before-first-apply"];

/// Whether all `conflicts` are with what the same user had applied before.
pub(super) fn covers(manager: &str, live: &Value, conflicts: &[Conflict], schema: &Schema) -> bool {
    if manager != SERVER_SIDE {
        return false;
    }
    let Some(fields) = last_applied(live, schema) else { return false };
    let paths = fields.paths();
    conflicts
        .iter()
        .all(|conflict| CLIENT_SIDE.contains(&conflict.manager.as_str()) && paths.contains(&conflict.path))
}

fn last_applied(live: &Value, schema: &Schema) -> Option<FieldSet> {
    let text = live["metadata"]["annotations"][ANNOTATION].as_str()?;
    Some(typed::fields_of(&serde_json::from_str(text).ok()?, schema))
}

/// Keeps the annotation, where there is one, in step with what was applied, so that a later `kubectl apply` knows
/// what to remove.
pub(super) fn refresh(manager: &str, object: &mut Value, applied: &Value) {
    if manager != SERVER_SIDE {
        return;
    }
    let annotation = object
        .get_mut("metadata")
        .and_then(|metadata| metadata.get_mut("annotations"))
        .and_then(|annotations| annotations.get_mut(ANNOTATION));
    if let Some(annotation) = annotation {
        // With the line's end that kubectl writes too.
        *annotation = Value::from(format!("{applied}\n"));
    }
}
