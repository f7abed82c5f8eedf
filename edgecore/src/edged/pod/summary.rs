//! A pod as `/debug/state` shows it: what an operator needs when the cloud, and with it `kubectl`, is away.

use k8s_openapi::api::core::v1::{ContainerState, ContainerStatus, PodStatus};
use serde::Serialize;

/// The status of a pod in a few words.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PodSummary {
    phase: String,
    #[serde(rename = "podIP", skip_serializing_if = "Option::is_none")]
    pod_ip: Option<String>,
    containers: Vec<ContainerSummary>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct ContainerSummary {
    name: String,
    /// `running`, or why it is not.
    state: String,
    ready: bool,
    restart_count: i32,
}

impl From<&PodStatus> for PodSummary {
    fn from(status: &PodStatus) -> Self {
        let lists = [&status.init_container_statuses, &status.container_statuses];
        Self {
            phase: status.phase.clone().unwrap_or_default(),
            pod_ip: status.pod_ip.clone(),
            containers: lists.into_iter().flatten().flatten().map(ContainerSummary::from).collect(),
        }
    }
}

impl From<&ContainerStatus> for ContainerSummary {
    fn from(status: &ContainerStatus) -> Self {
        Self {
            name: status.name.clone(),
            state: status.state.as_ref().map(state).unwrap_or_default(),
            ready: status.ready,
            restart_count: status.restart_count,
        }
    }
}

fn state(state: &ContainerState) -> String {
    let waiting = state.waiting.as_ref().map(|waiting| waiting.reason.as_deref());
    let ended = state.terminated.as_ref().map(|ended| ended.reason.as_deref());
    match waiting.or(ended) {
        Some(reason) => reason.unwrap_or("waiting").to_owned(),
        None => "running".to_owned(),
    }
}
