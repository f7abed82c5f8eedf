//! Sends what the store holds for the cloud until the cloud has accepted it.
//!
//! States go side by side, one in flight per object, and those of devices beside all others ([`reports`]); the queue goes in order. Events leave it when it is known that they
//! have arrived, which a stock cloud does not say by itself; nothing waits for that. What the cloud refuses for good (the
//! pod is gone, another one has its name) is dropped; everything else is tried again with a back-off of its own, so
//! that one object that fails does not hold up the others.

mod claims;
mod devices;
mod reports;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use chassis::backoff::{Backoff, BackoffPolicy};
use chassis::rng::Rng;
use chassis::task::{self, until};
use futures::StreamExt as _;
use futures::stream;
use k8s_openapi::api::core::v1::{Event, Node, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{DeleteOptions, Preconditions};
use proto::{Content, Operation, Resource, ResourceKind};
use serde_json::json;
use serde_json::value::RawValue;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;

use self::reports::{Reports, is_report};
use super::Metrics;
use super::cloud::{CallError, Cloud, Posted, called, said_ok, taken};
use crate::store::{Change, QueueKind, Queued, State, Store, StoreError};

/// Patches in flight at once. Each is answered in a few milliseconds; more would only queue in the cloud.
const IN_FLIGHT: usize = 8;
/// Entries of the queue read at once.
const QUEUE_PAGE: usize = 64;
/// Version of a state that is not in the store; those in there begin with 1.
pub(super) const UNWRITTEN: i64 = 0;
/// First and longest wait before something that failed is tried again.
const RETRY: BackoffPolicy =
    BackoffPolicy { initial: Duration::from_secs(1), max: Duration::from_secs(60), factor: 2.0, jitter: 0.5 };

/// Says that there is something new to send; the outbox ends when every copy is gone.
#[derive(Debug, Clone)]
pub(super) struct Wake(Arc<watch::Sender<Vec<State>>>);

impl Wake {
    /// `unwritten` are states that a full disk keeps out of the store; each counts for more than the one in there.
    pub(super) fn wake(&self, unwritten: Vec<State>) {
        self.0.send_replace(unwritten);
    }
}

/// The two ends of the wake-up.
pub(super) fn wake() -> (Wake, watch::Receiver<Vec<State>>) {
    let (sender, receiver) = watch::channel(Vec::new());
    (Wake(Arc::new(sender)), receiver)
}

/// The sending loop.
#[derive(Debug)]
pub(super) struct Outbox {
    cloud: Arc<Cloud>,
    store: Store,
    woken: watch::Receiver<Vec<State>>,
    rng: Rng,
    /// Unwritten states that the cloud has accepted, by key.
    told: HashMap<String, State>,
    /// What failed lately, by key, and when it may go again. Bounded by what the store holds.
    retries: HashMap<String, Retry>,
    /// Reports about devices on their way.
    reports: Reports,
    /// Events on their way: at most a page of the queue.
    events: JoinSet<(i64, String, Attempt)>,
    /// Their ids and keys.
    on_their_way: HashMap<i64, String>,
    metrics: Metrics,
}

#[derive(Debug)]
struct Retry {
    backoff: Backoff,
    at: Instant,
}

/// What became of one attempt.
#[derive(Debug)]
enum Attempt {
    /// Accepted, or refused for good: nothing more to do about it.
    Done(Change),
    /// To be tried again.
    Again,
}

impl Outbox {
    pub(super) fn new(
        cloud: Arc<Cloud>,
        store: Store,
        woken: watch::Receiver<Vec<State>>,
        rng: Rng,
        metrics: Metrics,
    ) -> Self {
        Self {
            cloud,
            store,
            woken,
            rng,
            told: HashMap::new(),
            retries: HashMap::new(),
            reports: Reports::default(),
            events: JoinSet::new(),
            on_their_way: HashMap::new(),
            metrics,
        }
    }

    /// Ends when nobody can wake it any more.
    pub(super) async fn run(mut self) {
        let mut link = self.cloud.link();
        loop {
            self.woken.mark_unchanged();
            let is_up = *link.borrow_and_update();
            // Without a link there is nothing to try again: the next one tries everything.
            let next = if is_up { self.pass().await } else { None };
            self.count().await;
            tokio::select! {
                woken = self.woken.changed() => if woken.is_err() { return },
                changed = link.changed() => match changed {
                    Ok(()) => self.retries.clear(),
                    Err(_) => return,
                },
                Some(first) = self.events.join_next() => self.arrived(first).await,
                Some(done) = self.reports.arrived() => {
                    if let Err(error) = self.settle(done).await {
                        tracing::error!(%error, "what the cloud has been told of devices is told again");
                    }
                }
                () = until(next) => {}
            }
        }
    }

    /// Takes the event, and those that are done as well, out of the queue.
    async fn arrived(&mut self, first: Result<(i64, String, Attempt), JoinError>) {
        let mut next = Some(first);
        let mut done = Vec::new();
        while let Some(ended) = next {
            match ended {
                Ok((id, _, Attempt::Done(change))) => {
                    self.on_their_way.remove(&id);
                    done.push(change);
                }
                Ok((id, key, Attempt::Again)) => {
                    self.on_their_way.remove(&id);
                    self.put_off(key);
                }
                // Only a panic ends one early, and then nobody knows which: all go again.
                Err(error) => {
                    tracing::error!(%error, "an event was not sent");
                    self.events.abort_all();
                    self.on_their_way.clear();
                }
            }
            next = self.events.try_join_next();
        }
        if let Err(error) = self.store.apply(done).await {
            tracing::error!(%error, "events that have arrived stay in the store, and are sent again");
        }
    }

    /// Sends what is due, and says when there is more to do.
    async fn pass(&mut self) -> Option<Instant> {
        match self.flush().await {
            Ok(()) => {
                // What is on its way says itself when it has to go again.
                let sent: HashSet<&String> = self.on_their_way.values().collect();
                let waiting =
                    self.retries.iter().filter(|(key, _)| !sent.contains(key) && !self.reports.has(key));
                waiting.map(|(_, retry)| retry.at).min()
            }
            Err(error) => {
                tracing::error!(%error, "the outbox cannot be kept in the store");
                Some(Instant::now() + RETRY.max)
            }
        }
    }

    /// For operators: how much the cloud does not know yet.
    async fn count(&self) {
        match self.store.waiting().await {
            Ok(waiting) => self.metrics.waiting(waiting),
            Err(error) => tracing::error!(%error, "what waits for the cloud cannot be counted"),
        }
    }

    /// One pass over everything that is due.
    async fn flush(&mut self) -> Result<(), StoreError> {
        // In this order: of a pod whose removal is read here, the last status, which came before it, is read as well.
        let queue = self.store.queued(QUEUE_PAGE).await?;
        let states = self.with_unwritten(self.store.states().await?);
        let keys: HashSet<&str> = states
            .iter()
            .map(|state| state.key.as_str())
            .chain(queue.iter().map(|entry| entry.key.as_str()))
            .collect();
        self.retries.retain(|key, _| keys.contains(key.as_str()));
        self.send_states(states).await?;
        self.send_queue(queue).await
    }

    /// What the store holds, with what it could not take in its place.
    fn with_unwritten(&mut self, mut states: Vec<State>) -> Vec<State> {
        let unwritten = self.woken.borrow();
        let news = |key: &str| unwritten.iter().find(|state| state.key == key);
        states.retain(|state| news(&state.key).is_none());
        self.told.retain(|key, state| news(key) == Some(state));
        states.extend(unwritten.iter().filter(|state| !self.told.contains_key(&state.key)).cloned());
        states
    }

    async fn send_states(&mut self, states: Vec<State>) -> Result<(), StoreError> {
        let due = states.into_iter().filter(|state| self.is_due(&state.key));
        let (of_devices, due): (Vec<State>, Vec<State>) = due.partition(is_report);
        self.reports.send(of_devices, &self.cloud);
        let cloud = &self.cloud;
        let mut attempts = stream::iter(due)
            .map(|state| async move { (state.clone(), send_state(cloud, state).await) })
            .buffer_unordered(IN_FLIGHT);
        let mut done = Vec::new();
        while let Some(one) = attempts.next().await {
            done.push(one);
        }
        drop(attempts);
        self.settle(done).await
    }

    /// Notes what became of states.
    async fn settle(&mut self, done: Vec<(State, Attempt)>) -> Result<(), StoreError> {
        let mut cleared = Vec::new();
        for (state, attempt) in done {
            match attempt {
                Attempt::Again => self.put_off(state.key),
                Attempt::Done(change) => {
                    self.retries.remove(&state.key);
                    match state.version {
                        UNWRITTEN => drop(self.told.insert(state.key.clone(), state)),
                        _ => cleared.push(change),
                    }
                }
            }
        }
        self.store.apply(cleared).await.map(drop)
    }

    /// In order; the first that must be tried again ends the pass.
    async fn send_queue(&mut self, queue: Vec<Queued>) -> Result<(), StoreError> {
        let mut done = Vec::new();
        for entry in queue {
            if !self.is_due(&entry.key) || self.on_their_way.contains_key(&entry.id) {
                continue;
            }
            let Queued { id, kind, key, value } = entry;
            let resource = Resource::from(key.as_str());
            let taken = match kind {
                QueueKind::PodGone => delete_pod(&self.cloud, resource, &value).await,
                QueueKind::Event => match post_event(&self.cloud, resource, value).await {
                    Ok(posted) => {
                        self.follow(id, key, posted);
                        continue;
                    }
                    Err(error) => Err(error),
                },
            };
            match finish(&key, taken, Change::Dequeue(id)) {
                Attempt::Done(change) => done.push(change),
                Attempt::Again => self.put_off(key),
            }
        }
        self.store.apply(done).await.map(drop)
    }

    /// Waits, beside everything else, for an event to arrive.
    fn follow(&mut self, id: i64, key: String, posted: Posted) {
        let cloud = Arc::clone(&self.cloud);
        self.on_their_way.insert(id, key.clone());
        task::spawn_in(&mut self.events, tracing::Span::current(), async move {
            let arrival = cloud.arrival(posted).await;
            let attempt = match arrival.and_then(|answer| taken(answer.as_ref())) {
                // An event is about what is another node's by now, or its namespace is going: it always will be.
                Err(error) if error.has_reason("Forbidden") => {
                    tracing::info!(key, %error, "dropped");
                    Attempt::Done(Change::Dequeue(id))
                }
                taken => finish(&key, taken, Change::Dequeue(id)),
            };
            (id, key, attempt)
        });
    }

    fn is_due(&self, key: &str) -> bool {
        self.retries.get(key).is_none_or(|retry| Instant::now() >= retry.at)
    }

    fn put_off(&mut self, key: String) {
        let rng = self.rng.clone();
        let retry = self
            .retries
            .entry(key)
            .or_insert_with(|| Retry { backoff: Backoff::new(RETRY, rng), at: Instant::now() });
        retry.at = Instant::now() + retry.backoff.next_delay();
    }
}

/// One status patch.
async fn send_state(cloud: &Cloud, state: State) -> Attempt {
    let State { key, uid, version, value } = state;
    let resource = Resource::from(key.as_str());
    if resource.kind() == Some(&ResourceKind::PersistentVolumeClaim) {
        let done = Change::ClearState { key: key.clone(), uid, version };
        return finish(&key, claims::report(cloud, resource, &value).await, done);
    }
    // Stock takes the patch as a string (spec cloud-and-wire 3.4, 3.6).
    let content = Content::Text(String::from_utf8_lossy(&value).into_owned());
    let is_pod = resource.kind() == Some(&ResourceKind::PodPatch);
    let accepted = match cloud.call(Operation::Patch, resource, content).await {
        Ok(answer) if is_pod => called::<Pod>(&answer).map(drop),
        Ok(answer) => called::<Node>(&answer).map(drop),
        Err(error) => Err(error),
    };
    let done = match accepted {
        Ok(()) => Change::AcceptState { key: key.clone(), uid, version },
        Err(_) => Change::ClearState { key: key.clone(), uid, version },
    };
    finish(&key, accepted, done)
}

/// Asks for the API object to go, if it is still this incarnation (spec cloud-and-wire 3.7).
async fn delete_pod(cloud: &Cloud, resource: Resource, uid: &[u8]) -> Result<(), CallError> {
    let uid = String::from_utf8_lossy(uid).into_owned();
    let options = DeleteOptions {
        grace_period_seconds: Some(0),
        preconditions: Some(Preconditions { uid: Some(uid), ..Preconditions::default() }),
        ..DeleteOptions::default()
    };
    let content = Content::object(&options).map_err(|error| CallError::Unreadable(error.to_string()))?;
    said_ok(&cloud.call(Operation::Delete, resource, content).await?)
}

async fn post_event(cloud: &Cloud, resource: Resource, value: Vec<u8>) -> Result<Posted, CallError> {
    match event_request(&value) {
        Ok((operation, content)) => cloud.post(cloud.request(operation, resource, content)).await,
        Err(error) => Err(CallError::Refused { reason: "Invalid".into(), message: error.to_string() }),
    }
}

/// The first of its kind is made; of those that repeat it only how many there are and when the last one was is told
/// (spec cloud-and-wire 3.10). Our cloud makes one anew that has expired meanwhile.
fn event_request(value: &[u8]) -> serde_json::Result<(Operation, Content)> {
    let raw: &RawValue = serde_json::from_slice(value)?;
    let event: Event = proto::json::read(raw.get())?;
    if event.count.is_none_or(|count| count <= 1) {
        return Ok((Operation::Insert, Content::object(raw)?));
    }
    let patch =
        json!({"count": event.count, "lastTimestamp": event.last_timestamp, "message": event.message});
    let content = Content::object(&json!({"event": raw, "patchData": patch.to_string()}))?;
    Ok((Operation::Patch, content))
}

fn finish(key: &str, accepted: Result<(), CallError>, done: Change) -> Attempt {
    match accepted {
        Ok(()) => Attempt::Done(done),
        Err(error) if error.is_final() => {
            tracing::info!(key, %error, "refused for good: dropped");
            Attempt::Done(done)
        }
        Err(CallError::Offline | CallError::Lost) => Attempt::Again,
        Err(error) => {
            tracing::warn!(key, %error, "not accepted yet");
            Attempt::Again
        }
    }
}
