//! `--set path=value[,path=value…]`, the grammar of Helm that stock keadm takes (spec edge-keadm-mapper 7.5).
//!
//! A path is keys joined by `.`, each with any number of `[index]`. A value ends at the next comma; `{a,b}` is a list.
//! `\` takes the special meaning from the character after it. Spaces count.

use std::fmt;
use std::str::Chars;

use serde_json::{Map, Value};

/// Largest index of a list, as Helm has it.
pub const MAX_INDEX: usize = 65_536;

/// Most dots in one path, as Helm has it; ours: also the most indexes in one path, which Helm does not limit.
pub const MAX_NESTING: usize = 30;

/// Most places that the lists of one `--set` grow by when an index lies beyond their end. Ours: without it, a
/// command line of 100 KiB takes gigabytes.
const MAX_GROWTH: usize = 4 * MAX_INDEX;

/// What is wrong with a `--set`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SetError {
    /// `a`, or nothing after the last index.
    #[error("key {0:?} has no value")]
    NoValue(String),
    /// `a,`
    #[error("key {0:?} has no value (cannot end with ,)")]
    EndsWithComma(String),
    /// `a.=1`
    #[error("key map {0:?} has no value")]
    EmptyMap(String),
    /// `=1`
    #[error("a value has no key")]
    NoKey,
    /// `a[1=2`
    #[error("the index after {0:?} has no ']'")]
    IndexNotClosed(String),
    /// `a[x]=1`
    #[error("{index:?} after {key:?} is not an index: a number from 0 to {MAX_INDEX}")]
    NotAnIndex {
        /// What comes before it.
        key: String,
        /// What is in the brackets.
        index: String,
    },
    /// `a[0]b=1`
    #[error("unexpected data at end of array index {key:?}: {data:?}")]
    AfterIndex {
        /// Path with the index.
        key: String,
        /// What follows it.
        data: String,
    },
    /// More than [`MAX_NESTING`].
    #[error("key {0:?} is nested deeper than {MAX_NESTING} levels")]
    TooDeep(String),
    /// Lists that would mostly consist of nothing.
    #[error("key {0:?}: the lists become longer than {MAX_GROWTH} items in all")]
    TooLong(String),
    /// `a={1`
    #[error("the list of {0:?} must terminate with '}}'")]
    ListNotClosed(String),
    /// `a=1,a.b=2`
    #[error("unable to parse key {0:?}: an earlier part of this --set gives it a value of another kind")]
    Conflict(String),
}

/// Reads one `--set` into a tree of its own.
///
/// Later parts override earlier ones. Places of a list that are skipped are null; null can become anything.
///
/// # Errors
/// What is wrong with the first part that is wrong.
pub fn parse(text: &str) -> Result<Value, SetError> {
    let mut scanner = Scanner { rest: text.chars() };
    let mut tree = Value::Object(Map::new());
    let mut growth = MAX_GROWTH;
    while !scanner.is_done() {
        let path = scanner.path()?;
        let value = scanner.value(&path)?;
        *slot(&mut tree, &path, &mut growth)? = value;
    }
    Ok(tree)
}

/// Puts each `--set` over `base`, in their order. Maps are merged; everything else is replaced, so `list[1]=x` leaves
/// nothing of a list that was there.
///
/// # Errors
/// The `--set` that is wrong and why; `base` then has those before it.
pub fn apply<'a>(base: &mut Value, sets: &'a [String]) -> Result<(), (&'a str, SetError)> {
    for set in sets {
        merge(base, parse(set).map_err(|error| (set.as_str(), error))?);
    }
    Ok(())
}

/// Puts `over` over `base`: maps are merged, everything else is replaced.
pub fn merge(base: &mut Value, over: Value) {
    match (base, over) {
        (Value::Object(base), Value::Object(over)) => {
            for (key, value) in over {
                match base.get_mut(&key) {
                    Some(old) => merge(old, value),
                    None => drop(base.insert(key, value)),
                }
            }
        }
        (base, over) => *base = over,
    }
}

/// One step from the top of the tree downwards.
#[derive(Debug)]
enum Step {
    Key(String),
    Index(usize),
}

/// Steps as the user writes them.
#[derive(Debug, Default)]
struct Path(Vec<Step>);

impl Path {
    fn push(&mut self, step: Step) -> Result<(), SetError> {
        self.0.push(step);
        let indexes = self.0.iter().filter(|step| matches!(step, Step::Index(_))).count();
        let dots = (self.0.len() - indexes).saturating_sub(1);
        if dots.max(indexes) > MAX_NESTING {
            return Err(SetError::TooDeep(self.to_string()));
        }
        Ok(())
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, step) in self.0.iter().enumerate() {
            match step {
                Step::Key(key) if at == 0 => f.write_str(key)?,
                Step::Key(key) => write!(f, ".{key}")?,
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

/// The text that has not been read yet.
struct Scanner<'a> {
    rest: Chars<'a>,
}

impl Scanner<'_> {
    fn is_done(&self) -> bool {
        self.rest.as_str().is_empty()
    }

    /// What comes before the first of `stops` that is not escaped, and which of them it is; none at the end.
    fn until(&mut self, stops: &[char]) -> (String, Option<char>) {
        let mut text = String::new();
        while let Some(next) = self.rest.next() {
            match next {
                '\\' => text.extend(self.rest.next()),
                stop if stops.contains(&stop) => return (text, Some(stop)),
                other => text.push(other),
            }
        }
        (text, None)
    }

    fn skip(&mut self, expected: char) -> bool {
        let found = self.rest.as_str().starts_with(expected);
        if found {
            self.rest.next();
        }
        found
    }

    /// Everything up to and with the `=`.
    fn path(&mut self) -> Result<Path, SetError> {
        let mut path = Path::default();
        loop {
            let (key, mut stop) = self.until(&['=', '[', ',', '.']);
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
    fn value(&mut self, path: &Path) -> Result<Value, SetError> {
        if !self.skip('{') {
            return Ok(scalar(self.until(&[',']).0));
        }
        let mut list = Vec::new();
        loop {
            let (text, stop) = self.until(&[',', '}']);
            list.push(scalar(text));
            match stop {
                Some(',') => {}
                Some(_) => break,
                None => return Err(SetError::ListNotClosed(path.to_string())),
            }
        }
        self.skip(',');
        Ok(Value::Array(list))
    }
}

/// `true`, `false` and `null` in any case, whole numbers in base 10 that do not begin with 0; all else is a string.
fn scalar(text: String) -> Value {
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

/// The place that `path` leads to; makes what is missing on the way.
fn slot<'t>(tree: &'t mut Value, path: &Path, growth: &mut usize) -> Result<&'t mut Value, SetError> {
    let mut slot = tree;
    for step in &path.0 {
        let conflict = || SetError::Conflict(path.to_string());
        slot = match step {
            Step::Key(key) => {
                if slot.is_null() {
                    *slot = Value::Object(Map::new());
                }
                slot.as_object_mut().ok_or_else(conflict)?.entry(key).or_insert(Value::Null)
            }
            Step::Index(index) => {
                if slot.is_null() {
                    *slot = Value::Array(Vec::new());
                }
                let list = slot.as_array_mut().ok_or_else(conflict)?;
                let missing = (index + 1).saturating_sub(list.len());
                *growth = growth.checked_sub(missing).ok_or_else(|| SetError::TooLong(path.to_string()))?;
                list.resize(list.len() + missing, Value::Null);
                &mut list[*index]
            }
        };
    }
    Ok(slot)
}

#[cfg(test)]
mod tests;
