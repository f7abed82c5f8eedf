//! Which containers of a pod should run now, and which should not: init containers one after the other, sidecars
//! beside what follows them, then everything else:
//! <https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/> and
//! <https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/>.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, Pod, PodSpec};

use super::StopReason;
use super::restart::{GIVEN_UP, restarts};
use crate::edged::labels::CONTAINER_HASH;
use crate::edged::pod::containers::{Role, find, init_containers};
use crate::edged::pod::hash::container_hash;
use crate::edged::pod::health::Health;
use crate::edged::pod::observed::{Observed, ObservedContainer};
use crate::edged::runtime::{ContainerId, ContainerState, SandboxRecord};

/// What the pod's containers need now.
#[derive(Debug)]
pub(super) struct Plan<'a> {
    /// The sandbox that they run in, if it can be used.
    pub(super) sandbox: Option<&'a SandboxRecord>,
    /// To be started, in this order.
    pub(super) start: Vec<&'a str>,
    /// To be ended.
    pub(super) stop: Vec<Unwanted>,
    /// Made and never started, by an edged that was killed in between: to be removed.
    pub(super) stillborn: Vec<ContainerId>,
    finished: bool,
    health: &'a Health,
}

/// A container that is to be ended.
#[derive(Debug)]
pub(super) struct Unwanted {
    pub(super) id: ContainerId,
    pub(super) why: StopReason,
    /// Another grace period than the pod's.
    pub(super) grace: Option<Duration>,
}

/// Will container `name`, which has ended, be started again?
pub(super) fn will_restart(pod: &Pod, name: &str, ended: &ObservedContainer, health: &Health) -> bool {
    let found = pod.spec.as_ref().and_then(|spec| Some((spec, find(spec, name)?)));
    found.is_some_and(|(spec, (role, container))| comes_back(spec, role, &container, ended, health))
}

fn comes_back(
    spec: &PodSpec,
    role: Role,
    container: &Container,
    ended: &ObservedContainer,
    health: &Health,
) -> bool {
    let exit_code = match ended.status.exit_code {
        0 if health.was_given_up(ended) => GIVEN_UP,
        code => code,
    };
    restarts(spec, role, container, exit_code)
}

// === impl Plan ===

impl<'a> Plan<'a> {
    pub(super) fn of(pod: &'a Pod, observed: &'a Observed, health: &'a Health) -> Self {
        let mut plan = Self {
            sandbox: None,
            start: Vec::new(),
            stop: Vec::new(),
            stillborn: Vec::new(),
            finished: false,
            health,
        };
        let Some(spec) = &pod.spec else { return plan };
        plan.sandbox =
            observed.ready_sandbox().filter(|_| uses_host_network(spec) || !observed.ips.is_empty());
        plan.sort_out(observed);
        plan.finished = is_finished(spec, observed, health);
        if !plan.finished {
            plan.choose(spec, observed);
        }
        plan
    }

    /// Nothing of the pod will ever run again.
    pub(super) fn is_finished(&self) -> bool {
        self.finished
    }

    /// Has a probe or hook of a container failed?
    pub(super) fn has_unhealthy(&self) -> bool {
        let failed = |why| matches!(why, StopReason::Unhealthy(_) | StopReason::HookFailed);
        self.stop.iter().any(|unwanted| failed(unwanted.why))
    }

    /// What is alive and has no place in the pod as it should be.
    fn sort_out(&mut self, observed: &Observed) {
        for container in &observed.containers {
            let misplaced = self.sandbox.is_none_or(|sandbox| !container.is_in(&sandbox.id));
            match container.record.state {
                ContainerState::Created => self.stillborn.push(container.record.id.clone()),
                ContainerState::Running if misplaced => {
                    self.end(container, StopReason::SandboxLost, None);
                }
                // What the runtime cannot tell about is ended, so that it can.
                ContainerState::Unknown => {
                    self.end(container, StopReason::SandboxLost, None);
                }
                ContainerState::Running | ContainerState::Exited => {}
            }
        }
    }

    fn choose(&mut self, spec: &'a PodSpec, observed: &Observed) {
        // The pod may be looked at also while it is being initialized.
        let is_new = |name: &str| observed.newest(name).is_none_or(|newest| !newest.has_begun());
        let ephemeral = spec.ephemeral_containers.iter().flatten().map(|container| container.name.as_str());
        let has_sandbox = self.sandbox.is_some();
        self.start.extend(ephemeral.filter(|name| has_sandbox && is_new(name)));
        let here = |container: &Container| self.newest_here(observed, &container.name);
        // Once a container of the pod proper exists, initialization is over for the life of this sandbox.
        let initialized = spec.containers.iter().any(|container| here(container).is_some());
        for (role, init) in init_containers(spec) {
            let is_sidecar = role == Role::Sidecar;
            match self.newest_here(observed, &init.name) {
                Some(running) if running.is_alive() => {
                    self.stop_if_changed(init, running, is_sidecar);
                    self.stop_if_unhealthy(init, running);
                    let done = is_sidecar && self.health.has_started(init, running);
                    if !done && !initialized {
                        return;
                    }
                }
                _ if !is_sidecar && initialized => {}
                Some(ended) if !is_sidecar && ended.is_completed() => {}
                _ => {
                    self.start.push(&init.name);
                    if !initialized {
                        return;
                    }
                }
            }
        }
        self.choose_apps(spec, observed);
    }

    fn choose_apps(&mut self, spec: &'a PodSpec, observed: &Observed) {
        let health = self.health;
        // What follows a container is not started for the first time before that one's `postStart` hook has ended.
        let mut held = false;
        for container in &spec.containers {
            match observed.newest(&container.name) {
                Some(alive) if alive.is_alive() => {
                    self.stop_if_changed(container, alive, true);
                    self.stop_if_unhealthy(container, alive);
                    held |= health.awaits_hook(alive);
                }
                Some(ended)
                    if ended.is_exited() && !comes_back(spec, Role::App, container, ended, health) => {}
                _ if held && self.newest_here(observed, &container.name).is_none() => {}
                _ => self.start.push(&container.name),
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
        if matters && changed {
            self.end(alive, StopReason::Changed, None);
        }
    }

    fn stop_if_unhealthy(&mut self, container: &Container, alive: &ObservedContainer) {
        if let Some((why, grace)) = self.health.trouble(container, alive) {
            self.end(alive, why, grace);
        }
    }

    fn end(&mut self, container: &ObservedContainer, why: StopReason, grace: Option<Duration>) {
        let id = &container.record.id;
        if self.stop.iter().all(|unwanted| unwanted.id != *id) {
            self.stop.push(Unwanted { id: id.clone(), why, grace });
        }
    }
}

fn is_finished(spec: &PodSpec, observed: &Observed, health: &Health) -> bool {
    let for_good = |role: Role, container: &Container| {
        let newest = observed.newest(&container.name).filter(|newest| newest.is_exited());
        newest.filter(|newest| !comes_back(spec, role, container, newest, health))
    };
    let init_failed = init_containers(spec)
        .any(|(role, init)| for_good(role, init).is_some_and(|ended| !ended.is_completed()));
    let all_done = !spec.containers.is_empty()
        && spec.containers.iter().all(|container| for_good(Role::App, container).is_some());
    init_failed || all_done
}

/// Does the pod live on the node's own network?
pub fn uses_host_network(spec: &PodSpec) -> bool {
    spec.host_network == Some(true)
}
