//! What is known of a pod's containers besides what the runtime tells: how their hooks and probes go. Pure.
//!
//! Of each name only the newest container counts. When edgecore is started anew, containers that run have started and
//! are ready when that was reported last, so that a pod does not become unready for it; they are alive until their probe
//! says otherwise; and a `postStart` hook that had not ended is run again: of that the actor keeps a [`Note`] in the
//! pod's directory.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, ContainerStatus, Pod, PodSpec};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::containers::is_sidecar;
use super::observed::{Observed, ObservedContainer};
use super::state::StopReason;
use crate::edged::probe::ProbeKind;
use crate::edged::probe::spec::{grace_of, probe_of};

/// How the containers of a pod are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Health {
    /// By container name.
    lives: BTreeMap<String, Life>,
}

/// One container from its start to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Life {
    attempt: u32,
    /// It was found running.
    is_adopted: bool,
    /// When it was started (found), then when its startup probe has succeeded: what the other probes' delays count from.
    since: Instant,
    hook: Hook,
    started: Option<bool>,
    alive: Option<bool>,
    ready: Option<bool>,
    /// Restart count of the last container that was ended because a probe had given it up, while this one is started.
    gave_up: Option<u32>,
}

/// The `postStart` hook.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Hook {
    /// There is none, or it has succeeded.
    Done,
    Pending,
    Failed,
}

/// What one hook or probe has come to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Restart count of the container.
    pub attempt: u32,
    /// How `postStart` ended.
    pub hook: Option<Result<(), String>>,
    /// Startup probe.
    pub started: Option<bool>,
    /// Liveness probe.
    pub alive: Option<bool>,
    /// Readiness probe.
    pub ready: Option<bool>,
}

/// Something that has to be done about a running container, in a task of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Duty {
    /// Run its `postStart` hook.
    PostStart,
    /// Probe it.
    Probe(ProbeKind),
}

/// How a [`Duty`] begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Begin {
    /// What delays count from.
    pub since: Instant,
    /// The container was found running.
    pub is_adopted: bool,
    /// What was known before.
    pub verdict: Option<bool>,
}

/// Containers whose `postStart` hook has not succeeded: their restart counts, by name. Kept in the pod's directory.
#[derive(Debug, Clone, Default, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Note {
    post_start: BTreeMap<String, u32>,
}

/// Does any container of this pod have a probe or a `postStart` hook?
pub fn needs_care(spec: &PodSpec) -> bool {
    cared(spec).next().is_some()
}

const PROBES: [ProbeKind; 3] = [ProbeKind::Startup, ProbeKind::Liveness, ProbeKind::Readiness];

/// Containers that have probes or a `postStart` hook: init containers that come to an end may not.
fn cared(spec: &PodSpec) -> impl Iterator<Item = &Container> {
    lasting(spec).filter(|container| {
        has_post_start(container) || PROBES.iter().any(|kind| probe_of(container, *kind).is_some())
    })
}

/// Containers that may have probes and hooks.
fn lasting(spec: &PodSpec) -> impl Iterator<Item = &Container> {
    spec.init_containers.iter().flatten().filter(|init| is_sidecar(init)).chain(&spec.containers)
}

/// The definition of container `name`, if it may have probes and hooks.
pub(super) fn lasting_container<'a>(spec: &'a PodSpec, name: &str) -> Option<&'a Container> {
    lasting(spec).find(|container| container.name == name)
}

/// The definition of container `name`, if it has probes or a `postStart` hook.
pub(super) fn cared_for<'a>(spec: &'a PodSpec, name: &str) -> Option<&'a Container> {
    cared(spec).find(|container| container.name == name)
}

fn has_post_start(container: &Container) -> bool {
    container.lifecycle.as_ref().is_some_and(|lifecycle| lifecycle.post_start.is_some())
}

// === impl Health ===

impl Health {
    /// A container is about to be started.
    pub fn begin(&mut self, container: &Container, attempt: u32, now: Instant) {
        let hook = if has_post_start(container) { Hook::Pending } else { Hook::Done };
        let before = self.lives.get(&container.name);
        let gave_up =
            before.and_then(|life| life.failed_probe().map_or(life.gave_up, |_| Some(life.attempt)));
        let life = Life {
            attempt,
            is_adopted: false,
            since: now,
            hook,
            started: None,
            alive: None,
            ready: None,
            gave_up,
        };
        self.lives.insert(container.name.clone(), life);
    }

    /// It was started.
    pub fn started(&mut self, name: &str, now: Instant) {
        if let Some(life) = self.lives.get_mut(name) {
            life.since = now;
        }
    }

    /// Takes note of containers that run and that nothing is known of: they are adopted as the note or the pod's
    /// status has them.
    pub fn observe(&mut self, pod: &Pod, observed: &Observed, noted: &Note, now: Instant) {
        let Some(spec) = &pod.spec else { return };
        for container in cared(spec) {
            let Some(newest) = observed.newest(&container.name).filter(|newest| newest.is_alive()) else {
                continue;
            };
            if self.life(newest).is_none() {
                self.lives.insert(container.name.clone(), adopt(pod, newest, noted, now));
            }
        }
    }

