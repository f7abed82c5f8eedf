//! A pod that has succeeded or failed: its network and volumes are given back. Its containers stay, for their logs
//! and exit codes, until the cloud deletes the pod.

use tokio::time::Instant;

use super::over::last_ones;
use super::{Next, PodState, Step, StopReason};
use crate::edged::pod::observed::Observed;

pub(super) fn next(state: &PodState, observed: &Observed, now: Instant) -> Next {
    let containers = last_ones(state, observed, false);
    if !containers.is_empty() {
        let grace = state.ending.as_ref().and_then(|ending| ending.grace);
        let kill_at = now + grace.unwrap_or_else(|| state.grace());
        return Next::Do(Step::Stop { containers, kill_at, why: StopReason::PodEnds });
    }
    if let Some(sandbox) = observed.sandboxes.iter().find(|sandbox| sandbox.ready) {
        return Next::Do(Step::StopSandbox(sandbox.id.clone()));
    }
    if !state.cleaned { Next::Do(Step::CleanUp) } else { Next::Wait(None) }
}
