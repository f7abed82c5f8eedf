//! The three patch formats: RFC 6902 (JSON patch), RFC 7386 (merge patch) and Kubernetes' strategic merge patch.
//!
//! Server-side apply is the fourth thing that `PATCH` can mean; it lives in [`crate::apply`].

mod json;
mod strategic;

use serde_json::Value;

use crate::registry::KindInfo;
use crate::schema::KindSchema;

/// How the body of a `PATCH` is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PatchType {
    /// `application/json-patch+json`: a list of operations.
    Json,
    /// `application/merge-patch+json`: what changes, with `null` for what goes.
    Merge,
    /// `application/strategic-merge-patch+json`: a merge patch that knows which lists are keyed.
    Strategic,
}

impl PatchType {
    /// By media type, parameters ignored.
    pub fn of_content_type(content_type: &str) -> Option<Self> {
        match content_type.split(';').next().unwrap_or_default().trim() {
            "application/json-patch+json" => Some(Self::Json),
            "application/merge-patch+json" => Some(Self::Merge),
            "application/strategic-merge-patch+json" => Some(Self::Strategic),
            _ => None,
        }
    }
}

/// Why a patch was not applied. The HTTP status that fits is in each variant's line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatchError {
    /// 400: the body is not a patch of its type.
    #[error("error decoding patch: {0}")]
    Malformed(String),
    /// 415: custom resources have no strategic merge patch.
    #[error(
        "the body of the request was in an unknown format - accepted media types include: \
         application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml"
    )]
    UnsupportedMediaType,
    /// 422: the patch does not fit the object: a failed `test`, a path that is not there.
    #[error("the server rejected our request due to an error in our request: {0}")]
    Rejected(String),
    /// 413: too many operations, or copies that grow too large.
    #[error("{0}")]
    TooLarge(String),
}

/// Applies `patch` to `current`.
///
/// # Errors
/// See [`PatchError`]. `current` is never half patched: the result is a new value.
pub fn apply(
    kind: &KindInfo,
    patch_type: PatchType,
    current: &Value,
    patch: &[u8],
) -> Result<Value, PatchError> {
    apply_to(&kind.schema(), patch_type, current, patch)
}

fn apply_to(
    schema: &KindSchema,
    patch_type: PatchType,
    current: &Value,
    patch: &[u8],
) -> Result<Value, PatchError> {
    let malformed = |error: serde_json::Error| PatchError::Malformed(error.to_string());
    match patch_type {
        PatchType::Json => json::apply(current, &serde_json::from_slice(patch).map_err(malformed)?),
        PatchType::Merge => {
            let patch = object(serde_json::from_slice(patch).map_err(malformed)?)?;
            let mut patched = current.clone();
            json_patch::merge(&mut patched, &patch);
            Ok(patched)
        }
        PatchType::Strategic if schema.is_custom() => Err(PatchError::UnsupportedMediaType),
        PatchType::Strategic => {
            let patch = object(serde_json::from_slice(patch).map_err(malformed)?)?;
            strategic::apply(current, patch, schema.root())
        }
    }
}

/// A patch of anything but an object would replace the whole object.
fn object(patch: Value) -> Result<Value, PatchError> {
    match patch {
        Value::Object(_) => Ok(patch),
        _ => Err(PatchError::Malformed("the patch must be an object".to_owned())),
    }
}

#[cfg(test)]
mod tests;
