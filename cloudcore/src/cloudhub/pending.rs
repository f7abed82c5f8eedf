//! What a node has asked and was not answered yet: a connection that is to move elsewhere waits for the answers.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::timeout;

/// Longest wait for the answers. Whoever is not answered asks again elsewhere.
const PATIENCE: Duration = Duration::from_secs(2);

/// A count, not a list: some requests have several answers and some have none, which makes it end early or late, within
/// [`PATIENCE`].
#[derive(Debug, Default)]
pub(super) struct Pending {
    count: AtomicUsize,
    fewer: Notify,
}

impl Pending {
    /// The node asks something.
    pub(super) fn asked(&self) {
        self.count.fetch_add(1, Ordering::Relaxed);
    }

    /// Something was sent to the node.
    pub(super) fn sent(&self, is_answer: bool) {
        if !is_answer {
            return;
        }
        let less = |count: usize| count.checked_sub(1);
        if self.count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less) == Ok(1) {
            self.fewer.notify_one();
        }
    }

    /// Ends when everything is answered, or that takes too long.
    pub(super) async fn none(&self) {
        let none = async {
            while self.count.load(Ordering::Relaxed) > 0 {
                self.fewer.notified().await;
            }
        };
        timeout(PATIENCE, none).await.ok();
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn answers_are_waited_for_but_not_for_long() {
        let (pending, begun) = (Pending::default(), Instant::now());
        pending.none().await;
        pending.asked();
        pending.asked();
        pending.sent(false);
        pending.sent(true);
        let (answered, ()) = tokio::join!(
            async {
                pending.none().await;
                begun.elapsed()
            },
            async {
                tokio::time::sleep(PATIENCE / 2).await;
                pending.sent(true);
                pending.sent(true);
            }
        );
        assert_eq!(answered, PATIENCE / 2);
        pending.asked();
        pending.none().await;
        assert_eq!(begun.elapsed(), PATIENCE / 2 + PATIENCE);
    }
}
