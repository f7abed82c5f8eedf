//! Sends users' messages to the cloud, in order, until they have arrived.
//!
//! A native cloud answers each. A stock one answers none: they have arrived when something is answered that was sent after them, and
//! so that this does not take until the next lease, something is asked after each handful.
//! A message keeps its id however often it is sent: whoever must not take it twice goes by that.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use chassis::backoff::{Backoff, BackoffPolicy};
use chassis::rng::Rng;
use chassis::task::{self, until};
use proto::{Content, Group, Message, Operation, Resource, ResourceKind, Route, Source, Stamp};
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;

use super::Metrics;
use super::cloud::{CallError, Cloud, taken};
use crate::store::{Change, Store, Upload, WaitingUpload};

/// Messages on their way at once. They share the link's queue (128) and its rate with leases and statuses.
const WINDOW: usize = 32;
/// Their bytes, about: a large one goes alone.
const WINDOW_BYTES: usize = 1 << 20;
/// First and longest wait before what failed is tried again.
const RETRY: BackoffPolicy =
    BackoffPolicy { initial: Duration::from_secs(1), max: Duration::from_secs(60), factor: 2.0, jitter: 0.5 };

/// Says that there is something new to send; the loop ends when every copy is gone.
#[derive(Debug, Clone)]
pub(super) struct UploadWake(Arc<watch::Sender<()>>);

impl UploadWake {
    pub(super) fn wake(&self) {
        self.0.send_replace(());
    }
}

/// The two ends of the wake-up.
pub(super) fn wake() -> (UploadWake, watch::Receiver<()>) {
    let (sender, receiver) = watch::channel(());
    (UploadWake(Arc::new(sender)), receiver)
}

/// The sending loop.
#[derive(Debug)]
pub(super) struct Uploads {
    cloud: Arc<Cloud>,
    store: Store,
    woken: watch::Receiver<()>,
    /// Name of this node.
    node: String,
    metrics: Metrics,
    backoff: Backoff,
    /// Everything up to this row was sent on this link.
    sent: i64,
    /// Rows that are on their way: at most [`WINDOW`].
    on_their_way: BTreeSet<i64>,
    /// The first that has to go again, and when.
    again: Option<(i64, Instant)>,
    is_asking: bool,
    tasks: JoinSet<Ended>,
}

#[derive(Debug)]
enum Ended {
    /// What was asked for the sake of the messages before it.
    Asked,
    /// A message, and what became of it.
    Sent(i64, Result<(), CallError>),
}

impl Uploads {
    pub(super) fn new(
        cloud: Arc<Cloud>,
        store: Store,
        woken: watch::Receiver<()>,
        node: String,
        rng: Rng,
        metrics: Metrics,
    ) -> Self {
        Self {
            cloud,
            store,
            woken,
            node,
            metrics,
            backoff: Backoff::new(RETRY, rng),
            sent: 0,
            on_their_way: BTreeSet::new(),
            again: None,
            is_asking: false,
            tasks: JoinSet::new(),
        }
    }

    /// Ends when nobody can wake it any more.
    pub(super) async fn run(mut self) {
        let mut link = self.cloud.link();
        loop {
            self.woken.mark_unchanged();
            if *link.borrow_and_update() {
                self.fill().await;
            }
            self.count().await;
            let again = self.again.map(|(_, at)| at);
            tokio::select! {
                woken = self.woken.changed() => if woken.is_err() { return },
                changed = link.changed() => match changed {
                    Ok(()) => self.begin_anew(),
                    Err(_) => return,
                },
                Some(first) = self.tasks.join_next() => self.settle(first).await,
                () = until(again) => self.go_back(),
            }
        }
    }

    /// Nothing of what was sent on the old link will be heard of.
    fn begin_anew(&mut self) {
        self.tasks.abort_all();
        while self.tasks.try_join_next().is_some() {}
        self.tasks = JoinSet::new();
        self.on_their_way.clear();
        (self.sent, self.again, self.is_asking) = (0, None, false);
        self.backoff.reset();
    }

    /// What failed is sent again, and with it, in order, what came after it and has not arrived.
    fn go_back(&mut self) {
        if let Some((row, _)) = self.again.take() {
            self.sent = row - 1;
        }
    }

