//! Objects in protobuf: what `kubectl` from 1.32 on, and other programs in Go, send for built-in kinds.
//!
//! Only reading. Clients that write protobuf accept JSON as an answer, so nothing is ever written in it.
//!
//! The numbers of the fields are in `protobuf/fields.txt` (made by `examples/protobuf-fields`): one message a line, each
//! field as `name:number:type`. The name `^` stands for a message whose fields stand in its parent. A type is a
//! letter (`s` text, `y` bytes, `b` bool, `i` integer, `d` double, `T` time, `U` time with microseconds, `Q` quantity, `I`
//! integer or text, `F` and `R` embedded JSON, `L` list of texts) or a message, after `?` (may be there and zero), `*` (list)
//! or `%` (map with text keys). Fields without `?` are on the wire even when they are not set, as zero.
//!
//! Source: the Kubernetes API concepts, "Kubernetes Protobuf encoding", and the protocol buffers encoding guide.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

mod fields;
#[cfg(test)]
mod tests;
mod wire;

use fields::{Base, Field, Message, Shape};
use wire::{Raw, Reader};

/// What every object in this encoding begins with.
const MAGIC: &[u8] = b"k8s\0";

/// The messages of the API nest some twenty deep; more is somebody's attempt on our stack.
const MAX_DEPTH: usize = 64;

/// Why bytes are not an object.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ProtobufError {
    /// They do not begin with `k8s` and a zero.
    #[error("the body does not begin with the mark of the Kubernetes protobuf encoding")]
    NoMagic,
    /// They end within a field.
    #[error("the body ends within a field")]
    Truncated,
    /// A field is not encoded as its type demands.
    #[error("field {0:?} is not encoded as its type demands")]
    Mismatch(String),
    /// Messages nest too deep.
    #[error("messages nest deeper than {MAX_DEPTH} levels")]
    TooDeep,
    /// There are no numbers for the kind: a custom resource, for example.
    #[error("objects of {0} cannot be sent as protobuf; send JSON")]
    UnknownKind(String),
}

/// The object in a body.
pub(crate) fn decode(body: &[u8]) -> Result<Value, ProtobufError> {
    let envelope = body.strip_prefix(MAGIC).ok_or(ProtobufError::NoMagic)?;
    let (mut api_version, mut kind, mut raw) = (String::new(), String::new(), &[][..]);
    let mut reader = Reader::new(envelope);
    while let Some((number, value)) = reader.next()? {
        match (number, value) {
            (1, Raw::Bytes(type_meta)) => (api_version, kind) = read_type(type_meta)?,
            (2, Raw::Bytes(bytes)) => raw = bytes,
            _ => {}
        }
    }
    let name = message_name(&api_version, &kind);
    let message = fields::message(&name)
        .ok_or_else(|| ProtobufError::UnknownKind(format!("{api_version}, Kind={kind}")))?;
    let mut object = Map::new();
    read(message, raw, &mut object, 0)?;
    object.insert("apiVersion".to_owned(), api_version.into());
    object.insert("kind".to_owned(), kind.into());
    Ok(Value::Object(object))
}

/// `v1`, `Pod` is `core/v1.Pod`; `coordination.k8s.io/v1`, `Lease` is `coordination/v1.Lease`. Options may come under the
/// group that they are used in.
fn message_name(api_version: &str, kind: &str) -> String {
    if matches!(kind, "DeleteOptions" | "Status") {
        return format!("meta/v1.{kind}");
    }
    match api_version.split_once('/') {
        None => format!("core/{api_version}.{kind}"),
        Some((group, version)) => {
            let package = group.split('.').next().unwrap_or_default();
            format!("{package}/{version}.{kind}")
        }
    }
}

fn read_type(bytes: &[u8]) -> Result<(String, String), ProtobufError> {
    let (mut api_version, mut kind) = (String::new(), String::new());
    let mut reader = Reader::new(bytes);
    while let Some((number, value)) = reader.next()? {
        match (number, value) {
            (1, Raw::Bytes(bytes)) => api_version = utf8("apiVersion", bytes)?,
            (2, Raw::Bytes(bytes)) => kind = utf8("kind", bytes)?,
            _ => {}
        }
    }
    Ok((api_version, kind))
}

fn read(
    message: &Message,
    bytes: &[u8],
    into: &mut Map<String, Value>,
    depth: usize,
) -> Result<(), ProtobufError> {
    if depth > MAX_DEPTH {
        return Err(ProtobufError::TooDeep);
    }
    let mut reader = Reader::new(bytes);
    while let Some((number, raw)) = reader.next()? {
        // A field of a newer release is left out, as by the real server.
        let Some(field) = message.field(number) else { continue };
        if field.is_inline() {
            let Base::Message(name) = &field.base else { continue };
            let inner = fields::message(name).ok_or_else(|| ProtobufError::UnknownKind(name.to_string()))?;
            read(inner, raw.bytes(&field.name)?, into, depth + 1)?;
            continue;
        }
        match field.shape {
            Shape::Map => {
                let (key, value) = entry(field, raw.bytes(&field.name)?, depth)?;
                crate::object::entry_object(into, &field.name).insert(key, value);
            }
            Shape::List => {
                let element = element(field, &raw, depth)?;
                crate::object::entry_list(into, &field.name).push(element);
            }
            Shape::Pointer => drop(into.insert(field.name.to_string(), element(field, &raw, depth)?)),
            Shape::Plain => {
                let value = element(field, &raw, depth)?;
                if !is_zero(&value) {
                    into.insert(field.name.to_string(), value);
                }
            }
        }
    }
    Ok(())
}

