//! A pod that goes: its containers end, then everything is removed, then the cloud is told.

use tokio::time::Instant;

use super::over::last_ones;
use super::{Next, PodState, Step, StopReason};
use crate::edged::pod::observed::Observed;

pub(super) fn next(state: &PodState, observed: &Observed, kill_at: Instant, now: Instant) -> Next {
    let containers = last_ones(state, observed, kill_at <= now);
    if !containers.is_empty() {
        return Next::Do(Step::Stop { containers, kill_at, why: StopReason::PodEnds });
    }
    if let Some(sandbox) = observed.sandboxes.iter().find(|sandbox| !state.stopped.contains(&sandbox.id)) {
        return Next::Do(Step::StopSandbox(sandbox.id.clone()));
    }
    if let Some(sandbox) = observed.sandbox() {
        return Next::Do(Step::RemoveSandbox(sandbox.id.clone()));
    }
    if let Some(container) = observed.containers.first() {
        return Next::Do(Step::Remove(container.record.id.clone()));
    }
    if !state.cleaned { Next::Do(Step::CleanUp) } else { Next::Ended }
}
