//! Does a custom resource satisfy its schema?
//!
//! Written by hand instead of over a JSON Schema crate for two reasons: patterns are RE2 (as the `regex` crate's
//! are, and as ECMAScript's are not), and the messages are the real server's, which `kubectl` users search for.
//! Not here: CEL rules (`x-kubernetes-validations`); they are accepted in a definition and not evaluated.

mod format;
mod rules;

use serde_json::{Map, Value, json};

use super::{ListKind, Schema};
use crate::field_error::{FieldError, join};
pub use rules::{Bound, Pattern, Rules};

/// At most this many mistakes are reported: the answer is for a person to read.
const MAX_ERRORS: usize = 64;

/// Everything in `value` that breaks `schema`, at most 64 mistakes.
pub fn check(value: &Value, schema: &Schema) -> Vec<FieldError> {
    let mut checking = Checking { errors: Vec::new() };
    checking.visit(value, schema, "");
    checking.errors.truncate(MAX_ERRORS);
    checking.errors
}

struct Checking {
    errors: Vec<FieldError>,
}

impl Checking {
    fn visit(&mut self, value: &Value, schema: &Schema, path: &str) {
        let schema = schema.resolved();
        if self.errors.len() >= MAX_ERRORS || (value.is_null() && schema.nullable) {
            return;
        }
        if let Some(expected) = type_mismatch(value, schema) {
            let detail = format!("{} in body must be of type {expected}: {}", named(path), type_shown(value));
            self.errors.push(FieldError::type_invalid(path, &json!(type_shown_raw(value)), &detail));
            return;
        }
        if let Some(rules) = schema.rules.as_deref() {
            self.rules(value, rules, path);
        }
        match value {
            Value::Object(map) => self.object(map, schema, path),
            Value::Array(items) => self.array(items, schema, path),
            Value::String(text) => self.format(text, schema, path),
            _ => {}
        }
    }

    fn object(&mut self, map: &Map<String, Value>, schema: &Schema, path: &str) {
        if schema.embedded_resource {
            for name in ["apiVersion", "kind"] {
                if map.get(name).and_then(Value::as_str).is_none_or(str::is_empty) {
                    self.errors.push(FieldError::required(join(path, name), "must not be empty"));
                }
            }
        }
        for (name, child) in map {
            self.visit(child, schema.field(name), &join(path, name));
        }
    }

    fn array(&mut self, items: &[Value], schema: &Schema, path: &str) {
        for (index, item) in items.iter().enumerate() {
            let path = format!("{path}[{index}]");
            if let Some(identity) = identity(item, schema)
                && items[..index]
                    .iter()
                    .any(|other| self::identity(other, schema).as_ref() == Some(&identity))
            {
                self.errors.push(FieldError::duplicate(&path, &identity));
            }
            self.visit(item, schema.element(), &path);
        }
    }

    fn format(&mut self, text: &str, schema: &Schema, path: &str) {
        if let Some(name) = schema.format.as_deref()
            && !format::admits(name, text)
        {
            let detail = format!("{} in body must be of type {name}: {text:?}", named(path));
            self.errors.push(FieldError::invalid(path, &json!(text), &detail));
        }
    }

    fn rules(&mut self, value: &Value, rules: &Rules, path: &str) {
        match value {
            Value::Object(map) => self.object_rules(map, rules, path),
            Value::Array(items) => self.array_rules(value, items, rules, path),
            Value::String(text) => self.string_rules(value, text, rules, path),
            Value::Number(number) => {
                for complaint in rules.number_complaints(number.as_f64().unwrap_or_default()) {
                    self.in_body(value, path, &complaint);
                }
            }
            _ => {}
        }
        if let Some(allowed) = &rules.enumeration
            && !allowed.contains(value)
        {
            let shown: Vec<String> = allowed.iter().map(plain).collect();
            let shown: Vec<&str> = shown.iter().map(String::as_str).collect();
            self.errors.push(FieldError::not_supported(path, value, &shown));
        }
        self.combinations(value, rules, path);
    }

