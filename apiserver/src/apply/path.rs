//! One step of a path into an object, as fieldsV1 writes it.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PathElement {
    /// `f:name`: a field of an object.
    Field(String),
    /// `k:{...}`: an element of a keyed list; the text is canonical JSON.
    Key(String),
    /// `v:...`: an element of a set; the text is canonical JSON.
    Value(String),
    /// `i:0`: an element by its index. We never write it, and keep it when others did.
    Index(i64),
}

impl PathElement {
    /// A field of an object.
    pub fn field(name: &str) -> Self {
        Self::Field(name.to_owned())
    }

    /// An element of a keyed list.
    pub fn key<'v>(keys: impl IntoIterator<Item = (&'v str, &'v Value)>) -> Self {
        let keys: BTreeMap<&str, &Value> = keys.into_iter().collect();
        let pairs: Vec<String> =
            keys.iter().map(|(name, value)| format!("{}:{value}", Value::from(*name))).collect();
        Self::Key(format!("{{{}}}", pairs.join(",")))
    }

    /// An element of a set of scalars.
    pub fn value(value: &Value) -> Self {
        Self::Value(value.to_string())
    }

    /// Parses the form of fieldsV1; `None` if it is not one.
    pub fn parse(text: &str) -> Option<Self> {
        let (prefix, rest) = text.split_once(':')?;
        match prefix {
            "f" => Some(Self::field(rest)),
            "k" => {
                let keys: BTreeMap<String, Value> = serde_json::from_str(rest).ok()?;
                Some(Self::key(keys.iter().map(|(name, value)| (name.as_str(), value))))
            }
            "v" => serde_json::from_str::<Value>(rest).ok().map(|value| Self::value(&value)),
            "i" => rest.parse().ok().map(Self::Index),
            _ => None,
        }
    }

    /// The form of fieldsV1.
    pub fn encode(&self) -> String {
        match self {
            Self::Field(name) => format!("f:{name}"),
            Self::Key(keys) => format!("k:{keys}"),
            Self::Value(value) => format!("v:{value}"),
            Self::Index(index) => format!("i:{index}"),
        }
    }
}

/// As conflicts show it: `.spec`, `[name="web"]`, `[="a"]`.
impl fmt::Display for PathElement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(name) => write!(f, ".{name}"),
            Self::Key(keys) => {
                let keys: BTreeMap<String, Value> = serde_json::from_str(keys).unwrap_or_default();
                let pairs: Vec<String> = keys.iter().map(|(name, value)| format!("{name}={value}")).collect();
                write!(f, "[{}]", pairs.join(","))
            }
            Self::Value(value) => write!(f, "[={value}]"),
            Self::Index(index) => write!(f, "[{index}]"),
        }
    }
}
