//! One connection of one node: a loop that reads and a loop that writes, in one task. Neither waits for the other,
//! so that a node that sends much and a node that takes little cannot stop each other.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use chassis::channel::{Receiver, Sender};
use chassis::link::{CloseReason, Dialect, Frame, Link, LinkError, LinkReceiver};
use chassis::shutdown::Shutdown;
use proto::codec::binary::{Acks, Frame as Native, Refused};
use proto::codec::{self, CodecError};
use proto::hello::HelloError;
use proto::{Content, Message, Operation, Stamp};
use tokio::sync::Notify;

use super::greeting::greet;
use super::identity::not_before;
use super::pending::Pending;
use super::traffic::Traffic;
use super::writing::Writing;
use super::{Config, Environment, GOODBYE};
use crate::flow::{
    Barred, Devices, Ended, Fence, FromNode, FromUsers, NodeName, NodeSession, OutboxReader, Replies,
    Sessions, Users,
};

/// Everything that a connection needs.
pub(super) struct Session {
    pub(super) node: NodeName,
    pub(super) link: Link,
    pub(super) requests: Sender<Message>,
    pub(super) replies: Receiver<Message>,
    /// For what the session itself answers.
    pub(super) own_replies: Replies,
    pub(super) outbox: OutboxReader,
    pub(super) fence: Fence,
    pub(super) is_draining: Arc<AtomicBool>,
    pub(super) traffic: Traffic,
    pub(super) config: Config,
    pub(super) environment: Arc<Environment>,
}

/// What a session needs until the node is announced, and no longer.
pub(super) struct Arrival {
    pub(super) controller: Sessions,
    pub(super) announcement: NodeSession,
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
    /// The node sent something that it has no business to send.
    Unexpected { what: &'static str },
    /// The node's hello cannot be answered.
    Unfit(HelloError),
    /// The node said nothing for too long.
    Silent { limit: Duration },
    /// The node took nothing for too long.
    Stuck { limit: Duration },
    /// The node has connected anew.
    Replaced,
    /// The node has connected to another CloudCore.
    Elsewhere,
    /// The node was banned, or its certificate revoked.
    Barred(Barred),
    /// The Node object was deleted.
    NodeDeleted,
    /// CloudCore ends.
    ShuttingDown,
}

// === impl Session ===

impl Session {
    /// Announces the node and serves it until the connection ends, `until` is requested (a newer connection, or
    /// `shutdown` of CloudCore), or the node is seen to be elsewhere. Boxed are here and below what is large and what a session is busy with now and then only: a
    /// future holds what it was given twice, and ten thousand sessions rest.
    pub(super) async fn run(
        mut self: Box<Self>,
        arrival: Box<Arrival>,
        until: Shutdown,
        shutdown: Shutdown,
    ) -> End {
        let fence = self.fence.clone();
        let end = tokio::select! {
            () = fence.lost() => End::Elsewhere,
            end = self.serve(arrival, &until) => end.unwrap_or_else(|| self.told_to_end(&shutdown)),
        };
        if let Some(reason) = end.close_reason() {
            Box::pin(tokio::time::timeout(GOODBYE, self.link.tx.close(reason))).await.ok();
        }
        end
    }

    /// Why the hub ends the session.
    fn told_to_end(&self, shutdown: &Shutdown) -> End {
        if shutdown.is_requested() {
            return End::ShuttingDown;
        }
        let barred = self.environment.door.bans().check(self.node.as_str(), not_before(&self.link.peer));
        barred.map_or_else(End::Barred, |()| End::Replaced)
    }

    /// Why the connection has ended; `None`: because `until` was requested.
    async fn serve(&mut self, arrival: Box<Arrival>, until: &Shutdown) -> Option<End> {
        let (devices, users) = tokio::select! {
            () = until.requested() => return None,
            arrived = Box::pin(self.arrive(arrival)) => match arrived {
                Ok(ways) => ways,
                Err(end) => return Some(end),
            },
        };
        let Self { node, link, requests, replies, own_replies, outbox, traffic, config, environment, .. } =
            self;
        let is_draining = &*self.is_draining;
        let dialect = link.peer.dialect;
        let (echo, pending) = (Notify::new(), Pending::default());
        let reading = Reading {
            node,
            requests,
            devices: devices.as_ref(),
            users: users.as_ref(),
            own_replies,
            outbox,
            traffic,
            config,
            environment,
            dialect,
            echo: &echo,
            pending: &pending,
        };
        let writing = Writing {
            outbox,
            traffic,
            config,
            environment,
            dialect,
            echo: &echo,
            pending: &pending,
            pushes: AtomicU64::new(0),
        };
        let hearing = async {
            tokio::select! {
                end = reading.run(&mut link.rx) => Some(end),
                () = until.requested() => {
                    // Nothing more is heard of the node. It is to be told what it has asked for.
                    if is_draining.load(Relaxed) {
                        Box::pin(pending.none()).await;
                    }
                    None
                }
            }
        };
        let end = tokio::select! {
            end = hearing => end?,
            end = writing.run(&mut link.tx, link.side.as_mut(), replies) => end,
        };
        match end {
            Ok(never) => match never {},
            Err(end) => Some(end),
        }
    }

