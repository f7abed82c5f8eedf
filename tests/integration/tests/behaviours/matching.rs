//! Does what was found have all that was expected? What else it has does not matter.
//!
//! | expected | found |
//! |---|---|
//! | a map | a map that has what each of its keys says |
//! | a list | a list with something that fits each of its items, in any order; an empty list: an empty list |
//! | `null` | nothing |
//! | `"*"` | anything |
//! | `"~text"` | text that contains this text |
//! | `"!text"` | text, or a list of it, that does not contain this text |
//! | `">=3"` | a number that is not smaller |
//! | anything else | the same |

use serde_json::Value;

/// The error says where it does not fit.
pub(crate) fn fits(expected: &Value, found: &Value) -> Result<(), String> {
    fits_at("", expected, found)
}

fn fits_at(path: &str, expected: &Value, found: &Value) -> Result<(), String> {
    let problem = |what: String| Err(format!("at {path:?}: expected {what}, found {}", shortened(found)));
    match expected {
        Value::Object(map) => {
            if found.is_null() && !map.is_empty() {
                return problem(expected.to_string());
            }
            map.iter().try_for_each(|(key, expected)| {
                fits_at(&format!("{path}/{key}"), expected, found.get(key).unwrap_or(&Value::Null))
            })
        }
        Value::Array(items) => {
            let Value::Array(all) = found else { return problem(format!("a list with {expected}")) };
            if items.is_empty() && !all.is_empty() {
                return problem("an empty list".to_owned());
            }
            items.iter().try_for_each(|item| item_fits(path, item, all))
        }
        Value::String(text) => text_fits(text, found).or_else(problem),
        _ if expected == found => Ok(()),
        _ => problem(expected.to_string()),
    }
}

/// The error is that of the item of the same name, where items have one.
fn item_fits(path: &str, expected: &Value, all: &[Value]) -> Result<(), String> {
    let name = |item: &Value| item.get("name").or_else(|| item.get("type")).cloned();
    let namesake = name(expected)
        .and_then(|wanted| all.iter().enumerate().find(|(_, item)| name(item).as_ref() == Some(&wanted)));
    if let Some((index, found)) = namesake {
        return fits_at(&format!("{path}/{index}"), expected, found);
    }
    if all.iter().any(|found| fits_at(path, expected, found).is_ok()) {
        return Ok(());
    }
    Err(format!("at {path:?}: nothing fits {expected} in {}", shortened(&Value::Array(all.to_vec()))))
}

/// The error is what was expected.
fn text_fits(expected: &str, found: &Value) -> Result<(), String> {
    let holds = |wanted: bool, what: String| if wanted { Ok(()) } else { Err(what) };
    if expected == "*" {
        return holds(!found.is_null(), "anything".to_owned());
    }
    if let Some(part) = expected.strip_prefix('~') {
        let contains = found.as_str().is_some_and(|text| text.contains(part));
        // What has no text contains nothing.
        return holds(contains || (part.is_empty() && found.is_null()), format!("text with {part:?}"));
    }
    if let Some(part) = expected.strip_prefix('!') {
        let absent = match found {
            Value::String(text) => !text.contains(part),
            Value::Array(all) => !all.iter().any(|item| item.as_str() == Some(part)),
            _ => false,
        };
        return holds(absent, format!("text or a list without {part:?}"));
    }
    if let Some(least) = expected.strip_prefix(">=").and_then(|number| number.parse::<i64>().ok()) {
        return holds(found.as_i64().is_some_and(|number| number >= least), format!("at least {least}"));
    }
    holds(found.as_str() == Some(expected), format!("{expected:?}"))
}

fn shortened(value: &Value) -> String {
    const LENGTH: usize = 600;
    let text = value.to_string();
    if text.chars().count() <= LENGTH {
        text
    } else {
        text.chars().take(LENGTH).chain("...".chars()).collect()
    }
}

#[test]
fn what_is_expected_must_be_there_and_no_more() {
    let found = serde_json::json!({"phase": "Running", "n": 3, "list": [{"name": "a", "x": 1}, {"name": "b"}],
        "words": ["rw", "nosuid"], "none": []});
    let fits = |yaml: &str| fits(&serde_saphyr::from_str(yaml).unwrap(), &found);
    for yes in [
        "{phase: Running}",
        "{phase: ~unn, n: '>=3', other: null, list: '*'}",
        "{list: [{name: b}, {name: a, x: 1}]}",
        "{words: [nosuid], none: []}",
        "{words: '!ro', phase: '!Pending'}",
    ] {
        fits(yes).unwrap_or_else(|error| panic!("{yes}: {error}"));
    }
    for no in [
        "{phase: Pending}",
        "{phase: ~x}",
        "{n: '>=4'}",
        "{other: '*'}",
        "{list: [{name: c}]}",
        "{list: [{name: a, x: 2}]}",
        "{words: []}",
        "{words: '!rw'}",
        "{phase: null}",
        "{none: {a: 1}}",
        "{other: {a: null}}",
    ] {
        assert!(fits(no).is_err(), "{no}");
    }
    let error = fits("{list: [{name: a, x: 2}]}").unwrap_err();
    assert_eq!(error, "at \"/list/0/x\": expected 2, found 1");
}
