//! One link, from connected to broken.

use std::time::Duration;

use chassis::channel::Sender;
use chassis::clock::Clock;
use chassis::link::{
    CloseReason, Dialect, Frame, Link, LinkError, LinkReceiver, LinkSender, Pulse, SideLanes,
};
use chassis::rng::Rng;
use chassis::shutdown::Shutdown;
use chassis::task::until;
use proto::codec::binary::{self, Frame as Native};
use proto::{Content, Group, Lane, Message, Operation, Resource, ResourceKind, Route, Source, Stamp};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior};

use super::greeting::greet;
use super::throttle::Throttle;
use super::{Config, DEAD_AFTER_HEARTBEATS};
use crate::flow::{FromCloud, HubInbox, ToCloud};

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
        /// Whether the cloud has said that it ends.
        ends: bool,
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

/// What the reader needs.
struct Reader<'a> {
    up: &'a Sender<FromCloud>,
    arrived: &'a watch::Sender<Option<Instant>>,
    control: &'a mpsc::Sender<Message>,
    stamps: &'a Stamps,
    dialect: Dialect,
}

/// The writing half of the link.
pub(super) struct Writer {
    link: LinkSender,
    side: Option<SideLanes>,
    dialect: Dialect,
    throttle: Throttle,
    stamps: Stamps,
    /// When the link began: until something arrives, silence counts from here.
    since: Instant,
    /// When something arrived last.
    arrivals: watch::Receiver<Option<Instant>>,
    /// When a part of something arrived last, or a sign of life, where the transport tells.
    pulse: Option<Pulse>,
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
        mut link: Link,
        inbox: &mut HubInbox,
        up: &Sender<FromCloud>,
        shutdown: &Shutdown,
    ) -> Ended {
        let greeted = tokio::select! {
            greeted = greet(&mut link, up, self.clock) => greeted,
            () = shutdown.requested() => Ok(Vec::new()),
        };
        let early = match greeted {
            Ok(early) => early,
            Err(reason) => {
                return Ended::Broken { reason, lived: false, ends: link.rx.is_going_away() };
            }
        };
        let stamps = Stamps { clock: self.clock.clone(), rng: self.rng.clone() };
        let (arrived, arrivals) = watch::channel(None);
        let (control, mut answers) = mpsc::channel(CONTROL_ANSWERS);
        let dialect = link.peer.dialect;
        let mut writer = Writer {
            link: link.tx,
            side: link.side,
            dialect,
            throttle: self.throttle,
            stamps: stamps.clone(),
            since: Instant::now(),
            arrivals,
            pulse: link.rx.pulse(),
            unanswered: None,
        };
        let reader = Reader { up, arrived: &arrived, control: &control, stamps: &stamps, dialect };
        let reason = tokio::select! {
            biased;
            () = shutdown.requested() => return Ended::Stopping(Box::new(writer)),
            reason = reader.run(&mut link.rx, early) => reason,
            error = writer.pump(inbox, &mut answers, self.heartbeat) => error,
        };
        let lived = arrived.borrow().is_some();
        Ended::Broken { reason, lived, ends: link.rx.is_going_away() }
    }
}

// === impl Reader ===

impl Reader<'_> {
    /// Reads until the link ends; gives the reason.
    async fn run(&self, link: &mut LinkReceiver, early: Vec<Frame>) -> String {
        for frame in early {
            if let Err(reason) = self.take(&frame).await {
                return reason;
            }
        }
        loop {
            let frame = match link.recv().await {
                Ok(Some(frame)) => frame,
                Ok(None) => return "closed by CloudCore".to_owned(),
                Err(error) => return error.explained(),
            };
            self.arrived.send_replace(Some(Instant::now()));
            if let Err(reason) = self.take(&frame).await {
                return reason;
            }
        }
    }

    async fn take(&self, frame: &Frame) -> Result<(), String> {
        match self.dialect {
            Dialect::Stock => match decode(frame.data()) {
                Some(message) => self.take_message(message).await,
                None => Ok(()),
            },
            // A native cloud that cannot be understood is worth a new start: it then says again what it has to say.
            Dialect::Native => match binary::decode(frame.data()).map_err(|error| error.to_string())? {
                Native::Message(message) => self.take_message(*message).await,
                Native::Push(push) => self.hand_up(FromCloud::Push(push)).await,
                Native::Keepalive | Native::Welcome(_) => Ok(()),
                Native::Hello(_) | Native::Acks(_) => Err("CloudCore spoke as an edge does".to_owned()),
            },
        }
    }

    async fn take_message(&self, message: Message) -> Result<(), String> {
        // Control messages are answered here and go no further (spec cloud-and-wire 1.4).
        if matches!(message.route.operation, Operation::Config | Operation::Ping | Operation::Pong) {
            let answer = message.reply(self.stamps.next(), Content::text("ack"));
            return self.control.send(answer).await.map_err(|_| "the writer has ended".to_owned());
        }
        self.hand_up(FromCloud::Message(Box::new(message))).await
    }

    async fn hand_up(&self, event: FromCloud) -> Result<(), String> {
        self.up.send(event).await.map_err(|_| "MetaManager has ended".to_owned())
    }
}

/// A frame that is no message is a stock cloud's fault and no reason to lose the link.
fn decode(frame: &[u8]) -> Option<Message> {
    match proto::codec::decode(frame) {
        Ok(message) if message.is_empty() => None,
        Ok(message) => Some(message),
        Err(error) => {
            tracing::error!(%error, bytes = frame.len(), "unreadable message from CloudCore skipped");
            None
        }
    }
}