    fn object_rules(&mut self, map: &Map<String, Value>, rules: &Rules, path: &str) {
        for name in rules.required.iter().filter(|name| !map.contains_key(*name)) {
            self.errors.push(FieldError::required(join(path, name), ""));
        }
        let count = map.len() as u64;
        if rules.min_properties.is_some_and(|limit| count < limit) {
            let limit = rules.min_properties.unwrap_or_default();
            self.in_body(&json!(map), path, &format!("should have at least {limit} properties"));
        }
        if let Some(limit) = rules.max_properties.filter(|limit| count > *limit) {
            self.errors.push(FieldError::too_many(path, map.len(), limit));
        }
    }

    fn array_rules(&mut self, value: &Value, items: &[Value], rules: &Rules, path: &str) {
        let count = items.len() as u64;
        if let Some(limit) = rules.min_items.filter(|limit| count < *limit) {
            self.in_body(value, path, &format!("should have at least {limit} items"));
        }
        if let Some(limit) = rules.max_items.filter(|limit| count > *limit) {
            self.errors.push(FieldError::too_many(path, items.len(), limit));
        }
    }

    fn string_rules(&mut self, value: &Value, text: &str, rules: &Rules, path: &str) {
        let length = text.chars().count() as u64;
        if let Some(limit) = rules.min_length.filter(|limit| length < *limit) {
            self.in_body(value, path, &format!("should be at least {limit} chars long"));
        }
        if let Some(limit) = rules.max_length.filter(|limit| length > *limit) {
            self.errors.push(FieldError::too_long(path, limit));
        }
        if let Some(pattern) = rules.pattern.as_ref().filter(|pattern| !pattern.matches(text)) {
            self.in_body(value, path, &format!("should match '{}'", pattern.source()));
        }
    }

    fn combinations(&mut self, value: &Value, rules: &Rules, path: &str) {
        for schema in &rules.all_of {
            self.visit(value, schema, path);
        }
        let holds = |schema: &Schema| check(value, schema).is_empty();
        if !rules.any_of.is_empty() && !rules.any_of.iter().any(holds) {
            self.combination(value, path, "must validate at least one schema (anyOf)");
        }
        if !rules.one_of.is_empty() {
            match rules.one_of.iter().filter(|schema| holds(schema)).count() {
                1 => {}
                0 => self.combination(
                    value,
                    path,
                    "must validate one and only one schema (oneOf). Found none valid",
                ),
                several => self.combination(
                    value,
                    path,
                    &format!(
                        "must validate one and only one schema (oneOf). Found {several} valid alternatives"
                    ),
                ),
            }
        }
        if rules.not.as_ref().is_some_and(|schema| holds(schema)) {
            self.combination(value, path, "must not validate the schema (not)");
        }
    }

    fn in_body(&mut self, value: &Value, path: &str, complaint: &str) {
        let detail = format!("{} in body {complaint}", named(path));
        self.errors.push(FieldError::invalid(path, value, &detail));
    }

    fn combination(&mut self, value: &Value, path: &str, complaint: &str) {
        self.errors.push(FieldError::invalid(path, value, &format!("{:?} {complaint}", named(path))));
    }
}

fn type_mismatch(value: &Value, schema: &Schema) -> Option<&'static str> {
    if schema.int_or_string {
        let fits = value.is_string() || value.is_i64() || value.is_u64();
        return (!fits).then_some("integer,string");
    }
    let ty = schema.ty?;
    (!ty.admits(value)).then(|| ty.as_str())
}

/// What tells list elements apart; `None` where nothing has to.
fn identity(item: &Value, schema: &Schema) -> Option<Value> {
    match &schema.list {
        ListKind::Atomic => None,
        ListKind::Set => Some(item.clone()),
        ListKind::Map(keys) => {
            let element = schema.element();
            let of = |key: &String| item.get(key).or_else(|| element.key_default(key)).cloned();
            Some(keys.iter().filter_map(|key| Some((key.clone(), of(key)?))).collect::<Map<_, _>>().into())
        }
    }
}

fn named(path: &str) -> &str {
    if path.is_empty() { "<nil>" } else { path }
}

/// The JSON type of a refused value as it is quoted in messages.
fn type_shown(value: &Value) -> String {
    format!("{:?}", type_shown_raw(value))
}

fn type_shown_raw(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// A string without its quotes, anything else as JSON.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests;
