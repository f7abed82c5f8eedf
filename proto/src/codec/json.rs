//! The stock encoding: one message is one JSON text (spec cloud-and-wire 1.3).

use std::borrow::Cow;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::message::{Content, Header, Message, Route};
use crate::resource::Resource;
use crate::words::{Group, Operation, Source};

/// Largest message that is sent or read, in bytes: the limit that stock KubeEdge has in its packer. Kubernetes
/// objects end at 1.5 MiB (etcd's request limit), so nothing real comes near it.
pub const MAX_MESSAGE_BYTES: usize = 32 * 1024 * 1024;

/// Deepest nesting that is read. Kubernetes objects stay below 30; serde_json gives up at 128, and a message
/// that passes here must not fail there.
pub const MAX_DEPTH: usize = 100;

/// Bytes are not a message. None of these says anything about the content of the message, which may be secret.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// Longer than [`MAX_MESSAGE_BYTES`].
    #[error("message of {size} bytes is larger than the limit of {MAX_MESSAGE_BYTES}")]
    TooLarge {
        /// Its size in bytes.
        size: usize,
    },
    /// Nested deeper than [`MAX_DEPTH`].
    #[error("message is nested deeper than {MAX_DEPTH} levels")]
    TooDeep,
    /// Ends in the middle of a value.
    #[error("message is truncated: it ends after {size} bytes inside a value")]
    Truncated {
        /// Bytes that arrived.
        size: usize,
    },
    /// Not text.
    #[error("message is not UTF-8 from byte {at} on")]
    NotUtf8 {
        /// Position of the first bad byte.
        at: usize,
    },
    /// Text, but not the JSON of a message.
    #[error("message is malformed at line {line} column {column}: {problem}")]
    Malformed {
        /// Line in the text, from 1.
        line: usize,
        /// Column in the text, from 1.
        column: usize,
        /// What is wrong there.
        problem: &'static str,
    },
    /// Not a native frame.
    #[error("frame is malformed: {problem}")]
    Binary {
        /// What is wrong with it.
        problem: &'static str,
    },
}

impl CodecError {
    /// Name for metrics and log fields.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "too_large",
            Self::TooDeep => "too_deep",
            Self::Truncated { .. } => "truncated",
            Self::NotUtf8 { .. } => "not_utf8",
            Self::Malformed { .. } | Self::Binary { .. } => "malformed",
        }
    }
}

/// Reads the first JSON value of a frame and ignores what follows it, as stock peers do.
///
/// # Errors
/// [`CodecError`] for anything that is not a message. Neither stack nor memory use follows what the bytes claim:
/// nesting is measured before anything is built, and content is kept as text.
pub fn decode(frame: &[u8]) -> Result<Message, CodecError> {
    if frame.len() > MAX_MESSAGE_BYTES {
        return Err(CodecError::TooLarge { size: frame.len() });
    }
    check_shape(frame)?;
    let text = std::str::from_utf8(frame).map_err(|error| CodecError::NotUtf8 { at: error.valid_up_to() })?;
    let mut deserializer = serde_json::Deserializer::from_str(text);
    match Wire::deserialize(&mut deserializer) {
        Ok(wire) => Ok(wire.into_message()),
        Err(error) => Err(classify(&error, frame.len())),
    }
}

/// Writes a message as stock peers do: one JSON text with a newline at the end.
pub fn encode(message: &Message) -> Bytes {
    let Message { header, route, content } = message;
    let wire = WireOut {
        header: WireHeader {
            msg_id: Cow::Borrowed(&header.id),
            parent_msg_id: Cow::Borrowed(header.parent_id.as_deref().unwrap_or_default()),
            timestamp: header.timestamp,
            resourceversion: Cow::Borrowed(header.resource_version.as_deref().unwrap_or_default()),
            sync: header.sync,
        },
        route: WireRoute {
            source: Cow::Borrowed(route.source.as_str()),
            group: Cow::Borrowed(route.group.as_str()),
            operation: Cow::Borrowed(route.operation.as_str()),
            resource: Cow::Owned(route.resource.to_string()),
        },
        content,
    };
    let mut out = Vec::with_capacity(content.len() + ENVELOPE_BYTES);
    serde_json::to_writer(&mut out, &wire)
        .expect("strings and valid JSON are always JSON, and a Vec takes all bytes");
    out.push(b'\n');
    Bytes::from(out)
}

/// What header and route take, about: saves the first few growths of the buffer.
const ENVELOPE_BYTES: usize = 320;

#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(borrow, default)]
    header: WireHeader<'a>,
    #[serde(borrow, default)]
    route: WireRoute<'a>,
    #[serde(default)]
    content: Option<Box<RawValue>>,
}

#[derive(Serialize)]
struct WireOut<'a> {
    header: WireHeader<'a>,
    route: WireRoute<'a>,
    content: &'a Content,
}

#[derive(Serialize, Deserialize, Default)]
#[serde(default)]
struct WireHeader<'a> {
    msg_id: Cow<'a, str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    parent_msg_id: Cow<'a, str>,
    timestamp: i64,
    #[serde(skip_serializing_if = "str::is_empty")]
    resourceversion: Cow<'a, str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    sync: bool,
}

#[derive(Serialize, Deserialize, Default)]
#[serde(default)]
struct WireRoute<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    source: Cow<'a, str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    group: Cow<'a, str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    operation: Cow<'a, str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    resource: Cow<'a, str>,
}

// === impl Wire ===

impl Wire<'_> {
    fn into_message(self) -> Message {
        let filled = |text: Cow<'_, str>| (!text.is_empty()).then(|| text.into_owned());
        let group = Group::from(&*self.route.group);
        Message {
            header: Header {
                id: self.header.msg_id.into_owned(),
                parent_id: filled(self.header.parent_msg_id),
                timestamp: self.header.timestamp,
                resource_version: filled(self.header.resourceversion),
                sync: self.header.sync,
            },
            route: Route {
                source: Source::from(&*self.route.source),
                operation: Operation::from(&*self.route.operation),
                resource: Resource::parse(&group, &self.route.resource),
                group,
            },
            content: self.content.map(Content::from_raw).unwrap_or_default(),
        }
    }
}

/// Walks over the first JSON value of the frame without building anything. It must be an object; then only
/// brackets and strings matter here, and the parser finds all other faults.
fn check_shape(frame: &[u8]) -> Result<(), CodecError> {
    match frame.iter().find(|byte| !byte.is_ascii_whitespace()) {
        None => return Err(CodecError::Truncated { size: frame.len() }),
        Some(b'{') => {}
        Some(_) => return Err(CodecError::Malformed { line: 1, column: 1, problem: "not a JSON object" }),
    }
    check_depth(frame)
}

/// Whether the first JSON value of `text` is nested no deeper than [`MAX_DEPTH`].
pub(super) fn check_depth(text: &[u8]) -> Result<(), CodecError> {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for &byte in text {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'{' | b'[' => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return Err(CodecError::TooDeep);
                }
            }
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return Ok(());
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// serde_json's messages may quote the input, which may be secret: only the place and the class are kept.
fn classify(error: &serde_json::Error, size: usize) -> CodecError {
    let problem = match error.classify() {
        serde_json::error::Category::Eof | serde_json::error::Category::Io => {
            return CodecError::Truncated { size };
        }
        serde_json::error::Category::Syntax => "not JSON",
        serde_json::error::Category::Data => "a field has the wrong type",
    };
    CodecError::Malformed { line: error.line(), column: error.column(), problem }
}

#[cfg(test)]
mod tests;
