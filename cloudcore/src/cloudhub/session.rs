//! One connection of one node: a loop that reads and a loop that writes, in one task. Neither waits for the other,
//! so that a node that sends much and a node that takes little cannot stop each other.

use std::fmt;
use std::time::Duration;

use chassis::channel::{Receiver, Sender};
use chassis::link::{CloseReason, Frame, Link, LinkError, LinkReceiver, LinkSender};
use chassis::shutdown::Shutdown;
use proto::codec::{self, CodecError};
use proto::{Content, Group, Message, Operation, Resource, Route, Stamp};

use super::{Config, Environment, GOODBYE};
use crate::flow::{Ended, NodeSession, OutboxReader, Replies, Sessions, Transmission};

/// Everything that a connection needs.
pub(super) struct Session {
    pub(super) link: Link,
    pub(super) requests: Sender<Message>,
    pub(super) replies: Receiver<Message>,
    /// For what the session itself answers.
    pub(super) own_replies: Replies,
    pub(super) outbox: OutboxReader,
    pub(super) config: Config,
    pub(super) environment: Environment,
}

/// Why a session has ended.
#[derive(Debug)]
pub(super) enum End {
    /// The node said goodbye.
    Goodbye,
    /// The connection broke.
    Lost(LinkError),
    /// The node sent something that is no message.
    Garbage(CodecError),
    /// The node said nothing for too long.
    Silent { limit: Duration },
    /// The node took nothing for too long.
    Stuck { limit: Duration },
    /// The node has connected anew.
    Replaced,
    /// The Node object was deleted.
    NodeDeleted,
    /// CloudCore ends.
    ShuttingDown,
}

// === impl Session ===

impl Session {
    /// Announces the node and serves it until the connection ends, `until` is requested (a newer connection, or
    /// `shutdown` of CloudCore).
    pub(super) async fn run(
        mut self,
        controller: Sessions,
        announcement: NodeSession,
        until: Shutdown,
        shutdown: Shutdown,
    ) -> End {
        let end = tokio::select! {
            () = until.requested() => if shutdown.is_requested() { End::ShuttingDown } else { End::Replaced },
            end = self.serve(controller, announcement) => end,
        };
        if let Some(reason) = end.close_reason() {
            tokio::time::timeout(GOODBYE, self.link.tx.close(reason)).await.ok();
        }
        end
    }

    async fn serve(&mut self, controller: Sessions, announcement: NodeSession) -> End {
        if controller.announce(announcement).await.is_err() {
            return End::ShuttingDown;
        }
        // So that the hub's end, and not this session's, is what closes EdgeController's queue.
        drop(controller);
        let Self { link, requests, replies, own_replies, outbox, config, environment } = self;
        let reading = Reading { requests, own_replies, outbox, config, environment };
        let writing = Writing { tx: &mut link.tx, replies, outbox, config, environment };
        let end = tokio::select! {
            end = reading.run(&mut link.rx) => end,
            end = writing.run() => end,
        };
        match end {
            Ok(never) => match never {},
            Err(end) => end,
        }
    }
}

/// Runs until the session ends.
type Until = Result<std::convert::Infallible, End>;

struct Reading<'a> {
    requests: &'a Sender<Message>,
    own_replies: &'a Replies,
    outbox: &'a OutboxReader,
    config: &'a Config,
    environment: &'a Environment,
}

struct Writing<'a> {
    tx: &'a mut LinkSender,
    replies: &'a mut Receiver<Message>,
    outbox: &'a OutboxReader,
    config: &'a Config,
    environment: &'a Environment,
}

// === impl Reading ===

impl Reading<'_> {
    async fn run(self, rx: &mut LinkReceiver) -> Until {
        let limit = self.config.keepalive_interval;
        loop {
            // Counted from here, not from the last message: while EdgeController has no room for requests nothing
            // is read, and that is not the node's silence.
            let received = tokio::time::timeout(limit, rx.recv()).await;
            let frame =
                received.map_err(|_| End::Silent { limit })?.map_err(End::Lost)?.ok_or(End::Goodbye)?;
            self.environment.metrics.received();
            let message = codec::decode(frame.data()).map_err(End::Garbage)?;
            self.dispatch(message).await?;
        }
    }

    async fn dispatch(&self, message: Message) -> Result<(), End> {
        if message.is_empty() {
            return Ok(());
        }
        match message.route.operation {
            Operation::Keepalive => {}
            Operation::Response => self.acknowledge(&message),
            Operation::Error => self.rejected(&message),
            Operation::Config | Operation::Ping | Operation::Pong => {
                let stamp = self.environment.stamp();
                self.own_replies.send(message.reply(stamp, Content::text("ack"))).await.map_err(ended)?;
            }
            _ => self.requests.send(message).await.map_err(|_| End::ShuttingDown)?,
        }
        Ok(())
    }

    fn acknowledge(&self, message: &Message) {
        // Stock edges acknowledge answers as well, for which nobody waits.
        let known = message.header.parent_id.as_deref().is_some_and(|id| self.outbox.acknowledged(id));
        tracing::trace!(msg = message.header.parent_id, known, "acknowledged");
    }

    /// The message stays under way and goes out again: what the node lacks (space, most likely) may come.
    fn rejected(&self, message: &Message) {
        self.environment.metrics.rejected();
        let resource = &message.route.resource;
        let text = String::from_utf8_lossy(&message.content.data()).chars().take(200).collect::<String>();
        tracing::warn!(msg = message.header.parent_id, %resource, "the node could not store it: {text}");
    }
}

