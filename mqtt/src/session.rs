//! What the broker knows of a client: what it is to have, what it has been sent and not acknowledged, and what it has sent and not
//! released. No I/O and no clock.

mod queue;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Weak};

use rumqttc::mqttbytes::QoS;
use rumqttc::mqttbytes::v4::{Packet, PubRel, Publish};

use self::queue::Queue;
use crate::frame::Violation;
use crate::message::Message;
use crate::owed::Origin;
use crate::settings::Limits;

/// Names a session within the broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct SessionId(pub(crate) u64);

/// A message for a client.
#[derive(Debug, Clone)]
pub(crate) struct Delivery {
    pub(crate) message: Arc<Message>,
    pub(crate) qos: QoS,
    /// Whether it is said as one that was kept.
    pub(crate) retain: bool,
    /// Who is answered when the client has it; only where the client is a keeper.
    pub(crate) origin: Option<Origin>,
}

/// What had to go because too much waited.
#[derive(Debug, Default)]
pub(crate) struct Gone {
    /// How many.
    pub(crate) count: usize,
    /// Those of them that somebody waits for an answer to.
    pub(crate) unkept: Vec<Origin>,
}

impl Gone {
    pub(crate) fn add(&mut self, delivery: Delivery) {
        self.count += 1;
        self.unkept.extend(delivery.origin);
    }
}

/// How far a message of QoS 1 or 2 is.
#[derive(Debug)]
enum Stage {
    /// Sent; `PUBACK` or `PUBREC` is due.
    Sent(Delivery),
    /// Received; `PUBCOMP` is due.
    Released,
}

#[derive(Debug)]
struct Inflight {
    id: u16,
    stage: Stage,
    /// The client has come back and has not been told again.
    is_due: bool,
}

/// The session.
#[derive(Debug)]
pub(crate) struct Session {
    /// Filters and what was granted.
    pub(crate) subscriptions: BTreeMap<String, QoS>,
    queue: Queue,
    /// Kept messages for a new subscription. What has been replaced since is not pinned: the client hears of the new one anyway.
    retained: VecDeque<(Weak<Message>, QoS)>,
    inflight: VecDeque<Inflight>,
    inflight_bytes: usize,
    /// Messages of QoS 2 of the client that were taken and not released.
    unreleased: BTreeSet<u16>,
    last_id: u16,
}

impl Session {
    pub(crate) fn new() -> Self {
        Self {
            subscriptions: BTreeMap::new(),
            queue: Queue::default(),
            retained: VecDeque::new(),
            inflight: VecDeque::new(),
            inflight_bytes: 0,
            unreleased: BTreeSet::new(),
            last_id: 0,
        }
    }

    /// Bytes of the messages that it holds.
    pub(crate) fn weight(&self) -> usize {
        self.queue.bytes() + self.inflight_bytes
    }

    /// Bytes of those that wait, which can be dropped.
    pub(crate) fn waiting(&self) -> usize {
        self.queue.bytes()
    }

    /// Whether so much waits that whoever says more should wait, too.
    pub(crate) fn is_crowded(&self, limits: &Limits) -> bool {
        self.queue.is_crowded(limits)
    }

    /// Lets a message wait for the client. Returns what had to go for it.
    pub(crate) fn push(&mut self, delivery: Delivery, limits: &Limits) -> Gone {
        self.queue.push(delivery, limits)
    }

    /// Takes out what has waited longest, if anything is there.
    pub(crate) fn drop_oldest(&mut self) -> Option<Delivery> {
        self.queue.drop_oldest()
    }

    /// Where a message that is under way has come from.
    pub(crate) fn origin(&self, id: u16) -> Option<&Origin> {
        let inflight = self.inflight.iter().find(|inflight| inflight.id == id)?;
        match &inflight.stage {
            Stage::Sent(delivery) => delivery.origin.as_ref(),
            Stage::Released => None,
        }
    }

    /// Where all come from that wait or are under way.
    pub(crate) fn into_origins(self) -> impl Iterator<Item = Origin> {
        let under_way = self.inflight.into_iter().filter_map(|inflight| match inflight.stage {
            Stage::Sent(delivery) => delivery.origin,
            Stage::Released => None,
        });
        under_way.chain(self.queue.into_origins())
    }

    /// Kept messages are to be sent. Returns how many of them are too many.
    pub(crate) fn push_retained(&mut self, messages: Vec<(Weak<Message>, QoS)>, most: usize) -> usize {
        self.retained.extend(messages);
        let excess = self.retained.len().saturating_sub(most);
        self.retained.drain(..excess);
        excess
    }

    /// The client has come back: what it did not acknowledge is due again.
    pub(crate) fn resume(&mut self) {
        self.inflight.iter_mut().for_each(|inflight| inflight.is_due = true);
    }

    /// The client has gone, and its session is kept: what it may miss goes.
    pub(crate) fn pause(&mut self) {
        self.queue.drop_unacknowledged();
        self.retained.clear();
    }

