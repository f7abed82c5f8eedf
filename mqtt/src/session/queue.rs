//! Messages that wait for a client, within bounds of number and size.

use std::collections::VecDeque;

use rumqttc::mqttbytes::QoS;

use super::{Delivery, Gone};
use crate::owed::Origin;
use crate::settings::Limits;

/// What need not be acknowledged and what must be wait apart, so that the one does not push the other out. Each is numbered, and
/// goes in order while both can.
#[derive(Debug, Default)]
pub(super) struct Queue {
    unacknowledged: VecDeque<(u64, Delivery)>,
    acknowledged: VecDeque<(u64, Delivery)>,
    bytes: usize,
    pushed: u64,
}

impl Queue {
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether half of what may wait does.
    pub(super) fn is_crowded(&self, limits: &Limits) -> bool {
        self.unacknowledged.len() > limits.queue / 2
            || self.acknowledged.len() > limits.queue_acknowledged / 2
            || self.bytes > limits.queue_bytes / 2
    }

    /// Appends a message. Returns which of the oldest had to go.
    pub(super) fn push(&mut self, delivery: Delivery, limits: &Limits) -> Gone {
        self.bytes += delivery.message.weight();
        self.pushed += 1;
        let (queue, most) = match delivery.qos {
            QoS::AtMostOnce => (&mut self.unacknowledged, limits.queue),
            _ => (&mut self.acknowledged, limits.queue_acknowledged),
        };
        queue.push_back((self.pushed, delivery));
        let mut gone = Gone::default();
        while queue.len() > most {
            let Some((_, old)) = queue.pop_front() else { break };
            self.bytes -= old.message.weight();
            gone.add(old);
        }
        while self.bytes > limits.queue_bytes
            && let Some(old) = self.drop_oldest()
        {
            gone.add(old);
        }
        gone
    }

    /// The oldest, or of those that need no acknowledgement if `may_start` is false.
    pub(super) fn pop(&mut self, may_start: bool) -> Option<Delivery> {
        let number = |queue: &VecDeque<(u64, Delivery)>| queue.front().map(|(number, _)| *number);
        let acknowledged = number(&self.acknowledged).filter(|_| may_start);
        let unacknowledged = number(&self.unacknowledged);
        let queue = match (acknowledged, unacknowledged) {
            (Some(one), Some(other)) if other < one => &mut self.unacknowledged,
            (Some(_), _) => &mut self.acknowledged,
            (None, _) => &mut self.unacknowledged,
        };
        let (_, delivery) = queue.pop_front()?;
        self.bytes -= delivery.message.weight();
        Some(delivery)
    }

    /// Takes out the oldest of those that may be lost, or else of the others.
    pub(super) fn drop_oldest(&mut self) -> Option<Delivery> {
        let (_, oldest) = self.unacknowledged.pop_front().or_else(|| self.acknowledged.pop_front())?;
        self.bytes -= oldest.message.weight();
        Some(oldest)
    }

    pub(super) fn into_origins(self) -> impl Iterator<Item = Origin> {
        self.acknowledged.into_iter().filter_map(|(_, delivery)| delivery.origin)
    }

    /// Drops those that may be lost.
    pub(super) fn drop_unacknowledged(&mut self) {
        let dropped = std::mem::take(&mut self.unacknowledged);
        self.bytes -= dropped.iter().map(|(_, delivery)| delivery.message.weight()).sum::<usize>();
    }

    #[cfg(any(test, feature = "testing"))]
    pub(super) fn check(&self, limits: &Limits) {
        let all = self.unacknowledged.iter().chain(&self.acknowledged);
        assert_eq!(self.bytes, all.map(|(_, delivery)| delivery.message.weight()).sum::<usize>());
        assert!(self.bytes <= limits.queue_bytes && self.unacknowledged.len() <= limits.queue);
        assert!(self.acknowledged.len() <= limits.queue_acknowledged);
    }
}
