//! Room for a critical pod.

use futures::future::join_all;

use super::PodActor;
use crate::edged::preemption::preempted;
use crate::edged::upkeep::eviction::EvictionOrder;

impl PodActor {
    /// Ends the pods whose place this one takes, and waits until nothing of them is left: as long as kubelet does, not for ever.
    pub(super) async fn make_room(&mut self) {
        let Some(preempts) = self.seen.preempts.clone() else { return };
        let context = self.worker.context.clone();
        for uid in preempts.victims.iter().cloned() {
            tracing::warn!(victim = uid, "a pod makes room for this one, which is critical");
            if context.preemptions.send(EvictionOrder { uid, ending: preempted() }).await.is_err() {
                // edged ends, and so will this.
                return;
            }
            context.metrics.preempted(&preempts.resource);
        }
        let over = join_all(preempts.victims.iter().map(|uid| context.roster.until_over(uid)));
        let over = tokio::time::timeout(preempts.patience, over);
        tokio::pin!(over);
        while self.state.is_running() {
            tokio::select! {
                over = &mut over => {
                    if over.is_err() {
                        tracing::warn!("the pods that make room have not ended yet");
                    }
                    return;
                }
                changed = self.wanted.changed() => match changed {
                    Ok(()) => self.take_wanted(),
                    Err(_) => return,
                },
            }
        }
    }
}
