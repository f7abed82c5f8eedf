//! The sending half of a session. What is urgent goes first; where the transport has lanes, a lane that is stuck
//! stops no other.

use std::sync::atomic::{AtomicU64, Ordering};

use chassis::channel::Receiver;
use chassis::link::{Dialect, Frame, LinkSender, SideLanes};
use chassis::task::until;
use proto::codec::binary::{self, Frame as Native, Push};
use proto::{Group, Lane, Message, Operation, Resource, Route, Stamp, codec};
use tokio::sync::{Notify, mpsc, watch};

use super::pending::Pending;
use super::session::{End, Until};
use super::traffic::{self, Traffic};
use super::{Config, Environment, REPLIES};
use crate::flow::{Change, OutboxReader, Transmission};

/// What all streams of a session share.
pub(super) struct Writing<'a> {
    pub(super) outbox: &'a OutboxReader,
    pub(super) traffic: &'a Traffic,
    pub(super) config: &'a Config,
    pub(super) environment: &'a Environment,
    pub(super) dialect: Dialect,
    /// A native keepalive waits for its answer.
    pub(super) echo: &'a Notify,
    pub(super) pending: &'a Pending,
    /// Pushes so far: the next one's number on a native link.
    pub(super) pushes: AtomicU64,
}

/// One stream, and what it carries.
struct Stream<'a, 'w, R> {
    writing: &'w Writing<'a>,
    tx: &'w mut LinkSender,
    lanes: &'static [Lane],
    replies: R,
    /// Where answers go that are too large for this stream.
    large: Option<mpsc::Sender<Message>>,
}

/// Where a stream's answers come from.
trait Answers {
    /// The next one, if it is there.
    fn try_next(&mut self) -> Option<Message>;
    /// The next one; `None` when there will be no more.
    async fn next(&mut self) -> Option<Message>;
}

/// A stream that carries no answers.
struct NoAnswers;

// === impl Writing ===

impl Writing<'_> {
    pub(super) async fn run(
        &self,
        tx: &mut LinkSender,
        side: Option<&mut SideLanes>,
        replies: &mut Receiver<Message>,
    ) -> Until {
        let Some(side) = side else {
            return Stream { writing: self, tx, lanes: &Lane::ALL, replies, large: None }.run().await;
        };
        // Boxed: it is three times the size of what sessions on one stream need.
        Box::pin(self.run_lanes(tx, side, replies)).await
    }

    async fn run_lanes(
        &self,
        tx: &mut LinkSender,
        side: &mut SideLanes,
        replies: &mut Receiver<Message>,
    ) -> Until {
        let (large, larges) = mpsc::channel(REPLIES);
        let control = Stream { writing: self, tx, lanes: &[Lane::Control], replies, large: Some(large) };
        let state = Stream {
            writing: self,
            tx: &mut side.state,
            lanes: &[Lane::State],
            replies: NoAnswers,
            large: None,
        };
        let bulk =
            Stream { writing: self, tx: &mut side.bulk, lanes: &[Lane::Bulk], replies: larges, large: None };
        tokio::select! {
            end = control.run() => end,
            end = state.run() => end,
            end = bulk.run() => end,
        }
    }

    fn push_frame(&self, Transmission { id, change, .. }: &Transmission) -> Frame {
        match self.dialect {
            Dialect::Stock => {
                let message = to_message(id.clone(), self.environment.clock.now_ms(), change);
                Frame::Text(codec::encode(&message))
            }
            Dialect::Native => {
                let object = (change.operation != Operation::Delete).then(|| change.content.clone());
                let push = Push {
                    // Our own number comes back as it was given out.
                    seq: id.parse().unwrap_or_default(),
                    path: change.path.clone(),
                    uid: change.uid.clone(),
                    version: change.resource_version.clone(),
                    digest: change.digest,
                    object,
                };
                Frame::Binary(binary::encode(&Native::Push(Box::new(push))))
            }
        }
    }

    fn message_frame(&self, message: Message) -> Frame {
        match self.dialect {
            Dialect::Stock => Frame::Text(codec::encode(&message)),
            Dialect::Native => Frame::Binary(binary::encode(&Native::Message(Box::new(message)))),
        }
    }

    /// The id of a push: a number where the edge acknowledges by number.
    fn new_id(&self) -> String {
        match self.dialect {
            Dialect::Stock => self.environment.rng.uuid().to_string(),
            Dialect::Native => (self.pushes.fetch_add(1, Ordering::Relaxed) + 1).to_string(),
        }
    }
}

