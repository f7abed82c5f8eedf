//! The status of a pod as kubelet reports it:
//! <https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/>.
//!
//! A pure function of the pod, what the runtime holds of it and what was reported before, so that the same pod has
//! the same status whoever asks, and a status that has not changed is not sent.

mod conditions;
mod containers;
mod phase;

use std::net::IpAddr;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ContainerStatus, HostIP, Pod, PodIP, PodSpec, PodStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use tokio::time::Instant;

pub use phase::Phase;

use super::observed::Observed;
use super::state::{PodState, uses_host_network};
use crate::edged::resources::QosClass;

/// Everything that a pod's status is made of.
#[derive(Debug, Clone, Copy)]
pub struct StatusInput<'a> {
    /// What decides the pod's next step: the pod itself, its waits and problems.
    pub state: &'a PodState,
    /// What the runtime holds of it.
    pub observed: &'a Observed,
    /// What was reported last; what cannot be read from the runtime any more is taken from here.
    pub previous: Option<&'a PodStatus>,
    /// Addresses of the node, the primary one first.
    pub host_ips: &'a [IpAddr],
    /// Scheme of container ids: the runtime's name.
    pub runtime_name: &'a str,
    /// When edged first saw the pod.
    pub start_time: Timestamp,
    /// Wall clock, for transition times.
    pub now: Timestamp,
    /// The same moment, for waits.
    pub instant: Instant,
}

/// The status to report.
pub fn pod_status(input: &StatusInput<'_>) -> PodStatus {
    let pod = input.state.pod();
    let empty = PodSpec::default();
    let spec = pod.spec.as_ref().unwrap_or(&empty);
    let init_containers = containers::init_statuses(spec, input);
    let containers = containers::statuses(spec, input);
    let phase = phase::phase(spec, &init_containers, &containers, input);
    let ending = input.state.ending().filter(|_| phase == Phase::Failed);
    let (pod_ip, pod_ips) = pod_ips(spec, input);
    let start_time = input.previous.and_then(|previous| previous.start_time.clone());
    let mut status = PodStatus {
        phase: Some(phase.as_str().to_owned()),
        reason: ending.map(|ending| ending.reason.clone()),
        message: ending.map(|ending| ending.message.clone()),
        observed_generation: pod.metadata.generation,
        qos_class: QosClass::of(pod).ok().map(|class| class.as_str().to_owned()),
        start_time: Some(start_time.unwrap_or(Time(input.start_time))),
        host_ip: input.host_ips.first().map(IpAddr::to_string),
        host_ips: non_empty(input.host_ips.iter().map(|ip| HostIP { ip: ip.to_string() }).collect()),
        pod_ip,
        pod_ips,
        init_container_statuses: non_empty(init_containers),
        container_statuses: non_empty(containers),
        ephemeral_container_statuses: non_empty(containers::ephemeral_statuses(spec, input)),
        ..PodStatus::default()
    };
    share_room_for_messages(spec, &mut status);
    status.conditions = Some(conditions::conditions(spec, &status, phase, input));
    status
}

/// What the last messages of all containers of a pod have together:
/// <https://kubernetes.io/docs/tasks/debug/debug-application/determine-reason-pod-failure/>.
const MESSAGES: usize = 12 * 1024;

/// Cuts messages so that each container has the same room.
fn share_room_for_messages(spec: &PodSpec, status: &mut PodStatus) {
    let ephemeral = spec.ephemeral_containers.iter().flatten().count();
    let count = spec.containers.len() + spec.init_containers.iter().flatten().count() + ephemeral;
    let room = MESSAGES / count.max(1);
    let lists = [
        &mut status.init_container_statuses,
        &mut status.container_statuses,
        &mut status.ephemeral_container_statuses,
    ];
    for container in lists.into_iter().flatten().flatten() {
        for state in [&mut container.state, &mut container.last_state].into_iter().flatten() {
            let message = state.terminated.as_mut().and_then(|terminated| terminated.message.as_mut());
            if let Some(message) = message.filter(|message| message.len() > room) {
                let end = (0..=room).rev().find(|end| message.is_char_boundary(*end));
                message.truncate(end.unwrap_or_default());
            }
        }
    }
}

/// An empty list is left out of the JSON, as Kubernetes does.
fn non_empty<T>(list: Vec<T>) -> Option<Vec<T>> {
    Some(list).filter(|list| !list.is_empty())
}

fn pod_ips(spec: &PodSpec, input: &StatusInput<'_>) -> (Option<String>, Option<Vec<PodIP>>) {
    let ips = if uses_host_network(spec) && input.observed.ready_sandbox().is_some() {
        input.host_ips
    } else {
        &input.observed.ips
    };
    if ips.is_empty() {
        // Services and people still want to know where a pod was that has just ended.
        let over = input.state.is_stopping() || input.state.is_finished();
        let previous = input.previous.filter(|_| over);
        return previous.map(|p| (p.pod_ip.clone(), p.pod_ips.clone())).unwrap_or_default();
    }
    let all = ips.iter().map(|ip| PodIP { ip: ip.to_string() }).collect();
    (ips.first().map(IpAddr::to_string), Some(all))
}

/// The status that was known of container `name`, also when it was an init container.
fn previous_container<'a>(previous: Option<&'a PodStatus>, name: &str) -> Option<&'a ContainerStatus> {
    let status = previous?;
    let lists =
        [&status.init_container_statuses, &status.container_statuses, &status.ephemeral_container_statuses];
    lists.into_iter().flatten().flatten().find(|container| container.name == name)
}

/// The number of the next container `name`, as the API knows it: where to count on when the runtime has forgotten its
/// containers. `None`: there was none.
pub fn next_attempt(pod: &Pod, name: &str) -> Option<u32> {
    let known = previous_container(pod.status.as_ref(), name)?;
    let id = known.container_id.as_deref().filter(|id| !id.is_empty())?;
    let waits = known.state.as_ref().is_some_and(|state| state.waiting.is_some());
    let last = known.last_state.as_ref().and_then(|last| last.terminated.as_ref());
    let has_ended = last.is_some_and(|last| last.container_id.as_deref().is_none_or(|last| last == id));
    let count = u32::try_from(known.restart_count).unwrap_or_default();
    // One that was made and never begun leaves its number to the next.
    Some(if waits && !has_ended { count } else { count.saturating_add(1) })
}

#[cfg(test)]
mod tests;
