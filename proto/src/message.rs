//! The message: one unit of talk between cloud and edge (spec cloud-and-wire 1.3 and 1.4).

mod ack;
mod content;

pub use content::{Content, ContentError};

use crate::resource::Resource;
use crate::words::{Group, Operation, Source};

/// One message, as both ends understand it.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// Who it answers, when it was made.
    pub header: Header,
    /// Who sends it, what it asks for and about what.
    pub route: Route,
    /// The object, text or patch it carries.
    pub content: Content,
}

/// Identity and age of a message.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Header {
    /// Unique id. Empty only in the empty message that a stock edge sends while it shuts down.
    pub id: String,
    /// Id of the message that this one answers. A message with a parent is an answer and nothing else: the
    /// stock edge drops it when nobody waits for it.
    pub parent_id: Option<String>,
    /// Creation time, Unix milliseconds.
    pub timestamp: i64,
    /// `metadata.resourceVersion` of the object in the content.
    pub resource_version: Option<String>,
    /// In-process "somebody waits" flag of stock KubeEdge; practically always false on the wire.
    pub sync: bool,
}

/// Where a message comes from and what it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Module that sent it.
    pub source: Source,
    /// Family of receivers.
    pub group: Group,
    /// What it asks for.
    pub operation: Operation,
    /// What it is about.
    pub resource: Resource,
}

/// What makes a message unique: a fresh id and the time. The caller has the randomness and the clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    /// A fresh UUID v4.
    pub id: String,
    /// Now, in Unix milliseconds.
    pub timestamp: i64,
}

// === impl Message ===

impl Message {
    /// A message that answers nobody.
    pub fn new(stamp: Stamp, route: Route, content: Content) -> Self {
        let header = Header { id: stamp.id, timestamp: stamp.timestamp, ..Header::default() };
        Self { header, route, content }
    }

    /// The answer to this message: source, group and resource stay (spec cloud-and-wire 1.4). What the cloud
    /// answers carries its own source and group: see [`Message::from_module`].
    pub fn reply(&self, stamp: Stamp, content: Content) -> Self {
        self.answer(stamp, Route { operation: Operation::Response, ..self.route.clone() }, content)
    }

    /// "Stored": releases the sender from sending this message again.
    pub fn ack(&self, stamp: Stamp) -> Self {
        self.reply(stamp, Content::ok())
    }

    /// "This failed": operation `error` without source and group, content is the text.
    pub fn error(&self, stamp: Stamp, text: impl Into<String>) -> Self {
        let route = Route {
            source: Source::Unset,
            group: Group::Unset,
            operation: Operation::Error,
            resource: self.route.resource.clone(),
        };
        self.answer(stamp, route, Content::Text(text.into()))
    }

    /// The same message, sent in the name of `source` to `group`.
    #[must_use]
    pub fn from_module(mut self, source: Source, group: Group) -> Self {
        self.route.source = source;
        self.route.group = group;
        self
    }

    /// The same message with the version of the object that it carries.
    #[must_use]
    pub fn with_resource_version(mut self, version: Option<String>) -> Self {
        self.header.resource_version = version.filter(|version| !version.is_empty());
        self
    }

    /// Whether this is the message without anything in it that a stock edge sends while it shuts down. It
    /// means nothing and is to be ignored.
    pub fn is_empty(&self) -> bool {
        self.header.id.is_empty()
            && self.route.operation == Operation::Unset
            && self.route.resource == Resource::Empty
    }

    /// Whether this releases the sender of message `parent_id` from sending it again.
    pub fn is_ack(&self) -> bool {
        self.route.operation == Operation::Response && self.header.parent_id.is_some()
    }

    fn answer(&self, stamp: Stamp, route: Route, content: Content) -> Self {
        let mut answer = Self::new(stamp, route, content);
        answer.header.parent_id = Some(self.header.id.clone());
        answer
    }
}

#[cfg(test)]
mod tests;
