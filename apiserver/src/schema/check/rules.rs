//! What a schema demands of a value beyond its type.

use regex::{Regex, RegexBuilder};
use serde_json::{Map, Value};

use crate::schema::Schema;
use crate::schema::parse;

/// A compiled pattern may take this much memory: a definition is written by an administrator, but a slip
/// (`a{1000}{1000}`) must not take the server down.
const MAX_PATTERN_BYTES: usize = 1 << 20;

/// A limit of a number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bound {
    /// The limit itself.
    pub limit: f64,
    /// Whether the limit itself is refused.
    pub exclusive: bool,
}

/// A regular expression in RE2 syntax.
#[derive(Debug, Clone)]
pub struct Pattern {
    source: String,
    /// `None` if the source is not a regular expression; then nothing is refused.
    regex: Option<Regex>,
}

impl Pattern {
    /// Compiles `source`.
    pub fn parse(source: &str) -> Result<Self, regex::Error> {
        let regex = RegexBuilder::new(source).size_limit(MAX_PATTERN_BYTES).build()?;
        Ok(Self { source: source.to_owned(), regex: Some(regex) })
    }

    /// The expression as it was written.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Whether it occurs in `text`.
    pub fn matches(&self, text: &str) -> bool {
        self.regex.as_ref().is_none_or(|regex| regex.is_match(text))
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

/// The validations of one schema node.
#[derive(Debug, Clone, PartialEq, Default)]
#[expect(missing_docs, reason = "the fields are OpenAPI's keywords")]
pub struct Rules {
    pub required: Vec<String>,
    pub enumeration: Option<Vec<Value>>,
    pub pattern: Option<Pattern>,
    pub minimum: Option<Bound>,
    pub maximum: Option<Bound>,
    pub multiple_of: Option<f64>,
    pub min_length: Option<u64>,
    pub max_length: Option<u64>,
    pub min_items: Option<u64>,
    pub max_items: Option<u64>,
    pub min_properties: Option<u64>,
    pub max_properties: Option<u64>,
    pub all_of: Vec<Schema>,
    pub any_of: Vec<Schema>,
    pub one_of: Vec<Schema>,
    pub not: Option<Box<Schema>>,
}

impl Rules {
    /// Reads the validations of a schema node; `None` if it has none.
    pub(in crate::schema) fn parse(map: &Map<String, Value>) -> Option<Self> {
        let count = |key: &str| map.get(key).and_then(Value::as_u64);
        let schemas = |key: &str| -> Vec<Schema> {
            map.get(key).and_then(Value::as_array).into_iter().flatten().map(parse::custom).collect()
        };
        let required = map.get("required").and_then(Value::as_array).into_iter().flatten();
        let pattern = map.get("pattern").and_then(Value::as_str);
        let rules = Self {
            required: required.filter_map(Value::as_str).map(str::to_owned).collect(),
            enumeration: map.get("enum").and_then(Value::as_array).cloned(),
            pattern: pattern.map(|source| {
                Pattern::parse(source).unwrap_or_else(|_| Pattern { source: source.to_owned(), regex: None })
            }),
            minimum: bound(map, "minimum", "exclusiveMinimum"),
            maximum: bound(map, "maximum", "exclusiveMaximum"),
            multiple_of: map.get("multipleOf").and_then(Value::as_f64),
            min_length: count("minLength"),
            max_length: count("maxLength"),
            min_items: count("minItems"),
            max_items: count("maxItems"),
            min_properties: count("minProperties"),
            max_properties: count("maxProperties"),
            all_of: schemas("allOf"),
            any_of: schemas("anyOf"),
            one_of: schemas("oneOf"),
            not: map.get("not").map(|schema| Box::new(parse::custom(schema))),
        };
        (rules != Self::default()).then_some(rules)
    }

    /// What is wrong with a number, as the rest of a sentence.
    pub(super) fn number_complaints(&self, number: f64) -> Vec<String> {
        let mut complaints = Vec::new();
        if let Some(Bound { limit, exclusive }) = self.minimum
            && (number < limit || (exclusive && number <= limit))
        {
            let or_equal = if exclusive { "" } else { " or equal to" };
            complaints.push(format!("should be greater than{or_equal} {limit}"));
        }
        if let Some(Bound { limit, exclusive }) = self.maximum
            && (number > limit || (exclusive && number >= limit))
        {
            let or_equal = if exclusive { "" } else { " or equal to" };
            complaints.push(format!("should be less than{or_equal} {limit}"));
        }
        if let Some(factor) = self.multiple_of
            && factor > 0.0
            && (number / factor).fract() != 0.0
        {
            complaints.push(format!("should be a multiple of {factor}"));
        }
        complaints
    }
}

fn bound(map: &Map<String, Value>, limit: &str, exclusive: &str) -> Option<Bound> {
    let limit = map.get(limit)?.as_f64()?;
    Some(Bound { limit, exclusive: map.get(exclusive).and_then(Value::as_bool).unwrap_or(false) })
}
