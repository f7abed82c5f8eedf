//! What to do next about a pod: a pure function of the pod, what the runtime holds of it, and the time.
//!
//! The actor asks [`PodState::next`], performs that one [`Step`], tells the result to [`PodState::done`], reads the
//! runtime again and asks again. Nothing here is remembered that cannot be lost: after a restart the same containers
//! lead to the same steps, except that waits start anew.
//!
//! | state | entered | does |
//! |---|---|---|
//! | running | a pod without `deletionTimestamp` | [`running`]: what is missing is started |
//! | finished | its phase is final | [`finished`]: gives back network and volumes, keeps containers for their logs |
//! | stopping | `deletionTimestamp`, or the object is gone | [`stopping`]: ends and removes everything |

mod ending;
mod finished;
mod memory;
mod over;
mod plan;
mod restart;
mod running;
mod shown;
mod step;
mod stopping;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use tokio::time::Instant;

pub use ending::Ending;
pub(in crate::edged) use ending::LOW;
pub use memory::{Waiting, WaitingReason};
pub use plan::uses_host_network;
pub use restart::{restarts, restarts_when_given_up};
pub use step::{Failure, Next, Step, StopReason, Success};

use self::memory::ContainerMemory;
use super::backoff::Retry;
use super::health::{Health, Note, Verdict, cared_for};
use super::observed::Observed;
use crate::edged::runtime::SandboxId;

/// Grace period of a pod that sets none: <https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-termination>.
pub(in crate::edged) const DEFAULT_GRACE: Duration = Duration::from_secs(30);
/// A container gets at least this long, also when a pod is deleted with grace 0, so that a program that
/// can end cleanly does; what Kubernetes calls the small grace period (same page).
pub const MINIMUM_GRACE: Duration = Duration::from_secs(2);
/// First wait after a step failed: most of what fails is on its way (an object, the runtime).
const RETRY_INITIAL: Duration = Duration::from_secs(1);
/// Longest wait between tries of a step: what changes in the store or the runtime wakes the pod anyway.
const RETRY_MAX: Duration = Duration::from_secs(60);

/// What should become of the pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Goal {
    Run,
    Stop { kill_at: Instant },
}

/// Volumes and cgroup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Preparation {
    /// They were there once, so containers can be started.
    ready: bool,
    /// When to make them, or to bring them up to date.
    due: Option<Instant>,
    retry: Option<Retry>,
}

/// Everything that decides the next step of one pod.
#[derive(Debug, Clone)]
pub struct PodState {
    pod: Arc<Pod>,
    goal: Goal,
    /// The phase is `Succeeded` or `Failed`: nothing of it is ever started again.
    finished: bool,
    /// Why the pod has failed, where that is the node's doing.
    ending: Option<Ending>,
    /// Something of it was made.
    begun: bool,
    /// Somebody has agreed to it.
    let_go: bool,
    /// What `activeDeadlineSeconds` count from.
    active_since: Instant,
    preparation: Preparation,
    /// Of a failed step that concerns no single container.
    retry: Option<Retry>,
    containers: BTreeMap<String, ContainerMemory>,
    /// How hooks and probes go.
    health: Health,
    /// Hooks that an earlier edgecore has left.
    noted: Note,
    /// Sandboxes that were stopped: the runtime shows one that died by itself in the same way.
    stopped: BTreeSet<SandboxId>,
    /// Something of a pod that goes was removed: what is left no longer tells how the pod ended.
    dismantled: bool,
    cleaned: bool,
    /// The clean-up that was begun last takes the logs, too.
    cleans_all: bool,
}

// === impl PodState ===

impl PodState {
    /// A pod that this node should run, or stop when its `deletionTimestamp` is set.
    pub fn new(pod: Arc<Pod>, now: Instant) -> Self {
        let mut state = Self {
            pod: Arc::default(),
            goal: Goal::Run,
            finished: false,
            ending: None,
            begun: false,
            let_go: false,
            active_since: now,
            preparation: Preparation { ready: false, due: Some(now), retry: None },
            retry: None,
            containers: BTreeMap::new(),
            health: Health::default(),
            noted: Note::default(),
            stopped: BTreeSet::new(),
            dismantled: false,
            cleaned: false,
            cleans_all: false,
        };
        state.set_pod(pod, now);
        state
    }

    /// The pod as the cloud wants it.
    pub fn pod(&self) -> &Arc<Pod> {
        &self.pod
    }

    /// Is the pod being stopped for good?
    pub fn is_stopping(&self) -> bool {
        matches!(self.goal, Goal::Stop { .. })
    }

    /// Should it run?
    pub fn is_running(&self) -> bool {
        self.goal == Goal::Run && !self.finished
    }

    /// Has the pod done all that it will ever do?
    pub fn is_finished(&self) -> bool {
        self.finished
    }

