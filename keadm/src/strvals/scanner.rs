//! Reads the text of one flag.

use std::str::Chars;

use serde_json::Value;

use super::{Flag, MAX_INDEX, Path, SetError, Step};

/// Most characters that a message quotes of what should not be there.
const MAX_QUOTE: usize = 20;

/// The text that has not been read yet.
pub(super) struct Scanner<'a> {
    rest: Chars<'a>,
    /// Nothing is escaped, and a comma is a character like any other.
    is_literal: bool,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(text: &'a str, flag: Flag<'_>) -> Self {
        Self { rest: text.chars(), is_literal: matches!(flag, Flag::Literal) }
    }

    pub(super) fn is_done(&self) -> bool {
        self.rest.as_str().is_empty()
    }

    /// What comes before the first of `stops` that is not escaped, and which of them it is; none at the end.
    fn until(&mut self, stops: &[char]) -> (String, Option<char>) {
        let mut text = String::new();
        while let Some(next) = self.rest.next() {
            match next {
                '\\' if !self.is_literal => text.extend(self.rest.next()),
                stop if stops.contains(&stop) => return (text, Some(stop)),
                other => text.push(other),
            }
        }
        (text, None)
    }

    fn skip(&mut self, expected: &str) -> bool {
        let rest = self.rest.as_str().strip_prefix(expected);
        if let Some(rest) = rest {
            self.rest = rest.chars();
        }
        rest.is_some()
    }

    /// Everything up to and with the `=`.
    pub(super) fn path(&mut self) -> Result<Path, SetError> {
        let mut path = Path::default();
        let stops: &[char] = if self.is_literal { &['=', '[', '.'] } else { &['=', '[', '.', ','] };
        loop {
            let (key, mut stop) = self.until(stops);
            if key.is_empty() {
                return Err(match stop {
                    _ if !path.0.is_empty() => SetError::EmptyMap(path.to_string()),
                    Some(',') => SetError::EndsWithComma(key),
                    _ => SetError::NoKey,
                });
            }
            path.push(Step::Key(key))?;
            while stop == Some('[') {
                stop = self.index(&mut path)?;
            }
            match stop {
                Some('=') => return Ok(path),
                Some('.') => {}
                Some(_) => return Err(SetError::EndsWithComma(path.to_string())),
                None => return Err(SetError::NoValue(path.to_string())),
            }
        }
    }

    /// An index whose `[` has been read; returns what comes after its `]`.
    fn index(&mut self, path: &mut Path) -> Result<Option<char>, SetError> {
        let (text, Some(_)) = self.until(&[']']) else {
            return Err(SetError::IndexNotClosed(path.to_string()));
        };
        let index = text.parse().ok().filter(|index| *index <= MAX_INDEX);
        let index = index.ok_or_else(|| SetError::NotAnIndex { key: path.to_string(), index: text })?;
        path.push(Step::Index(index))?;
        match self.until(&['[', '.', '=']) {
            (data, stop) if data.is_empty() => Ok(stop),
            (data, _) => Err(SetError::AfterIndex { key: path.to_string(), data }),
        }
    }

    /// Everything up to and with the comma behind it. Text that follows the `}` of a list begins the next key.
    pub(super) fn value(&mut self, path: &Path, flag: Flag<'_>) -> Result<Value, SetError> {
        match flag {
            Flag::Json => return self.json(path),
            Flag::Literal => return Ok(Value::String(self.rest.by_ref().collect())),
            Flag::Typed if self.is_empty_list() => {
                self.until(&[',']);
                return Ok(Value::Array(Vec::new()));
            }
            Flag::Typed | Flag::Text | Flag::File(_) => {}
        }
        if !self.skip("{") {
            return item(self.until(&[',']).0, path, flag);
        }
        let mut list = Vec::new();
        loop {
            let (text, stop) = self.until(&[',', '}']);
            if stop.is_none() {
                return Err(SetError::ListNotClosed(path.to_string()));
            }
            list.push(item(text, path, flag)?);
            if stop == Some('}') {
                break;
            }
        }
        self.skip(",");
        Ok(Value::Array(list))
    }

    fn is_empty_list(&self) -> bool {
        let rest = self.rest.as_str().strip_prefix("[]");
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(','))
    }

    /// One JSON value, and the comma behind it; nothing at all is null.
    fn json(&mut self, path: &Path) -> Result<Value, SetError> {
        let wrong = |message: String| SetError::NotJson { key: path.to_string(), message };
        let text = self.rest.as_str();
        let mut values = serde_json::Deserializer::from_str(text).into_iter();
        let (value, rest) = if text.starts_with(',') {
            (Value::Null, text)
        } else {
            let value = values.next().transpose().map_err(|error| wrong(error.to_string()))?;
            (value.unwrap_or_default(), &text[values.byte_offset()..])
        };
        let rest = rest.trim_start();
        match rest.strip_prefix(',') {
            Some(next) => self.rest = next.chars(),
            None if rest.is_empty() => self.rest = rest.chars(),
            None => {
                return Err(wrong(format!(
                    "unexpected {:?} after it",
                    rest.chars().take(MAX_QUOTE).collect::<String>()
                )));
            }
        }
        Ok(value)
    }
}

fn item(text: String, path: &Path, flag: Flag<'_>) -> Result<Value, SetError> {
    match flag {
        Flag::Typed => Ok(scalar(text)),
        Flag::File(read) => {
            let file = read(&text);
            file.map(Value::String)
                .map_err(|message| SetError::NotReadable { key: path.to_string(), message })
        }
        Flag::Text | Flag::Json | Flag::Literal => Ok(Value::String(text)),
    }
}

/// `true`, `false` and `null` in any case, whole numbers in base 10 that do not begin with 0; all else is a string.
#[must_use]
pub fn scalar(text: String) -> Value {
    let is = |word: &str| text.eq_ignore_ascii_case(word);
    if is("true") || is("false") {
        return Value::Bool(is("true"));
    }
    if is("null") {
        return Value::Null;
    }
    let may_be_number = text == "0" || !text.starts_with('0');
    match text.parse::<i64>() {
        Ok(number) if may_be_number => number.into(),
        _ => Value::String(text),
    }
}