// === impl Writing ===

impl Writing<'_> {
    async fn run(mut self) -> Until {
        loop {
            // Answers first: the node waits for them. Each round sends one of either, so that neither starves.
            let reply = self.replies.try_recv();
            let push = self.outbox.next(|| self.environment.rng.uuid().to_string());
            if self.outbox.is_node_deleted() {
                return Err(End::NodeDeleted);
            }
            let is_idle = reply.is_none() && push.is_none();
            if let Some(reply) = reply {
                self.send(&reply, false).await?;
            }
            if let Some(Transmission { id, change, again }) = push {
                let message = to_message(id, self.environment.clock.now_ms(), &change);
                self.send(&message, again).await?;
            }
            if is_idle {
                self.wait().await?;
            }
        }
    }

    /// Until there may be something to send.
    async fn wait(&mut self) -> Result<(), End> {
        let due = async {
            match self.outbox.deadline() {
                Some(deadline) => tokio::time::sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            reply = self.replies.recv() => match reply {
                Some(reply) => self.send(&reply, false).await?,
                None => return Err(End::ShuttingDown),
            },
            () = self.outbox.changed() => {}
            () = due => {}
        }
        Ok(())
    }

    async fn send(&mut self, message: &Message, again: bool) -> Result<(), End> {
        let limit = self.config.write_timeout;
        let frame = Frame::Text(codec::encode(message));
        let sent = tokio::time::timeout(limit, self.tx.send(frame)).await;
        sent.map_err(|_| End::Stuck { limit })?.map_err(End::Lost)?;
        self.environment.metrics.sent(again);
        Ok(())
    }
}

fn to_message(id: String, timestamp: i64, change: &crate::flow::Change) -> Message {
    let route = Route {
        source: change.source.clone(),
        group: Group::Resource,
        operation: change.operation.clone(),
        resource: Resource::Object(change.path.clone()),
    };
    Message::new(Stamp { id, timestamp }, route, change.content.clone())
        .with_resource_version(Some(change.resource_version.clone()))
}

fn ended(Ended: Ended) -> End {
    End::ShuttingDown
}

// === impl End ===

impl End {
    /// One word for metrics.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Goodbye => "goodbye",
            Self::Lost(LinkError::TooLarge { .. }) => "too_large",
            Self::Lost(_) => "lost",
            Self::Garbage(_) => "garbage",
            Self::Silent { .. } => "silent",
            Self::Stuck { .. } => "stuck",
            Self::Replaced => "replaced",
            Self::NodeDeleted => "node_deleted",
            Self::ShuttingDown => "shutting_down",
        }
    }

    /// What the peer is told; nothing when it cannot hear it.
    fn close_reason(&self) -> Option<CloseReason> {
        let code = match self {
            Self::Lost(LinkError::TooLarge { .. }) | Self::Garbage(CodecError::TooLarge { .. }) => {
                CloseReason::TOO_LARGE
            }
            Self::Lost(_) | Self::Stuck { .. } => return None,
            Self::Garbage(_) => CloseReason::PROTOCOL,
            Self::Goodbye | Self::Replaced => CloseReason::NORMAL,
            Self::Silent { .. } | Self::NodeDeleted => CloseReason::POLICY,
            Self::ShuttingDown => CloseReason::GOING_AWAY,
        };
        Some(CloseReason::new(code, self.to_string()))
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Goodbye => f.write_str("the node said goodbye"),
            Self::Lost(error) => write!(f, "link: {}", error.explained()),
            Self::Garbage(error) => error.fmt(f),
            Self::Silent { limit } => write!(f, "no keepalive for {} s", limit.as_secs()),
            Self::Stuck { limit } => write!(f, "took no data for {} s", limit.as_secs()),
            Self::Replaced => f.write_str("replaced by a newer connection of the node"),
            Self::NodeDeleted => f.write_str("the node was deleted"),
            Self::ShuttingDown => f.write_str("CloudCore is shutting down"),
        }
    }
}

// === impl Environment ===

impl Environment {
    fn stamp(&self) -> Stamp {
        Stamp { id: self.rng.uuid().to_string(), timestamp: self.clock.now_ms() }
    }
}
