//! A YAML document as it was written: keys in their order, list items with the place that they had.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// A string longer than this is cut where it is quoted in a message.
const MAX_QUOTE: usize = 40;

/// A YAML value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Tree {
    Null,
    Bool(bool),
    Signed(i64),
    Unsigned(u64),
    Float(f64),
    Text(String),
    /// Each item with its index in the file, which stays when others are taken out.
    List(Vec<(usize, Self)>),
    Map(Vec<(String, Self)>),
}

/// One step on the way from the root to a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    Key(String),
    Index(usize),
}

/// `modules.edged.taints[0]`
pub(super) fn display(path: &[Step]) -> String {
    let mut text = String::new();
    for step in path {
        match step {
            Step::Key(key) if text.is_empty() => text.push_str(key),
            Step::Key(key) => text.extend([".", key]),
            Step::Index(index) => text.push_str(&format!("[{index}]")),
        }
    }
    text
}

// === impl Tree ===

impl Tree {
    /// Reads one document. One that holds nothing is an empty map.
    pub(super) fn parse(yaml: &str) -> Result<Self, String> {
        // The error's text must not quote the file: there are tokens in it.
        let options = serde_saphyr::options! { with_snippet: false };
        match serde_saphyr::from_str_with_options::<Option<Self>>(yaml, options) {
            Ok(None | Some(Self::Null)) => Ok(Self::Map(Vec::new())),
            Ok(Some(tree)) => Ok(tree),
            Err(error) => Err(format!("not valid YAML: {error}")),
        }
    }

    /// Takes out what is at the end of `path`; `None` when there is no such thing or it is the root.
    pub(super) fn remove(&mut self, path: &[Step]) -> Option<Self> {
        let (step, rest) = path.split_first()?;
        match (self, step) {
            (Self::Map(entries), Step::Key(key)) => {
                let at = entries.iter().position(|(name, _)| name == key)?;
                if rest.is_empty() { Some(entries.remove(at).1) } else { entries[at].1.remove(rest) }
            }
            (Self::List(items), Step::Index(index)) => {
                let at = items.iter().position(|(place, _)| place == index)?;
                if rest.is_empty() { Some(items.remove(at).1) } else { items[at].1.remove(rest) }
            }
            _ => None,
        }
    }
}

/// As a message quotes it.
impl fmt::Display for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("nothing"),
            Self::Bool(value) => write!(f, "boolean {value}"),
            Self::Signed(value) => write!(f, "number {value}"),
            Self::Unsigned(value) => write!(f, "number {value}"),
            Self::Float(value) => write!(f, "number {value}"),
            Self::Text(text) if text.chars().count() > MAX_QUOTE => {
                write!(f, "string {:?}...", text.chars().take(MAX_QUOTE).collect::<String>())
            }
            Self::Text(text) => write!(f, "string {text:?}"),
            Self::List(_) => f.write_str("a list"),
            Self::Map(_) => f.write_str("a section"),
        }
    }
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TreeVisitor)
    }
}

struct TreeVisitor;

impl<'de> Visitor<'de> for TreeVisitor {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree::Null)
    }

    fn visit_none<E>(self) -> Result<Tree, E> {
        Ok(Tree::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Tree, D::Error> {
        Tree::deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Tree, E> {
        Ok(Tree::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Tree, E> {
        Ok(Tree::Signed(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Tree, E> {
        Ok(i64::try_from(value).map_or(Tree::Unsigned(value), Tree::Signed))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Tree, E> {
        Ok(Tree::Float(value))
    }

    fn visit_str<E>(self, text: &str) -> Result<Tree, E> {
        Ok(Tree::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Tree, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push((list.len(), item));
        }
        Ok(Tree::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Tree, A::Error> {
        let mut map = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            map.push(entry);
        }
        Ok(Tree::Map(map))
    }
}
