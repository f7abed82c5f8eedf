//! Asking the cloud: requests, answers by parent id, and whether there is a link.
//!
//! Stock clouds do not answer everything. What they do not answer has arrived when something that was sent after it is
//! answered, because a stock link keeps the order ([`Cloud::post`]).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chassis::channel::Sender;
use chassis::clock::Clock;
use chassis::rng::Rng;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Status;
use proto::codec::binary::Acks;
use proto::reply::{ObjectResp, QueryFailure, ReplyError};
use proto::{Content, Group, Message, Operation, Resource, Route, Source, Stamp};
use serde::de::DeserializeOwned;
use tokio::sync::{oneshot, watch};

use super::Config;
use crate::flow::{MetaError, ToCloud};

/// A link that is just being made is worth this much waiting before a question is given up as offline.
const LINK_GRACE: Duration = Duration::from_secs(2);

/// Why a call has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum CallError {
    /// No link: it was not sent. For what may be sent again, also that the link broke before it was answered.
    #[error("no connection to CloudCore")]
    Offline,
    /// It was sent, and the link broke before the answer came.
    #[error("the connection to CloudCore broke before it answered")]
    Lost,
    /// The cloud did not answer in time.
    #[error("CloudCore did not answer within {0:?}")]
    Timeout(Duration),
    /// The cloud answered that it failed.
    #[error("{reason}: {message}")]
    Refused {
        /// `metav1.Status.reason`, or `Unknown`.
        reason: String,
        /// For people.
        message: String,
    },
    /// The answer cannot be read.
    #[error("unreadable answer: {0}")]
    Unreadable(String),
}

/// The way to the cloud, shared by both loops.
#[derive(Debug)]
pub(super) struct Cloud {
    to_hub: Sender<ToCloud>,
    /// Leaf data, never locked across an await; bounded by the requests in flight.
    asked: Mutex<Asked>,
    /// Number of the newest message of which it is known that it arrived.
    arrived: watch::Sender<u64>,
    connected: watch::Sender<bool>,
    clock: Clock,
    rng: Rng,
    timeout: Duration,
}

/// What went to the cloud.
#[derive(Debug, Default)]
struct Asked {
    /// Messages so far, answered or not.
    sent: u64,
    /// Whether every message is answered, and the order is not kept: a native link.
    answers_all: bool,
    /// Who waits for which answer.
    waiting: HashMap<String, Waiter>,
}

#[derive(Debug)]
struct Waiter {
    number: u64,
    answer: oneshot::Sender<Box<Message>>,
    /// As long as this is there, the message is to be sent.
    _wanted: Arc<()>,
}

/// A message that is on its way.
#[derive(Debug)]
pub(super) struct Posted {
    id: String,
    answer: oneshot::Receiver<Box<Message>>,
    /// Its number, and how far it is known that messages arrived; none where only an answer counts.
    in_order: Option<(u64, watch::Receiver<u64>)>,
}

impl Cloud {
    pub(super) fn new(config: &Config, to_hub: Sender<ToCloud>, clock: Clock, rng: Rng) -> Self {
        let (connected, _) = watch::channel(false);
        let (arrived, _) = watch::channel(0);
        Self {
            to_hub,
            asked: Mutex::default(),
            arrived,
            connected,
            clock,
            rng,
            timeout: config.query_timeout,
        }
    }

    /// Follows the link: `true` while there is one.
    pub(super) fn link(&self) -> watch::Receiver<bool> {
        self.connected.subscribe()
    }

    pub(super) fn is_connected(&self) -> bool {
        *self.connected.borrow()
    }

    /// Whether the cloud sends by itself what the node should have, and takes away what it should not: a native link.
    pub(super) fn is_native(&self) -> bool {
        self.asked().answers_all
    }

    /// `is_native`: the cloud answers everything.
    pub(super) fn connected(&self, is_native: bool) {
        self.asked().answers_all = is_native;
        self.connected.send_replace(true);
    }

    /// Nobody will answer what was asked on the old link.
    pub(super) fn disconnected(&self) {
        self.connected.send_replace(false);
        self.asked().waiting.clear();
    }

