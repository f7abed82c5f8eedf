//! One link, from connected to broken.

use std::time::Duration;

use bytes::Bytes;
use chassis::channel::Sender;
use chassis::clock::Clock;
use chassis::link::{CloseReason, Frame, Link, LinkError, LinkReceiver, LinkSender};
use chassis::rng::Rng;
use chassis::shutdown::Shutdown;
use proto::{Content, Group, Message, Operation, Resource, Route, Source, Stamp};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior};

use super::throttle::Throttle;
use super::{Config, DEAD_AFTER_HEARTBEATS};
use crate::flow::{FromCloud, HubInbox};

/// Answers to control messages wait for the writer here; a cloud that sends more than this without reading is
/// made to wait.
const CONTROL_ANSWERS: usize = 8;

/// How a session ended.
pub(super) enum Ended {
    /// The link is gone.
    Broken {
        /// Why.
        reason: String,
        /// Whether anything arrived on it: a cloud that refuses every connection is dialled less and less often.
        lived: bool,
    },
    /// We were told to stop; the writing half is still good.
    Stopping(Box<Writer>),
}

/// Settings of one session.
#[derive(Debug)]
pub(super) struct Session<'a> {
    heartbeat: Duration,
    throttle: Throttle,
    clock: &'a Clock,
    rng: &'a Rng,
}

/// The writing half of the link.
pub(super) struct Writer {
    link: LinkSender,
    throttle: Throttle,
    stamps: Stamps,
    /// When the first message after the last arrival was sent: it has not been answered by anything.
    unanswered: Option<Instant>,
}

/// Fresh ids and times for the messages that EdgeHub makes itself.
#[derive(Debug, Clone)]
struct Stamps {
    clock: Clock,
    rng: Rng,
}

impl<'a> Session<'a> {
    pub(super) fn new(config: &Config, clock: &'a Clock, rng: &'a Rng) -> Self {
        let throttle = Throttle::new(config.message_qps, config.message_burst, Instant::now());
        Self { heartbeat: config.heartbeat, throttle, clock, rng }
    }

    /// Moves messages until the link breaks or we are told to stop.
    pub(super) async fn run(
        self,
        link: Link,
        inbox: &mut HubInbox,
        up: &Sender<FromCloud>,
        shutdown: &Shutdown,
    ) -> Ended {
        let stamps = Stamps { clock: self.clock.clone(), rng: self.rng.clone() };
        let (arrived, arrivals) = watch::channel(None);
        let (control, mut answers) = mpsc::channel(CONTROL_ANSWERS);
        let mut writer =
            Writer { link: link.tx, throttle: self.throttle, stamps: stamps.clone(), unanswered: None };
        let reason = tokio::select! {
            reason = read(link.rx, up, &arrived, &control, &stamps) => reason,
            error = writer.pump(inbox, &mut answers, &arrivals, self.heartbeat) => error,
            () = shutdown.requested() => return Ended::Stopping(Box::new(writer)),
        };
        let lived = arrived.borrow().is_some();
        Ended::Broken { reason, lived }
    }
}

/// Reads until the link ends; gives the reason.
async fn read(
    mut link: LinkReceiver,
    up: &Sender<FromCloud>,
    arrived: &watch::Sender<Option<Instant>>,
    control: &mpsc::Sender<Message>,
    stamps: &Stamps,
) -> String {
    loop {
        let frame = match link.recv().await {
            Ok(Some(Frame::Text(bytes) | Frame::Binary(bytes))) => bytes,
            Ok(None) => return "closed by CloudCore".to_owned(),
            Err(error) => return error.explained(),
        };
        arrived.send_replace(Some(Instant::now()));
        let Some(message) = decode(&frame) else { continue };
        // Control messages are answered here and go no further (spec cloud-and-wire 1.4).
        if matches!(message.route.operation, Operation::Config | Operation::Ping | Operation::Pong) {
            let answer = message.reply(stamps.next(), Content::text("ack"));
            if control.send(answer).await.is_err() {
                return "the writer has ended".to_owned();
            }
            continue;
        }
        if up.send(FromCloud::Message(Box::new(message))).await.is_err() {
            return "MetaManager has ended".to_owned();
        }
    }
}

/// A frame that is no message is the cloud's fault and no reason to lose the link.
fn decode(frame: &Bytes) -> Option<Message> {
    match proto::codec::decode(frame) {
        Ok(message) if message.is_empty() => None,
        Ok(message) => Some(message),
        Err(error) => {
            tracing::error!(%error, bytes = frame.len(), "unreadable message from CloudCore skipped");
            None
        }
    }
}

impl Writer {
    /// Writes messages and keepalives until the link breaks; gives the reason.
    async fn pump(
        &mut self,
        inbox: &mut HubInbox,
        answers: &mut mpsc::Receiver<Message>,
        arrivals: &watch::Receiver<Option<Instant>>,
        heartbeat: Duration,
    ) -> String {
        let mut beat = tokio::time::interval(heartbeat);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let sent = tokio::select! {
                _ = beat.tick() => {
                    if self.is_dead(*arrivals.borrow(), heartbeat * DEAD_AFTER_HEARTBEATS) {
                        return format!("nothing heard for {DEAD_AFTER_HEARTBEATS} heartbeats of {heartbeat:?}");
                    }
                    let keepalive = self.stamps.keepalive();
                    self.write(&keepalive).await
                }
                Some(answer) = answers.recv() => self.write(&answer).await,
                message = inbox.recv() => match message {
                    Some(message) => self.send(&message).await,
                    None => return "MetaManager has ended".to_owned(),
                },
            };
            if let Err(error) = sent {
                return error.to_string();
            }
        }
    }

    fn is_dead(&mut self, last_arrival: Option<Instant>, limit: Duration) -> bool {
        let Some(sent) = self.unanswered else { return false };
        if last_arrival.is_some_and(|arrival| arrival >= sent) {
            self.unanswered = None;
            return false;
        }
        sent.elapsed() >= limit
    }

    async fn send(&mut self, message: &Message) -> Result<(), LinkError> {
        if !message.is_ack() {
            let wait = self.throttle.take(Instant::now());
            if !wait.is_zero() {
                tokio::time::sleep(wait).await;
            }
            self.unanswered.get_or_insert_with(Instant::now);
        }
        self.write(message).await
    }

    async fn write(&mut self, message: &Message) -> Result<(), LinkError> {
        self.link.send(Frame::Text(proto::codec::encode(message))).await
    }

    /// Sends what is still coming, then closes the link. Errors end it early: what mattered is in the store.
    pub(super) async fn flush(mut self: Box<Self>, inbox: &mut HubInbox) {
        while let Some(message) = inbox.recv().await {
            if let Err(error) = self.write(&message).await {
                tracing::info!(%error, "link lost while shutting down");
                while inbox.recv().await.is_some() {}
                return;
            }
        }
        let goodbye = CloseReason { code: 1001, text: "EdgeCore is shutting down".into() };
        if let Err(error) = self.link.close(goodbye).await {
            tracing::debug!(%error, "link closed by the other side first");
        }
    }
}

impl Stamps {
    fn next(&self) -> Stamp {
        Stamp { id: self.rng.uuid().to_string(), timestamp: self.clock.now_ms() }
    }

    /// Stock form, spec cloud-and-wire 1.4.
    fn keepalive(&self) -> Message {
        let route = Route {
            source: Source::WebSocket,
            group: Group::Resource,
            operation: Operation::Keepalive,
            resource: Resource::Node,
        };
        Message::new(self.next(), route, Content::text("ping"))
    }
}
