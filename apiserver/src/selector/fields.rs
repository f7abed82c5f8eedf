//! `spec.nodeName=edge-1,status.phase!=Running`.
//!
//! Source: "Field Selectors" in the Kubernetes documentation. Which fields can be selected on is in each kind's
//! entry of the registry.

use serde_json::Value;

use super::SelectorError;
use crate::registry::KindInfo;

/// Requirements on fields that an object meets all or not.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FieldSelector {
    terms: Vec<Term>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Term {
    path: String,
    value: String,
    equal: bool,
    /// What an object without the field counts as.
    default: String,
}

impl FieldSelector {
    /// Parses the `fieldSelector` of a query for objects of `kind`; the empty selector matches everything.
    ///
    /// # Errors
    /// [`SelectorError::Fields`] for bad syntax, [`SelectorError::UnsupportedField`] for a field that cannot be
    /// selected on.
    pub fn parse(text: &str, kind: &KindInfo) -> Result<Self, SelectorError> {
        let bad = |part: &str| SelectorError::Fields(text.to_owned(), part.to_owned());
        let mut terms = Vec::new();
        for part in split_terms(text).into_iter().filter(|part| !part.is_empty()) {
            let (path, value, equal) = split_term(part).ok_or_else(|| bad(part))?;
            let value = unescape(value).ok_or_else(|| bad(part))?;
            let default =
                default_of(path, kind).ok_or_else(|| SelectorError::UnsupportedField(path.to_owned()))?;
            terms.push(Term { path: path.to_owned(), value, equal, default: default.to_owned() });
        }
        Ok(Self { terms })
    }

    /// Whether `object` meets every requirement.
    pub fn matches(&self, object: &Value) -> bool {
        self.terms.iter().all(|term| {
            let found = lookup(object, &term.path).unwrap_or_else(|| term.default.clone());
            (found == term.value) == term.equal
        })
    }

    /// True if everything matches.
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// The value that `path` has to equal, if the selector says so: lets a list of one name skip the scan.
    pub fn required(&self, path: &str) -> Option<&str> {
        self.terms.iter().find(|term| term.equal && term.path == path).map(|term| term.value.as_str())
    }
}

fn default_of<'a>(path: &str, kind: &'a KindInfo) -> Option<&'a str> {
    match path {
        "metadata.name" => Some(""),
        "metadata.namespace" if kind.is_namespaced() => Some(""),
        _ => kind.selectable_fields.iter().find(|field| field.path == path).map(|field| field.default),
    }
}

fn lookup(object: &Value, path: &str) -> Option<String> {
    match path.split('.').try_fold(object, |value, name| value.get(name))? {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        // An event is selected by `source`, which means the component in it.
        Value::Object(map) => map.get("component").and_then(Value::as_str).map(str::to_owned),
        other => Some(other.to_string()),
    }
}

/// Splits at commas that no backslash precedes.
fn split_terms(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut start, mut escaped) = (0, false);
    for (at, c) in text.char_indices() {
        if c == ',' && !escaped {
            parts.push(&text[start..at]);
            start = at + 1;
        }
        escaped = c == '\\' && !escaped;
    }
    parts.push(&text[start..]);
    parts
}

fn split_term(part: &str) -> Option<(&str, &str, bool)> {
    let at = part.find(['!', '='])?;
    let (path, rest) = part.split_at(at);
    if let Some(value) = rest.strip_prefix("!=") {
        Some((path, value, false))
    } else {
        let value = rest.strip_prefix("==").or_else(|| rest.strip_prefix('='))?;
        Some((path, value, true))
    }
}

/// Takes the backslashes from `\,`, `\=` and `\\`; `None` for a bare `=` or another escape.
fn unescape(value: &str) -> Option<String> {
    let mut plain = String::with_capacity(value.len());
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => plain.push(chars.next().filter(|c| matches!(c, '\\' | ',' | '='))?),
            '=' => return None,
            c => plain.push(c),
        }
    }
    Some(plain)
}