    /// Takes in what hooks and probes have come to; gives the failed hooks, each with its error.
    pub fn take(&mut self, verdicts: &BTreeMap<String, Verdict>, now: Instant) -> Vec<(String, String)> {
        let mut failed = Vec::new();
        for (name, verdict) in verdicts {
            let Some(life) = self.lives.get_mut(name).filter(|life| life.attempt == verdict.attempt) else {
                continue;
            };
            match &verdict.hook {
                Some(ended) if life.hook == Hook::Pending => {
                    life.hook = if ended.is_ok() { Hook::Done } else { Hook::Failed };
                    failed.extend(ended.as_ref().err().map(|error| (name.clone(), error.clone())));
                }
                _ => {}
            }
            if verdict.started.is_some() && life.started != verdict.started {
                life.started = verdict.started;
                life.since = now;
            }
            life.alive = verdict.alive.or(life.alive);
            life.ready = verdict.ready.or(life.ready);
        }
        failed
    }

    /// Is it shown as waiting although its process runs, because its `postStart` hook has not succeeded?
    pub fn awaits_hook(&self, container: &ObservedContainer) -> bool {
        self.life(container).is_some_and(|life| life.hook != Hook::Done)
    }

    /// Has `container`, which runs, come so far that what waits for it may begin?
    pub fn has_started(&self, spec: &Container, container: &ObservedContainer) -> bool {
        let Some(life) = self.life(container) else { return spec.startup_probe.is_none() };
        life.hook == Hook::Done && (spec.startup_probe.is_none() || life.started == Some(true))
    }

    /// May `container`, which runs, be sent work?
    pub fn is_ready(&self, spec: &Container, container: &ObservedContainer) -> bool {
        let ready = self.life(container).and_then(|life| life.ready);
        self.has_started(spec, container) && (spec.readiness_probe.is_none() || ready == Some(true))
    }

    /// Why `container`, which runs, has to be ended, and the grace period that its probe sets.
    pub fn trouble(
        &self,
        spec: &Container,
        container: &ObservedContainer,
    ) -> Option<(StopReason, Option<Duration>)> {
        let life = self.life(container)?;
        if life.hook == Hook::Failed {
            return Some((StopReason::HookFailed, None));
        }
        let probe = life.failed_probe()?;
        Some((StopReason::Unhealthy(probe), grace_of(spec, probe)))
    }

    /// Was it ended because a probe had given it up? Then it is started again even when it ended well.
    pub fn was_given_up(&self, container: &ObservedContainer) -> bool {
        let Some(life) = self.lives.get(&container.record.name) else { return false };
        let attempt = container.record.attempt;
        life.gave_up == Some(attempt) || (life.attempt == attempt && life.failed_probe().is_some())
    }

    /// What has to be done about the containers that run, and how it begins. When a pod is being stopped, or has
    /// ended, readiness alone is still asked for: whoever uses the pod wants to know
    /// (<https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-termination>).
    pub fn duties(&self, spec: &PodSpec, observed: &Observed, ends: bool) -> Vec<(String, Duty, Begin)> {
        let mut duties = Vec::new();
        for container in cared(spec) {
            let name = &container.name;
            let newest = observed.newest(name).filter(|newest| newest.is_alive());
            let Some(life) = newest.and_then(|newest| self.life(newest)) else { continue };
            let mut add = |duty, verdict| {
                let begin = Begin { since: life.since, is_adopted: life.is_adopted, verdict };
                duties.push((name.clone(), duty, begin));
            };
            if life.hook == Hook::Pending && !ends {
                add(Duty::PostStart, None);
            }
            if life.hook != Hook::Done {
                continue;
            }
            if container.startup_probe.is_some() && life.started != Some(true) {
                if life.started.is_none() && !ends {
                    add(Duty::Probe(ProbeKind::Startup), None);
                }
                continue;
            }
            if container.liveness_probe.is_some() && life.alive != Some(false) && !ends {
                add(Duty::Probe(ProbeKind::Liveness), life.alive);
            }
            if container.readiness_probe.is_some() {
                add(Duty::Probe(ProbeKind::Readiness), life.ready);
            }
        }
        duties
    }

    /// What has to outlive edgecore. A hook that has failed is tried again by whoever finds it: the container is to be
    /// ended, and was not yet.
    pub fn note(&self) -> Note {
        let pending = self.lives.iter().filter(|(_, life)| life.hook != Hook::Done);
        Note { post_start: pending.map(|(name, life)| (name.clone(), life.attempt)).collect() }
    }

    fn life(&self, container: &ObservedContainer) -> Option<&Life> {
        let life = self.lives.get(&container.record.name);
        life.filter(|life| life.attempt == container.record.attempt)
    }
}

impl Life {
    fn failed_probe(&self) -> Option<ProbeKind> {
        match (self.started, self.alive) {
            (Some(false), _) => Some(ProbeKind::Startup),
            (_, Some(false)) => Some(ProbeKind::Liveness),
            _ => None,
        }
    }
}

fn adopt(pod: &Pod, container: &ObservedContainer, noted: &Note, now: Instant) -> Life {
    let attempt = container.record.attempt;
    let is_hooked = noted.post_start.get(&container.record.name) == Some(&attempt);
    let reported = reported(pod, container);
    Life {
        attempt,
        is_adopted: true,
        since: now,
        hook: if is_hooked { Hook::Pending } else { Hook::Done },
        started: reported.and_then(|status| status.started).filter(|started| *started),
        alive: None,
        ready: reported.map(|status| status.ready),
        gave_up: None,
    }
}

fn reported<'a>(pod: &'a Pod, container: &ObservedContainer) -> Option<&'a ContainerStatus> {
    let status = pod.status.as_ref()?;
    let lists = [&status.init_container_statuses, &status.container_statuses];
    let mut all = lists.into_iter().flatten().flatten();
    // `containerd://<id>`
    let is_it = |id: &str| id.rsplit('/').next() == Some(container.record.id.0.as_str());
    all.find(|status| status.container_id.as_deref().is_some_and(is_it))
}

#[cfg(test)]
mod tests;
