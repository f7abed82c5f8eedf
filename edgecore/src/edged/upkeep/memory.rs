//! Gives memory back once many pods have come to stay or have gone. What starting or ending a pod takes for a moment
//! leaves holes that the allocator keeps: measured with 80 pods, a fifth of all that EdgeCore had with them, and half
//! once they were gone.

use std::convert::Infallible;
use std::time::Duration;

use chassis::task;
use chassis::tide::Tide;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::edged::roster::Roster;

/// So many pods that came or went are worth it: half a MiB or more.
const MANY: usize = 8;
/// By then most pods that came together have started, and those that are replaced are back. Doubled, nothing happens but
/// that memory is given back later.
const SETTLE: Duration = Duration::from_secs(30);

/// See the module.
#[derive(Debug)]
pub(super) struct MemoryKeeper {
    count: watch::Receiver<usize>,
    tide: Tide,
    give_back: fn(),
}

// === impl MemoryKeeper ===

impl MemoryKeeper {
    /// `give_back` may take a while and is not called on this thread.
    pub(super) fn new(roster: &Roster, give_back: fn()) -> Self {
        Self { count: roster.count(), tide: Tide::new(MANY, SETTLE), give_back }
    }

    /// Runs until it is dropped.
    pub(super) async fn run(mut self) -> Infallible {
        loop {
            let now = Instant::now();
            let pods = *self.count.borrow_and_update();
            self.tide.note(now, pods);
            tokio::select! {
                changed = self.count.changed() => if changed.is_err() {
                    // Edged ends.
                    std::future::pending::<()>().await;
                },
                () = task::until(self.tide.due()) => if self.tide.is_time(Instant::now(), pods) {
                    tracing::debug!(pods, "many pods have come or gone: giving back free memory");
                    // It waits for nobody, and nobody for it.
                    drop(tokio::task::spawn_blocking(self.give_back));
                },
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use k8s_openapi::api::core::v1::Pod;

    use super::*;

    static GIVEN: AtomicUsize = AtomicUsize::new(0);

    #[tokio::test(start_paused = true)]
    async fn memory_is_given_back_when_many_pods_have_settled_and_when_they_have_gone() {
        let roster = Roster::default();
        let keeper = MemoryKeeper::new(&roster, || {
            GIVEN.fetch_add(1, Ordering::Relaxed);
        });
        let _running = task::spawn(tracing::Span::none(), keeper.run());
        let given_after = async |time| {
            // The paused clock stands while a blocking thread is busy, so what was begun before this ends has ended.
            tokio::time::sleep(time).await;
            GIVEN.load(Ordering::Relaxed)
        };
        for pod in 0..MANY {
            assert_eq!(given_after(Duration::from_secs(1)).await, 0, "{pod} are not enough");
            roster.enter(&pod.to_string(), Arc::new(Pod::default()));
        }
        assert_eq!(given_after(SETTLE / 2).await, 0, "they may be starting still");
        assert_eq!(given_after(SETTLE).await, 1);
        assert_eq!(given_after(100 * SETTLE).await, 1, "nothing has changed since");
        for pod in 0..MANY {
            roster.leave(&pod.to_string());
        }
        assert_eq!(given_after(2 * SETTLE).await, 2);
    }
}