    /// Greets the node and tells the controllers that it is here. Gives the ways to that of devices and to the router.
    async fn arrive(&mut self, arrival: Box<Arrival>) -> Result<(Option<Devices>, Option<Users>), End> {
        // So that the hub's end, and not that of one connection, is what closes EdgeController's queue, the way to it is
        // dropped here.
        let Arrival { controller, mut announcement } = *arrival;
        announcement.held = greet(&mut self.link, &self.environment).await?;
        controller.announce(announcement).await.map_err(|Ended| End::ShuttingDown)?;
        Ok((controller.devices().cloned(), controller.users().cloned()))
    }
}

/// Runs until the session ends.
pub(super) type Until = Result<std::convert::Infallible, End>;

struct Reading<'a> {
    node: &'a NodeName,
    requests: &'a Sender<Message>,
    devices: Option<&'a Devices>,
    users: Option<&'a Users>,
    own_replies: &'a Replies,
    outbox: &'a OutboxReader,
    traffic: &'a Traffic,
    config: &'a Config,
    environment: &'a Environment,
    dialect: Dialect,
    /// A native keepalive waits for its answer.
    echo: &'a Notify,
    pending: &'a Pending,
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
            Box::pin(self.hear(frame)).await?;
        }
    }

    async fn hear(&self, frame: Frame) -> Result<(), End> {
        self.environment.metrics.received();
        self.traffic.received(frame.data().len(), &self.environment.metrics);
        match self.dialect {
            Dialect::Stock => self.dispatch(codec::decode(frame.data()).map_err(End::Garbage)?).await,
            Dialect::Native => self.take(codec::binary::decode(frame.data()).map_err(End::Garbage)?).await,
        }
    }

    async fn take(&self, frame: Native) -> Result<(), End> {
        match frame {
            Native::Message(message) => self.dispatch(*message).await?,
            Native::Acks(Acks { stored, refused }) => {
                for seq in stored {
                    self.outbox.acknowledged(&seq.to_string());
                }
                for Refused { seq, reason } in refused {
                    self.refused(&seq.to_string(), &reason);
                }
            }
            Native::Keepalive => self.echo.notify_one(),
            // The same hello once more: some transports repeat what they are not sure of.
            Native::Hello(_) => {}
            Native::Welcome(_) | Native::Push(_) => {
                return Err(End::Unexpected { what: "a frame that only a cloud sends" });
            }
        }
        Ok(())
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
                self.pending.asked();
                let stamp = self.environment.stamp();
                self.own_replies
                    .send(message.reply(stamp, Content::text("ack")))
                    .await
                    .map_err(|Ended| End::ShuttingDown)?;
            }
            _ => self.pass_on(message).await.map_err(|Ended| End::ShuttingDown)?,
        }
        Ok(())
    }

    /// To the module whose business it is.
    async fn pass_on(&self, message: Message) -> Result<(), Ended> {
        self.pending.asked();
        if let Some(users) = self.users.filter(|_| Users::concerns(&message)) {
            return users.tell(FromUsers::Said(self.node.clone(), Box::new(message))).await;
        }
        if let Some(devices) = self.devices.filter(|_| Devices::concerns(&message)) {
            return devices.tell(FromNode::Report(self.node.clone(), Box::new(message))).await;
        }
        self.requests.send(message).await.map_err(|_| Ended)
    }

    fn acknowledge(&self, message: &Message) {
        // Stock edges acknowledge answers as well, for which nobody waits.
        let stored = message.header.parent_id.as_deref().and_then(|id| self.outbox.acknowledged(id));
        tracing::trace!(msg = message.header.parent_id, known = stored.is_some(), "acknowledged");
        if let Some(change) = stored
            && self.dialect == Dialect::Stock
        {
            self.environment.records.acknowledged(self.node, &change);
        }
    }

    fn rejected(&self, message: &Message) {
        let text = String::from_utf8_lossy(&message.content.data()).into_owned();
        self.refused(message.header.parent_id.as_deref().unwrap_or_default(), &text);
    }

    /// It goes out again: what the node lacks (space, most likely) may come.
    fn refused(&self, id: &str, reason: &str) {
        self.environment.metrics.rejected();
        self.outbox.refused(id);
        let reason = reason.chars().take(200).collect::<String>();
        tracing::warn!(msg = id, "the node could not store it: {reason}");
    }
}

// === impl End ===

impl End {
    /// One word for metrics.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Goodbye => "goodbye",
            Self::Lost(LinkError::TooLarge { .. }) => "too_large",
            Self::Lost(_) => "lost",
            Self::Garbage(_) | Self::Unexpected { .. } => "garbage",
            Self::Unfit(_) => "unfit",
            Self::Silent { .. } => "silent",
            Self::Stuck { .. } => "stuck",
            Self::Replaced => "replaced",
            Self::Elsewhere => "elsewhere",
            Self::Barred(_) => "banned",
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
            Self::Garbage(_) | Self::Unexpected { .. } | Self::Unfit(_) => CloseReason::PROTOCOL,
            Self::Goodbye | Self::Replaced | Self::Elsewhere => CloseReason::NORMAL,
            Self::Silent { .. } | Self::NodeDeleted | Self::Barred(_) => CloseReason::POLICY,
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
            Self::Unexpected { what } => write!(f, "the node sent {what}"),
            Self::Unfit(error) => error.fmt(f),
            Self::Silent { limit } => write!(f, "no keepalive for {} s", limit.as_secs()),
            Self::Stuck { limit } => write!(f, "took no data for {} s", limit.as_secs()),
            Self::Replaced => f.write_str("replaced by a newer connection of the node"),
            Self::Elsewhere => f.write_str("the node has connected to another CloudCore"),
            Self::Barred(barred) => barred.fmt(f),
            Self::NodeDeleted => f.write_str("the node was deleted"),
            Self::ShuttingDown => f.write_str("CloudCore is shutting down"),
        }
    }
}

// === impl Environment ===

impl Environment {
    pub(super) fn stamp(&self) -> Stamp {
        Stamp { id: self.rng.uuid().to_string(), timestamp: self.clock.now_ms() }
    }
}
