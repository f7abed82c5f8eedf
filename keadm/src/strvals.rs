//! `--set path=value[,path=value…]` and its kin: the grammar of Helm (<https://helm.sh/docs/intro/using_helm/>, "The Format and
//! Limitations of --set"), which stock keadm takes (spec edge-keadm-mapper 7.5).
//!
//! A path is keys joined by `.`, each with any number of `[index]`. A value ends at the next comma; `{a,b}` is a list, `[]` an
//! empty one. `\` takes the special meaning from the character after it. Spaces count. What a value becomes depends on the flag:
//! [`Flag`]. `strvals/cases.txt` is the grammar as a table.

mod scanner;

use std::fmt;

use serde_json::{Map, Value};

use self::scanner::Scanner;

pub use self::scanner::scalar;

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
    /// `--set-json 'a={'`
    #[error("the value of {key:?} is not JSON: {message}")]
    NotJson {
        /// Whose value; empty for a whole document.
        key: String,
        /// What is wrong with it.
        message: String,
    },
    /// A file of `--set-file`.
    #[error("the value of {key:?}: {message}")]
    NotReadable {
        /// Whose value.
        key: String,
        /// Why there is none.
        message: String,
    },
}

/// Reads the file that a value of `--set-file` names.
pub type Read<'r> = &'r dyn Fn(&str) -> Result<String, String>;

/// How the values of a flag are read.
#[derive(Clone, Copy)]
pub enum Flag<'r> {
    /// `--set`: what looks like a whole number, a boolean or null is one.
    Typed,
    /// `--set-string`: every value is a string.
    Text,
    /// `--set-file`: every value names a file, and its text is the value.
    File(Read<'r>),
    /// `--set-json`: every value is JSON; or the whole is one JSON object, which is merged.
    Json,
    /// `--set-literal`: one path, and everything after `=` as it stands.
    Literal,
}

impl fmt::Debug for Flag<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Typed => "--set",
            Self::Text => "--set-string",
            Self::File(_) => "--set-file",
            Self::Json => "--set-json",
            Self::Literal => "--set-literal",
        })
    }
}

/// One `path=value`.
#[derive(Debug, Clone, PartialEq)]
pub struct Assignment {
    /// Where.
    pub path: Path,
    /// What.
    pub value: Value,
    /// Put over what is there, in place of replacing it.
    pub merges: bool,
}

/// One step from the top of a tree downwards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Into a map.
    Key(String),
    /// Into a list.
    Index(usize),
}

/// Steps as the user writes them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Path(pub Vec<Step>);

/// Reads the text of one flag. Later parts override earlier ones.
///
/// # Errors
/// What is wrong with the first part that is wrong.
pub fn assignments(text: &str, flag: Flag<'_>) -> Result<Vec<Assignment>, SetError> {
    if matches!(flag, Flag::Json) && text.trim_start().starts_with('{') {
        let value = serde_json::from_str(text)
            .map_err(|error| SetError::NotJson { key: String::new(), message: error.to_string() })?;
        return Ok(vec![Assignment { path: Path::default(), value, merges: true }]);
    }
    let mut scanner = Scanner::new(text, flag);
    let mut found = Vec::new();
    // Within one text nothing may be two kinds of thing, which shows in a tree of its own.
    let (mut tree, mut growth) = (Value::Null, MAX_GROWTH);
    while !scanner.is_done() {
        let path = scanner.path()?;
        let value = scanner.value(&path, flag)?;
        *slot(&mut tree, &path, &mut growth, false)? = value.clone();
        found.push(Assignment { path, value, merges: false });
    }
    Ok(found)
}

/// Reads one `--set` into a tree of its own. Places of a list that are skipped are null; null can become anything.
///
/// # Errors
/// As [`assignments`].
pub fn parse(text: &str) -> Result<Value, SetError> {
    let mut tree = Value::Object(Map::new());
    put(&mut tree, assignments(text, Flag::Typed)?)?;
    Ok(tree)
}

/// Puts each part over `base`: what a path leads to is replaced, everything beside it stays, other items of a list included.
/// What is in the way and cannot have the next step (a number where a map is wanted) is replaced, too.
///
/// # Errors
/// When lists would become too long; `base` then has the parts before that one.
pub fn put(base: &mut Value, parts: Vec<Assignment>) -> Result<(), SetError> {
    let mut growth = MAX_GROWTH;
    for Assignment { path, value, merges } in parts {
        let slot = slot(base, &path, &mut growth, true)?;
        if merges { merge(slot, value) } else { *slot = value }
    }
    Ok(())
}

/// Puts each `--set` over `base`, in their order: see [`put`].
///
/// # Errors
/// The `--set` that is wrong and why; `base` then has those before it.
pub fn apply<'a>(base: &mut Value, sets: &'a [String]) -> Result<(), (&'a str, SetError)> {
    for set in sets {
        let done = assignments(set, Flag::Typed).and_then(|parts| put(base, parts));
        done.map_err(|error| (set.as_str(), error))?;
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

// === impl Path ===

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

/// The place that `path` leads to; makes what is missing on the way, and replaces what is in the way if it may.
fn slot<'t>(
    tree: &'t mut Value,
    path: &Path,
    growth: &mut usize,
    replaces: bool,
) -> Result<&'t mut Value, SetError> {
    let mut slot = tree;
    for step in &path.0 {
        let conflict = || SetError::Conflict(path.to_string());
        let may_replace = replaces || slot.is_null();
        slot = match step {
            Step::Key(key) => {
                if may_replace && !slot.is_object() {
                    *slot = Value::Object(Map::new());
                }
                slot.as_object_mut().ok_or_else(conflict)?.entry(key).or_insert(Value::Null)
            }
            Step::Index(index) => {
                if may_replace && !slot.is_array() {
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
