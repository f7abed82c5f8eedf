//! Ending containers: their `preStop` hooks, then the stop signal, then the end of their patience.

mod signal;

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use chassis::task::{self, AbortOnDrop};
use futures::future::join_all;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use super::{View, Worker, named};
use crate::edged::events::{Severity, about_container};
use crate::edged::hook::Hook;
use crate::edged::pod::health::lasting_container;
use crate::edged::pod::observed::ObservedContainer;
use crate::edged::pod::state::{
    Failure, MINIMUM_GRACE, StopReason, restarts_when_given_up, uses_host_network,
};
use crate::edged::runtime::{ContainerId, ContainerState, RuntimeError};

/// The `preStop` hooks of a pod that were begun. They belong to no step: one that is broken off, because the grace
/// period was cut short, and begun again finds them running and does not begin them twice.
#[derive(Debug, Default)]
pub(in crate::edged::pod) struct PreStops(Mutex<BTreeMap<ContainerId, Begun>>);

#[derive(Debug)]
struct Begun {
    _task: AbortOnDrop<()>,
    has_ended: watch::Receiver<bool>,
}

// === impl PreStops ===

impl PreStops {
    fn begin<F>(&self, id: &ContainerId, hook: impl FnOnce() -> F) -> watch::Receiver<bool>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let mut begun = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(begun) = begun.get(id) {
            return begun.has_ended.clone();
        }
        let (end, has_ended) = watch::channel(false);
        let hook = hook();
        let task = task::spawn(tracing::Span::current(), async move {
            hook.await;
            end.send_replace(true);
        });
        begun.insert(id.clone(), Begun { _task: task, has_ended: has_ended.clone() });
        has_ended
    }

    /// The container has ended.
    fn forget(&self, id: &ContainerId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
    }
}

// === impl Worker ===

impl Worker {
    pub(super) async fn stop(
        &self,
        containers: &[ContainerId],
        kill_at: Instant,
        why: StopReason,
        view: &View,
    ) -> Result<(), Failure> {
        for container in containers.iter().filter_map(|id| named(view, id)) {
            let name = &container.record.name;
            let about = about_container(&view.pod, name);
            let message = killing(why, name, view);
            self.context.events.record(about, Severity::Normal, "Killing", &message).await;
        }
        if why == StopReason::PodEnds {
            // Sidecars are asked to end after the others, but their hooks begin with those of the others, as kubelet
            // has it: all of them share the grace period.
            for container in view.observed.alive() {
                drop(self.begin_pre_stop(container, kill_at, view));
            }
        }
        let stops = containers.iter().map(|id| self.stop_one(id, kill_at, view));
        for stopped in join_all(stops).await {
            if let Err(error) = stopped {
                return Err(self
                    .failed(view, "FailedKillPod", &format!("error killing pod: {error}"), &error)
                    .await);
            }
        }
        Ok(())
    }

    async fn stop_one(&self, id: &ContainerId, kill_at: Instant, view: &View) -> Result<(), RuntimeError> {
        if let Some(container) = named(view, id) {
            self.pre_stop(container, kill_at, view).await;
        }
        let kill_at = kill_at.max(Instant::now() + MINIMUM_GRACE);
        let grace = match self.signal(id, kill_at, view).await {
            true => Duration::ZERO,
            false => kill_at.saturating_duration_since(Instant::now()),
        };
        self.context.runtime.stop_container(id, grace).await?;
        self.pre_stops.forget(id);
        Ok(())
    }

    /// Runs the hook of a container that still runs, at most until `kill_at`.
    async fn pre_stop(&self, container: &ObservedContainer, kill_at: Instant, view: &View) {
        let Some(mut has_ended) = self.begin_pre_stop(container, kill_at, view) else { return };
        if timeout_at(kill_at, has_ended.wait_for(|ended| *ended)).await.is_err() {
            let name = &container.record.name;
            tracing::warn!(container = name, "preStop hook has used up the grace period");
            let message = "PreStopHook failed: it did not end within the grace period";
            let about = about_container(&view.pod, name);
            self.context.events.record(about, Severity::Warning, "FailedPreStopHook", message).await;
        }
    }

    /// Begins the hook of a container that still runs, unless it was begun; tells whether it has ended. `None`: it has
    /// none, or no time for it.
    fn begin_pre_stop(
        &self,
        container: &ObservedContainer,
        kill_at: Instant,
        view: &View,
    ) -> Option<watch::Receiver<bool>> {
        let (name, id) = (&container.record.name, &container.record.id);
        let spec = view.pod.spec.as_ref()?;
        let definition = lasting_container(spec, name)?;
        let handler = definition.lifecycle.as_ref()?.pre_stop.as_ref()?;
        if container.record.state != ContainerState::Running || kill_at <= Instant::now() {
            return None;
        }
        let ip = match uses_host_network(spec) {
            true => self.context.node.borrow().addresses.first().copied(),
            false => view.observed.ips.first().copied(),
        };
        Some(self.pre_stops.begin(id, || {
            let limit = kill_at.saturating_duration_since(Instant::now()).max(MINIMUM_GRACE);
            let (hook, context) = (Hook::of(handler, definition, ip), self.context.clone());
            let (id, pod, name) = (id.clone(), view.pod.clone(), name.clone());
            async move {
                let Err(error) = Box::pin(hook.run(&context.runtime, &id, Some(limit))).await else { return };
                tracing::warn!(container = name, error, "preStop hook failed");
                let message = format!("PreStopHook failed: {error}");
                let about = about_container(&pod, &name);
                context.events.record(about, Severity::Warning, "FailedPreStopHook", &message).await;
            }
        }))
    }
}

/// In kubelet's words.
fn killing(why: StopReason, name: &str, view: &View) -> String {
    match why {
        StopReason::PodEnds => format!("Stopping container {name}"),
        StopReason::Changed => format!("Container {name} definition changed, will be restarted"),
        StopReason::SandboxLost => format!("Stopping container {name}: its sandbox is gone"),
        StopReason::HookFailed => "FailedPostStartHook".to_owned(),
        StopReason::Unhealthy(probe) => {
            let restarts = view.pod.spec.as_ref().is_some_and(|spec| restarts_when_given_up(spec, name));
            let then = if restarts { ", will be restarted" } else { "" };
            let probe = probe.to_string().to_lowercase();
            format!("Container {name} failed {probe} probe{then}")
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test]
    async fn a_hook_is_begun_once() {
        let (pre_stops, id) = (PreStops::default(), ContainerId("c".to_owned()));
        let count = Arc::new(AtomicU32::new(0));
        let counted = || {
            let count = count.clone();
            async move {
                count.fetch_add(1, Ordering::SeqCst);
            }
        };
        for _ in 0..3 {
            let mut ended = pre_stops.begin(&id, counted);
            ended.wait_for(|ended| *ended).await.unwrap();
        }
        assert_eq!(count.load(Ordering::SeqCst), 1);
        pre_stops.forget(&id);
        assert!(pre_stops.0.lock().unwrap().is_empty());
    }
}
