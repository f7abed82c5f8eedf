//! What a pod's status shows of containers that do not run.

use tokio::time::Instant;

use super::{PodState, Waiting, WaitingReason, plan};
use crate::edged::pod::observed::{Observed, ObservedContainer};

impl PodState {
    /// What the status of container `name` shows while it waits.
    pub fn waiting(&self, name: &str, observed: &Observed, now: Instant) -> Option<Waiting> {
        if self.is_stopping() || self.finished {
            return None;
        }
        let memory = self.containers.get(name)?;
        let newest = observed.newest(name);
        let restarts = newest.is_none_or(|newest| plan::will_restart(&self.pod, name, newest, &self.health));
        let waiting = restarts.then(|| memory.waiting(newest, &self.pod, name, now)).flatten();
        // Between its end and its next start it counts as neither done nor failed.
        let given_up = |newest: &&ObservedContainer| newest.is_exited() && self.health.was_given_up(newest);
        let restarting = newest.filter(given_up).filter(|_| restarts);
        waiting.or_else(|| restarting.map(|_| Waiting::new(WaitingReason::ContainerCreating, "")))
    }
}
