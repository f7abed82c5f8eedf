//! Frames as Protocol Buffers.

use serde_json::value::RawValue;

use super::{Acks, Frame, Push};
use crate::codec::json::{CodecError, check_depth};
use crate::hello::{Hello, Welcome};
use crate::message::{Content, Header, Message, Route};
use crate::resource::{ObjectPath, Resource};
use crate::words::{Group, Operation, Source};

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct WireFrame {
    #[prost(oneof = "Body", tags = "1, 2, 3, 4, 5, 6")]
    body: Option<Body>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum Body {
    #[prost(message, tag = "1")]
    Hello(Hello),
    #[prost(message, tag = "2")]
    Welcome(Welcome),
    #[prost(message, tag = "3")]
    Message(WireMessage),
    #[prost(message, tag = "4")]
    Push(WirePush),
    #[prost(message, tag = "5")]
    Acks(Acks),
    #[prost(message, tag = "6")]
    Keepalive(Nothing),
}

#[derive(Clone, PartialEq, prost::Message)]
struct Nothing {}

#[derive(Clone, PartialEq, prost::Message)]
struct WireMessage {
    #[prost(string, tag = "1")]
    id: String,
    #[prost(string, optional, tag = "2")]
    parent: Option<String>,
    #[prost(int64, tag = "3")]
    timestamp: i64,
    #[prost(string, tag = "4")]
    version: String,
    #[prost(string, tag = "5")]
    source: String,
    #[prost(string, tag = "6")]
    group: String,
    #[prost(string, tag = "7")]
    operation: String,
    #[prost(string, tag = "8")]
    resource: String,
    #[prost(message, optional, tag = "9")]
    content: Option<WireContent>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct WirePush {
    #[prost(uint64, tag = "1")]
    seq: u64,
    #[prost(string, tag = "2")]
    path: String,
    #[prost(string, tag = "3")]
    uid: String,
    #[prost(string, tag = "4")]
    version: String,
    #[prost(fixed64, tag = "5")]
    digest: u64,
    /// Absent: the object has to go.
    #[prost(message, optional, tag = "6")]
    object: Option<WireContent>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct WireContent {
    #[prost(oneof = "Text", tags = "1, 2")]
    text: Option<Text>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum Text {
    /// A string.
    #[prost(string, tag = "1")]
    Plain(String),
    /// JSON of any other kind.
    #[prost(string, tag = "2")]
    Json(String),
}

// === writing ===

impl From<&Frame> for WireFrame {
    fn from(frame: &Frame) -> Self {
        let body = match frame {
            Frame::Hello(hello) => Body::Hello(hello.clone()),
            Frame::Welcome(welcome) => Body::Welcome(welcome.clone()),
            Frame::Message(message) => Body::Message(WireMessage::from(&**message)),
            Frame::Push(push) => Body::Push(WirePush::from(&**push)),
            Frame::Acks(acks) => Body::Acks(acks.clone()),
            Frame::Keepalive => Body::Keepalive(Nothing {}),
        };
        Self { body: Some(body) }
    }
}

impl From<&Message> for WireMessage {
    fn from(message: &Message) -> Self {
        let Message { header, route, content } = message;
        Self {
            id: header.id.clone(),
            parent: header.parent_id.clone(),
            timestamp: header.timestamp,
            version: header.resource_version.clone().unwrap_or_default(),
            source: route.source.as_str().to_owned(),
            group: route.group.as_str().to_owned(),
            operation: route.operation.as_str().to_owned(),
            resource: route.resource.to_string(),
            content: WireContent::from_content(content),
        }
    }
}

impl From<&Push> for WirePush {
    fn from(push: &Push) -> Self {
        Self {
            seq: push.seq,
            path: push.path.to_string(),
            uid: push.uid.clone(),
            version: push.version.clone(),
            digest: push.digest,
            object: push.object.as_ref().map(|object| WireContent::from_content(object).unwrap_or_default()),
        }
    }
}

impl WireContent {
    /// `None` for `null`.
    fn from_content(content: &Content) -> Option<Self> {
        let text = match content {
            Content::Null => return None,
            Content::Text(text) => Text::Plain(text.clone()),
            Content::Json(raw) => Text::Json(raw.get().to_owned()),
        };
        Some(Self { text: Some(text) })
    }
}

// === reading ===

impl TryFrom<WireFrame> for Frame {
    type Error = CodecError;

    fn try_from(wire: WireFrame) -> Result<Self, CodecError> {
        Ok(match wire.body {
            Some(Body::Hello(hello)) => Self::Hello(hello),
            Some(Body::Welcome(welcome)) => Self::Welcome(welcome),
            Some(Body::Message(message)) => Self::Message(Box::new(message.try_into()?)),
            Some(Body::Push(push)) => Self::Push(Box::new(push.try_into()?)),
            Some(Body::Acks(acks)) => Self::Acks(acks),
            Some(Body::Keepalive(Nothing {})) => Self::Keepalive,
            None => {
                return Err(CodecError::Binary {
                    problem: "it is of a kind that this version does not know",
                });
            }
        })
    }
}

impl TryFrom<WireMessage> for Message {
    type Error = CodecError;

    fn try_from(wire: WireMessage) -> Result<Self, CodecError> {
        let group = Group::from(wire.group.as_str());
        let resource = Resource::parse(&group, &wire.resource);
        let header = Header {
            id: wire.id,
            parent_id: wire.parent,
            timestamp: wire.timestamp,
            resource_version: Some(wire.version).filter(|version| !version.is_empty()),
            sync: false,
        };
        let (source, operation) =
            (Source::from(wire.source.as_str()), Operation::from(wire.operation.as_str()));
        let content = WireContent::into_content(wire.content)?;
        Ok(Self { header, route: Route { source, group, operation, resource }, content })
    }
}

impl TryFrom<WirePush> for Push {
    type Error = CodecError;

    fn try_from(wire: WirePush) -> Result<Self, CodecError> {
        let Resource::Object(path @ ObjectPath { name: Some(_), .. }) = Resource::from(wire.path.as_str())
        else {
            return Err(CodecError::Binary { problem: "a push does not say which object it is" });
        };
        let object = wire.object.map(|object| WireContent::into_content(Some(object))).transpose()?;
        Ok(Self { seq: wire.seq, path, uid: wire.uid, version: wire.version, digest: wire.digest, object })
    }
}

impl WireContent {
    fn into_content(wire: Option<Self>) -> Result<Content, CodecError> {
        match wire.and_then(|content| content.text) {
            None => Ok(Content::Null),
            Some(Text::Plain(text)) => Ok(Content::Text(text)),
            Some(Text::Json(json)) => {
                check_depth(json.as_bytes())?;
                let raw = RawValue::from_string(json)
                    .map_err(|_| CodecError::Binary { problem: "its content is not JSON" })?;
                Ok(Content::from_raw(raw))
            }
        }
    }
}
