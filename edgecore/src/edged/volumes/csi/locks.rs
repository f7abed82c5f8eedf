//! One at a time for each volume: what one pod takes away another may just be about to use.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::OwnedMutexGuard;

type Lock = tokio::sync::Mutex<()>;

/// Locks by driver and volume; those that nobody holds are dropped.
#[derive(Debug, Default)]
pub(super) struct Locks(Mutex<BTreeMap<(String, String), Weak<Lock>>>);

impl Locks {
    /// Waits until nobody else works on the volume.
    pub(super) async fn lock(&self, driver: &str, handle: &str) -> OwnedMutexGuard<()> {
        let lock = self.of(driver, handle);
        lock.lock_owned().await
    }

    fn of(&self, driver: &str, handle: &str) -> Arc<Lock> {
        let mut locks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        locks.retain(|_, lock| lock.strong_count() > 0);
        let slot = locks.entry((driver.to_owned(), handle.to_owned())).or_default();
        slot.upgrade().unwrap_or_else(|| {
            let lock = Arc::new(Lock::default());
            *slot = Arc::downgrade(&lock);
            lock
        })
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn a_volume_is_worked_on_by_one_at_a_time() {
        let locks = Locks::default();
        let held = locks.lock("d", "1").await;
        assert!(locks.lock("d", "1").now_or_never().is_none());
        let other = locks.lock("d", "2").now_or_never().unwrap();
        drop((held, other));
        drop(locks.lock("d", "1").await);
        locks.lock("d", "3").await;
        assert_eq!(locks.0.lock().unwrap().len(), 1);
    }
}
