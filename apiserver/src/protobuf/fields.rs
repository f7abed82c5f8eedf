//! The table of field numbers, expanded from the binary when it is first needed.

use std::collections::HashMap;
use std::io::Read as _;
use std::sync::LazyLock;

use flate2::read::DeflateDecoder;

/// The deflated text of `protobuf/fields.txt` (see `build.rs`).
static DEFLATED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/fields.txt.deflate"));

/// No more than this is inflated: twice today's size, so that a damaged binary cannot ask for all memory.
const MAX_TEXT: u64 = 80 << 10;

/// The fields of a message by their numbers.
#[derive(Debug)]
pub(super) struct Message {
    fields: HashMap<u32, Field>,
}

/// A field of a message.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) name: Box<str>,
    pub(super) shape: Shape,
    pub(super) base: Base,
}

/// How many values a field has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// One; zero is the same as none.
    Plain,
    /// One or none; zero is a value.
    Pointer,
    /// Any number.
    List,
    /// Any number, with text keys.
    Map,
}

/// Type of one value.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Base {
    Text,
    Bytes,
    Bool,
    Integer,
    Double,
    Time,
    MicroTime,
    Quantity,
    IntOrText,
    Json,
    List,
    Message(Box<str>),
}

static MESSAGES: LazyLock<HashMap<String, Message>> = LazyLock::new(|| {
    let mut text = String::new();
    DeflateDecoder::new(DEFLATED)
        .take(MAX_TEXT)
        .read_to_string(&mut text)
        .expect("build.rs deflated text, and tests read it");
    text.lines().filter_map(parse_line).collect()
});

/// A message by its name, such as `core/v1.Pod`.
pub(super) fn message(name: &str) -> Option<&'static Message> {
    MESSAGES.get(name)
}

/// All messages with their names.
#[cfg(test)]
pub(super) fn all() -> impl Iterator<Item = (&'static String, &'static Message)> {
    MESSAGES.iter()
}

fn parse_line(line: &str) -> Option<(String, Message)> {
    let mut words = line.split(' ');
    let name = words.next()?.to_owned();
    let fields = words.filter_map(parse_field).collect();
    Some((name, Message { fields }))
}

fn parse_field(word: &str) -> Option<(u32, Field)> {
    let mut parts = word.splitn(3, ':');
    let (name, number, kind) = (parts.next()?, parts.next()?, parts.next()?);
    let (shape, base) = match kind.split_at_checked(1)? {
        ("?", base) => (Shape::Pointer, base),
        ("*", base) => (Shape::List, base),
        ("%", base) => (Shape::Map, base),
        _ => (Shape::Plain, kind),
    };
    let base = match base {
        "s" => Base::Text,
        "y" => Base::Bytes,
        "b" => Base::Bool,
        "i" => Base::Integer,
        "d" => Base::Double,
        "T" => Base::Time,
        "U" => Base::MicroTime,
        "Q" => Base::Quantity,
        "I" => Base::IntOrText,
        "F" | "R" => Base::Json,
        "L" => Base::List,
        message => Base::Message(message.into()),
    };
    Some((number.parse().ok()?, Field { name: name.into(), shape, base }))
}

impl Message {
    pub(super) fn field(&self, number: u32) -> Option<&Field> {
        self.fields.get(&number)
    }

    #[cfg(test)]
    pub(super) fn fields(&self) -> impl Iterator<Item = &Field> {
        self.fields.values()
    }
}

impl Field {
    /// Whether its fields stand in its parent.
    pub(super) fn is_inline(&self) -> bool {
        &*self.name == "^"
    }
}
