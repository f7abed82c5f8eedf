//! What is different between two states of an object, for people.

use serde_json::Value;

/// Longest value that is shown whole.
const SHOWN: usize = 120;

/// What the API server itself keeps in an object.
const BOOKKEEPING: [&str; 6] = [
    "metadata.managedFields",
    "metadata.resourceVersion",
    "metadata.generation",
    "metadata.uid",
    "metadata.creationTimestamp",
    "status",
];

/// Each difference as a line: `path: old -> new`; of texts with several lines those that differ.
pub(super) fn changes(before: &Value, after: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    compare("", before, after, &mut lines);
    lines
}

fn compare(path: &str, before: &Value, after: &Value, out: &mut Vec<String>) {
    if before == after || BOOKKEEPING.contains(&path) {
        return;
    }
    match (before, after) {
        (Value::Object(old), Value::Object(new)) => {
            let mut keys: Vec<&String> = old.keys().chain(new.keys()).collect();
            keys.sort();
            keys.dedup();
            for key in keys {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                let (old, new) = (old.get(key).unwrap_or(&Value::Null), new.get(key).unwrap_or(&Value::Null));
                compare(&path, old, new, out);
            }
        }
        (Value::Array(old), Value::Array(new)) => {
            for at in 0..old.len().max(new.len()) {
                let (old, new) = (old.get(at).unwrap_or(&Value::Null), new.get(at).unwrap_or(&Value::Null));
                compare(&format!("{path}[{at}]"), old, new, out);
            }
        }
        (Value::String(old), Value::String(new)) if old.contains('\n') || new.contains('\n') => {
            out.push(format!("{path}:"));
            let without = |lines: &str, other: &str, sign: char, out: &mut Vec<String>| {
                let other: Vec<&str> = other.lines().collect();
                let only = lines.lines().filter(|line| !other.contains(line));
                out.extend(only.map(|line| format!("  {sign} {line}")));
            };
            without(old, new, '-', out);
            without(new, old, '+', out);
        }
        (Value::Null, new) => out.push(format!("{path}: {} (new)", short(new))),
        (old, Value::Null) => out.push(format!("{path}: {} (goes)", short(old))),
        (old, new) => out.push(format!("{path}: {} -> {}", short(old), short(new))),
    }
}

fn short(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_differs_is_said_and_not_what_the_server_counts() {
        let before = json!({
            "metadata": {"resourceVersion": "1", "labels": {"a": "1", "b": "2"}},
            "spec": {"replicas": 1, "ports": [{"port": 1}, {"port": 2}], "gone": true},
            "data": {"file": "one\ntwo\nthree\n"}, "status": {"ready": 1},
        });
        let after = json!({
            "metadata": {"resourceVersion": "2", "labels": {"a": "1", "b": "3"}},
            "spec": {"replicas": 2, "ports": [{"port": 1}, {"port": 3}, {"port": 4}]},
            "data": {"file": "one\n2\nthree\n"}, "status": {"ready": 2},
        });
        let expected = [
            "data.file:",
            "  - two",
            "  + 2",
            "metadata.labels.b: 2 -> 3",
            "spec.gone: true (goes)",
            "spec.ports[1].port: 2 -> 3",
            r#"spec.ports[2]: {"port":4} (new)"#,
            "spec.replicas: 1 -> 2",
        ];
        assert_eq!(changes(&before, &after), expected);
        assert_eq!(changes(&before, &before), Vec::<String>::new());
    }

    #[test]
    fn long_values_are_cut_between_characters() {
        let line = &changes(&json!({"a": "x"}), &json!({"a": "ä".repeat(200)}))[0];
        assert!(line.starts_with("a: x -> ä") && line.ends_with("ä..."), "{line}");
    }
}
