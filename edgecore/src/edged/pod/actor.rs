//! The actor of one pod: looks, reports, decides, does, and looks again.
//!
//! It is told what is wanted through a `watch` ([`Wanted`]): only the newest counts, so nothing can pile up and
//! nobody waits for a pod that is busy. It tells MetaManager the pod's status whenever that has changed, and at the
//! end that the pod is gone. Hooks and probes run in tasks of their own ([`super::keeper`]); what they come to is told at
//! once, also while a step is being performed. It ends with its pod, or when `Wanted` is dropped, leaving its containers as they are.

mod room;
mod telling;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use k8s_openapi::api::core::v1::PodStatus;
use tokio::sync::watch;
use tokio::time::Instant;

use super::backoff::Retry;
use super::context::PodContext;
use super::files;
use super::keeper::{Keeper, Verdicts};
use super::observed::Observed;
use super::state::{Ending, Next, PodState, Step};
use super::status::{StatusInput, next_attempt, pod_status};
use super::summary::PodSummary;
use super::wanted::{ReportAs, Wanted};
use super::worker::{Prepared, View, Worker};
use crate::edged::admission::suits;
use crate::edged::hold;
use crate::edged::runtime::RuntimeError;
use crate::flow::PodKey;

/// While the runtime does not answer: first and longest wait. What brings it back wakes the pod at once.
const LOOK_INITIAL: Duration = Duration::from_secs(1);
/// See [`LOOK_INITIAL`].
const LOOK_MAX: Duration = Duration::from_secs(30);

/// Runs one pod.
#[derive(Debug)]
pub struct PodActor {
    worker: Worker,
    keeper: Keeper,
    wanted: watch::Receiver<Wanted>,
    seen: Wanted,
    state: PodState,
    observed: Arc<Observed>,
    prepared: Arc<Prepared>,
    reported: Option<Arc<PodStatus>>,
    /// Whom it was reported as.
    reported_as: Option<ReportAs>,
    outage: Option<Retry>,
    /// Whether it was asked if the pod may be on this node.
    is_judged: bool,
    /// When the pod came; `None` for one that runs, or has run, already.
    came: Option<Instant>,
    /// Told when the pod has succeeded or failed.
    is_over: Arc<AtomicBool>,
}

/// Why the loop goes on or not.
#[derive(Debug, PartialEq, Eq)]
enum Flow {
    Continue,
    /// Nobody wants anything any more: edged ends.
    Abandon,
}

// === impl PodActor ===

impl PodActor {
    /// An actor for the pod in `wanted`. `is_over` is set when the pod has succeeded or failed.
    pub fn new(
        context: Arc<PodContext>,
        key: PodKey,
        mut wanted: watch::Receiver<Wanted>,
        is_over: Arc<AtomicBool>,
    ) -> Self {
        let seen = wanted.borrow_and_update().clone();
        let status = seen.pod.status.as_ref();
        let start_time = status.and_then(|status| status.start_time.as_ref()).map(|time| time.0);
        let now = Instant::now();
        let mut state = PodState::new(seen.pod.clone(), now);
        let active_for = start_time.map(|since| context.clock.now().duration_since(since));
        // A clock that was set back has not made the pod any younger.
        state.active_for(active_for.and_then(|time| time.try_into().ok()).unwrap_or_default(), now);
        if let Some(ending) = seen.ending.clone() {
            state.fail(ending);
        }
        if seen.gone {
            state.remove(now);
        }
        Self {
            state,
            keeper: Keeper::new(context.clone()),
            worker: Worker {
                seen: start_time.unwrap_or_else(|| context.clock.now()),
                context,
                key,
                pre_stops: Arc::default(),
            },
            wanted,
            seen,
            observed: Arc::default(),
            prepared: Arc::default(),
            reported: None,
            reported_as: None,
            outage: None,
            is_judged: false,
            came: start_time.is_none().then_some(now),
            is_over,
        }
    }

    /// Runs until the pod is gone or `Wanted` is dropped.
    pub async fn run(mut self) {
        self.count_on().await;
        loop {
            let flow = match self.look().await {
                Ok(()) => {
                    // Boxed, as the others: an idle pod would hold room for the largest of them all the time.
                    Box::pin(self.judge()).await;
                    self.is_over.store(self.state.is_finished(), Ordering::Relaxed);
                    self.keeper.keep(&self.state, &self.observed);
                    // Whoever has ended it to gain room looks how much there is now.
                    let is_left = self.observed.alive().next().is_none() && self.state.is_cleaned();
                    if self.state.is_finished() && is_left {
                        self.worker.context.devices.release(&self.worker.key.uid).await;
                        self.worker.context.roster.over(&self.worker.key.uid);
                    }
                    Box::pin(self.report()).await;
                    match self.state.next(&self.observed, Instant::now()) {
                        Next::Do(step) => Box::pin(self.perform(step)).await,
                        Next::Wait(until) => self.wait(until).await,
                        Next::Ended => break,
                    }
                }
                Err(error) => self.sit_out(&error).await,
            };
            if flow == Flow::Abandon {
                return;
            }
        }
        self.worker.context.devices.release(&self.worker.key.uid).await;
        self.say_gone().await;
    }

