//! The simple JSONPaths of `additionalPrinterColumns`.
//!
//! Source: "JSONPath Support" in the Kubernetes documentation, without ranges over functions: fields, quoted
//! fields, indices, slices by `*`, and filters that compare one field with a literal.

use serde_json::Value;

/// A path that is not one, or not a simple one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a simple JSON path: {1}")]
pub struct JsonPathError(String, &'static str);

/// A parsed path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonPath {
    steps: Vec<Step>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Field(String),
    /// Negative counts from the end.
    Index(i64),
    All,
    Filter {
        path: Vec<String>,
        equal: bool,
        literal: String,
    },
}

impl JsonPath {
    /// Parses a path such as `.status.conditions[?(@.type=="Ready")].status`, with or without braces.
    ///
    /// # Errors
    /// [`JsonPathError`] with what is not understood.
    pub fn parse(text: &str) -> Result<Self, JsonPathError> {
        let bad = |why| JsonPathError(text.to_owned(), why);
        let inner = text.trim();
        let inner = inner.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap_or(inner);
        let mut rest = inner.strip_prefix('$').unwrap_or(inner);
        let mut steps = Vec::new();
        while let Some(first) = rest.chars().next() {
            match first {
                '.' => {
                    let (name, after) = take_name(&rest[1..]);
                    match name.as_str() {
                        // `.[0]` is `[0]`.
                        "" if after.starts_with('[') => {}
                        "" => return Err(bad("a field name is missing after a dot")),
                        "*" => steps.push(Step::All),
                        _ => steps.push(Step::Field(name)),
                    }
                    rest = after;
                }
                '[' => {
                    let end = closing_bracket(rest).ok_or_else(|| bad("a bracket is not closed"))?;
                    steps.push(bracket(&rest[1..end]).map_err(bad)?);
                    rest = &rest[end + 1..];
                }
                _ => return Err(bad("a dot or a bracket is missing")),
            }
        }
        Ok(Self { steps })
    }

    /// Everything in `object` that the path leads to.
    pub fn find<'v>(&self, object: &'v Value) -> Vec<&'v Value> {
        self.steps.iter().fold(vec![object], |found, step| {
            found.into_iter().flat_map(|value| step.follow(value)).collect()
        })
    }
}

impl Step {
    fn follow<'v>(&self, value: &'v Value) -> Vec<&'v Value> {
        match (self, value) {
            (Self::Field(name), Value::Object(map)) => map.get(name).into_iter().collect(),
            (Self::Index(index), Value::Array(items)) => {
                let from_end = items.len().checked_add_signed(isize::try_from(*index).unwrap_or(isize::MIN));
                let at = usize::try_from(*index).ok().or(from_end.filter(|_| *index < 0));
                at.and_then(|at| items.get(at)).into_iter().collect()
            }
            (Self::All, Value::Array(items)) => items.iter().collect(),
            (Self::All, Value::Object(map)) => map.values().collect(),
            (Self::Filter { path, equal, literal }, Value::Array(items)) => {
                let holds = |item: &&Value| {
                    let found = path.iter().try_fold(*item, |value, name| value.get(name));
                    found.is_some_and(|found| (super::plain(found) == *literal) == *equal)
                };
                items.iter().filter(holds).collect()
            }
            _ => Vec::new(),
        }
    }
}

/// A field name up to the next dot or bracket; a backslash keeps a dot in the name.
fn take_name(text: &str) -> (String, &str) {
    let mut name = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => name.extend(chars.next().map(|(_, c)| c)),
            '.' | '[' => return (name, &text[at..]),
            c => name.push(c),
        }
    }
    (name, "")
}

/// Where the bracket that opens `text` closes; brackets in quotes do not count.
fn closing_bracket(text: &str) -> Option<usize> {
    let mut quote = None;
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '"' | '\'') => quote = Some(c),
            (None, ']') => return Some(at),
            _ => {}
        }
    }
    None
}

fn bracket(inner: &str) -> Result<Step, &'static str> {
    let inner = inner.trim();
    if inner == "*" {
        return Ok(Step::All);
    }
    if let Some(name) = unquote(inner) {
        return Ok(Step::Field(name.to_owned()));
    }
    if let Some(filter) = inner.strip_prefix("?(").and_then(|rest| rest.strip_suffix(')')) {
        return filter_step(filter);
    }
    inner.parse().map(Step::Index).map_err(|_| "a bracket holds an index, a quoted name, * or a filter")
}

fn filter_step(filter: &str) -> Result<Step, &'static str> {
    let (at, equal) = match (filter.find("=="), filter.find("!=")) {
        (Some(at), None) => (at, true),
        (None, Some(at)) => (at, false),
        _ => return Err("a filter compares with == or !="),
    };
    let path = filter[..at].trim().strip_prefix("@.").ok_or("a filter starts with @.")?;
    let literal = filter[at + 2..].trim();
    Ok(Step::Filter {
        path: path.split('.').map(str::to_owned).collect(),
        equal,
        literal: unquote(literal).unwrap_or(literal).to_owned(),
    })
}

fn unquote(text: &str) -> Option<&str> {
    ['"', '\''].iter().find_map(|quote| text.strip_prefix(*quote)?.strip_suffix(*quote))
}
