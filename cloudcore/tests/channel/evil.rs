//! One node with a good certificate and bad manners, whatever it speaks.

use std::time::Duration;

use chassis::link::{Dialect, Frame};
use proto::codec::binary::{self, Acks, Frame as Native};
use proto::{Content, Group, Message, Operation, Resource, Route, Source, Stamp, codec};
use serde_json::Value;
use tokio::time::timeout;

use crate::cloud::Cloud;
use crate::edge::{Edge, json};
use crate::native::NativeEdge;

pub(crate) const EVIL: &str = "edge-1";
pub(crate) const OTHER: &str = "edge-2";
pub(crate) const BOTH: [Dialect; 2] = [Dialect::Stock, Dialect::Native];
const QUIET: Duration = Duration::from_secs(3);

/// A connected node, whatever it speaks.
pub(crate) enum Evil {
    Stock(Edge),
    Native(NativeEdge),
}

/// What is under way to a node.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Push {
    pub(crate) id: String,
    pub(crate) what: String,
}

pub(crate) enum Heard {
    Push(Push),
    Answer(Box<Message>),
    Keepalive,
}

impl Evil {
    /// A node that has registered and holds nothing, and a cloud with another one.
    pub(crate) async fn begin(dialect: Dialect) -> (Cloud, Edge, Self) {
        let cloud = Cloud::start().await;
        drop(Edge::join(&cloud, EVIL).await);
        let other = Edge::join(&cloud, OTHER).await;
        let evil = Self::connect(&cloud, dialect).await;
        (cloud, other, evil)
    }

    pub(crate) async fn connect(cloud: &Cloud, dialect: Dialect) -> Self {
        match dialect {
            Dialect::Stock => Self::Stock(Edge::connect(cloud, EVIL).await),
            Dialect::Native => Self::Native(NativeEdge::connect(cloud, EVIL, Vec::new()).await),
        }
    }

    pub(crate) async fn send_frame(&mut self, frame: Frame) {
        match self {
            Self::Stock(edge) => edge.link.tx.send(frame).await.unwrap(),
            Self::Native(edge) => edge.link.tx.send(frame).await.unwrap(),
        }
    }

    pub(crate) async fn keepalive(&mut self) {
        match self {
            Self::Stock(edge) => edge.keepalive().await,
            Self::Native(edge) => edge.send(&Native::Keepalive).await,
        }
    }

    pub(crate) async fn ack(&mut self, id: &str) {
        match self {
            Self::Stock(edge) => {
                let route = Route {
                    source: Source::EdgeController,
                    group: Group::Resource,
                    operation: Operation::Response,
                    resource: Resource::from("default/pod/x"),
                };
                let stamp = Stamp { id: "ack".to_owned(), timestamp: 1 };
                let mut ack = Message::new(stamp, route, Content::text("OK"));
                ack.header.parent_id = Some(id.to_owned());
                edge.send_raw(codec::encode(&ack)).await;
            }
            Self::Native(edge) => {
                let stored = vec![id.parse().unwrap_or(u64::MAX)];
                edge.send(&Native::Acks(Acks { stored, refused: Vec::new() })).await;
            }
        }
    }

    /// This request as bytes that can be sent again.
    pub(crate) fn request(&self, id: &str, operation: Operation, path: &str, content: &Value) -> Frame {
        let route =
            Route { source: Source::Edged, group: Group::Meta, operation, resource: Resource::from(path) };
        let stamp = Stamp { id: id.to_owned(), timestamp: 1 };
        let message = Message::new(stamp, route, Content::object(content).unwrap());
        match self {
            Self::Stock(_) => Frame::Text(codec::encode(&message)),
            Self::Native(_) => Frame::Binary(binary::encode(&Native::Message(Box::new(message)))),
        }
    }

    /// `None` when nothing comes for a while.
    pub(crate) async fn hear(&mut self) -> Option<Heard> {
        match self {
            Self::Stock(edge) => {
                let frame =
                    timeout(QUIET, edge.link.rx.recv()).await.ok()?.unwrap().expect("the link is open");
                let message = codec::decode(frame.data()).unwrap();
                if message.header.parent_id.is_some() {
                    return Some(Heard::Answer(Box::new(message)));
                }
                let what = message.route.resource.to_string();
                Some(Heard::Push(Push { id: message.header.id, what }))
            }
            Self::Native(edge) => {
                let frame =
                    timeout(QUIET, edge.link.rx.recv()).await.ok()?.unwrap().expect("the link is open");
                Some(match binary::decode(frame.data()).unwrap() {
                    Native::Push(push) => {
                        Heard::Push(Push { id: push.seq.to_string(), what: push.path.to_string() })
                    }
                    Native::Message(message) => Heard::Answer(message),
                    _ => Heard::Keepalive,
                })
            }
        }
    }

    /// What is pushed until it is quiet.
    pub(crate) async fn pushes(&mut self) -> Vec<Push> {
        let mut pushes = Vec::new();
        while let Some(heard) = self.hear().await {
            if let Heard::Push(push) = heard {
                pushes.push(push);
            }
        }
        pushes
    }

    /// The answer to a request; what is pushed meanwhile is acknowledged.
    pub(crate) async fn answer(&mut self) -> Message {
        loop {
            match self.hear().await.expect("an answer comes") {
                Heard::Answer(answer) => return *answer,
                Heard::Push(push) => self.ack(&push.id).await,
                Heard::Keepalive => {}
            }
        }
    }
}

/// Another node gets its pod and its answers as if nothing had happened.
pub(crate) async fn is_undisturbed(cloud: &Cloud, other: &mut Edge, pod: &str) {
    cloud.create_pod(pod, OTHER).await;
    assert_eq!(other.take().await, format!("insert default/pod/{pod}"));
    let answer = other.ask(Operation::Query, &format!("null/node/{OTHER}"), &Value::Null).await;
    assert_eq!(json(&answer)["metadata"]["name"], OTHER);
}
