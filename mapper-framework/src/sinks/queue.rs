//! Values that wait for their target: at most so many; the newest are kept.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::Push;

/// See the module's documentation. Clones share one queue.
#[derive(Debug, Clone)]
pub(super) struct Queue {
    items: Arc<Mutex<VecDeque<Push>>>,
    filled: Arc<Notify>,
    limit: usize,
}

impl Queue {
    pub(super) fn new(limit: usize) -> Self {
        Self { items: Arc::default(), filled: Arc::default(), limit }
    }

    /// Adds the newest value. Whether the oldest one had to go.
    pub(super) fn put(&self, push: Push) -> bool {
        let mut items = self.lock();
        items.push_back(push);
        let is_over = items.len() > self.limit;
        if is_over {
            items.pop_front();
        }
        drop(items);
        self.filled.notify_one();
        is_over
    }

    /// Puts back what was taken and not pushed, as the oldest. How many of them had to go.
    pub(super) fn put_back(&self, batch: Vec<Push>) -> usize {
        let mut items = self.lock();
        let room = self.limit.saturating_sub(items.len());
        let dropped = batch.len().saturating_sub(room);
        for push in batch.into_iter().skip(dropped).rev() {
            items.push_front(push);
        }
        drop(items);
        self.filled.notify_one();
        dropped
    }

    /// The oldest values, at least one; waits until there is one.
    pub(super) async fn take(&self, most: usize) -> Vec<Push> {
        loop {
            {
                let mut items = self.lock();
                if !items.is_empty() {
                    let count = items.len().min(most);
                    return items.drain(..count).collect();
                }
            }
            self.filled.notified().await;
        }
    }

    /// A leaf lock: nothing is called or awaited under it.
    fn lock(&self) -> MutexGuard<'_, VecDeque<Push>> {
        self.items.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