    /// Takes up what was known before: hooks that were cut off, and the restart counts that the API or the logs know, for
    /// when the runtime has forgotten the containers.
    async fn count_on(&mut self) {
        let pod = self.state.pod().clone();
        let directory = self.worker.context.volumes.pod_dir(&self.worker.key.uid);
        if let Some(directory) = directory.filter(|_| hold::asks(&pod))
            && hold::was_let_go(&directory).await
        {
            self.state.let_go();
        }
        self.state.remember(self.keeper.recall(&pod, &self.worker.key.uid).await);
        let Some(spec) = &pod.spec else { return };
        let names = spec.init_containers.iter().flatten().chain(&spec.containers).map(|one| &one.name);
        for name in names.chain(spec.ephemeral_containers.iter().flatten().map(|one| &one.name)) {
            let in_logs = files::attempts_in_logs(&self.worker.log_directory(), name).await;
            self.state.restarts_at_least(name, next_attempt(&pod, name).max(in_logs).unwrap_or_default());
        }
    }

    /// Whether the pod may be on this node at all, looked at before anything of it is made.
    async fn judge(&mut self) {
        let is_new = !std::mem::replace(&mut self.is_judged, true);
        let has_started = self.seen.pod.status.as_ref().is_some_and(|status| status.start_time.is_some());
        let pod = self.state.pod().clone();
        let Some(spec) = pod
            .spec
            .as_ref()
            .filter(|_| is_new && !has_started && self.observed.is_empty() && self.state.is_running())
        else {
            return;
        };
        let context = self.worker.context.clone();
        let node = context.meta.node().await.unwrap_or_else(|error| {
            tracing::debug!(%error, "the pod is not held against the node's labels");
            None
        });
        if let Err(ending) = suits(spec, node.as_ref(), context.able()) {
            return self.reject(ending);
        }
        self.make_room().await;
        if !self.state.is_running() {
            return;
        }
        if let Err(error) = context.devices.give(&self.worker.key.uid, spec).await {
            let message = format!("Pod was rejected: Allocate failed due to {error}, which is unexpected");
            self.reject(Ending::rejected("UnexpectedAdmissionError", message));
        }
    }

    fn reject(&mut self, ending: Ending) {
        self.worker.context.metrics.pod_rejected(&ending.reason);
        self.state.fail(ending);
    }

    async fn look(&mut self) -> Result<(), RuntimeError> {
        let runtime = &self.worker.context.runtime;
        let observed = self.observed.read_again(runtime, &self.worker.key.uid).await?;
        self.outage = None;
        self.state.observe(&observed, Instant::now());
        if observed != *self.observed {
            self.observed = Arc::new(observed);
        }
        Ok(())
    }

    /// The runtime cannot be asked. Without knowing what there is nothing is done: what runs goes on running.
    async fn sit_out(&mut self, error: &RuntimeError) -> Flow {
        tracing::debug!(%error, kind = error.kind(), "the pod cannot be looked at");
        let retry = Retry::after(self.outage.as_ref(), Instant::now(), LOOK_INITIAL, LOOK_MAX);
        self.outage = Some(retry);
        self.wait(Some(retry.at)).await
    }

    async fn report(&mut self) {
        if self.state.is_stopping() && (self.state.is_dismantled() || self.observed.is_empty()) {
            return;
        }
        let context = self.worker.context.clone();
        let host_ips = context.node.borrow().addresses.clone();
        let previous = self.reported.as_deref().or(self.seen.pod.status.as_ref());
        let status = pod_status(&StatusInput {
            state: &self.state,
            observed: &self.observed,
            previous,
            host_ips: &host_ips,
            runtime_name: context.runtime_name(),
            start_time: self.worker.seen,
            now: context.clock.now(),
            instant: Instant::now(),
        });
        let report = self.seen.report.clone();
        if self.reported.as_deref() == Some(&status) && self.reported_as.as_ref() == Some(&report) {
            return;
        }
        let status = Arc::new(status);
        context.board.set(&self.worker.key, PodSummary::from(&*status));
        context.roster.report(&self.worker.key.uid, status.clone());
        self.count_start(&status);
        self.tell_backoffs(&status).await;
        self.tell_ending(&status).await;
        let key = match &report {
            // A pod of the same name may be there already, and its status must not be taken for this one's.
            ReportAs::Itself if self.seen.gone => None,
            ReportAs::Itself => Some(self.worker.key.clone()),
            ReportAs::Mirror(key) => Some(key.clone()),
            ReportAs::Nobody => None,
        };
        if let Some(key) = key
            && let Err(error) = context.meta.report_pod_status(key, (*status).clone()).await
        {
            tracing::debug!(%error, "pod status was not reported");
            return;
        }
        self.reported = Some(status);
        self.reported_as = Some(report);
    }

