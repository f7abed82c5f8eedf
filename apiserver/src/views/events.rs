//! `events.k8s.io/v1` events over stored `v1` events: the same fields under other names.

use serde_json::Value;

/// Name in `events.k8s.io/v1`, name in `v1` (Kubernetes API reference, Event of both groups).
const RENAMED: [(&str, &str); 6] = [
    ("regarding", "involvedObject"),
    ("note", "message"),
    ("reportingController", "reportingComponent"),
    ("deprecatedSource", "source"),
    ("deprecatedFirstTimestamp", "firstTimestamp"),
    ("deprecatedLastTimestamp", "lastTimestamp"),
];

/// The same for the number of times that an event was seen.
const COUNT: (&str, &str) = ("deprecatedCount", "count");

pub(super) fn from_core(event: &mut Value) {
    for (new, core) in RENAMED.into_iter().chain([COUNT]) {
        rename(event, core, new);
    }
}

pub(super) fn to_core(event: &mut Value) {
    for (new, core) in RENAMED.into_iter().chain([COUNT]) {
        rename(event, new, core);
    }
}

fn rename(object: &mut Value, from: &str, to: &str) {
    let Some(fields) = object.as_object_mut() else { return };
    if let Some(value) = fields.remove(from) {
        fields.insert(to.to_owned(), value);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn an_event_comes_back_as_it_went_in() {
        let event =
            json!({"note": "Started", "regarding": {"kind": "Pod"}, "deprecatedCount": 2, "reason": "x"});
        let mut stored = event.clone();
        super::to_core(&mut stored);
        assert_eq!(
            stored,
            json!({"message": "Started", "involvedObject": {"kind": "Pod"}, "count": 2, "reason": "x"})
        );
        super::from_core(&mut stored);
        assert_eq!(stored, event);
    }
}
