//! The phase: a summary of the containers' states
//! (<https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-phase>).

use k8s_openapi::api::core::v1::{ContainerStatus, PodSpec};

use super::StatusInput;
use crate::edged::pod::state::{RestartPolicy, is_sidecar};

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
}

impl Count {
    fn of(statuses: &[ContainerStatus]) -> Self {
        let mut count = Self::default();
        for status in statuses {
            let state = status.state.as_ref();
            let terminated = state.and_then(|state| state.terminated.as_ref());
            let ran = status.last_state.as_ref().is_some_and(|last| last.terminated.is_some());
            if let Some(terminated) = terminated {
                count.ended += 1;
                count.ended_well += usize::from(terminated.exit_code == 0);
            } else if state.is_some_and(|state| state.running.is_some()) {
                count.running += 1;
            } else if ran {
                // Between two lives.
                count.ended += 1;
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
    let over = input.state.is_stopping() || input.state.is_finished();
    let policy = RestartPolicy::of(spec);
    match init_phase(spec, init_containers) {
        InitPhase::Failed if policy == RestartPolicy::Never => return Phase::Failed,
        InitPhase::Failed | InitPhase::Pending if !over => return Phase::Pending,
        _ => {}
    }
    let count = Count::of(containers);
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
        () if count.running > 0 || policy == RestartPolicy::Always => Phase::Running,
        () if all_well => Phase::Succeeded,
        () if policy == RestartPolicy::Never => Phase::Failed,
        () => Phase::Running,
    }
}

#[derive(Debug, PartialEq, Eq)]
enum InitPhase {
    Done,
    Pending,
    Failed,
}

fn init_phase(spec: &PodSpec, statuses: &[ContainerStatus]) -> InitPhase {
    for (container, status) in spec.init_containers.iter().flatten().zip(statuses) {
        let state = status.state.as_ref();
        let exit = state.and_then(|state| state.terminated.as_ref()).map(|terminated| terminated.exit_code);
        if is_sidecar(container) {
            let ran = status.last_state.as_ref().is_some_and(|last| last.terminated.is_some());
            let started = ran || exit.is_some() || state.is_some_and(|state| state.running.is_some());
            if !started {
                return InitPhase::Pending;
            }
            continue;
        }
        match exit {
            Some(0) => {}
            Some(_) => return InitPhase::Failed,
            None => return InitPhase::Pending,
        }
    }
    InitPhase::Done
}

/// Have all init containers done their work?
pub(super) fn is_initialized(spec: &PodSpec, statuses: &[ContainerStatus]) -> bool {
    init_phase(spec, statuses) == InitPhase::Done
}
