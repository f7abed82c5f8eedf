//! The way into the broker for whoever is in the same process: no socket, no bytes, and no client that could take its place by coming
//! with its name.
//!
//! It is a keeper: what clients publish for it with QoS 1 and 2 is acknowledged to them when it has acknowledged it. While it does not,
//! its window fills (as a client's does), what is more waits within the limits of a session, and those who publish are heard no further.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use rumqttc::mqttbytes::QoS;
use rumqttc::mqttbytes::v4::{
    Packet, PubAck, Publish, Subscribe, SubscribeFilter, SubscribeReasonCode, Unsubscribe,
};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

use crate::connection::{Hub, LITTLE, PAUSE};
use crate::core::{Attached, Departure};
use crate::frame::Violation;
use crate::message::Message;
use crate::topic;

/// Filters that are subscribed to at once; others have their turn between.
const FILTERS: usize = 64;
/// Nobody but the broker sees the ids of these packets.
const ANY_ID: u16 = 1;

/// To say something to the broker.
#[derive(Debug, Clone)]
pub struct Local {
    hub: Arc<Hub>,
    attached: Attached,
}

/// To hear what comes. When it is dropped, so is what waits in it.
#[derive(Debug)]
pub struct Inbox {
    hub: Arc<Hub>,
    attached: Attached,
    wake: Arc<Notify>,
    ready: VecDeque<Arrival>,
}

/// A message that has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival {
    /// Where it was published.
    pub topic: String,
    /// What it says.
    pub payload: Bytes,
    /// For [`Local::acknowledge`]; none where nobody waits for that (QoS 0).
    pub id: Option<u16>,
    /// What tells it from others when it comes again; none where nobody can send it again.
    pub sender: Option<Sender>,
}

/// Who has sent a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sender {
    /// Its client id.
    pub client: Arc<str>,
    /// Its packet id.
    pub id: u16,
    /// Whether it says that it may have sent the message before.
    pub is_repeated: bool,
}

/// Something to publish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publication {
    /// Topic.
    pub topic: String,
    /// What it says.
    pub payload: Bytes,
    /// Quality of service; more than 2 is 2.
    pub qos: u8,
    /// Whether it is kept for later subscribers.
    pub retain: bool,
}

/// Both ends.
pub(crate) fn connect(hub: &Arc<Hub>) -> (Local, Inbox) {
    let wake = Arc::new(Notify::new());
    let attached = hub.core().connect_keeper(Instant::now(), &wake);
    let local = Local { hub: Arc::clone(hub), attached };
    (local, Inbox { hub: Arc::clone(hub), attached, wake, ready: VecDeque::new() })
}

impl Local {
    /// Subscribes with QoS 1. What is retained for the filters comes, also for those that were subscribed to already. Returns how many
    /// were refused: those that are no filters, and what goes beyond the limits of a client.
    pub fn subscribe(&self, filters: impl IntoIterator<Item = String>) -> usize {
        let mut filters = filters.into_iter().peekable();
        let mut refused = 0;
        while filters.peek().is_some() {
            let mut some: Vec<String> = filters.by_ref().take(FILTERS).collect();
            let all = some.len();
            some.retain(|filter| topic::is_filter(filter));
            refused += all - some.len();
            let some = some.into_iter().map(|filter| SubscribeFilter::new(filter, QoS::AtLeastOnce));
            let mut subscribe = Subscribe::new_many(some);
            subscribe.pkid = ANY_ID;
            for answer in self.hear(Packet::Subscribe(subscribe)) {
                if let Packet::SubAck(answer) = answer {
                    let codes = answer.return_codes.iter();
                    refused += codes.filter(|code| matches!(code, SubscribeReasonCode::Failure)).count();
                }
            }
        }
        refused
    }

    /// Ends subscriptions.
    pub fn unsubscribe(&self, filters: Vec<String>) {
        self.hear(Packet::Unsubscribe(Unsubscribe { pkid: ANY_ID, topics: filters }));
    }

    /// A message is kept: whoever has sent it is answered.
    pub fn acknowledge(&self, id: u16) {
        self.hear(Packet::PubAck(PubAck::new(id)));
    }

    /// Publishes something, at once; then waits a moment for those who are to have it, where they are behind.
    ///
    /// # Errors
    /// When the topic is none.
    pub async fn publish(&self, publication: Publication) -> Result<(), Violation> {
        let Publication { topic, payload, qos, retain } = publication;
        if !topic::is_topic(&topic) {
            return Err(Violation::Topic);
        }
        let qos = match qos {
            0 => QoS::AtMostOnce,
            1 => QoS::AtLeastOnce,
            _ => QoS::ExactlyOnce,
        };
        let eased = self.hub.core().eased();
        // Made before it is published, it misses nothing.
        let caught_up = eased.notified();
        let message = Message { topic, payload, qos, retain };
        let is_pressed = self.hub.core().say(Instant::now(), self.attached, message);
        if is_pressed {
            timeout(PAUSE, caught_up).await.ok();
        }
        Ok(())
    }

    fn hear(&self, packet: Packet) -> Vec<Packet> {
        let mut answers = Vec::new();
        // Nobody takes its place, and it says nothing wrong.
        self.hub.core().hear(Instant::now(), self.attached, packet, &mut answers);
        answers
    }
}

impl Inbox {
    /// What has come next. Dropped while it waits, it takes nothing.
    pub async fn next(&mut self) -> Arrival {
        loop {
            if let Some(arrival) = self.ready.pop_front() {
                return arrival;
            }
            self.pull();
            if self.ready.is_empty() {
                self.wake.notified().await;
            }
        }
    }

    fn pull(&mut self) {
        let mut packets = Vec::new();
        let mut core = self.hub.core();
        core.pull(Instant::now(), self.attached, LITTLE, &mut packets).ok();
        for packet in packets {
            let Packet::Publish(Publish { topic, payload, pkid, .. }) = packet else { continue };
            let id = (pkid != 0).then_some(pkid);
            let origin = id.and_then(|id| core.origin(self.attached, id));
            // Who has no name comes again with another one.
            let origin = origin.filter(|origin| !origin.client.starts_with('\0'));
            let sender = origin.map(|origin| Sender {
                client: origin.client,
                id: origin.id,
                is_repeated: origin.is_repeated,
            });
            self.ready.push_back(Arrival { topic, payload, id, sender });
        }
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        self.hub.core().leave(Instant::now(), self.attached, Departure::Said);
    }
}