    /// Were its volumes and its cgroup given back?
    pub fn is_cleaned(&self) -> bool {
        self.cleaned
    }

    /// Was part of a stopping pod removed already, so that its status can only be told from before?
    pub fn is_dismantled(&self) -> bool {
        self.dismantled
    }

    /// How often container `name` had been restarted according to the store, for when its containers are lost.
    pub fn restarts_at_least(&mut self, name: &str, attempt: u32) {
        let memory = self.containers.entry(name.to_owned()).or_default();
        memory.first_attempt = memory.first_attempt.max(attempt);
    }

    /// Hooks that an earlier edgecore has left.
    pub fn remember(&mut self, noted: Note) {
        self.noted = noted;
    }

    /// How the pod's hooks and probes go.
    pub fn health(&self) -> &Health {
        &self.health
    }

    /// A step is about to be performed.
    pub fn begin(&mut self, step: &Step, now: Instant) {
        if *step == Step::CleanUp {
            self.cleans_all = self.is_stopping();
        }
        let Step::Start { container: name, attempt, .. } = step else { return };
        let pod = self.pod.clone();
        if let Some(container) = pod.spec.as_ref().and_then(|spec| cared_for(spec, name)) {
            self.health.begin(container, *attempt, now);
        }
    }

    /// Hooks and probes have come to something.
    pub fn take_verdicts(&mut self, verdicts: &BTreeMap<String, Verdict>, now: Instant) {
        for (name, error) in self.health.take(verdicts, now) {
            self.containers.entry(name).or_default().hook_failed(error, now);
        }
    }

    /// The pod is new or has changed.
    pub fn set_pod(&mut self, pod: Arc<Pod>, now: Instant) {
        if self.has_changed_since(&pod) {
            self.wake(now);
        }
        let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
        if !self.finished && matches!(phase, Some("Succeeded" | "Failed")) {
            self.finished = true;
            self.ending = pod.status.as_ref().and_then(Ending::reported);
        }
        if let Some(begun) = pod.status.as_ref().and_then(Ending::begun) {
            self.fail(begun);
        }
        self.pod = pod;
        if self.pod.metadata.deletion_timestamp.is_some() {
            let seconds = self.pod.metadata.deletion_grace_period_seconds;
            self.stop_within(seconds.map_or_else(|| self.grace(), grace_seconds), now);
        }
    }

    /// Whether the pod differs from `other` in what containers are made of, or in what volumes show of the pod itself.
    pub fn has_changed_since(&self, other: &Pod) -> bool {
        let (metadata, other_metadata) = (&self.pod.metadata, &other.metadata);
        self.pod.spec != other.spec
            || metadata.labels != other_metadata.labels
            || metadata.annotations != other_metadata.annotations
    }

    /// The API object is gone: what runs is stopped without further ado.
    pub fn remove(&mut self, now: Instant) {
        self.stop_within(MINIMUM_GRACE, now);
    }

    /// A config map or secret that the pod uses has changed.
    pub fn config_changed(&mut self, now: Instant) {
        self.wake(now);
    }

    /// The runtime answers again.
    pub fn runtime_is_back(&mut self) {
        self.retry = None;
    }

    /// Takes note of what the runtime holds: containers that ended, and a pod that is done.
    pub fn observe(&mut self, observed: &Observed, now: Instant) {
        self.begun |= !observed.is_empty();
        for container in observed.containers.iter().filter(|container| container.is_exited()) {
            let newest = observed.newest(&container.record.name);
            if newest.is_some_and(|newest| newest.record.id == container.record.id) {
                let memory = self.containers.entry(container.record.name.clone()).or_default();
                memory.ended(container, now);
            }
        }
        self.health.observe(&self.pod, observed, &self.noted, now);
        if !self.is_stopping() && !self.finished {
            self.finished = plan::Plan::of(&self.pod, observed, &self.health).is_finished();
        }
        if self.deadline().is_some_and(|deadline| deadline <= now) {
            self.fail(Ending::deadline());
        }
    }

    /// The next step.
    pub fn next(&self, observed: &Observed, now: Instant) -> Next {
        let retry = self.retry.filter(|retry| retry.at > now);
        let next = match self.goal {
            _ if let Some(retry) = retry => Next::Wait(Some(retry.at)),
            Goal::Stop { kill_at } => stopping::next(self, observed, kill_at, now),
            Goal::Run if self.is_held() => Next::Wait(None),
            Goal::Run if self.finished => finished::next(self, observed, now),
            Goal::Run => running::next(self, observed, now),
        };
        match next {
            Next::Wait(until) => Next::Wait(running::earliest(until, self.deadline())),
            other => other,
        }
    }

