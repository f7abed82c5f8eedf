//! Conflicts, in the words that `kubectl apply --server-side` explains.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// A field that another writer owns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// The name of the other writer.
    pub manager: String,
    /// The other writer as messages name it.
    pub(super) shown: String,
    /// The field, such as `.spec.nodeName`.
    pub path: String,
}

impl Conflict {
    /// The `causes` entry of a Status.
    pub fn cause(&self) -> Value {
        json!({
            "reason": "FieldManagerConflict",
            "message": format!("conflict with {}", self.shown),
            "field": self.path,
        })
    }
}

/// The message of the Status.
pub fn conflict_message(conflicts: &[Conflict]) -> String {
    if let [conflict] = conflicts {
        return format!("Apply failed with 1 conflict: conflict with {}: {}", conflict.shown, conflict.path);
    }
    let mut by_manager: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for conflict in conflicts {
        by_manager.entry(&conflict.shown).or_default().push(&conflict.path);
    }
    let lines = by_manager.iter().flat_map(|(manager, paths)| {
        let fields = paths.iter().map(|path| format!("- {path}"));
        std::iter::once(format!("conflicts with {manager}:")).chain(fields)
    });
    let lines: Vec<String> = lines.collect();
    format!("Apply failed with {} conflicts: {}", conflicts.len(), lines.join("\n"))
}