    async fn perform(&mut self, step: Step) -> Flow {
        tracing::debug!(?step, "step");
        self.state.begin(&step, Instant::now());
        self.keeper.note(&self.state, &self.worker.key.uid).await;
        let begun_with = self.state.pod().clone();
        let configs = self.seen.configs;
        let view = View {
            pod: begun_with.clone(),
            observed: self.observed.clone(),
            prepared: self.prepared.clone(),
            is_stopping: self.state.is_stopping(),
            is_committed: Arc::default(),
        };
        let is_committed = view.is_committed.clone();
        let work = self.worker.clone().perform(step.clone(), view);
        tokio::pin!(work);
        loop {
            tokio::select! {
                ended = &mut work => {
                    if let Some(prepared) = ended.prepared {
                        self.prepared = prepared;
                    }
                    let now = Instant::now();
                    self.state.done(&step, ended.result, &self.observed, now);
                    // What has changed under way the step may have read before or after.
                    if self.seen.configs != configs || self.state.has_changed_since(&begun_with) {
                        self.state.config_changed(now);
                    }
                    return Flow::Continue;
                }
                changed = self.wanted.changed() => {
                    if changed.is_err() {
                        return Flow::Abandon;
                    }
                    self.take_wanted();
                    if self.state.is_overtaken(&step, &begun_with) && !is_committed.load(Ordering::Relaxed) {
                        tracing::debug!(?step, "step is broken off");
                        return Flow::Continue;
                    }
                }
                news = self.keeper.news() => {
                    self.take_news(&news).await;
                    if self.state.is_urgent(&step, &self.observed) && !is_committed.load(Ordering::Relaxed) {
                        tracing::debug!(?step, "step gives way to a container that has failed");
                        return Flow::Continue;
                    }
                }
            }
        }
    }

    async fn wait(&mut self, alarm: Option<Instant>) -> Flow {
        tokio::select! {
            () = chassis::task::until(alarm) => Flow::Continue,
            changed = self.wanted.changed() => {
                if changed.is_err() {
                    return Flow::Abandon;
                }
                self.take_wanted();
                Flow::Continue
            }
            news = self.keeper.news() => {
                self.take_news(&news).await;
                Flow::Continue
            }
        }
    }

    /// Hooks or probes have come to something: it is told at once, whatever else is going on.
    async fn take_news(&mut self, news: &Verdicts) {
        self.state.take_verdicts(news, Instant::now());
        self.keeper.keep(&self.state, &self.observed);
        self.keeper.note(&self.state, &self.worker.key.uid).await;
        Box::pin(self.report()).await;
    }

    fn take_wanted(&mut self) {
        let wanted = self.wanted.borrow_and_update().clone();
        let now = Instant::now();
        if !Arc::ptr_eq(&wanted.pod, &self.seen.pod) {
            self.state.set_pod(wanted.pod.clone(), now);
        }
        if let Some(ending) = wanted.ending.clone().filter(|_| self.seen.ending.is_none()) {
            self.state.fail(ending);
        }
        if wanted.gone && !self.seen.gone {
            self.state.remove(now);
        }
        if wanted.let_go {
            self.state.let_go();
        }
        if wanted.configs != self.seen.configs {
            self.state.config_changed(now);
        }
        if wanted.recoveries != self.seen.recoveries {
            self.state.runtime_is_back();
            self.outage = None;
        }
        self.seen = wanted;
    }

    async fn say_gone(&self) {
        self.worker.context.board.remove(&self.worker.key);
        let (meta, key) = (&self.worker.context.meta, self.worker.key.clone());
        // What the cloud has removed itself it need not be asked to remove. A mirror pod goes by itself.
        let said = match self.seen.report {
            _ if self.seen.gone => meta.pod_removed(key).await,
            ReportAs::Itself => meta.pod_gone(key).await,
            ReportAs::Mirror(_) | ReportAs::Nobody => return,
        };
        if let Err(error) = said {
            tracing::debug!(%error, "the end of the pod was not reported");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A pod's task is held as long as the pod lives, and there are hundreds.
    #[test]
    fn the_task_of_an_idle_pod_is_small() {
        fn size_of_running<F: Future>(_: fn(PodActor) -> F) -> usize {
            size_of::<F>()
        }
        let size = size_of_running(PodActor::run);
        assert!(size < 5000, "{size} bytes: which future is not boxed?");
    }
}