    /// Should `step`, which is being performed, be broken off because something changed?
    pub fn is_overtaken(&self, step: &Step, begun_with: &Arc<Pod>) -> bool {
        match (step, self.goal) {
            (Step::Prepare | Step::Start { .. }, Goal::Stop { .. }) => true,
            (Step::Prepare | Step::Start { .. }, Goal::Run) => {
                self.finished || begun_with.spec != self.pod.spec
            }
            // A pod that goes does not wait for one of its containers to be restarted.
            (Step::Stop { why, .. }, Goal::Stop { .. }) if *why != StopReason::PodEnds => true,
            (Step::Stop { kill_at, .. }, Goal::Stop { kill_at: sooner }) => sooner < *kill_at,
            _ => false,
        }
    }

    /// Should `step` be broken off because a container has failed meanwhile? A pull may take minutes.
    pub fn is_urgent(&self, step: &Step, observed: &Observed) -> bool {
        let runs = self.goal == Goal::Run && !self.finished;
        runs && matches!(step, Step::Prepare | Step::Start { .. })
            && plan::Plan::of(&self.pod, observed, &self.health).has_unhealthy()
    }

    /// A step has ended. `observed` is what the runtime held before it.
    pub fn done(&mut self, step: &Step, result: Result<Success, Failure>, observed: &Observed, now: Instant) {
        match (step, result) {
            (Step::Prepare, result) => self.prepared(result, now),
            (Step::Start { container, .. }, Err(Failure::Container { waiting, created })) => {
                let memory = self.containers.entry(container.clone()).or_default();
                memory.failed(waiting, created, observed.newest(container), now);
            }
            (_, Err(_)) => {
                self.retry = Some(Retry::after(self.retry.as_ref(), now, RETRY_INITIAL, RETRY_MAX));
            }
            (step, Ok(_)) => {
                self.retry = None;
                self.succeeded(step, observed);
                if let Step::Start { container, .. } = step {
                    self.health.started(container, now);
                }
            }
        }
    }

    fn prepared(&mut self, result: Result<Success, Failure>, now: Instant) {
        let preparation = &mut self.preparation;
        match result {
            Ok(success) => {
                let refresh_at = match success {
                    Success::Prepared { refresh_at } => refresh_at,
                    Success::Done => None,
                };
                *preparation = Preparation { ready: true, due: refresh_at, retry: None };
                self.cleaned = false;
            }
            Err(_) => {
                let retry = Retry::after(preparation.retry.as_ref(), now, RETRY_INITIAL, RETRY_MAX);
                preparation.retry = Some(retry);
                preparation.due = Some(retry.at);
            }
        }
    }

    fn succeeded(&mut self, step: &Step, observed: &Observed) {
        match step {
            Step::Start { container, .. } => {
                let memory = self.containers.entry(container.clone()).or_default();
                memory.started(observed.newest(container));
            }
            Step::StopSandbox(id) => {
                self.stopped.insert(id.clone());
            }
            Step::RemoveSandbox(id) => {
                self.stopped.remove(id);
                self.dismantled |= self.is_stopping();
            }
            Step::Remove(id) => {
                self.dismantled |= self.is_stopping();
                let mut unborn = observed.containers.iter().filter(|container| !container.has_begun());
                if let Some(unborn) = unborn.find(|container| container.record.id == *id) {
                    self.containers.entry(unborn.record.name.clone()).or_default().unborn(unborn);
                }
            }
            Step::CleanUp => {
                // What was begun for a pod that has only finished keeps the logs; it may have been deleted meanwhile.
                self.cleaned = self.cleans_all || !self.is_stopping();
                self.preparation.ready = false;
            }
            Step::Prepare | Step::RunSandbox { .. } | Step::Stop { .. } => {}
        }
    }

    /// What failed before may work now.
    fn wake(&mut self, now: Instant) {
        self.preparation.due = Some(now);
        self.preparation.retry = None;
        self.retry = None;
        for memory in self.containers.values_mut() {
            memory.forget_config_problem();
        }
    }

    /// A grace period can only get shorter.
    fn stop_within(&mut self, grace: Duration, now: Instant) {
        let kill_at = now + grace.max(MINIMUM_GRACE);
        match &mut self.goal {
            Goal::Stop { kill_at: current } => *current = kill_at.min(*current),
            goal @ Goal::Run => {
                *goal = Goal::Stop { kill_at };
                self.retry = None;
                self.cleaned = false;
            }
        }
    }

    fn grace(&self) -> Duration {
        let seconds = self.pod.spec.as_ref().and_then(|spec| spec.termination_grace_period_seconds);
        seconds.map_or(DEFAULT_GRACE, grace_seconds)
    }
}

/// Negative periods mean "at once".
fn grace_seconds(seconds: i64) -> Duration {
    Duration::from_secs(u64::try_from(seconds).unwrap_or_default())
}

#[cfg(test)]
mod tests;
