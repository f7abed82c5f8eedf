//! The phase: a summary of the containers' states
//! (<https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-phase>).

use k8s_openapi::api::core::v1::{ContainerState, ContainerStatus, PodSpec};

use super::StatusInput;
use crate::edged::pod::containers::{Role, init_containers};
use crate::edged::pod::state::restarts;

/// `status.phase`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Not everything that belongs to it has run yet.
    Pending,
    /// At least one container runs, or will again.
    Running,
    /// Every container has ended with 0 and stays so. Final.
    Succeeded,
    /// Every container has ended, one of them badly, and stays so. Final.
    Failed,
}

impl Phase {
    /// As in the status.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Running => "Running",
            Self::Succeeded => "Succeeded",
            Self::Failed => "Failed",
        }
    }

    /// Nothing leads out of it.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed)
    }
}

#[derive(Debug, Default)]
struct Count {
    waiting: usize,
    running: usize,
    ended: usize,
    ended_well: usize,
    /// Of those that have ended.
    restarting: usize,
}

impl Count {
    fn of(spec: &PodSpec, statuses: &[ContainerStatus]) -> Self {
        let mut count = Self::default();
        for (container, status) in spec.containers.iter().zip(statuses) {
            let state = status.state.as_ref();
            let terminated = state.and_then(|state| state.terminated.as_ref());
            let ran = status.last_state.as_ref().is_some_and(|last| last.terminated.is_some());
            if let Some(terminated) = terminated {
                count.ended += 1;
                count.ended_well += usize::from(terminated.exit_code == 0);
                let restarts = restarts(spec, Role::App, container, terminated.exit_code);
                count.restarting += usize::from(restarts);
            } else if state.is_some_and(|state| state.running.is_some()) {
                count.running += 1;
            } else if ran {
                // Between two lives.
                count.ended += 1;
                count.restarting += 1;
            } else {
                count.waiting += 1;
            }
        }
        count
    }
}

pub(super) fn phase(
    spec: &PodSpec,
    init_containers: &[ContainerStatus],
    containers: &[ContainerStatus],
    input: &StatusInput<'_>,
) -> Phase {
    let before = input.previous.and_then(|previous| previous.phase.as_deref());
    match before {
        Some("Succeeded") => return Phase::Succeeded,
        Some("Failed") => return Phase::Failed,
        _ => {}
    }
    let now = judge(spec, init_containers, containers, input);
    // Final is final only when nothing runs any more, sidecars included: Kubernetes promises that of a pod's phase.
    match before {
        _ if !now.is_final() || input.observed.alive().next().is_none() => now,
        Some("Pending") => Phase::Pending,
        _ => Phase::Running,
    }
}

fn judge(
    spec: &PodSpec,
    init_containers: &[ContainerStatus],
    containers: &[ContainerStatus],
    input: &StatusInput<'_>,
) -> Phase {
    if input.state.ending().is_some() {
        return Phase::Failed;
    }
    let over = input.state.is_stopping() || input.state.is_finished();
    match init_phase(spec, init_containers, has_begun(containers)) {
        InitPhase::Failed => return Phase::Failed,
        InitPhase::Pending if !over => return Phase::Pending,
        _ => {}
    }
    let count = Count::of(spec, containers);
    let all_well = count.ended == count.ended_well;
    match () {
        () if over && count.running == 0 => {
            if count.waiting == 0 && all_well && count.ended > 0 {
                Phase::Succeeded
            } else {
                Phase::Failed
            }
        }
        () if count.waiting > 0 => Phase::Pending,
        () if count.running > 0 || count.restarting > 0 => Phase::Running,
        () if all_well => Phase::Succeeded,
        () => Phase::Failed,
    }
}

#[derive(Debug, PartialEq, Eq)]
enum InitPhase {
    Done,
    Pending,
    /// For good.
    Failed,
}

/// Has a container of the pod proper ever run? Then sidecars that restart make the pod wait no more.
fn has_begun(statuses: &[ContainerStatus]) -> bool {
    statuses.iter().any(|status| {
        let ran = |state: &ContainerState| state.running.is_some() || state.terminated.is_some();
        status.state.as_ref().is_some_and(ran) || status.last_state.as_ref().is_some_and(ran)
    })
}

fn init_phase(spec: &PodSpec, statuses: &[ContainerStatus], has_begun: bool) -> InitPhase {
    for ((role, container), status) in init_containers(spec).zip(statuses) {
        let state = status.state.as_ref();
        let exit = state.and_then(|state| state.terminated.as_ref()).map(|terminated| terminated.exit_code);
        if role == Role::Sidecar {
            let ran = status.last_state.as_ref().is_some_and(|last| last.terminated.is_some());
            let runs = state.is_some_and(|state| state.running.is_some()) && status.started == Some(true);
            if !(ran || exit.is_some() || runs || has_begun) {
                return InitPhase::Pending;
            }
            continue;
        }
        match exit {
            Some(0) => {}
            Some(code) if !restarts(spec, role, container, code) => return InitPhase::Failed,
            Some(_) => return InitPhase::Pending,
            None => return InitPhase::Pending,
        }
    }
    InitPhase::Done
}

/// Have all init containers done their work?
pub(super) fn is_initialized(
    spec: &PodSpec,
    init_containers: &[ContainerStatus],
    containers: &[ContainerStatus],
) -> bool {
    init_phase(spec, init_containers, has_begun(containers)) == InitPhase::Done
}
