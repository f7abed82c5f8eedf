//! A scripted edge node at the other end of a link.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use chassis::link::{Dialer as _, Frame, Link, LinkError, Peer};
use proto::{Content, Group, Message, Operation, Resource, Route, Source, Stamp, codec};
use serde_json::Value;

use crate::cloud::Cloud;

/// Longer than anything takes that is going to happen, and shorter than a keepalive interval.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Edge {
    pub(crate) link: Link,
    name: String,
    sent: u32,
    /// Messages that came while an answer was waited for.
    pushed: VecDeque<Message>,
}

/// The peer that a node with a proper certificate is.
pub(crate) fn peer(common_name: &str, node_id: &str) -> Peer {
    let mut peer = Peer { common_name: Some(common_name.to_owned()), ..Peer::default() };
    peer.headers.insert("node_id", node_id.parse().unwrap());
    peer.headers.insert("connectionuse", "msg".parse().unwrap());
    peer
}

impl Edge {
    pub(crate) async fn connect(cloud: &Cloud, name: &str) -> Self {
        let peer = peer(&format!("system:node:{name}"), name);
        let link = cloud.net.dialer(name, peer).dial().await.unwrap();
        let mut edge = Self { link, name: name.to_owned(), sent: 0, pushed: VecDeque::new() };
        edge.keepalive().await;
        edge
    }

    /// Connects and registers, so that the cloud knows it as an edge node.
    pub(crate) async fn join(cloud: &Cloud, name: &str) -> Self {
        let mut edge = Self::connect(cloud, name).await;
        let answer =
            edge.ask(Operation::Insert, &format!("null/node/{name}"), &crate::objects::node(name)).await;
        assert_eq!(json(&answer)["Err"], Value::Null);
        let node = edge.pushed().await;
        assert_eq!(node.route.resource.to_string(), format!("null/node/{name}"));
        edge.ack(&node).await;
        edge
    }

    pub(crate) async fn keepalive(&mut self) {
        let route = Route {
            source: Source::WebSocket,
            group: Group::Resource,
            operation: Operation::Keepalive,
            resource: Resource::Node,
        };
        self.send(route, Content::text("ping")).await;
    }

    pub(crate) async fn send_raw(&mut self, bytes: impl Into<Bytes>) {
        self.link.tx.send(Frame::Text(bytes.into())).await.unwrap();
    }

    async fn send(&mut self, route: Route, content: Content) -> String {
        self.sent += 1;
        let id = format!("{}-{}", self.name, self.sent);
        let message = Message::new(Stamp { id: id.clone(), timestamp: 1 }, route, content);
        self.send_raw(codec::encode(&message)).await;
        id
    }

    /// Sends a request as edged does.
    pub(crate) async fn request(&mut self, operation: Operation, resource: &str, content: Content) -> String {
        let resource = Resource::from(resource);
        self.send(Route { source: Source::Edged, group: Group::Meta, operation, resource }, content).await
    }

    /// Sends a request and waits for its answer.
    pub(crate) async fn ask(&mut self, operation: Operation, resource: &str, content: &Value) -> Message {
        let content = Content::object(content).unwrap();
        self.ask_with(operation, resource, content).await
    }

    pub(crate) async fn ask_with(
        &mut self,
        operation: Operation,
        resource: &str,
        content: Content,
    ) -> Message {
        let id = self.request(operation, resource, content).await;
        loop {
            let message = self.recv().await;
            match &message.header.parent_id {
                Some(parent) if *parent == id => return message,
                Some(_) => panic!("an answer to another request: {message:?}"),
                None => self.pushed.push_back(message),
            }
        }
    }

    /// The next message that is not an answer.
    pub(crate) async fn pushed(&mut self) -> Message {
        if let Some(message) = self.pushed.pop_front() {
            return message;
        }
        let message = self.recv().await;
        assert_eq!(message.header.parent_id, None, "an answer that nobody waits for: {message:?}");
        message
    }

    /// The next message that is not an answer, if one comes in this time.
    pub(crate) async fn pushed_within(&mut self, duration: Duration) -> Option<Message> {
        match self.pushed.pop_front() {
            Some(message) => Some(message),
            None => tokio::time::timeout(duration, self.recv()).await.ok(),
        }
    }

    /// Whether nothing is pushed for this long.
    pub(crate) async fn hears_nothing_for(&mut self, duration: Duration) -> bool {
        self.pushed.is_empty() && tokio::time::timeout(duration, self.link.rx.recv()).await.is_err()
    }

    /// The next message, of any kind.
    pub(crate) async fn next(&mut self) -> Message {
        match self.pushed.pop_front() {
            Some(message) => message,
            None => self.recv().await,
        }
    }

    async fn recv(&mut self) -> Message {
        let received = tokio::time::timeout(PATIENCE, self.link.rx.recv()).await;
        let frame = received.expect("a message comes").unwrap().expect("the link is open");
        codec::decode(frame.data()).unwrap()
    }

    pub(crate) async fn ack(&mut self, message: &Message) {
        let ack = message.ack(Stamp { id: "ack".to_owned(), timestamp: 1 });
        self.send_raw(codec::encode(&ack)).await;
    }

    /// The next pushed message as `operation resource`, acknowledged.
    pub(crate) async fn take(&mut self) -> String {
        let message = self.pushed().await;
        self.ack(&message).await;
        format!("{} {}", message.route.operation, message.route.resource)
    }

    /// Waits until the cloud closes the link.
    pub(crate) async fn closed(&mut self) -> Result<(), LinkError> {
        loop {
            let received = tokio::time::timeout(2 * PATIENCE, self.link.rx.recv()).await;
            match received.expect("the link is closed") {
                Ok(Some(_)) => {}
                Ok(None) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }
}

/// The content of a message as JSON.
pub(crate) fn json(message: &Message) -> Value {
    serde_json::from_slice(&message.content.data()).unwrap()
}

/// The text of an `error` answer.
pub(crate) fn error_text(message: &Message) -> String {
    assert_eq!(message.route.operation, Operation::Error, "{message:?}");
    String::from_utf8(message.content.data().into_owned()).unwrap()
}
