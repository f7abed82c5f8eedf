//! What is remembered of one container between its lives: waits and problems.

use std::fmt;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use tokio::time::Instant;

use crate::edged::pod::backoff::{CRASH_INITIAL, CRASH_MAX, CrashBackoff, Retry};
use crate::edged::pod::observed::ObservedContainer;
use crate::edged::runtime::ContainerId;

/// First and longest wait after a container could not be configured or made. Shorter than for pulls: a try costs
/// nothing but a call, and what is missing usually comes.
const MAKE_INITIAL: Duration = Duration::from_secs(5);
/// See [`MAKE_INITIAL`].
const MAKE_MAX: Duration = Duration::from_secs(60);
/// How long a failed pull shows its error before it shows that it waits. Long enough to be seen by whoever polls
/// the status every few seconds.
const PULL_ERROR_SHOWN: Duration = Duration::from_secs(5);

/// Why a container is not there yet, as its status says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// One of kubelet's words.
    pub reason: WaitingReason,
    /// For people.
    pub message: String,
}

/// The words that kubelet uses for `state.waiting.reason`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitingReason {
    /// It is on its way.
    ContainerCreating,
    /// Init containers come first.
    PodInitializing,
    /// It keeps ending; the next start is put off.
    CrashLoopBackOff,
    /// The last pull failed.
    ErrImagePull,
    /// The next pull is put off.
    ImagePullBackOff,
    /// The image is not here and must not be pulled.
    ErrImageNeverPull,
    /// The name of the image makes no sense.
    InvalidImageName,
    /// Its environment or mounts cannot be put together.
    CreateContainerConfigError,
    /// The runtime could not make it.
    CreateContainerError,
    /// The runtime could not start it.
    RunContainerError,
    /// Its `postStart` hook has failed.
    PostStartHookError,
}

/// Between the lives of one container.
#[derive(Debug, Clone, Default)]
pub(super) struct ContainerMemory {
    /// What the next attempt counts from when the runtime holds none.
    pub(super) first_attempt: u32,
    crash: CrashBackoff,
    /// Which container ended, and when that was seen. Seen, not when it was: a node without a battery-backed clock
    /// jumps by years, and a wait must not.
    end: Option<(ContainerId, Instant)>,
    problem: Option<Problem>,
}

#[derive(Debug, Clone)]
struct Problem {
    waiting: Waiting,
    retry: Retry,
}

// === impl ContainerMemory ===

impl ContainerMemory {
    /// When the container may be started.
    pub(super) fn start_at(&self, newest: Option<&ObservedContainer>) -> Option<Instant> {
        let problem = self.problem.as_ref().map(|problem| problem.retry.at);
        problem.max(self.crash_until(newest))
    }

    pub(super) fn ended(&mut self, container: &ObservedContainer, now: Instant) {
        if self.end.as_ref().is_none_or(|(id, _)| *id != container.record.id) {
            self.end = Some((container.record.id.clone(), now));
            self.crash.ended(ran(container));
        }
    }

    /// A container was removed that has never begun: the next takes its number, whatever the log says that was made for it.
    pub(super) fn unborn(&mut self, container: &ObservedContainer) {
        self.first_attempt = container.record.attempt;
    }

    /// A container was started; `previous` is the one before it.
    pub(super) fn started(&mut self, previous: Option<&ObservedContainer>) {
        self.problem = None;
        if let Some(previous) = previous {
            self.crash.restarted(ran(previous));
        }
    }

    pub(super) fn failed(
        &mut self,
        waiting: Waiting,
        created: bool,
        previous: Option<&ObservedContainer>,
        now: Instant,
    ) {
        if created {
            // The runtime shows it as ended, so the next try waits as after a crash.
            self.started(previous);
        }
        let (initial, max) = match waiting.reason {
            _ if created => (Duration::ZERO, Duration::ZERO),
            WaitingReason::ErrImagePull => (CRASH_INITIAL, CRASH_MAX),
            _ => (MAKE_INITIAL, MAKE_MAX),
        };
        let before = self.problem.as_ref().map(|problem| &problem.retry);
        let retry = Retry::after(before, now, initial, max);
        self.problem = Some(Problem { waiting, retry });
    }

