//! Objects in the forms that clients ask for.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::call::Call;
use crate::table;

/// `PartialObjectMetadata` of an object.
pub(crate) fn metadata_only(object: &Value) -> Value {
    json!({
        "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1",
        "metadata": object.get("metadata").cloned().unwrap_or_default(),
    })
}

/// A Table of `objects`.
pub(crate) fn table(call: &Call, objects: &[Value], meta: &Value, now: Timestamp) -> Value {
    table::table(&call.kind, objects, meta, call.params.include_object, now)
}
