//! When memory is given back to the system: after many of what a process has in numbers (nodes, pods) have gone, what they
//! had; after many have come, what their coming took. Pure: the time is an argument.

use std::time::Duration;

use tokio::time::Instant;

/// How many there are, and how many there were.
#[derive(Debug)]
pub struct Tide {
    /// So many more or fewer than there were are worth it.
    enough: usize,
    /// Those that only went for a moment are back within this, and want their memory again.
    settle: Duration,
    /// How many there were when memory was given back last.
    before: usize,
    due: Option<Due>,
}

/// When it may be time.
#[derive(Debug)]
struct Due {
    at: Instant,
    /// How many there were when this was set.
    count: usize,
}

impl Tide {
    /// Begins with none. So many more or fewer are worth giving memory back, once so much time has passed.
    #[must_use]
    pub fn new(enough: usize, settle: Duration) -> Self {
        Self { enough, settle, before: 0, due: None }
    }

    /// There are so many now.
    pub fn note(&mut self, now: Instant, count: usize) {
        if self.before.abs_diff(count) >= self.enough {
            self.due.get_or_insert(Due { at: now + self.settle, count });
        }
    }

    /// When [`Self::is_time`] should be asked.
    pub fn due(&self) -> Option<Instant> {
        self.due.as_ref().map(|due| due.at)
    }

    /// Whether so many have come to stay, or have stayed away, that it is time. While many more come or go it is not: what
    /// they take or leave would have to be given back once more.
    pub fn is_time(&mut self, now: Instant, count: usize) -> bool {
        let Some(due) = self.due.take() else { return false };
        if self.before.abs_diff(count) < self.enough {
            return false;
        }
        if due.count.abs_diff(count) >= self.enough {
            self.due = Some(Due { at: now + self.settle, count });
            return false;
        }
        self.before = count;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENOUGH: usize = 256;
    const SETTLE: Duration = Duration::from_secs(5);

    fn tide() -> Tide {
        Tide::new(ENOUGH, SETTLE)
    }

    #[test]
    fn memory_is_given_back_once_many_have_come_and_once_they_have_gone() {
        let (mut tide, now) = (tide(), Instant::now());
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
        let (mut tide, now) = (tide(), Instant::now());
        tide.note(now, ENOUGH);
        assert!(!tide.is_time(now + SETTLE, 2000), "they are still coming");
        assert_eq!(tide.due(), Some(now + 2 * SETTLE));
        assert!(tide.is_time(now + 2 * SETTLE, 2000 + ENOUGH - 1));
        assert_eq!(tide.due(), None);
    }

    #[test]
    fn those_that_come_back_keep_theirs() {
        let mut tide = Tide { before: 1000, ..tide() };
        let now = Instant::now();
        tide.note(now, 0);
        tide.note(now, 1000);
        assert!(!tide.is_time(now + SETTLE, 1000));
        assert_eq!(tide.due(), None);
        tide.note(now, 0);
        assert!(tide.due().is_some(), "the next time they go");
    }
}
