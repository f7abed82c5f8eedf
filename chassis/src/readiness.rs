//! Which parts of a daemon are not ready yet. `/readyz` and the tests read it.

use tokio::sync::watch;

/// The parts of a daemon that have to be ready before it is. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Readiness {
    parts: watch::Sender<Vec<Part>>,
}

/// One part's promise to become ready. Dropped without [`ReadyGuard::ready`] (an error, a panic), the part stays
/// pending for good.
#[derive(Debug)]
#[must_use = "a guard that is dropped leaves its part pending for good"]
pub struct ReadyGuard {
    parts: watch::Sender<Vec<Part>>,
    index: usize,
}

#[derive(Debug, Clone, Copy)]
struct Part {
    name: &'static str,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Its guard is held: it may still become ready.
    Pending,
    /// Its guard said so.
    Ready,
    /// Its guard was dropped: it will never be ready.
    Lost,
}

// === impl Readiness ===

impl Readiness {
    /// With no parts, and so ready.
    #[must_use]
    pub fn new() -> Self {
        Self { parts: watch::Sender::new(Vec::new()) }
    }

    /// Adds a part, which is pending until its guard says otherwise.
    pub fn register(&self, name: &'static str) -> ReadyGuard {
        let mut index = 0;
        self.parts.send_modify(|parts| {
            index = parts.len();
            parts.push(Part { name, state: State::Pending });
        });
        ReadyGuard { parts: self.parts.clone(), index }
    }

    /// Names of the parts that are not ready, in the order of registration.
    #[must_use]
    pub fn pending(&self) -> Vec<&'static str> {
        names(&self.parts.borrow(), |state| state != State::Ready)
    }

    /// Names of the parts that gave up before they were ready; they are pending as well.
    #[must_use]
    pub fn lost(&self) -> Vec<&'static str> {
        names(&self.parts.borrow(), |state| state == State::Lost)
    }

    /// Whether every part is ready.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        all_ready(&self.parts.borrow())
    }

    /// Ends when other parts than these are not ready.
    pub async fn differs(&self, pending: &[&str]) {
        let mut parts = self.parts.subscribe();
        let waited = parts.wait_for(|parts| names(parts, |state| state != State::Ready) != pending).await;
        debug_assert!(waited.is_ok(), "self holds a sender, so the channel is open");
    }

    /// Ends when every part is ready. It never ends when a part is lost.
    pub async fn wait(&self) {
        let mut parts = self.parts.subscribe();
        let waited = parts.wait_for(|parts| all_ready(parts)).await;
        debug_assert!(waited.is_ok(), "self holds a sender, so the channel is open");
    }
}

impl Default for Readiness {
    fn default() -> Self {
        Self::new()
    }
}

fn all_ready(parts: &[Part]) -> bool {
    parts.iter().all(|part| part.state == State::Ready)
}

fn names(parts: &[Part], wanted: impl Fn(State) -> bool) -> Vec<&'static str> {
    parts.iter().filter(|part| wanted(part.state)).map(|part| part.name).collect()
}

// === impl ReadyGuard ===

impl ReadyGuard {
    /// The part is ready. Logs which parts are not yet.
    pub fn ready(self) {
        self.set(State::Ready);
        let parts = self.parts.borrow();
        let pending = names(&parts, |state| state != State::Ready);
        tracing::info!(part = parts[self.index].name, ?pending, "ready");
    }

    fn set(&self, state: State) {
        self.parts.send_modify(|parts| parts[self.index].state = state);
    }
}

impl Drop for ReadyGuard {
    fn drop(&mut self) {
        let said_nothing = self.parts.borrow()[self.index].state == State::Pending;
        if said_nothing {
            self.set(State::Lost);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task;

    #[test]
    fn parts_are_pending_until_their_guard_says_ready() {
        let readiness = Readiness::new();
        assert!(readiness.is_ready());
        let hub = readiness.register("hub");
        let store = readiness.register("store");
        assert_eq!(readiness.pending(), ["hub", "store"]);
        hub.ready();
        assert_eq!(readiness.pending(), ["store"]);
        assert!(!readiness.is_ready());
        store.ready();
        assert!(readiness.is_ready());
        assert!(readiness.lost().is_empty());
    }

    #[tokio::test]
    async fn a_guard_dropped_by_a_panic_stays_pending() {
        let readiness = Readiness::new();
        let guard = readiness.register("hub");
        let task = task::spawn(tracing::Span::none(), async move {
            let _guard = guard;
            panic!("as the test wants");
        });
        assert!(task.await.unwrap_err().is_panic());
        assert_eq!(readiness.pending(), ["hub"]);
        assert_eq!(readiness.lost(), ["hub"]);
    }

    #[tokio::test]
    async fn waiting_ends_with_the_last_guard() {
        let readiness = Readiness::new();
        let guard = readiness.register("hub");
        let waiting = task::spawn(tracing::Span::none(), {
            let readiness = readiness.clone();
            async move { readiness.wait().await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        guard.ready();
        waiting.await.unwrap();
    }
}
