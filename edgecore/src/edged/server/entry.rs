//! A pod as the server shows it.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{Pod, PodSpec, PodStatus};

use crate::edged::roster::Listed;
use crate::flow::PodKey;

/// One pod.
#[derive(Debug, Clone)]
pub(super) struct PodEntry {
    /// Whose it is.
    pub(super) key: PodKey,
    /// As the cloud has it; its status is not used.
    pub(super) pod: Arc<Pod>,
    /// As edged last reported it; `None` before the first report.
    pub(super) status: Option<Arc<PodStatus>>,
}

impl From<Listed> for PodEntry {
    fn from(listed: Listed) -> Self {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let metadata = &listed.pod.metadata;
        let key = PodKey {
            namespace: text(&metadata.namespace),
            name: text(&metadata.name),
            uid: text(&metadata.uid),
        };
        Self { key, pod: listed.pod, status: listed.status }
    }
}

// === impl PodEntry ===

impl PodEntry {
    /// The pod with its status as edged knows it.
    pub(super) fn with_status(&self) -> Pod {
        let mut pod = (*self.pod).clone();
        if let Some(status) = &self.status {
            pod.status = Some((**status).clone());
        }
        pod
    }

    /// Names of all its containers: those of the spec's three lists.
    pub(super) fn container_names(&self) -> impl Iterator<Item = &str> {
        let spec: Option<&PodSpec> = self.pod.spec.as_ref();
        let init = spec.into_iter().flat_map(|spec| spec.init_containers.iter().flatten());
        let plain = spec.into_iter().flat_map(|spec| &spec.containers);
        let ephemeral = spec.into_iter().flat_map(|spec| spec.ephemeral_containers.iter().flatten());
        init.chain(plain)
            .map(|container| container.name.as_str())
            .chain(ephemeral.map(|container| container.name.as_str()))
    }
}
