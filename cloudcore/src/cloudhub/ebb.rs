//! When the memory of nodes that have gone is given back to the system. Pure: the time is an argument.

use std::time::Duration;

use tokio::time::Instant;

/// So many nodes fewer than there were are worth it: 8 MiB or more.
const ENOUGH: usize = 256;
/// A fleet that only lost its connections is back within this, and wants its memory again. Doubled, nothing happens but
/// that memory is given back later.
const SETTLE: Duration = Duration::from_secs(5);

/// How many nodes there are, and how many there were.
#[derive(Debug, Default)]
pub(super) struct Ebb {
    /// The most since memory was given back last.
    most: usize,
    due: Option<Instant>,
}

impl Ebb {
    /// So many nodes are connected now.
    pub(super) fn note(&mut self, now: Instant, nodes: usize) {
        self.most = self.most.max(nodes);
        if self.most - nodes >= ENOUGH {
            self.due.get_or_insert(now + SETTLE);
        }
    }

    /// When [`Self::is_out`] should be asked.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Whether so many nodes have stayed away that it is time to give back what they had.
    pub(super) fn is_out(&mut self, nodes: usize) -> bool {
        self.due = None;
        let is_out = self.most.saturating_sub(nodes) >= ENOUGH;
        if is_out {
            self.most = nodes;
        }
        is_out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_given_back_once_many_have_stayed_away() {
        let (mut ebb, now) = (Ebb::default(), Instant::now());
        ebb.note(now, 1000);
        ebb.note(now, 1001 - ENOUGH);
        assert_eq!(ebb.due(), None, "too few have gone");
        ebb.note(now, 1000 - ENOUGH);
        ebb.note(now + SETTLE, 0);
        assert_eq!(ebb.due(), Some(now + SETTLE), "it counts from when enough had gone");
        assert!(ebb.is_out(0));
        ebb.note(now + SETTLE, 0);
        assert_eq!(ebb.due(), None, "it was given back already");
    }

    #[test]
    fn nodes_that_come_back_keep_theirs() {
        let (mut ebb, now) = (Ebb::default(), Instant::now());
        ebb.note(now, 1000);
        ebb.note(now, 0);
        ebb.note(now, 1000);
        assert!(!ebb.is_out(1000));
        assert_eq!(ebb.due(), None);
        ebb.note(now, 0);
        assert!(ebb.due().is_some(), "the next time they go");
    }
}
