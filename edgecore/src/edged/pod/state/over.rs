//! What keeps a pod from beginning, and what ends it besides its containers and the cloud.

use std::time::Duration;

use tokio::time::Instant;

use super::{Ending, PodState};
use crate::edged::hold;
use crate::edged::pod::containers::{Role, init_containers};
use crate::edged::pod::observed::{Observed, ObservedContainer};
use crate::edged::runtime::ContainerId;

impl PodState {
    /// Why the pod has failed, where its containers do not tell.
    pub fn ending(&self) -> Option<&Ending> {
        self.ending.as_ref()
    }

    /// Whether somebody at the edge has to agree before anything of the pod is made: it is not held any more once it has
    /// begun (spec edge-keadm-mapper 3.2).
    pub fn is_held(&self) -> bool {
        hold::asks(&self.pod) && !self.let_go && !self.begun && !self.finished && !self.is_stopping()
    }

    /// Somebody at the edge has agreed to the pod.
    pub fn let_go(&mut self) {
        self.let_go = true;
    }

    /// The node wants the pod to be over. What has succeeded or failed already, or is being deleted, stays as it is.
    pub fn fail(&mut self, ending: Ending) {
        if !self.is_stopping() && !self.finished {
            self.finished = true;
            self.ending = Some(ending);
            self.retry = None;
        }
    }

    /// How long ago the pod was taken on, by the wall clock.
    pub fn active_for(&mut self, time: Duration, now: Instant) {
        self.active_since = now.checked_sub(time).unwrap_or(now);
    }

    /// When the pod is over, whatever its containers do:
    /// <https://kubernetes.io/docs/concepts/workloads/pods/init-containers/#detailed-behavior>.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let seconds = self.pod.spec.as_ref()?.active_deadline_seconds?;
        let after = Duration::from_secs(u64::try_from(seconds).unwrap_or_default());
        self.active_since.checked_add(after).filter(|_| !self.is_stopping() && !self.finished)
    }
}

/// Those of the running containers of a pod that ends whose turn it is: sidecars serve the others and so go after them,
/// the last of the spec first. `at_once`: the grace period is over.
/// <https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#termination-with-sidecars>
pub(super) fn last_ones(state: &PodState, observed: &Observed, at_once: bool) -> Vec<ContainerId> {
    let id = |container: &ObservedContainer| container.record.id.clone();
    let spec = state.pod.spec.as_ref();
    let sidecars: Vec<&str> = spec.map_or_else(Vec::new, |spec| {
        let all = init_containers(spec).filter(|(role, _)| *role == Role::Sidecar);
        all.map(|(_, container)| container.name.as_str()).collect()
    });
    let is_sidecar = |container: &&ObservedContainer| sidecars.contains(&container.record.name.as_str());
    let others: Vec<ContainerId> =
        observed.alive().filter(|container| at_once || !is_sidecar(container)).map(id).collect();
    if !others.is_empty() {
        return others;
    }
    let last = sidecars.iter().rev().find_map(|name| {
        let alive: Vec<ContainerId> = observed.of(name).filter(|one| one.is_alive()).map(id).collect();
        Some(alive).filter(|alive| !alive.is_empty())
    });
    last.unwrap_or_default()
}
