//! Has the cloud make and remove mirror pods, until nothing is left to do.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::time::Duration;

use chassis::backoff::{Backoff, BackoffPolicy};
use chassis::rng::Rng;
use tokio::sync::watch;

use super::mirror::Errand;
use crate::flow::{MetaClient, MetaError, PodKey};

/// Between two tries of what has failed: mostly the cloud is away.
const AGAIN: BackoffPolicy =
    BackoffPolicy { initial: Duration::from_secs(1), max: Duration::from_secs(60), factor: 2.0, jitter: 0.3 };
/// What was done and does not show: the cloud may have lost it.
const UNSEEN: Duration = Duration::from_secs(60);

/// See the module.
#[derive(Debug)]
pub struct Clerk {
    meta: MetaClient,
    errands: watch::Receiver<Vec<Errand>>,
    rng: Rng,
    /// What is in MetaManager's durable queue already.
    handed_over: BTreeSet<PodKey>,
}

// === impl Clerk ===

impl Clerk {
    /// One with nothing to do, and the place for the list of what is.
    pub fn new(meta: MetaClient, rng: Rng) -> (watch::Sender<Vec<Errand>>, Self) {
        let (list, errands) = watch::channel(Vec::new());
        (list, Self { meta, errands, rng, handed_over: BTreeSet::new() })
    }

    /// Works for ever.
    pub async fn run(mut self) -> Infallible {
        let mut backoff = Backoff::new(AGAIN, self.rng.clone());
        loop {
            let errands = self.errands.borrow_and_update().clone();
            let is_asked = |key: &PodKey| errands.contains(&Errand::Delete(key.clone()));
            self.handed_over.retain(is_asked);
            let mut failed = false;
            for errand in &errands {
                if let Err(error) = self.perform(errand).await {
                    tracing::debug!(%error, "a mirror pod waits");
                    failed = true;
                }
            }
            if !failed {
                backoff.reset();
            }
            let again = if failed { backoff.next_delay() } else { UNSEEN };
            let changed = async {
                if self.errands.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            };
            if errands.is_empty() {
                changed.await;
            } else {
                drop(tokio::time::timeout(again, changed).await);
            }
        }
    }

    async fn perform(&mut self, errand: &Errand) -> Result<(), MetaError> {
        match errand {
            Errand::Create(pod) => self.meta.create_pod((**pod).clone()).await.map(drop),
            Errand::Delete(key) if self.handed_over.contains(key) => Ok(()),
            Errand::Delete(key) => {
                self.meta.pod_gone(key.clone()).await?;
                self.handed_over.insert(key.clone());
                Ok(())
            }
        }
    }
}
