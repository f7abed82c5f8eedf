//! The attacker and what it sees of the hub.

use std::fmt;
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use chassis::link::Dialect as Speech;
use futures::{SinkExt as _, StreamExt as _};
use proto::reply::QueryFailure;
use proto::{Content, Group, Message, Operation, Resource, Route, Source, Stamp, codec};
use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};
use tokio_tungstenite::tungstenite::{Error as WsError, Message as WsMessage, Utf8Bytes};

use crate::connection::{Socket, SocketDialer};
use crate::ground::{Ground, Member};

/// Two nodes and a hub.
pub(super) struct Scene<'a> {
    ground: &'a Ground,
    pub(super) evil: &'a Member,
    pub(super) victim: &'a Member,
    pub(super) patience: Duration,
}

/// What a hub did.
#[derive(Debug, Default)]
pub(super) struct Reaction {
    /// Answers, and how many of them said that something failed.
    pub(super) answers: usize,
    pub(super) failures: usize,
    /// Messages that answer nothing.
    pub(super) pushes: usize,
    /// How the connection ended, if it did, and after how long.
    pub(super) end: Option<(String, Duration)>,
}

impl fmt::Display for Reaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.answers > 0 {
            write!(f, "{} answers, {} of them failures; ", self.answers, self.failures)?;
        }
        match &self.end {
            Some((how, after)) => write!(f, "{how} after {after:.1?}"),
            None if self.answers == 0 => f.write_str("ignored, stays connected"),
            None => f.write_str("stays connected"),
        }
    }
}

impl<'a> Scene<'a> {
    pub(super) fn new(ground: &'a Ground, evil: &'a Member, victim: &'a Member, patience: Duration) -> Self {
        Self { ground, evil, victim, patience }
    }

    pub(super) fn ground(&self) -> &'a Ground {
        self.ground
    }

    /// A connection of the attacker, or of whom it has the key.
    pub(super) async fn open(&self, member: &Member) -> anyhow::Result<Socket> {
        let (hub, node) = (self.ground.hub.clone(), member.name.clone());
        let dialer =
            SocketDialer { hub, speech: Speech::Stock, node, key: member.key.clone(), source: member.source };
        Ok(dialer.open().await?)
    }

    /// Both nodes exist.
    pub(super) async fn register(&self) -> anyhow::Result<()> {
        for member in [self.evil, self.victim] {
            let mut socket = self.open(member).await?;
            let name = &member.name;
            let node = json!({"metadata": {"name": name, "labels": {"node-role.kubernetes.io/edge": ""}}});
            let insert = self.request(Operation::Insert, &format!("null/node/{name}"), &node);
            say(&mut socket, &insert).await?;
            let answer = self.answer(&mut socket, &insert).await?.context("no answer")?;
            let failure = QueryFailure::from_answer(&answer);
            anyhow::ensure!(failure.is_none(), "registration failed");
        }
        Ok(())
    }

    pub(super) fn request(&self, operation: Operation, resource: &str, content: &Value) -> Message {
        let resource = Resource::from(resource);
        let route = Route { source: Source::Edged, group: Group::Meta, operation, resource };
        let content =
            if content.is_null() { Content::Null } else { Content::object(content).unwrap_or_default() };
        Message::new(self.stamp(), route, content)
    }

    pub(super) fn keepalive(&self) -> Message {
        let route = Route {
            source: Source::WebSocket,
            group: Group::Resource,
            operation: Operation::Keepalive,
            resource: Resource::Node,
        };
        Message::new(self.stamp(), route, Content::text("ping"))
    }

    pub(super) fn stamp(&self) -> Stamp {
        Stamp { id: self.ground.rng.uuid().to_string(), timestamp: self.ground.clock.now_ms() }
    }

    /// The answer to this request, if it comes and the connection lives.
    pub(super) async fn answer(
        &self,
        socket: &mut Socket,
        request: &Message,
    ) -> anyhow::Result<Option<Message>> {
        let end = Instant::now() + self.patience;
        while let Ok(Some(frame)) = timeout_at(end, socket.next()).await {
            let WsMessage::Text(text) = frame? else { continue };
            let message = codec::decode(text.as_bytes())?;
            if message.header.parent_id.as_deref() == Some(&request.header.id) {
                return Ok(Some(message));
            }
        }
        Ok(None)
    }

    /// Listens until the connection ends or the patience does.
    pub(super) async fn reaction(&self, socket: &mut Socket) -> Reaction {
        let (mut seen, start) = (Reaction::default(), Instant::now());
        while seen.end.is_none() {
            let end = match timeout_at(start + self.patience, socket.next()).await {
                Err(_) => break,
                // How exactly TLS and TCP were ended makes no difference.
                Ok(None | Some(Err(WsError::Io(_)))) => Some("cut".to_owned()),
                Ok(Some(Err(error))) => Some(format!("cut ({error})")),
                Ok(Some(Ok(WsMessage::Close(None)))) => Some("closed without a reason".to_owned()),
                Ok(Some(Ok(WsMessage::Close(Some(close))))) => {
                    Some(format!("closed with {} ({})", u16::from(close.code), close.reason))
                }
                Ok(Some(Ok(WsMessage::Text(text)))) => {
                    seen.hear(text.as_bytes());
                    None
                }
                Ok(Some(Ok(_))) => None,
            };
            seen.end = end.map(|how| (how, start.elapsed()));
        }
        seen
    }
}

impl Reaction {
    fn hear(&mut self, frame: &[u8]) {
        match codec::decode(frame) {
            Ok(message) if message.header.parent_id.is_some() => {
                self.answers += 1;
                self.failures += usize::from(has_failed(&message));
            }
            _ => self.pushes += 1,
        }
    }
}

/// Whether an answer says that something failed, in any form.
pub(super) fn has_failed(answer: &Message) -> bool {
    QueryFailure::from_answer(answer).is_some()
        || answer.content.decode::<Value>().is_ok_and(|content| !content["Err"].is_null())
}

pub(super) async fn say(socket: &mut Socket, message: &Message) -> anyhow::Result<()> {
    Ok(socket.send(frame(codec::encode(message))?).await?)
}

pub(super) fn frame(bytes: Bytes) -> anyhow::Result<WsMessage> {
    Ok(WsMessage::Text(Utf8Bytes::try_from(bytes)?))
}