    /// Its `postStart` hook has failed: it is ended, and started again as after a crash.
    pub(super) fn hook_failed(&mut self, error: String, now: Instant) {
        let waiting = Waiting::new(WaitingReason::PostStartHookError, error);
        self.problem =
            Some(Problem { waiting, retry: Retry::after(None, now, Duration::ZERO, Duration::ZERO) });
    }

    /// Objects have changed: a container that misses one is tried again at once. A pull is not: nothing changed for it.
    pub(super) fn forget_config_problem(&mut self) {
        let is_pull = |problem: &mut Problem| problem.waiting.reason == WaitingReason::ErrImagePull;
        self.problem = self.problem.take_if(is_pull);
    }

    pub(super) fn waiting(
        &self,
        newest: Option<&ObservedContainer>,
        pod: &Pod,
        name: &str,
        now: Instant,
    ) -> Option<Waiting> {
        if let Some(problem) = &self.problem {
            return Some(problem.shown(now));
        }
        self.crash_until(newest).filter(|until| *until > now).map(|_| {
            let metadata = &pod.metadata;
            Waiting::new(
                WaitingReason::CrashLoopBackOff,
                format!(
                    "back-off {} restarting failed container={name} pod={}_{}({})",
                    go_duration(self.crash.delay()),
                    metadata.name.as_deref().unwrap_or_default(),
                    metadata.namespace.as_deref().unwrap_or_default(),
                    metadata.uid.as_deref().unwrap_or_default(),
                ),
            )
        })
    }

    /// When what is shown changes by itself.
    pub(super) fn shown_until(&self, now: Instant) -> Option<Instant> {
        let problem = self.problem.as_ref()?;
        let until = problem.retry.failed + PULL_ERROR_SHOWN;
        (problem.waiting.reason == WaitingReason::ErrImagePull && until > now).then_some(until)
    }

    fn crash_until(&self, newest: Option<&ObservedContainer>) -> Option<Instant> {
        let (id, seen) = self.end.as_ref()?;
        let is_newest = newest.is_some_and(|newest| newest.record.id == *id);
        is_newest.then(|| *seen + self.crash.delay())
    }
}

impl Problem {
    fn shown(&self, now: Instant) -> Waiting {
        if self.waiting.reason == WaitingReason::ErrImagePull && now >= self.retry.failed + PULL_ERROR_SHOWN {
            let message = format!("Back-off pulling image: {}", self.waiting.message);
            return Waiting::new(WaitingReason::ImagePullBackOff, message);
        }
        self.waiting.clone()
    }
}

// === impl Waiting ===

impl Waiting {
    /// Puts the two together.
    pub fn new(reason: WaitingReason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }
}

impl WaitingReason {
    /// As in the status.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ContainerCreating => "ContainerCreating",
            Self::PodInitializing => "PodInitializing",
            Self::CrashLoopBackOff => "CrashLoopBackOff",
            Self::ErrImagePull => "ErrImagePull",
            Self::ImagePullBackOff => "ImagePullBackOff",
            Self::ErrImageNeverPull => "ErrImageNeverPull",
            Self::InvalidImageName => "InvalidImageName",
            Self::CreateContainerConfigError => "CreateContainerConfigError",
            Self::CreateContainerError => "CreateContainerError",
            Self::RunContainerError => "RunContainerError",
            Self::PostStartHookError => "PostStartHookError",
        }
    }
}

impl fmt::Display for WaitingReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How long a container ran, by the runtime's clock.
fn ran(container: &ObservedContainer) -> Duration {
    let (started, finished) = (container.status.started_at, container.status.finished_at);
    started
        .zip(finished)
        .and_then(|(started, finished)| Duration::try_from(finished.duration_since(started)).ok())
        .unwrap_or_default()
}

/// `10s`, `1m20s`, `5m0s`: as kubelet prints it, for whoever greps for it.
fn go_duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    if seconds < 60 { format!("{seconds}s") } else { format!("{}m{}s", seconds / 60, seconds % 60) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_printed_as_kubelet_does() {
        let printed = [0, 10, 80, 300].map(|seconds| go_duration(Duration::from_secs(seconds)));
        assert_eq!(printed, ["0s", "10s", "1m20s", "5m0s"]);
    }
}