// === impl Writer ===

impl Writer {
    /// Writes messages and keepalives until the link breaks; gives the reason.
    async fn pump(
        &mut self,
        inbox: &mut HubInbox,
        answers: &mut mpsc::Receiver<Message>,
        heartbeat: Duration,
    ) -> String {
        let mut beat = tokio::time::interval(heartbeat);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let silent_at = self.silent_at(heartbeat);
            let sent = tokio::select! {
                _ = beat.tick() => self.keepalive().await,
                () = until(silent_at) => {
                    // The arrival that proves the opposite may have come since.
                    if self.silent_at(heartbeat).is_none_or(|at| at > Instant::now()) {
                        continue;
                    }
                    return format!("nothing heard for {DEAD_AFTER_HEARTBEATS} heartbeats of {heartbeat:?}");
                }
                Some(answer) = answers.recv() => self.write_message(answer).await,
                what = inbox.recv() => match what {
                    Some(what) => {
                        let Some(what) = what.wanted() else { continue };
                        if self.stands_for_keepalive(&what) {
                            beat.reset();
                        }
                        self.send(what).await
                    }
                    None => return "MetaManager has ended".to_owned(),
                },
            };
            if let Err(error) = sent {
                return error.to_string();
            }
        }
    }

    /// Whether a keepalive would say nothing that this does not say: the cloud takes any frame for a sign of life, and answers
    /// a lease as it answers a keepalive. A stock cloud takes keepalives only.
    fn stands_for_keepalive(&self, what: &ToCloud) -> bool {
        let ToCloud::Message(message) = what else { return false };
        self.dialect == Dialect::Native && message.route.resource.kind() == Some(&ResourceKind::Lease)
    }

    /// When the link counts as dead, if nothing arrives until then: not while nothing was asked, and not before
    /// what was asked had time for an answer.
    fn silent_at(&mut self, heartbeat: Duration) -> Option<Instant> {
        self.note_arrivals();
        let sent = self.unanswered?;
        let heard = self.heard().unwrap_or(self.since);
        let patience = heartbeat * DEAD_AFTER_HEARTBEATS;
        Some((heard + patience).max(sent + patience - heartbeat))
    }

    /// When the last sign of life came.
    fn heard(&self) -> Option<Instant> {
        let arrived = *self.arrivals.borrow();
        // A pulse begins with the connection: what came before the session proves nothing.
        let felt = self.pulse.as_ref().map(Pulse::last).filter(|felt| *felt > self.since);
        arrived.max(felt)
    }

    /// Whatever arrives after a question proves that somebody is there.
    fn note_arrivals(&mut self) {
        let arrived = self.heard();
        self.unanswered.take_if(|sent| arrived.is_some_and(|arrived| arrived >= *sent));
    }

    /// Something goes out that will be answered.
    fn ask(&mut self) {
        self.note_arrivals();
        self.unanswered.get_or_insert_with(Instant::now);
    }

    async fn send(&mut self, what: ToCloud) -> Result<(), LinkError> {
        if let ToCloud::Message(message) = &what
            && !message.is_ack()
        {
            let wait = self.throttle.take(Instant::now());
            if !wait.is_zero() {
                tokio::time::sleep(wait).await;
            }
            self.ask();
        }
        self.pass_on(what).await
    }

    async fn pass_on(&mut self, what: ToCloud) -> Result<(), LinkError> {
        match what {
            ToCloud::Message(message) | ToCloud::Asked(message, _) => self.write_message(*message).await,
            ToCloud::Acks(acks) => self.write(&Native::Acks(acks)).await,
        }
    }

    /// The cloud answers a native one, never a stock one (spec cloud-and-wire 1.4): there the transport is asked, so
    /// that a half-open link is noticed while there is nothing else to ask.
    async fn keepalive(&mut self) -> Result<(), LinkError> {
        match self.dialect {
            Dialect::Stock => {
                let keepalive = self.stamps.keepalive();
                self.write_message(keepalive).await?;
                if self.pulse.is_some() {
                    self.ask();
                    self.link.probe().await?;
                }
                Ok(())
            }
            Dialect::Native => {
                self.ask();
                self.write(&Native::Keepalive).await
            }
        }
    }

    async fn write_message(&mut self, message: Message) -> Result<(), LinkError> {
        match self.dialect {
            Dialect::Stock => self.link.send(Frame::Text(proto::codec::encode(&message))).await,
            Dialect::Native => self.write(&Native::Message(Box::new(message))).await,
        }
    }

    async fn write(&mut self, frame: &Native) -> Result<(), LinkError> {
        let link = match (frame.lane(), &mut self.side) {
            (Lane::State, Some(side)) => &mut side.state,
            (Lane::Bulk, Some(side)) => &mut side.bulk,
            _ => &mut self.link,
        };
        link.send(Frame::Binary(binary::encode(frame))).await
    }

    /// Sends what is still coming, then closes the link. Errors end it early: what mattered is in the store.
    pub(super) async fn flush(mut self: Box<Self>, inbox: &mut HubInbox) {
        while let Some(what) = inbox.recv().await {
            let Some(what) = what.wanted() else { continue };
            if let Err(error) = self.pass_on(what).await {
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
