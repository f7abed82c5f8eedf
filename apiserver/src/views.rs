//! Kinds that are views of objects stored under another group or version.

use bytes::Bytes;
use serde_json::Value;

use crate::call::parse;
use crate::error::ApiResult;
use crate::registry::{KindInfo, View};

mod events;

/// A stored object as clients of `kind` see it.
pub(crate) fn outward(kind: &KindInfo, stored: &Bytes) -> ApiResult<Bytes> {
    match kind.view {
        View::Stored => Ok(stored.clone()),
        View::Relabelled | View::Events => Ok(Bytes::from(outward_value(kind, parse(stored)?).to_string())),
    }
}

/// As [`outward`], for a tree.
pub(crate) fn outward_value(kind: &KindInfo, mut object: Value) -> Value {
    if kind.view == View::Events {
        events::from_core(&mut object);
    }
    if kind.view != View::Stored {
        object["apiVersion"] = kind.api_version().into();
    }
    object
}

/// An object that a client of `kind` wrote, as it is stored.
pub(crate) fn inward_value(kind: &KindInfo, mut object: Value) -> Value {
    if kind.view == View::Events {
        events::to_core(&mut object);
        object["apiVersion"] = "v1".into();
    }
    object
}
