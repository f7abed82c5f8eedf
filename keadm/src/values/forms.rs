//! What keadm 1.18 took and Helm does not read so: `a="x,y"`, `a={k:v}`, `a = 1, b = 2`, `Modules.EdgeHub.Heartbeat=1`; and numbers
//! with a fraction. And a section that is given as a whole goes over what is there, as Helm has it between values and a chart's.
//!
//! Every key of a configuration file is known, with an example of its value (the default), so nothing that Helm reads well is read
//! otherwise: a form of 1.18 counts only where Helm's reading has no place.

use serde_json::{Map, Number, Value};

use crate::strvals::{Assignment, Step, scalar};

/// `text` without the quotes around values, and what is in them escaped; none when there are no such quotes.
pub(super) fn unquoted(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len() + 8);
    let mut found = false;
    let mut before = None;
    let mut rest = text.chars();
    while let Some(next) = rest.next() {
        match next {
            '\\' => {
                out.push(next);
                out.extend(rest.next());
            }
            // A quote opens only where a value begins, and closes where it ends.
            '"' if matches!(before, Some('=' | '{' | ',' | ':')) => {
                let (inside, after) = rest.as_str().split_once('"')?;
                if !matches!(after.chars().next(), None | Some(',' | '}' | ':')) {
                    return None;
                }
                for character in inside.chars() {
                    if matches!(character, ',' | '{' | '}' | '[' | ']' | '\\') {
                        out.push('\\');
                    }
                    out.push(character);
                }
                rest = after.chars();
                found = true;
            }
            other => out.push(other),
        }
        before = Some(next);
    }
    found.then_some(out)
}

/// Makes `part` fit what is in `tree`, where it does not.
pub(super) fn fit(tree: &Value, part: &mut Assignment) {
    let (mut there, mut has_spaces) = (Some(tree), false);
    for step in &mut part.path.0 {
        there = match (there, step) {
            (Some(Value::Object(known)), Step::Key(key)) => {
                if let Some(meant) = meant(known, key) {
                    has_spaces |= key.trim() != key.as_str();
                    *key = meant;
                }
                known.get(key.as_str())
            }
            (Some(Value::Array(items)), Step::Index(index)) => items.get(*index),
            _ => None,
        };
    }
    // Helm keeps spaces. Where a key has them that cannot be its own, those of the value are no more meant than those.
    if let (true, Value::String(text)) = (has_spaces, &part.value) {
        part.value = scalar(text.trim().to_owned());
    }
    let fitting = there.and_then(|there| fitting(there, &part.value));
    if let Some(value) = fitting {
        part.value = value;
    }
    // What is there has what flags say, and the defaults. Without this, `--set-json modules.edged.tailoredKubeletConfig={...}` takes
    // the runtime's socket and the cgroup driver away that `join` was given.
    part.merges = there.is_some_and(Value::is_object) && part.value.is_object();
}

/// The known key that is meant by one that is not known: without spaces around it, or with Go's capital at its beginning.
fn meant(known: &Map<String, Value>, key: &str) -> Option<String> {
    if known.contains_key(key) {
        return None;
    }
    let trimmed = key.trim();
    if known.contains_key(trimmed) {
        return Some(trimmed.to_owned());
    }
    let is_go = trimmed.starts_with(|first: char| first.is_ascii_uppercase());
    let mut alike = known.keys().filter(|known| is_go && known.eq_ignore_ascii_case(trimmed));
    match (alike.next(), alike.next()) {
        (Some(only), None) => Some(only.clone()),
        _ => None,
    }
}

/// `value` as something of the kind of `there`, when it is not yet.
fn fitting(there: &Value, value: &Value) -> Option<Value> {
    match (there, value) {
        (Value::Object(_), Value::Array(items)) => pairs(items),
        (Value::Number(_), Value::String(text)) => number(text.trim()),
        (Value::Bool(_), Value::String(text)) => match text.trim() {
            "t" | "T" => Some(Value::Bool(true)),
            "f" | "F" => Some(Value::Bool(false)),
            trimmed => Some(scalar(trimmed.to_owned())).filter(Value::is_boolean),
        },
        _ => None,
    }
}

/// `{k:v,l:w}`
fn pairs(items: &[Value]) -> Option<Value> {
    let pair = |item: &Value| {
        let (key, value) = item.as_str()?.split_once(':')?;
        Some((key.trim().to_owned(), scalar(value.trim().to_owned())))
    };
    items.iter().map(pair).collect::<Option<Map<_, _>>>().map(Value::Object)
}

fn number(text: &str) -> Option<Value> {
    if let Ok(whole) = text.parse::<i64>() {
        return Some(whole.into());
    }
    text.parse().ok().and_then(Number::from_f64).map(Value::Number)
}