    /// Hands an answer to whoever waits for it; gives it back when nobody does.
    pub(super) fn answered(&self, message: Box<Message>) -> Result<(), Box<Message>> {
        let waiter = message.header.parent_id.as_deref().and_then(|id| self.asked().waiting.remove(id));
        let Some(Waiter { number, answer, .. }) = waiter else { return Err(message) };
        self.arrived.send_if_modified(|newest| {
            let is_news = number > *newest;
            *newest = number.max(*newest);
            is_news
        });
        answer.send(message)
    }

    /// A fresh id and the time.
    pub(super) fn stamp(&self) -> Stamp {
        Stamp { id: self.rng.uuid().to_string(), timestamp: self.clock.now_ms() }
    }

    /// Sends a message that nobody will answer.
    pub(super) async fn send(&self, message: Message) -> Result<(), CallError> {
        self.hand_over(ToCloud::Message(Box::new(message))).await
    }

    /// Sends a message that nobody will answer, if there is a link and room for it now. Whether it was sent.
    pub(super) fn offer(&self, message: Message) -> bool {
        if !self.is_connected() {
            return false;
        }
        let mut asked = self.asked();
        let is_sent = self.to_hub.try_send(ToCloud::Message(Box::new(message))).is_ok();
        asked.sent += u64::from(is_sent);
        is_sent
    }

    /// Tells what became of pushes.
    pub(super) async fn acknowledge(&self, acks: Acks) -> Result<(), CallError> {
        self.hand_over(ToCloud::Acks(acks)).await
    }

    async fn hand_over(&self, what: ToCloud) -> Result<(), CallError> {
        let room = self.to_hub.reserve().await.map_err(|_| CallError::Offline)?;
        let mut asked = self.asked();
        asked.sent += 1;
        room.send(what);
        Ok(())
    }

    /// Sends a message to which an answer may come.
    pub(super) async fn post(&self, message: Message) -> Result<Posted, CallError> {
        let room = self.to_hub.reserve().await.map_err(|_| CallError::Offline)?;
        let id = message.header.id.clone();
        let (waiter, answer) = oneshot::channel();
        let wanted = Arc::new(());
        let waits = Arc::downgrade(&wanted);
        let mut asked = self.asked();
        // Under the lock: whoever is cleared away with a link is not told to wait on the next.
        if !self.is_connected() {
            return Err(CallError::Offline);
        }
        asked.sent += 1;
        let number = asked.sent;
        asked.waiting.insert(id.clone(), Waiter { number, answer: waiter, _wanted: wanted });
        let in_order = (!asked.answers_all).then(|| (number, self.arrived.subscribe()));
        room.send(ToCloud::Asked(Box::new(message), waits));
        Ok(Posted { id, answer, in_order })
    }

    /// Waits until a message is answered, or is known to have arrived at a cloud that does not answer it.
    pub(super) async fn arrival(&self, posted: Posted) -> Result<Option<Message>, CallError> {
        let Posted { id, answer, in_order } = posted;
        let arrived = async {
            match in_order {
                // We hold the sender.
                Some((number, mut newest)) => newest.wait_for(|newest| *newest > number).await.is_ok(),
                None => std::future::pending().await,
            }
        };
        let outcome = tokio::select! {
            // An answer says more.
            biased;
            answer = answer => return answer.map(|message| Some(*message)).map_err(|_| CallError::Offline),
            _ = arrived => Ok(None),
            () = tokio::time::sleep(self.timeout) => Err(CallError::Timeout(self.timeout)),
        };
        self.asked().waiting.remove(&id);
        outcome
    }

    /// Asks in edged's name and waits for the answer.
    pub(super) async fn call(
        &self,
        operation: Operation,
        resource: Resource,
        content: Content,
    ) -> Result<Message, CallError> {
        if !self.is_connected() {
            return Err(CallError::Offline);
        }
        self.ask(self.request(operation, resource, content)).await
    }

    /// Sends a message and waits for its answer.
    pub(super) async fn ask(&self, message: Message) -> Result<Message, CallError> {
        self.ask_within(self.timeout, message).await
    }

    /// As [`Self::ask`], and no longer than `limit`.
    pub(super) async fn ask_within(&self, limit: Duration, message: Message) -> Result<Message, CallError> {
        let Posted { id, answer, .. } = self.post(message).await?;
        match tokio::time::timeout(limit, answer).await {
            Ok(Ok(message)) => Ok(*message),
            Ok(Err(_)) => Err(CallError::Lost),
            Err(_) => {
                self.asked().waiting.remove(&id);
                Err(CallError::Timeout(limit))
            }
        }
    }

