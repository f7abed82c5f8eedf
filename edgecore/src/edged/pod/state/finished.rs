//! A pod that has succeeded or failed: its network and volumes are given back. Its containers stay, for their logs
//! and exit codes, until the cloud deletes the pod.

use tokio::time::Instant;

use super::{Next, PodState, Step, StopReason};
use crate::edged::pod::observed::Observed;

pub(super) fn next(state: &PodState, observed: &Observed, now: Instant) -> Next {
    let alive: Vec<_> = observed.alive().map(|container| container.record.id.clone()).collect();
    if !alive.is_empty() {
        let kill_at = now + state.grace();
        return Next::Do(Step::Stop { containers: alive, kill_at, why: StopReason::PodEnds });
    }
    if let Some(sandbox) = observed.sandboxes.iter().find(|sandbox| sandbox.ready) {
        return Next::Do(Step::StopSandbox(sandbox.id.clone()));
    }
    if !state.cleaned { Next::Do(Step::CleanUp) } else { Next::Wait(None) }
}
