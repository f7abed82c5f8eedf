//! A definition may not take a name that another kind of its group has.

use serde_json::Value;

use crate::object::{list, name, text};
use crate::registry::{KindInfo, Registry};

/// What is wrong with the names of a definition, if anything.
pub(super) fn conflict(registry: &Registry, definition: &Value) -> Option<String> {
    let group = text(definition, "/spec/group");
    let names = &definition["spec"]["names"];
    let others = || registry.kinds().filter(|kind| kind.group == group && !is_own(kind, name(definition)));
    let short = list(names, "/shortNames").iter().filter_map(Value::as_str);
    for asked in [text(names, "/plural"), text(names, "/singular")].into_iter().chain(short) {
        if others().any(|kind| uses(kind, asked)) {
            return Some(format!("{asked:?} is already in use"));
        }
    }
    for asked in [text(names, "/kind"), text(names, "/listKind")] {
        if others().any(|kind| kind.kind == asked || kind.list_kind == asked) {
            return Some(format!("{asked:?} is already in use"));
        }
    }
    None
}

fn is_own(kind: &KindInfo, definition: &str) -> bool {
    kind.custom.as_ref().is_some_and(|custom| custom.definition == definition)
}

fn uses(kind: &KindInfo, name: &str) -> bool {
    kind.plural == name || kind.singular == name || kind.short_names.iter().any(|own| own == name)
}