    /// As [`Self::call`], but gives a link that is being made a moment first.
    pub(super) async fn call_patiently(
        &self,
        operation: Operation,
        resource: Resource,
        content: Content,
    ) -> Result<Message, CallError> {
        self.link_soon().await?;
        self.call(operation, resource, content).await
    }

    /// Gives a link that is being made a moment.
    pub(super) async fn link_soon(&self) -> Result<(), CallError> {
        let mut link = self.link();
        let waited = tokio::time::timeout(LINK_GRACE, link.wait_for(|up| *up)).await;
        waited.map(drop).map_err(|_| CallError::Offline)
    }

    /// A message in edged's name (spec edge-keadm-mapper 2.4).
    pub(super) fn request(&self, operation: Operation, resource: Resource, content: Content) -> Message {
        let route = Route { source: Source::Edged, group: Group::Meta, operation, resource };
        Message::new(self.stamp(), route, content)
    }

    fn asked(&self) -> MutexGuard<'_, Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The object in an answer to a call of the API (`{"Object": ..., "Err": ...}`).
pub(super) fn called<T: DeserializeOwned>(answer: &Message) -> Result<T, CallError> {
    failed(answer)?;
    let response: ObjectResp<T> = answer.content.decode().map_err(unreadable)?;
    response.into_result().map_err(|error| match error {
        ReplyError::Refused(status) => refused(*status),
        other => CallError::Refused { reason: "Unknown".into(), message: other.to_string() },
    })
}

/// The object in an answer to a query.
pub(super) fn queried<T: DeserializeOwned>(answer: &Message) -> Result<T, CallError> {
    failed(answer)?;
    answer.content.decode().map_err(unreadable)
}

/// Whether the cloud took what it may not answer.
pub(super) fn taken(answer: Option<&Message>) -> Result<(), CallError> {
    answer.map_or(Ok(()), failed)
}

/// Whether the answer is the string `OK`.
pub(super) fn said_ok(answer: &Message) -> Result<(), CallError> {
    failed(answer)?;
    if answer.content.is_ok() {
        return Ok(());
    }
    Err(CallError::Unreadable("expected OK".into()))
}

fn failed(answer: &Message) -> Result<(), CallError> {
    match QueryFailure::from_answer(answer) {
        Some(QueryFailure { reason, message }) => Err(CallError::Refused { reason, message }),
        None => Ok(()),
    }
}

fn refused(status: Status) -> CallError {
    CallError::Refused {
        reason: status.reason.filter(|reason| !reason.is_empty()).unwrap_or_else(|| "Unknown".into()),
        message: status.message.unwrap_or_default(),
    }
}

fn unreadable(error: impl std::fmt::Display) -> CallError {
    CallError::Unreadable(error.to_string())
}

impl CallError {
    /// Whether the API says that the object is not there.
    pub(super) fn is_not_found(&self) -> bool {
        self.has_reason("NotFound")
    }

    /// Whether the failure has this `metav1.StatusReason`.
    pub(super) fn has_reason(&self, word: &str) -> bool {
        matches!(self, Self::Refused { reason, .. } if reason == word)
    }

    /// Whether asking the same again can never work: the object is gone, another incarnation has its name, or the
    /// API will not have it.
    pub(super) fn is_final(&self) -> bool {
        ["NotFound", "Conflict", "Invalid", "BadRequest", "Gone"].iter().any(|word| self.has_reason(word))
    }

    /// What edged is told when it asked for `kind` `namespace/name`.
    pub(super) fn for_object(self, kind: &'static str, namespace: &str, name: &str) -> MetaError {
        match self {
            error if error.is_not_found() => {
                MetaError::NotFound { kind, namespace: namespace.to_owned(), name: name.to_owned() }
            }
            Self::Refused { reason, message } => MetaError::Refused { reason, message },
            Self::Unreadable(message) => MetaError::Refused { reason: "Unreadable".into(), message },
            Self::Offline | Self::Lost | Self::Timeout(_) => {
                MetaError::Offline { what: format!("{kind} {namespace}/{name}") }
            }
        }
    }
}