    /// Sends as many as may be on their way.
    async fn fill(&mut self) {
        let room = WINDOW.saturating_sub(self.on_their_way.len());
        if room == 0 || self.again.is_some() {
            return;
        }
        let due = match self.store.uploads(self.sent, room, WINDOW_BYTES).await {
            Ok(due) => due,
            Err(error) => {
                tracing::error!(%error, "users' messages cannot be read");
                self.put_off(self.sent + 1);
                return;
            }
        };
        let mut is_news = false;
        for WaitingUpload { row, upload } in due {
            self.sent = row;
            if self.on_their_way.contains(&row) {
                continue;
            }
            match self.cloud.post(message(upload)).await {
                Ok(posted) => {
                    let cloud = Arc::clone(&self.cloud);
                    self.on_their_way.insert(row);
                    is_news = true;
                    task::spawn_in(&mut self.tasks, tracing::Span::current(), async move {
                        let arrival = cloud.arrival(posted).await;
                        Ended::Sent(row, arrival.and_then(|answer| taken(answer.as_ref())))
                    });
                }
                // The link is gone: the next one begins anew.
                Err(_) => return,
            }
        }
        if is_news && !self.cloud.is_native() {
            self.ask();
        }
    }

    /// Something that a stock cloud answers, and that costs it little.
    fn ask(&mut self) {
        if std::mem::replace(&mut self.is_asking, true) {
            return;
        }
        let cloud = Arc::clone(&self.cloud);
        let node = Resource::object(None, ResourceKind::Node, &self.node);
        task::spawn_in(&mut self.tasks, tracing::Span::current(), async move {
            if let Err(error) = cloud.call(Operation::Query, node, Content::Null).await {
                tracing::debug!(%error, "whether users' messages have arrived is not known yet");
            }
            Ended::Asked
        });
    }

    /// Takes those that have arrived out of the store.
    async fn settle(&mut self, first: Result<Ended, JoinError>) {
        let mut next = Some(first);
        let mut done = Vec::new();
        let mut has_asked = false;
        while let Some(ended) = next {
            match ended {
                Ok(Ended::Asked) => has_asked = true,
                Ok(Ended::Sent(row, outcome)) => {
                    self.on_their_way.remove(&row);
                    if self.is_done(row, outcome) {
                        done.push(Change::DropUpload(row));
                    }
                }
                // Only a panic ends one early.
                Err(error) => {
                    tracing::error!(%error, "a user's message was not sent");
                    self.begin_anew();
                }
            }
            next = self.tasks.try_join_next();
        }
        if let Err(error) = self.store.apply(done).await {
            tracing::error!(%error, "users' messages that have arrived stay in the store, and are sent again");
        }
        if has_asked {
            self.is_asking = false;
            if !self.on_their_way.is_empty() {
                self.ask();
            }
        }
    }

    /// Whether there is nothing more to do about a message.
    fn is_done(&mut self, row: i64, outcome: Result<(), CallError>) -> bool {
        match outcome {
            Ok(()) => {
                self.metrics.upload("arrived", 1);
                self.backoff.reset();
                true
            }
            Err(error) if error.is_final() || error.has_reason("Forbidden") => {
                self.metrics.upload("refused", 1);
                tracing::info!(%error, "the cloud refuses a user's message for good: dropped");
                true
            }
            Err(error) => {
                if !matches!(error, CallError::Offline | CallError::Lost) {
                    tracing::warn!(%error, "a user's message has not arrived yet");
                }
                self.put_off(row);
                false
            }
        }
    }

    fn put_off(&mut self, row: i64) {
        let at = match self.again {
            Some((_, at)) => at,
            None => Instant::now() + self.backoff.next_delay(),
        };
        let first = self.again.map_or(row, |(first, _)| first.min(row));
        self.again = Some((first, at));
    }

    async fn count(&self) {
        match self.store.uploads_waiting().await {
            Ok(waiting) => self.metrics.uploads_waiting(waiting),
            Err(error) => tracing::error!(%error, "users' messages cannot be counted"),
        }
    }
}

/// As stock says it (spec cloud-and-wire 6.3): what is no text is mangled there as well.
pub(super) fn message(upload: Upload) -> Message {
    let Upload { id, topic, payload, timestamp, .. } = upload;
    let route = Route {
        source: Source::Bus,
        group: Group::User,
        operation: Operation::Upload,
        resource: Resource::Topic(topic),
    };
    let text = match String::from_utf8(payload) {
        Ok(text) => text,
        Err(other) => String::from_utf8_lossy(other.as_bytes()).into_owned(),
    };
    Message::new(Stamp { id, timestamp }, route, Content::Text(text))
}
