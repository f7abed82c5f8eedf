//! When memory is given back to the system: after many nodes have gone, what they had; after many have come, what their
//! handshakes took. Pure: the time is an argument.

use std::time::Duration;

use tokio::time::Instant;

/// So many nodes more or fewer than there were are worth it: 8 MiB or more.
const ENOUGH: usize = 256;
/// A fleet that only lost its connections is back within this, and wants its memory again. Doubled, nothing happens but
/// that memory is given back later.
const SETTLE: Duration = Duration::from_secs(5);

/// How many nodes there are, and how many there were.
#[derive(Debug, Default)]
pub(super) struct Tide {
    /// When memory was given back last.
    before: usize,
    due: Option<Due>,
}

/// When it may be time.
#[derive(Debug)]
struct Due {
    at: Instant,
    /// Nodes when this was set.
    nodes: usize,
}

impl Tide {
    /// So many nodes are connected now.
    pub(super) fn note(&mut self, now: Instant, nodes: usize) {
        if self.before.abs_diff(nodes) >= ENOUGH {
            self.due.get_or_insert(Due { at: now + SETTLE, nodes });
        }
    }

    /// When [`Self::is_time`] should be asked.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due.as_ref().map(|due| due.at)
    }

    /// Whether so many nodes have come to stay, or have stayed away, that it is time. While many more come or go it is not:
    /// what they take or leave would have to be given back once more.
    pub(super) fn is_time(&mut self, now: Instant, nodes: usize) -> bool {
        let Some(due) = self.due.take() else { return false };
        if self.before.abs_diff(nodes) < ENOUGH {
            return false;
        }
        if due.nodes.abs_diff(nodes) >= ENOUGH {
            self.due = Some(Due { at: now + SETTLE, nodes });
            return false;
        }
        self.before = nodes;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_given_back_once_many_have_come_and_once_they_have_gone() {
        let (mut tide, now) = (Tide::default(), Instant::now());
        tide.note(now, ENOUGH - 1);
        assert_eq!(tide.due(), None, "too few have come");
        tide.note(now, ENOUGH);
        tide.note(now + SETTLE, 300);
        assert_eq!(tide.due(), Some(now + SETTLE), "it counts from when enough had come");
        assert!(tide.is_time(now + SETTLE, 300));
        tide.note(now + SETTLE, 301 - ENOUGH);
        assert_eq!(tide.due(), None, "it was given back already, and too few have gone");
        tide.note(now + 2 * SETTLE, 0);
        assert_eq!(tide.due(), Some(now + 3 * SETTLE));
        assert!(tide.is_time(now + 3 * SETTLE, 0));
    }

    #[test]
    fn a_storm_is_waited_for() {
        let (mut tide, now) = (Tide::default(), Instant::now());
        tide.note(now, ENOUGH);
        assert!(!tide.is_time(now + SETTLE, 2000), "they are still coming");
        assert_eq!(tide.due(), Some(now + 2 * SETTLE));
        assert!(tide.is_time(now + 2 * SETTLE, 2000 + ENOUGH - 1));
        assert_eq!(tide.due(), None);
    }

    #[test]
    fn nodes_that_come_back_keep_theirs() {
        let mut tide = Tide { before: 1000, due: None };
        let now = Instant::now();
        tide.note(now, 0);
        tide.note(now, 1000);
        assert!(!tide.is_time(now + SETTLE, 1000));
        assert_eq!(tide.due(), None);
        tide.note(now, 0);
        assert!(tide.due().is_some(), "the next time they go");
    }
}
