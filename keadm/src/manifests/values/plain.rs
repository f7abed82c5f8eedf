//! Values as trees: what Helm does to them before a template sees them, and what gets lost in a type.

use serde_json::Value;

/// Parts in which KubeEdge's own values.yaml quotes numbers and booleans: its templates paste the text.
const QUOTED: [&[&str]; 8] = [
    &["cloudCore", "replicaCount"],
    &["cloudCore", "hostNetWork"],
    &["cloudCore", "featureGates"],
    &["cloudCore", "modules"],
    &["cloudCore", "service", "enable"],
    &["cloudCore", "service", "cloudhubNodePort"],
    &["cloudCore", "service", "cloudhubQuicNodePort"],
    &["cloudCore", "service", "cloudhubHttpsNodePort"],
];

/// `null` takes a default away.
pub(super) fn without_nulls(tree: &mut Value) {
    match tree {
        Value::Object(keys) => {
            keys.retain(|_, value| !value.is_null());
            keys.values_mut().for_each(without_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(without_nulls),
        _ => {}
    }
}

/// Gives every place of `part` what `whole` has there.
pub(super) fn as_in(whole: &Value, part: &mut Value) {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => {
            for (key, value) in part {
                as_in(whole.get(key).unwrap_or(&Value::Null), value);
            }
        }
        (whole, part) => *part = whole.clone(),
    }
}

/// Numbers and booleans that KubeEdge's users write as text.
pub(super) fn unquote(tree: &mut Value) {
    for path in QUOTED {
        let part = path.iter().try_fold(&mut *tree, |part, key| part.get_mut(key));
        if let Some(part) = part {
            unquote_part(part);
        }
    }
    if let Some(enable) = tree.pointer_mut("/admission/enable") {
        unquote_part(enable);
    }
}

/// Of lists nothing: what is in them is names and addresses.
fn unquote_part(part: &mut Value) {
    match part {
        Value::Object(keys) => keys.values_mut().for_each(unquote_part),
        Value::String(text) => {
            let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            if let Some(number) = is_number.then(|| text.parse::<i64>().ok()).flatten() {
                *part = number.into();
            } else if text == "true" || text == "false" {
                *part = (text == "true").into();
            }
        }
        _ => {}
    }
}

/// Keys that say something and that the type does not have. Those of Kubernetes' own types: they let everything pass.
pub(super) fn lost(path: &str, said: &Value, kept: &Value, out: &mut Vec<String>) {
    match (said, kept) {
        (Value::Object(said), Value::Object(kept)) => {
            for (key, value) in said {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                match kept.get(key) {
                    Some(kept) => lost(&path, value, kept, out),
                    None if is_empty(value) || path.starts_with("admission.") => {}
                    None => out.push(path),
                }
            }
        }
        (Value::Array(said), Value::Array(kept)) => {
            for (at, (said, kept)) in said.iter().zip(kept).enumerate() {
                lost(&format!("{path}[{at}]"), said, kept, out);
            }
        }
        _ => {}
    }
}

/// Kubernetes' types leave out what is empty.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Object(keys) => keys.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Null => true,
        _ => false,
    }
}
