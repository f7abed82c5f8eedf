//! Which containers of a pod should run now, and which should not: init containers one after the other, sidecars
//! beside what follows them, then everything else:
//! <https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/> and
//! <https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/>.

use k8s_openapi::api::core::v1::{Container, Pod, PodSpec};

use super::StopReason;
use crate::edged::labels::CONTAINER_HASH;
use crate::edged::pod::hash::container_hash;
use crate::edged::pod::observed::{Observed, ObservedContainer};
use crate::edged::runtime::{ContainerId, ContainerState, SandboxRecord};

/// `spec.restartPolicy`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RestartPolicy {
    /// Whatever its exit code.
    Always,
    /// Unless it exits with 0.
    OnFailure,
    /// Not at all.
    Never,
}

/// What the pod's containers need now.
#[derive(Debug)]
pub(super) struct Plan<'a> {
    /// The sandbox that they run in, if it can be used.
    pub(super) sandbox: Option<&'a SandboxRecord>,
    /// To be started, in this order.
    pub(super) start: Vec<&'a Container>,
    /// To be ended.
    pub(super) stop: Vec<(ContainerId, StopReason)>,
    /// Made and never started, by an edged that was killed in between: to be removed.
    pub(super) stillborn: Vec<ContainerId>,
    finished: bool,
}

impl RestartPolicy {
    /// Of a pod; `Always` where it says nothing, as the API server fills in.
    pub fn of(spec: &PodSpec) -> Self {
        match spec.restart_policy.as_deref() {
            Some("Never") => Self::Never,
            Some("OnFailure") => Self::OnFailure,
            _ => Self::Always,
        }
    }

    fn restarts(self, ended: &ObservedContainer) -> bool {
        match self {
            Self::Always => true,
            Self::OnFailure => !ended.is_completed(),
            Self::Never => false,
        }
    }
}

/// An init container that keeps running beside the others.
pub fn is_sidecar(container: &Container) -> bool {
    container.restart_policy.as_deref() == Some("Always")
}

/// Will container `name`, which has ended, be started again?
pub(super) fn will_restart(pod: &Pod, name: &str, ended: &ObservedContainer) -> bool {
    let Some(spec) = &pod.spec else { return false };
    let policy = RestartPolicy::of(spec);
    match spec.init_containers.iter().flatten().find(|init| init.name == name) {
        Some(init) if is_sidecar(init) => true,
        Some(_) => policy != RestartPolicy::Never && !ended.is_completed(),
        None => policy.restarts(ended),
    }
}

// === impl Plan ===

impl<'a> Plan<'a> {
    pub(super) fn of(pod: &'a Pod, observed: &'a Observed) -> Self {
        let mut plan = Self {
            sandbox: None,
            start: Vec::new(),
            stop: Vec::new(),
            stillborn: Vec::new(),
            finished: false,
        };
        let Some(spec) = &pod.spec else { return plan };
        plan.sandbox =
            observed.ready_sandbox().filter(|_| uses_host_network(spec) || !observed.ips.is_empty());
        plan.sort_out(observed);
        plan.finished = is_finished(spec, observed);
        if !plan.finished {
            plan.choose(spec, observed);
        }
        plan
    }

    /// Nothing of the pod will ever run again.
    pub(super) fn is_finished(&self) -> bool {
        self.finished
    }

    /// What is alive and has no place in the pod as it should be.
    fn sort_out(&mut self, observed: &Observed) {
        for container in &observed.containers {
            let misplaced = self.sandbox.is_none_or(|sandbox| !container.is_in(&sandbox.id));
            match container.record.state {
                ContainerState::Created => self.stillborn.push(container.record.id.clone()),
                ContainerState::Running if misplaced => {
                    self.stop.push((container.record.id.clone(), StopReason::SandboxLost));
                }
                // What the runtime cannot tell about is ended, so that it can.
                ContainerState::Unknown => {
                    self.stop.push((container.record.id.clone(), StopReason::SandboxLost));
                }
                ContainerState::Running | ContainerState::Exited => {}
            }
        }
    }

    fn choose(&mut self, spec: &'a PodSpec, observed: &Observed) {
        let policy = RestartPolicy::of(spec);
        let here = |container: &Container| self.newest_here(observed, &container.name);
        // Once a container of the pod proper exists, initialization is over for the life of this sandbox.
        let initialized = spec.containers.iter().any(|container| here(container).is_some());
        for init in spec.init_containers.iter().flatten() {
            match self.newest_here(observed, &init.name) {
                Some(running) if running.is_alive() => {
                    self.stop_if_changed(init, running, is_sidecar(init));
                    if !is_sidecar(init) && !initialized {
                        return;
                    }
                }
                _ if !is_sidecar(init) && initialized => {}
                Some(ended) if !is_sidecar(init) && ended.is_completed() => {}
                _ => {
                    self.start.push(init);
                    if !initialized {
                        return;
                    }
                }
            }
        }
        for container in &spec.containers {
            match observed.newest(&container.name) {
                Some(alive) if alive.is_alive() => self.stop_if_changed(container, alive, true),
                Some(ended) if ended.is_exited() && !policy.restarts(ended) => {}
                _ => self.start.push(container),
            }
        }
    }

    /// The newest container of this name, if it is in the sandbox that is in use.
    fn newest_here<'o>(&self, observed: &'o Observed, name: &str) -> Option<&'o ObservedContainer> {
        let sandbox = self.sandbox?;
        observed
            .containers
            .iter()
            .find(|container| container.record.name == name)
            .filter(|newest| newest.is_in(&sandbox.id) && newest.record.state != ContainerState::Created)
    }

    fn stop_if_changed(&mut self, container: &Container, alive: &ObservedContainer, matters: bool) {
        let made_for = alive.status.annotations.get(CONTAINER_HASH);
        let changed = made_for.is_some_and(|hash| *hash != container_hash(container));
        if matters && changed && self.stop.iter().all(|(id, _)| *id != alive.record.id) {
            self.stop.push((alive.record.id.clone(), StopReason::Changed));
        }
    }
}

fn is_finished(spec: &PodSpec, observed: &Observed) -> bool {
    let policy = RestartPolicy::of(spec);
    let init_failed = policy == RestartPolicy::Never
        && spec.init_containers.iter().flatten().filter(|init| !is_sidecar(init)).any(|init| {
            observed.newest(&init.name).is_some_and(|newest| newest.is_exited() && !newest.is_completed())
        });
    let all_done = !spec.containers.is_empty()
        && spec.containers.iter().all(|container| {
            observed
                .newest(&container.name)
                .is_some_and(|newest| newest.is_exited() && !policy.restarts(newest))
        });
    init_failed || all_done
}

/// Does the pod live on the node's own network?
pub fn uses_host_network(spec: &PodSpec) -> bool {
    spec.host_network == Some(true)
}