fn entry(field: &Field, bytes: &[u8], depth: usize) -> Result<(String, Value), ProtobufError> {
    let mut key = String::new();
    // A value that is not on the wire is empty.
    let mut value = if field.base == Base::List { json!([]) } else { json!("") };
    let mut reader = Reader::new(bytes);
    while let Some((number, raw)) = reader.next()? {
        match number {
            1 => key = utf8(&field.name, raw.bytes(&field.name)?)?,
            2 => value = element(field, &raw, depth)?,
            _ => {}
        }
    }
    Ok((key, value))
}

fn element(field: &Field, raw: &Raw<'_>, depth: usize) -> Result<Value, ProtobufError> {
    let name = &*field.name;
    Ok(match &field.base {
        Base::Text => utf8(name, raw.bytes(name)?)?.into(),
        Base::Bytes => STANDARD.encode(raw.bytes(name)?).into(),
        Base::Bool => (raw.integer(name)? != 0).into(),
        Base::Integer => raw.integer(name)?.into(),
        Base::Double => json!(raw.double(name)?),
        Base::Time => time(name, raw.bytes(name)?, crate::object::time)?,
        Base::MicroTime => time(name, raw.bytes(name)?, |time| format!("{time:.6}"))?,
        Base::Quantity => match inner(raw.bytes(name)?, 1)? {
            Some(text) => utf8(name, text.bytes(name)?)?.into(),
            None => "0".into(),
        },
        Base::IntOrText => int_or_text(name, raw.bytes(name)?)?,
        Base::Json => match inner(raw.bytes(name)?, 1)? {
            Some(text) => serde_json::from_slice(text.bytes(name)?)
                .map_err(|_| ProtobufError::Mismatch(name.to_owned()))?,
            None => Value::Null,
        },
        Base::List => {
            let mut texts = Vec::new();
            let mut reader = Reader::new(raw.bytes(name)?);
            while let Some((_, text)) = reader.next()? {
                texts.push(Value::String(utf8(name, text.bytes(name)?)?));
            }
            texts.into()
        }
        Base::Message(message) => {
            let message =
                fields::message(message).ok_or_else(|| ProtobufError::UnknownKind(message.to_string()))?;
            let mut object = Map::new();
            read(message, raw.bytes(name)?, &mut object, depth + 1)?;
            object.into()
        }
    })
}

/// A time is a message of seconds and nanoseconds; an empty one is no time.
fn time(name: &str, bytes: &[u8], show: impl Fn(Timestamp) -> String) -> Result<Value, ProtobufError> {
    let integer = |number| inner(bytes, number)?.map_or(Ok(0), |raw| raw.integer(name));
    if bytes.is_empty() {
        return Ok(Value::Null);
    }
    let nanos = i32::try_from(integer(2)?).map_err(|_| ProtobufError::Mismatch(name.to_owned()))?;
    let time = Timestamp::new(integer(1)?, nanos).map_err(|_| ProtobufError::Mismatch(name.to_owned()))?;
    Ok(show(time).into())
}

/// A message of which (0: the integer, 1: the text), the integer, and the text.
fn int_or_text(name: &str, bytes: &[u8]) -> Result<Value, ProtobufError> {
    let which = inner(bytes, 1)?.map_or(Ok(0), |raw| raw.integer(name))?;
    Ok(match inner(bytes, if which == 0 { 2 } else { 3 })? {
        Some(raw) if which == 0 => raw.integer(name)?.into(),
        Some(raw) => utf8(name, raw.bytes(name)?)?.into(),
        None if which == 0 => 0.into(),
        None => "".into(),
    })
}

/// One field of a small message.
fn inner(bytes: &[u8], wanted: u32) -> Result<Option<Raw<'_>>, ProtobufError> {
    let mut reader = Reader::new(bytes);
    let mut found = None;
    while let Some((number, raw)) = reader.next()? {
        if number == wanted {
            found = Some(raw);
        }
    }
    Ok(found)
}

fn utf8(field: &str, bytes: &[u8]) -> Result<String, ProtobufError> {
    String::from_utf8(bytes.to_vec()).map_err(|_| ProtobufError::Mismatch(field.to_owned()))
}

/// What a field that is not set looks like on the wire.
fn is_zero(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(value) => !value,
        Value::Number(value) => value.as_f64() == Some(0.0),
        Value::String(value) => value.is_empty(),
        Value::Array(value) => value.is_empty(),
        Value::Object(value) => value.is_empty(),
    }
}
