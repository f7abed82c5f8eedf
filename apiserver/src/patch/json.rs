//! RFC 6902, bounded.

use json_patch::{Patch, PatchOperation};
use serde_json::Value;

use super::PatchError;

/// The real server's limit of operations in one patch.
const MAX_OPERATIONS: usize = 10_000;

/// Bytes that `copy` operations may add in one patch. Copying a value into itself doubles it, so thirty
/// operations could ask for gigabytes; an object is at most about this large anyway.
const MAX_COPIED_BYTES: usize = 3 << 20;

pub(super) fn apply(current: &Value, patch: &Patch) -> Result<Value, PatchError> {
    if patch.0.len() > MAX_OPERATIONS {
        let count = patch.0.len();
        return Err(PatchError::TooLarge(format!(
            "the allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {count}"
        )));
    }
    let mut patched = current.clone();
    let mut copied = 0;
    for operation in &patch.0 {
        if let PatchOperation::Copy(copy) = operation {
            copied += patched.pointer(copy.from.as_str()).map_or(0, size);
            if copied > MAX_COPIED_BYTES {
                return Err(PatchError::TooLarge(format!(
                    "the copies of a JSON patch may add {MAX_COPIED_BYTES} bytes at most"
                )));
            }
        }
        json_patch::patch(&mut patched, std::slice::from_ref(operation))
            .map_err(|error| PatchError::Rejected(error.to_string()))?;
    }
    Ok(patched)
}

/// About how many bytes of memory a value takes.
fn size(value: &Value) -> usize {
    size_of::<Value>()
        + match value {
            Value::String(text) => text.len(),
            Value::Array(items) => items.iter().map(size).sum(),
            Value::Object(map) => map.iter().map(|(name, child)| name.len() + size(child)).sum(),
            _ => 0,
        }
}
