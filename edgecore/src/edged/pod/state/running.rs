//! A pod that should run: what is missing is made, in the order in which one thing needs the other.

use std::time::Duration;

use tokio::time::Instant;

use super::plan::Plan;
use super::{Next, PodState, Step};
use crate::edged::pod::observed::Observed;
use crate::edged::runtime::SandboxId;

/// Ended containers kept per name beside a running one: the last, for `lastState` and its log, as kubelet does.
const ENDED_KEPT: usize = 1;

pub(super) fn next(state: &PodState, observed: &Observed, now: Instant) -> Next {
    let plan = Plan::of(&state.pod, observed, &state.health);
    if let Some(step) = stop(&plan, state.grace(), now) {
        return Next::Do(step);
    }
    if let Some(id) = plan.stillborn.first() {
        return Next::Do(Step::Remove(id.clone()));
    }
    if state.preparation.due.is_some_and(|due| due <= now) {
        return Next::Do(Step::Prepare);
    }
    let mut wake = state.preparation.due;
    if !plan.start.is_empty() && state.preparation.ready {
        match start(state, &plan, observed, now) {
            Next::Wait(until) => wake = earliest(wake, until),
            other => return other,
        }
    }
    match prune(observed, plan.sandbox.map(|sandbox| &sandbox.id)) {
        Some(step) => Next::Do(step),
        None => Next::Wait(wake),
    }
}

/// Ends first what has to end for the same reason and in the same time.
fn stop(plan: &Plan<'_>, grace: Duration, now: Instant) -> Option<Step> {
    let first = plan.stop.first()?;
    let alike = plan.stop.iter().filter(|other| (other.why, other.grace) == (first.why, first.grace));
    let containers = alike.map(|unwanted| unwanted.id.clone()).collect();
    Some(Step::Stop { containers, kill_at: now + first.grace.unwrap_or(grace), why: first.why })
}

fn start(state: &PodState, plan: &Plan<'_>, observed: &Observed, now: Instant) -> Next {
    let mut wake = None;
    for name in &plan.start {
        let memory = state.containers.get(*name);
        let newest = observed.newest(name);
        let at = memory.and_then(|memory| memory.start_at(newest));
        if let Some(at) = at.filter(|at| *at > now) {
            let shown_until = memory.and_then(|memory| memory.shown_until(now));
            wake = earliest(wake, earliest(Some(at), shown_until));
            continue;
        }
        let Some(sandbox) = plan.sandbox else { return sandbox(state, observed) };
        let first = memory.map_or(0, |memory| memory.first_attempt);
        let attempt = newest.map_or(first, |newest| (newest.record.attempt + 1).max(first));
        let sandbox = sandbox.id.clone();
        return Next::Do(Step::Start { container: (*name).to_owned(), attempt, sandbox });
    }
    Next::Wait(wake)
}

/// Makes way for a new sandbox, then makes it.
fn sandbox(state: &PodState, observed: &Observed) -> Next {
    // One that died by itself still holds addresses: stopping it gives them back.
    let left = observed.sandboxes.iter().find(|sandbox| !state.stopped.contains(&sandbox.id));
    Next::Do(match left {
        Some(left) => Step::StopSandbox(left.id.clone()),
        None => Step::RunSandbox { attempt: observed.sandbox().map_or(0, |sandbox| sandbox.attempt + 1) },
    })
}

/// What nobody needs any more: containers older than the last that ended, and then the sandboxes they were in.
fn prune(observed: &Observed, current: Option<&SandboxId>) -> Option<Step> {
    let mut ended_of: Vec<&str> = Vec::new();
    for container in observed.containers.iter().filter(|container| container.is_exited()) {
        let name = container.record.name.as_str();
        if ended_of.iter().filter(|known| **known == name).count() >= ENDED_KEPT {
            return Some(Step::Remove(container.record.id.clone()));
        }
        ended_of.push(name);
    }
    let current = current?;
    let empty = |id: &SandboxId| observed.containers.iter().all(|container| !container.is_in(id));
    let old = observed.sandboxes.iter().find(|sandbox| sandbox.id != *current)?;
    if old.ready {
        return Some(Step::StopSandbox(old.id.clone()));
    }
    empty(&old.id).then(|| Step::RemoveSandbox(old.id.clone()))
}

pub(super) fn earliest(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    a.into_iter().chain(b).min()
}
