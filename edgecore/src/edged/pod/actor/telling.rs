//! Events about what a pod's status has come to.

use k8s_openapi::api::core::v1::{ContainerStatus, PodStatus};

use super::PodActor;
use crate::edged::events::{Severity, about_container, about_pod};

impl PodActor {
    /// How long it took until the pod ran, once.
    pub(super) fn count_start(&mut self, status: &PodStatus) {
        if status.phase.as_deref() == Some("Running")
            && let Some(came) = self.came.take()
        {
            self.worker.context.metrics.pod_runs(came.elapsed());
        }
    }

    /// An event for each container that has just begun to wait for its next try.
    pub(super) async fn tell_backoffs(&self, status: &PodStatus) {
        let before = self.reported.as_deref();
        for container in all_containers(status) {
            let Some((reason, message)) = backoff(container) else { continue };
            let known =
                before.into_iter().flat_map(all_containers).find(|known| known.name == container.name);
            if known.and_then(backoff).is_some_and(|(known, _)| known == reason) {
                continue;
            }
            let about = about_container(self.state.pod(), &container.name);
            self.worker.context.events.record(about, Severity::Warning, "BackOff", message).await;
        }
    }

    /// An event when the node has decided that the pod is over, once.
    pub(super) async fn tell_ending(&self, status: &PodStatus) {
        let before = self.reported.as_deref().or(self.seen.pod.status.as_ref());
        let is_told = before.is_some_and(|before| before.reason.is_some());
        if let (Some(reason), Some(message), false) = (&status.reason, &status.message, is_told) {
            let about = about_pod(self.state.pod());
            self.worker.context.events.record(about, Severity::Warning, reason, message).await;
        }
    }
}

fn all_containers(status: &PodStatus) -> impl Iterator<Item = &ContainerStatus> {
    let lists = [&status.init_container_statuses, &status.container_statuses];
    lists.into_iter().flatten().flatten()
}

/// Reason and message of a container that waits for its next try.
fn backoff(container: &ContainerStatus) -> Option<(&str, &str)> {
    let waiting = container.state.as_ref()?.waiting.as_ref()?;
    let reason = waiting.reason.as_deref().filter(|reason| reason.ends_with("BackOff"))?;
    Some((reason, waiting.message.as_deref().unwrap_or_default()))
}