// === impl Stream ===

impl<R: Answers> Stream<'_, '_, R> {
    async fn run(mut self) -> Until {
        let mut news = self.writing.outbox.news();
        loop {
            news.mark_unchanged();
            // Answers first: the node waits for them. Each round sends one of either, so that neither starves. Boxed is what
            // takes room only while there is something to do, and nothing else is held while it waits.
            let mut is_idle = true;
            if let Some(reply) = self.replies.try_next() {
                is_idle = false;
                Box::pin(self.answer(reply)).await?;
            }
            if let Some(push) = self.writing.outbox.next(self.lanes, || self.writing.new_id()) {
                is_idle = false;
                Box::pin(self.push(push)).await?;
            }
            if self.writing.outbox.is_node_deleted() {
                return Err(End::NodeDeleted);
            }
            if is_idle && let Some(reply) = self.wait(&mut news).await? {
                Box::pin(self.answer(reply)).await?;
            }
        }
    }

    async fn push(&mut self, push: Transmission) -> Result<(), End> {
        let frame = self.writing.push_frame(&push);
        self.writing.environment.metrics.sent(push.again);
        self.send(frame, traffic::of_kind(&push.change.path.kind)).await
    }

    /// Until there may be something to send; gives it, if it is an answer.
    async fn wait(&mut self, news: &mut watch::Receiver<()>) -> Result<Option<Message>, End> {
        let outbox = self.writing.outbox;
        let echoes = self.lanes.contains(&Lane::Control);
        tokio::select! {
            () = self.writing.echo.notified(), if echoes => {}
            reply = self.replies.next() => return reply.map(Some).ok_or(End::ShuttingDown),
            // The outbox holds the other end, and this stream the outbox.
            _ = news.changed() => return Ok(None),
            () = until(outbox.deadline()) => return Ok(None),
        }
        let frame = Frame::Binary(binary::encode(&Native::Keepalive));
        self.writing.environment.metrics.sent(false);
        Box::pin(self.send(frame, traffic::KEEPALIVE)).await.map(|()| None)
    }

    async fn answer(&mut self, reply: Message) -> Result<(), End> {
        if let Some(large) = &self.large
            && Lane::of(&reply) == Lane::Bulk
        {
            return large.send(reply).await.map_err(|_| End::ShuttingDown);
        }
        let is_answer = reply.header.parent_id.is_some();
        let frame = self.writing.message_frame(reply);
        self.writing.environment.metrics.sent(false);
        self.send(frame, traffic::ANSWER).await?;
        self.writing.pending.sent(is_answer);
        Ok(())
    }

    async fn send(&mut self, frame: Frame, what: &'static str) -> Result<(), End> {
        let limit = self.writing.config.write_timeout;
        let bytes = frame.data().len();
        let sent = tokio::time::timeout(limit, self.tx.send(frame)).await;
        sent.map_err(|_| End::Stuck { limit })?.map_err(End::Lost)?;
        self.writing.traffic.sent(what, bytes, &self.writing.environment.metrics);
        Ok(())
    }
}

// === impl Answers ===

impl Answers for &mut Receiver<Message> {
    fn try_next(&mut self) -> Option<Message> {
        self.try_recv()
    }

    async fn next(&mut self) -> Option<Message> {
        self.recv().await
    }
}

impl Answers for mpsc::Receiver<Message> {
    fn try_next(&mut self) -> Option<Message> {
        self.try_recv().ok()
    }

    async fn next(&mut self) -> Option<Message> {
        self.recv().await
    }
}

impl Answers for NoAnswers {
    fn try_next(&mut self) -> Option<Message> {
        None
    }

    async fn next(&mut self) -> Option<Message> {
        std::future::pending().await
    }
}

fn to_message(id: String, timestamp: i64, change: &Change) -> Message {
    let route = Route {
        source: change.source.clone(),
        group: Group::Resource,
        operation: change.operation.clone(),
        resource: Resource::Object(change.path.clone()),
    };
    Message::new(Stamp { id, timestamp }, route, change.content.clone())
        .with_resource_version(Some(change.resource_version.clone()))
}
