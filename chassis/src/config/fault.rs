//! What a type could not read, and where.

use std::fmt;

use serde::de::{Error, Expected, Unexpected};

use super::Problem;
use super::tree::Step;

/// A key that is nearer than this to a known one (0 nothing alike, 1 the same) is taken for a slip of the pen.
const ALIKE: f64 = 0.8;

/// What a type could not read, and where.
#[derive(Debug)]
pub(super) struct Fault {
    /// From the innermost step outwards: each level adds itself as the error passes it.
    pub(super) path: Vec<Step>,
    pub(super) kind: Kind,
}

#[derive(Debug, PartialEq)]
pub(super) enum Kind {
    UnknownKey { key: String, known: &'static [&'static str] },
    MissingKey(&'static str),
    Other(String),
}

// === impl Fault ===

impl Fault {
    pub(super) fn new(message: impl fmt::Display) -> Self {
        Self { path: Vec::new(), kind: Kind::Other(message.to_string()) }
    }

    /// The same fault, seen from one level further out.
    pub(super) fn under(mut self, step: Step) -> Self {
        self.path.push(step);
        self
    }
}

impl Error for Fault {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(message)
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::new(format_args!("expected {expected}, found {found}"))
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::new(format_args!("{found} is not possible, expected {expected}"))
    }

    fn unknown_variant(found: &str, known: &'static [&'static str]) -> Self {
        Self::new(format_args!("expected one of {}, found {found:?}", known.join(", ")))
    }

    fn unknown_field(key: &str, known: &'static [&'static str]) -> Self {
        Self { path: Vec::new(), kind: Kind::UnknownKey { key: key.to_owned(), known } }
    }

    fn missing_field(key: &'static str) -> Self {
        Self { path: Vec::new(), kind: Kind::MissingKey(key) }
    }
}

impl std::error::Error for Fault {}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind.fmt(f)
    }
}

// === impl Kind ===

impl Kind {
    /// Whether this fault at `path` is there only because of one that was found, and taken out, before.
    pub(super) fn follows_from(&self, path: &str, found: &[Problem]) -> bool {
        let Self::MissingKey(key) = self else { return false };
        found.iter().any(|problem| {
            problem.path.strip_prefix(path).is_some_and(|rest| rest.trim_start_matches('.') == *key)
        })
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownKey { key, known } => match nearest(key, known) {
                Some(near) => write!(f, "unknown key, did you mean {near}?"),
                None if known.is_empty() => f.write_str("unknown key"),
                None => write!(f, "unknown key, known here: {}", known.join(", ")),
            },
            Self::MissingKey(key) => write!(f, "{key} is missing"),
            Self::Other(message) => f.write_str(message),
        }
    }
}

/// The known key that `key` was most likely meant to be.
fn nearest(key: &str, known: &[&'static str]) -> Option<&'static str> {
    let key = key.to_lowercase();
    let likeness = |known: &str| strsim::jaro_winkler(&key, &known.to_lowercase());
    known
        .iter()
        .map(|known| (likeness(known), *known))
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, known)| known)
}
