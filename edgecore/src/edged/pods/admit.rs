//! Whether a pod that is new here is taken on.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use proto::placement::Amounts;

use super::{Actor, Pods};
use crate::edged::admission::{Claim, Refusal};
use crate::edged::pod::state::{DEFAULT_GRACE, Ending};
use crate::edged::pod::wanted::Preempts;
use crate::edged::preemption::{Occupant, victims};
use crate::edged::upkeep::eviction::admission::refusal;
use crate::edged::upkeep::eviction::rank::is_critical;
use crate::flow::PodKey;

/// The end of a pod that is preempted is waited for at least this long; kubelet's.
const PATIENCE: Duration = Duration::from_secs(10);

impl Pods {
    /// Whether there is room for a pod, and who has to make it. One that was taken on before is taken on again.
    pub(super) fn admit(
        &self,
        pod: &Pod,
        key: &PodKey,
        claim: &Claim,
    ) -> Result<Option<Arc<Preempts>>, Ending> {
        let has_started = pod.status.as_ref().is_some_and(|status| status.start_time.is_some());
        let devices = &self.context.devices;
        if has_started || self.seen.pods.contains_key(&key.uid) || devices.has_given(&key.uid) {
            return Ok(None);
        }
        if *self.context.is_shutting_down.borrow() {
            return Err(Ending::rejected("NodeShutdown", "Pod was rejected as the node is shutting down."));
        }
        if let Some(ending) = refusal(pod, *self.context.pressures.borrow()) {
            return Err(ending);
        }
        let mut room = self.context.node.borrow().room.clone();
        // What the node has told last may be older.
        room.extend(devices.room());
        match claim.fits(self.in_force().map(|(_, other)| &other.claim), &room) {
            Ok(()) => Ok(None),
            Err(Refusal::Short { lacks, .. }) if is_critical(pod) => self.make_way(pod, &lacks).map(Some),
            Err(Refusal::Final(ending) | Refusal::Short { ending, .. }) => Err(ending),
        }
    }

    /// Those that take something of the node, by UID.
    fn in_force(&self) -> impl Iterator<Item = (&String, &Actor)> {
        self.actors.iter().filter(|(_, actor)| !actor.is_over.load(Ordering::Relaxed))
    }

    /// Who has to go for a critical pod.
    fn make_way(&self, pod: &Pod, lacks: &Amounts) -> Result<Arc<Preempts>, Ending> {
        let others: Vec<(&String, &Actor, Arc<Pod>)> =
            self.in_force().map(|(uid, actor)| (uid, actor, actor.wanted.borrow().pod.clone())).collect();
        let occupants = others.iter().map(|(uid, actor, pod)| Occupant { uid, pod, claim: &actor.claim });
        let victims = victims(pod, lacks, occupants).map_err(|error| {
            let message = format!(
                "Unexpected error while attempting to recover from admission failure: preemption: error finding a set of \
                 pods to preempt: {error}"
            );
            Ending::rejected("UnexpectedAdmissionError", message)
        })?;
        let patience = victims.iter().map(|victim| grace(victim.pod).mul_f64(1.5)).max().unwrap_or_default();
        Ok(Arc::new(Preempts {
            victims: victims.into_iter().map(|victim| victim.uid.to_owned()).collect(),
            resource: lacks.keys().next().cloned().unwrap_or_default(),
            patience: patience.max(PATIENCE),
        }))
    }
}

fn grace(pod: &Pod) -> Duration {
    let seconds = pod.spec.as_ref().and_then(|spec| spec.termination_grace_period_seconds);
    seconds.map_or(DEFAULT_GRACE, |seconds| Duration::from_secs(u64::try_from(seconds).unwrap_or_default()))
}
