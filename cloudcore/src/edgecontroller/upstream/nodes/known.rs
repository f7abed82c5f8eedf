//! Reports of a node's status that say what is known. A node that comes back says how it is, and mostly that is how it
//! was: of a fleet that returns at once each such report would be a write, and a change that every watch is told of.
//!
//! Kubernetes asks for a status when it changes, and every five minutes otherwise (`nodeStatusReportFrequency` of the
//! kubelet); signs of life are the lease's business.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::StatusFields;

/// A status that is older is written again though nothing has changed.
const REPORT_FREQUENCY: SignedDuration = SignedDuration::from_mins(5);
/// When the node last said so: the one field of a condition that moves while nothing changes.
const HEARTBEAT: &str = "lastHeartbeatTime";

/// Whether writing `report` over `status` would change nothing but the times of its conditions, and those are young. Says no
/// whenever that is not plain: then it is written.
pub(super) fn says(status: &Value, report: &StatusFields) -> bool {
    // A report without conditions says nothing of when it was made.
    let conditions = report.get("conditions").and_then(Value::as_array);
    conditions.is_some_and(|reported| !reported.is_empty())
        && report.iter().all(|(field, reported)| match field.as_str() {
            "conditions" => says_conditions(&status[field], reported),
            _ => !field.starts_with('$') && says_value(status.get(field), reported),
        })
}

fn says_conditions(known: &Value, reported: &Value) -> bool {
    let (Some(known), Some(reported)) = (known.as_array(), reported.as_array()) else { return false };
    reported.iter().all(|reported| {
        let of_type = |known: &&Value| known["type"].is_string() && known["type"] == reported["type"];
        let Some(known) = known.iter().find(of_type) else { return false };
        let Some(fields) = reported.as_object() else { return false };
        is_young(&known[HEARTBEAT], &reported[HEARTBEAT])
            && fields.iter().all(|(field, value)| field == HEARTBEAT || known.get(field) == Some(value))
    })
}

/// Both times are of the node's own clock; one that went back is written.
fn is_young(known: &Value, reported: &Value) -> bool {
    let time = |value: &Value| value.as_str()?.parse::<Timestamp>().ok();
    let (Some(known), Some(reported)) = (time(known), time(reported)) else { return false };
    let age = reported.duration_since(known);
    !age.is_negative() && age < REPORT_FREQUENCY
}

/// Lists are compared as a whole: which are merged, and how, is the API server's affair. An empty one is not stored.
fn says_value(known: Option<&Value>, reported: &Value) -> bool {
    match (known, reported) {
        (None, Value::Null) => true,
        (None, Value::Array(reported)) => reported.is_empty(),
        (Some(Value::Object(known)), Value::Object(reported)) => reported
            .iter()
            .all(|(field, value)| !field.starts_with('$') && says_value(known.get(field), value)),
        (Some(known), reported) => known == reported,
        (None, _) => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn status(beat: &str) -> Value {
        json!({
            "capacity": {"cpu": "4", "memory": "8Ki"},
            "conditions": [
                {"type": "Network", "status": "True"},
                {"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z", "lastHeartbeatTime": beat},
            ],
            "addresses": [{"type": "Hostname", "address": "edge-1"}],
        })
    }

    /// What a node that was last heard of at 0:00 says, changed so.
    fn is_known(change: impl FnOnce(&mut Value)) -> bool {
        let mut report = status("2026-01-01T00:01:00Z");
        report["conditions"].as_array_mut().unwrap().remove(0);
        change(&mut report);
        let Value::Object(report) = report else { panic!("{report}") };
        says(&status("2026-01-01T00:00:00Z"), &report)
    }

    #[test]
    fn a_node_that_is_as_it_was_says_nothing_new() {
        assert!(is_known(|_| {}));
        assert!(is_known(|report| report["images"] = json!([])));
        assert!(is_known(|report| report["capacity"] = json!({"cpu": "4"})), "a patch need not say all");
    }

    #[test]
    fn whatever_has_changed_is_written() {
        let changes: [fn(&mut Value); 9] = [
            |report| report["conditions"][0]["status"] = json!("False"),
            |report| report["conditions"][0]["lastTransitionTime"] = json!("2026-01-01T00:00:01Z"),
            |report| report["conditions"][0]["message"] = json!("new"),
            |report| report["conditions"][0]["type"] = json!("Other"),
            |report| report["capacity"]["cpu"] = json!("2"),
            |report| report["capacity"]["memory"] = Value::Null,
            |report| report["addresses"][0]["address"] = json!("edge-2"),
            |report| report["images"] = json!([{"names": ["a"]}]),
            |report| report["$setElementOrder/conditions"] = json!([{"type": "Ready"}]),
        ];
        for (index, change) in changes.into_iter().enumerate() {
            assert!(!is_known(change), "{index}");
        }
    }

    #[test]
    fn a_status_is_written_every_five_minutes_and_when_nobody_can_tell() {
        for (beat, known) in [
            (json!("2026-01-01T00:00:00Z"), true),
            (json!("2026-01-01T00:04:59Z"), true),
            (json!("2026-01-01T00:05:00Z"), false),
            (json!("2025-12-31T23:59:59Z"), false),
            (json!("soon"), false),
            (Value::Null, false),
        ] {
            assert_eq!(is_known(|report| report["conditions"][0][HEARTBEAT] = beat.clone()), known, "{beat}");
        }
        assert!(!is_known(|report| report["conditions"] = json!([])));
        assert!(!is_known(|report| drop(report.as_object_mut().unwrap().remove("conditions"))));
        assert!(!says(&Value::Null, &StatusFields::default()));
    }
}
