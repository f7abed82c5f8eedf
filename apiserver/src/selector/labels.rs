//! `app=web,tier in (front,back),!canary` and the `LabelSelector` of objects.
//!
//! Source: "Labels and Selectors" in the Kubernetes documentation.

use std::iter::Peekable;
use std::str::CharIndices;

use serde_json::{Map, Value};

use super::SelectorError;
use crate::validate::{label_key, label_value};

/// Requirements that a set of labels meets all or not.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LabelSelector {
    requirements: Vec<Requirement>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Requirement {
    key: String,
    operator: Operator,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Operator {
    Exists,
    Absent,
    In(Vec<String>),
    /// Also met by labels without the key.
    NotIn(Vec<String>),
    Greater(i64),
    Less(i64),
}

impl LabelSelector {
    /// Parses the `labelSelector` of a query; the empty selector matches everything.
    ///
    /// # Errors
    /// [`SelectorError::Labels`] with what was found and what was expected there.
    pub fn parse(text: &str) -> Result<Self, SelectorError> {
        let mut parser = Parser { text, chars: text.char_indices().peekable() };
        parser.selector().map(|requirements| Self { requirements }).map_err(SelectorError::Labels)
    }

    /// Reads a `metav1.LabelSelector` (`matchLabels`, `matchExpressions`); an absent one matches nothing in the
    /// API, so the caller decides what `None` means.
    ///
    /// # Errors
    /// [`SelectorError::Labels`] if an operator or a key is not one.
    pub fn from_object(selector: &Value) -> Result<Self, SelectorError> {
        let mut requirements = Vec::new();
        for (key, value) in selector["matchLabels"].as_object().into_iter().flatten() {
            let value = value.as_str().unwrap_or_default().to_owned();
            requirements.push(requirement(key, Operator::In(vec![value])).map_err(SelectorError::Labels)?);
        }
        for expression in selector["matchExpressions"].as_array().into_iter().flatten() {
            requirements.push(from_expression(expression).map_err(SelectorError::Labels)?);
        }
        Ok(Self { requirements })
    }

    /// Whether an object's `metadata.labels` meet every requirement.
    pub fn matches(&self, object: &Value) -> bool {
        let labels = object["metadata"]["labels"].as_object();
        self.matches_labels(labels.unwrap_or(&Map::new()))
    }

    /// Whether `labels` meet every requirement.
    pub fn matches_labels(&self, labels: &Map<String, Value>) -> bool {
        self.requirements.iter().all(|requirement| requirement.matches(labels))
    }

    /// True if everything matches.
    pub fn is_empty(&self) -> bool {
        self.requirements.is_empty()
    }
}

impl Requirement {
    fn matches(&self, labels: &Map<String, Value>) -> bool {
        let value = labels.get(&self.key).and_then(Value::as_str);
        let number = || value.and_then(|value| value.parse::<i64>().ok());
        match &self.operator {
            Operator::Exists => value.is_some(),
            Operator::Absent => value.is_none(),
            Operator::In(values) => value.is_some_and(|value| values.iter().any(|other| other == value)),
            Operator::NotIn(values) => value.is_none_or(|value| values.iter().all(|other| other != value)),
            Operator::Greater(bound) => number().is_some_and(|number| number > *bound),
            Operator::Less(bound) => number().is_some_and(|number| number < *bound),
        }
    }
}

fn requirement(key: &str, operator: Operator) -> Result<Requirement, String> {
    let complaint = |value: &str, detail: String| format!("<nil>: Invalid value: {value:?}: {detail}");
    label_key(key).map_err(|detail| complaint(key, detail))?;
    if let Operator::In(values) | Operator::NotIn(values) = &operator {
        for value in values {
            label_value(value).map_err(|detail| complaint(value, detail))?;
        }
    }
    Ok(Requirement { key: key.to_owned(), operator })
}

fn from_expression(expression: &Value) -> Result<Requirement, String> {
    let values = || -> Vec<String> {
        let values = expression["values"].as_array().into_iter().flatten();
        values.filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let operator = match expression["operator"].as_str().unwrap_or_default() {
        "In" => Operator::In(values()),
        "NotIn" => Operator::NotIn(values()),
        "Exists" => Operator::Exists,
        "DoesNotExist" => Operator::Absent,
        other => return Err(format!("{other:?} is not a valid label selector operator")),
    };
    requirement(expression["key"].as_str().unwrap_or_default(), operator)
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token<'a> {
    Word(&'a str),
    Symbol(&'a str),
    End,
}

impl Token<'_> {
    fn shown(&self) -> &str {
        match self {
            Self::Word(text) | Self::Symbol(text) => text,
            Self::End => "",
        }
    }
}

struct Parser<'a> {
    text: &'a str,
    chars: Peekable<CharIndices<'a>>,
}

impl<'a> Parser<'a> {
    fn selector(&mut self) -> Result<Vec<Requirement>, String> {
        let mut requirements = Vec::new();
        if self.peek() == Token::End {
            return Ok(requirements);
        }
        loop {
            requirements.push(self.requirement()?);
            match self.next() {
                Token::End => return Ok(requirements),
                Token::Symbol(",") if self.peek() != Token::End => {}
                Token::Symbol(",") => return Err("found '', expected: identifier after ','".to_owned()),
                other => return Err(format!("found '{}', expected: ',' or 'end of string'", other.shown())),
            }
        }
    }

    fn requirement(&mut self) -> Result<Requirement, String> {
        if self.peek() == Token::Symbol("!") {
            self.next();
            let key = self.word("identifier")?;
            return requirement(key, Operator::Absent);
        }
        let key = self.word("!, identifier, or 'end of string'")?;
        let operator = match self.peek() {
            Token::End | Token::Symbol(",") => Operator::Exists,
            _ => self.operator()?,
        };
        requirement(key, operator)
    }

    fn operator(&mut self) -> Result<Operator, String> {
        match self.next() {
            Token::Symbol("=" | "==") => Ok(Operator::In(vec![self.value()])),
            Token::Symbol("!=") => Ok(Operator::NotIn(vec![self.value()])),
            Token::Symbol(">") => Ok(Operator::Greater(self.number()?)),
            Token::Symbol("<") => Ok(Operator::Less(self.number()?)),
            Token::Word("in") => Ok(Operator::In(self.values()?)),
            Token::Word("notin") => Ok(Operator::NotIn(self.values()?)),
            other => Err(format!("found '{}', expected: in, notin, =, ==, !=, gt, lt", other.shown())),
        }
    }

    fn values(&mut self) -> Result<Vec<String>, String> {
        let open = self.next();
        if open != Token::Symbol("(") {
            return Err(format!("found '{}', expected: '('", open.shown()));
        }
        let mut values = vec![self.value()];
        loop {
            match self.next() {
                Token::Symbol(")") => return Ok(values),
                Token::Symbol(",") => values.push(self.value()),
                other => return Err(format!("found '{}', expected: ',', or ')'", other.shown())),
            }
        }
    }

    /// A value; nothing is the empty one.
    fn value(&mut self) -> String {
        match self.peek() {
            Token::Word(text) => {
                self.next();
                text.to_owned()
            }
            _ => String::new(),
        }
    }

    fn number(&mut self) -> Result<i64, String> {
        let value = self.value();
        let detail = "for 'Gt', 'Lt' operators, the value must be an integer";
        value.parse().map_err(|_| format!("values[0]: Invalid value: {value:?}: {detail}"))
    }

    fn word(&mut self, expected: &str) -> Result<&'a str, String> {
        match self.next() {
            Token::Word(text) => Ok(text),
            other => Err(format!("found '{}', expected: {expected}", other.shown())),
        }
    }

    fn peek(&mut self) -> Token<'a> {
        let chars = self.chars.clone();
        let token = self.next();
        self.chars = chars;
        token
    }

    fn next(&mut self) -> Token<'a> {
        while self.chars.next_if(|(_, c)| c.is_whitespace()).is_some() {}
        let Some((start, first)) = self.chars.next() else { return Token::End };
        let is_symbol = |c: char| "=!(),<>".contains(c);
        if is_symbol(first) {
            let doubled = matches!(first, '=' | '!') && self.chars.next_if(|(_, c)| *c == '=').is_some();
            return Token::Symbol(&self.text[start..start + if doubled { 2 } else { 1 }]);
        }
        let mut end = start + first.len_utf8();
        while let Some((at, c)) = self.chars.next_if(|(_, c)| !c.is_whitespace() && !is_symbol(*c)) {
            end = at + c.len_utf8();
        }
        Token::Word(&self.text[start..end])
    }
}