    /// Appends what can be sent now, to about `room` bytes.
    pub(crate) fn pull(&mut self, mut room: usize, limits: &Limits, packets: &mut Vec<Packet>) {
        for inflight in self.inflight.iter_mut().filter(|inflight| inflight.is_due) {
            if room == 0 {
                return;
            }
            inflight.is_due = false;
            let packet = match &inflight.stage {
                Stage::Sent(delivery) => publish(delivery, inflight.id, true),
                Stage::Released => Packet::PubRel(PubRel::new(inflight.id)),
            };
            room = room.saturating_sub(packet.size());
            packets.push(packet);
        }
        while room > 0 {
            let Some(delivery) = self.next(limits) else { return };
            let packet = if delivery.qos == QoS::AtMostOnce {
                publish(&delivery, 0, false)
            } else {
                self.start(delivery)
            };
            room = room.saturating_sub(packet.size());
            packets.push(packet);
        }
    }

    /// What is sent next: what was kept comes first, because it is older.
    fn next(&mut self, limits: &Limits) -> Option<Delivery> {
        let may_start = self.inflight.len() < limits.inflight
            && (self.inflight_bytes < limits.inflight_bytes || self.inflight.is_empty());
        while let Some((message, qos)) = self.retained.front() {
            if *qos != QoS::AtMostOnce && !may_start {
                break;
            }
            let (message, qos) = (message.upgrade(), *qos);
            self.retained.pop_front();
            if let Some(message) = message {
                return Some(Delivery { message, qos, retain: true, origin: None });
            }
        }
        self.queue.pop(may_start)
    }

    fn start(&mut self, delivery: Delivery) -> Packet {
        let id = self.fresh_id();
        let packet = publish(&delivery, id, false);
        self.inflight_bytes += delivery.message.weight();
        self.inflight.push_back(Inflight { id, stage: Stage::Sent(delivery), is_due: false });
        packet
    }

    /// One that is not under way; there are fewer of these than there are ids.
    fn fresh_id(&mut self) -> u16 {
        loop {
            self.last_id = self.last_id.checked_add(1).unwrap_or(1);
            if self.inflight.iter().all(|inflight| inflight.id != self.last_id) {
                return self.last_id;
            }
        }
    }

    /// `PUBACK`: the client has a message of QoS 1. One for anything else is of another time, or of nothing. Returns where the message
    /// came from, if somebody waits for that.
    pub(crate) fn acknowledged(&mut self, id: u16) -> Option<Origin> {
        let is_expected =
            |stage: &Stage| matches!(stage, Stage::Sent(delivery) if delivery.qos == QoS::AtLeastOnce);
        self.finish(id, is_expected)?.origin
    }

    /// `PUBREC`: the client has a message of QoS 2, and is told that it may forget the id, also if we have.
    pub(crate) fn received(&mut self, id: u16) {
        let found = self.inflight.iter_mut().find(|inflight| inflight.id == id);
        let Some(inflight) = found else { return };
        if let Stage::Sent(delivery) = &inflight.stage
            && delivery.qos == QoS::ExactlyOnce
        {
            self.inflight_bytes -= delivery.message.weight();
            (inflight.stage, inflight.is_due) = (Stage::Released, false);
        }
    }

    /// `PUBCOMP`: the client has forgotten the id.
    pub(crate) fn completed(&mut self, id: u16) {
        self.finish(id, |stage| matches!(stage, Stage::Released));
    }

    /// Whether it is within its bounds.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn check(&self, limits: &Limits) {
        let ids: BTreeSet<u16> = self.inflight.iter().map(|inflight| inflight.id).collect();
        assert_eq!(ids.len(), self.inflight.len());
        assert!(!ids.contains(&0) && ids.len() <= limits.inflight);
        assert!(self.unreleased.len() <= limits.unreleased && self.retained.len() <= limits.retained);
        assert!(self.subscriptions.len() <= limits.subscriptions);
        let sent = |inflight: &Inflight| match &inflight.stage {
            Stage::Sent(delivery) => delivery.message.weight(),
            Stage::Released => 0,
        };
        assert_eq!(self.inflight_bytes, self.inflight.iter().map(sent).sum::<usize>());
        self.queue.check(limits);
    }

    /// Returns the message, if it was not finished before.
    fn finish(&mut self, id: u16, is_expected: impl Fn(&Stage) -> bool) -> Option<Delivery> {
        let place = self.inflight.iter().position(|one| one.id == id && is_expected(&one.stage))?;
        let Some(Inflight { stage: Stage::Sent(delivery), .. }) = self.inflight.remove(place) else {
            return None;
        };
        self.inflight_bytes -= delivery.message.weight();
        Some(delivery)
    }

    /// A message of QoS 2 of the client. Returns whether it is a new one.
    ///
    /// # Errors
    /// When too many are under way.
    pub(crate) fn take(&mut self, id: u16, most: usize) -> Result<bool, Violation> {
        if !self.unreleased.contains(&id) && self.unreleased.len() >= most {
            return Err(Violation::Unreleased);
        }
        Ok(self.unreleased.insert(id))
    }

    /// `PUBREL`: the client will not send that one again.
    pub(crate) fn release(&mut self, id: u16) {
        self.unreleased.remove(&id);
    }
}

fn publish(delivery: &Delivery, pkid: u16, dup: bool) -> Packet {
    let Delivery { message, qos, retain, .. } = delivery;
    let (topic, payload) = (message.topic.clone(), message.payload.clone());
    Packet::Publish(Publish { dup, qos: *qos, retain: *retain, topic, pkid, payload })
}
