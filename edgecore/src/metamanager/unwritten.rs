//! Reports that are not on disk yet: normally for as long as the next transaction takes, on a full disk for longer.

use std::collections::{BTreeMap, VecDeque};

use super::outbox::UNWRITTEN;
use crate::store::{Change, State};

/// Events that wait for a full disk; of more, the oldest go. A pod that crashes makes a few a minute.
const EVENTS: usize = 256;

/// What waits. States: the newest of each object, so they are bounded by the number of objects.
#[derive(Debug, Default)]
pub(super) struct Unwritten {
    states: BTreeMap<String, Change>,
    events: VecDeque<Change>,
}

impl Unwritten {
    /// A report of which only the newest under this name counts.
    pub(super) fn put(&mut self, name: String, change: Change) {
        self.states.insert(name, change);
    }

    /// A report that is one of many.
    pub(super) fn push_event(&mut self, change: Change) {
        if self.events.len() == EVENTS {
            tracing::warn!("too many events wait for the disk: the oldest is dropped");
            self.events.pop_front();
        }
        self.events.push_back(change);
    }

    pub(super) fn len(&self) -> usize {
        self.states.len() + self.events.len()
    }

    pub(super) fn clear(&mut self) {
        self.states.clear();
        self.events.clear();
    }

    /// All of it, events last: they may speak of what the others say.
    pub(super) fn changes(&self) -> Vec<Change> {
        self.states.values().chain(&self.events).cloned().collect()
    }

    /// What the cloud can be told without the disk: statuses say how things are, and are worth nothing later.
    pub(super) fn states(&self) -> Vec<State> {
        let states = self.states.values().filter_map(|change| match change {
            Change::PutState { key, uid, value } => {
                Some(State { key: key.clone(), uid: uid.clone(), version: UNWRITTEN, value: value.clone() })
            }
            _ => None,
        });
        states.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::QueueKind;

    #[test]
    fn of_many_events_the_newest_wait_and_of_a_status_the_newest() {
        let mut waiting = Unwritten::default();
        let event =
            |at: usize| Change::Enqueue { kind: QueueKind::Event, key: at.to_string(), value: Vec::new() };
        let status =
            |value: &[u8]| Change::PutState { key: "pod".into(), uid: "u".into(), value: value.into() };
        for at in 0..EVENTS + 10 {
            waiting.push_event(event(at));
            waiting.put("pod".into(), status(&at.to_le_bytes()));
        }
        assert_eq!(waiting.len(), EVENTS + 1);
        let changes = waiting.changes();
        assert_eq!(changes[0], status(&(EVENTS + 9).to_le_bytes()));
        assert_eq!(changes[1], event(10));
        assert_eq!(waiting.states().len(), 1);
        waiting.clear();
        assert_eq!(waiting.len(), 0);
    }
}
