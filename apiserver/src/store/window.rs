//! The recent changes, bounded by number and size.

use std::collections::VecDeque;

use super::{Event, Limits};

/// Recent changes by rising revision.
#[derive(Debug)]
pub(super) struct Window {
    events: VecDeque<Event>,
    bytes: usize,
    limits: Limits,
}

impl Window {
    pub(super) fn new(limits: Limits) -> Self {
        Self { events: VecDeque::new(), bytes: 0, limits }
    }

    /// Adds a change and hands back those that had to go.
    pub(super) fn push(&mut self, event: Event) -> impl Iterator<Item = Event> + '_ {
        self.bytes += event.entry.object.len();
        self.events.push_back(event);
        std::iter::from_fn(|| {
            let over = self.events.len() > self.limits.window_events || self.bytes > self.limits.window_bytes;
            let oldest = if over { self.events.pop_front() } else { None }?;
            self.bytes -= oldest.entry.object.len();
            Some(oldest)
        })
    }

    /// Changes after `revision`, oldest first.
    pub(super) fn after(&self, revision: u64) -> impl Iterator<Item = &Event> {
        let start = self.events.partition_point(|event| event.entry.revision <= revision);
        self.events.range(start..)
    }
}
