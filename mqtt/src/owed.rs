//! Answers to what a client has published.
//!
//! An acknowledgement is a promise, and what is in memory is not kept. So where a keeper is among those who are to have a message (see
//! `Local`), its sender is answered when the keeper has acknowledged it. Answers keep the order of the messages (section 4.6): one that
//! waits holds up those behind it.

use std::collections::VecDeque;
use std::sync::Arc;

use rumqttc::mqttbytes::QoS;
use rumqttc::mqttbytes::v4::{Packet, PubAck, PubRec};

use crate::session::SessionId;
use crate::settings::Limits;

/// Where a message has come from, for those who answer for it.
#[derive(Debug, Clone)]
pub(crate) struct Origin {
    pub(crate) session: SessionId,
    /// Of the connection that it came on: the answer is for no other one.
    pub(crate) epoch: u64,
    /// Its place among what came on that connection.
    pub(crate) number: u64,
    /// Name of the client.
    pub(crate) client: Arc<str>,
    /// The client's packet id.
    pub(crate) id: u16,
    /// Whether the client says that it may have sent it before.
    pub(crate) is_repeated: bool,
}

/// How it stands with the answers to a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It may say more.
    Fine,
    /// It is not heard before some of what it said is kept.
    Waits,
    /// Something that it said could not be kept, so that it will never be answered.
    Broken,
}

#[derive(Debug)]
struct Answer {
    id: u16,
    qos: QoS,
    bytes: usize,
    /// Keepers that have not acknowledged the message.
    waits: usize,
}

/// The answers to one connection.
#[derive(Debug, Default)]
pub(crate) struct Owed {
    /// Number of the first one.
    first: u64,
    answers: VecDeque<Answer>,
    bytes: usize,
    is_broken: bool,
}

impl Owed {
    /// Number of the message that comes next.
    pub(crate) fn next(&self) -> u64 {
        self.first + self.answers.len() as u64
    }

    /// A message has come, and as many keepers are to have it.
    pub(crate) fn push(&mut self, id: u16, qos: QoS, bytes: usize, waits: usize) {
        self.bytes += bytes;
        self.answers.push_back(Answer { id, qos, bytes, waits });
    }

    /// A keeper has this one. Returns whether something can be answered.
    pub(crate) fn kept(&mut self, number: u64) -> bool {
        let place = number.checked_sub(self.first).and_then(|place| usize::try_from(place).ok());
        if let Some(answer) = place.and_then(|place| self.answers.get_mut(place)) {
            answer.waits = answer.waits.saturating_sub(1);
        }
        self.is_due()
    }

    fn is_due(&self) -> bool {
        self.answers.front().is_some_and(|answer| answer.waits == 0)
    }

    /// A keeper will never have one of them.
    pub(crate) fn fail(&mut self) {
        self.is_broken = true;
    }

    /// Appends what can be answered.
    pub(crate) fn take(&mut self, packets: &mut Vec<Packet>) {
        while self.is_due()
            && let Some(Answer { id, qos, bytes, .. }) = self.answers.pop_front()
        {
            self.first += 1;
            self.bytes -= bytes;
            packets.push(match qos {
                QoS::ExactlyOnce => Packet::PubRec(PubRec::new(id)),
                _ => Packet::PubAck(PubAck::new(id)),
            });
        }
    }

    pub(crate) fn standing(&self, limits: &Limits) -> Standing {
        let has_much = self.answers.len() >= limits.unanswered || self.bytes > limits.unanswered_bytes;
        match (self.is_broken, has_much) {
            (true, _) => Standing::Broken,
            (false, true) => Standing::Waits,
            (false, false) => Standing::Fine,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(owed: &mut Owed) -> Vec<Packet> {
        let mut packets = Vec::new();
        owed.take(&mut packets);
        packets
    }

    #[test]
    fn answers_keep_the_order_of_the_messages() {
        let limits = Limits { unanswered: 3, unanswered_bytes: 100, ..Limits::default() };
        let mut owed = Owed::default();
        for (id, qos, waits) in [(7, QoS::AtLeastOnce, 1), (8, QoS::AtLeastOnce, 0), (9, QoS::ExactlyOnce, 2)]
        {
            assert_eq!((owed.next(), owed.standing(&limits)), (u64::from(id) - 7, Standing::Fine));
            owed.push(id, qos, 10, waits);
        }
        assert_eq!(owed.standing(&limits), Standing::Waits);
        assert_eq!(taken(&mut owed), [], "the first one waits");
        assert!(!owed.kept(2));
        assert!(owed.kept(0));
        assert_eq!(taken(&mut owed), [Packet::PubAck(PubAck::new(7)), Packet::PubAck(PubAck::new(8))]);
        // One of another time, and one that there never was.
        assert!(!owed.kept(0) && !owed.kept(99));
        assert!(owed.kept(2));
        assert_eq!(taken(&mut owed), [Packet::PubRec(PubRec::new(9))]);
        assert_eq!((owed.next(), owed.bytes), (3, 0));
        owed.push(1, QoS::AtLeastOnce, 101, 1);
        assert_eq!(owed.standing(&limits), Standing::Waits, "that is much for one");
        owed.fail();
        assert_eq!(owed.standing(&limits), Standing::Broken);
    }
}
