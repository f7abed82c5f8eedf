//! What a container is told of the cluster's services.

use k8s_openapi::api::core::v1::PodSpec;

use super::Worker;
use crate::edged::env::links::variables;
use crate::flow::Linked;

impl Worker {
    /// Variables for the services that there are now: those of the pod's namespace unless it wants none (`enableServiceLinks: false`), and in
    /// any case that of the Kubernetes API. A container that cannot be told of them starts without: it runs where there is no cloud.
    pub(super) async fn services(&self, spec: &PodSpec) -> Vec<(String, String)> {
        let namespace = &self.key.namespace;
        let of = match spec.enable_service_links {
            Some(false) => Linked::Kubernetes,
            _ => Linked::Namespace(namespace.clone()),
        };
        let mut all = self.context.settings.services.clone();
        match self.context.meta.links(of).await {
            Ok(services) => all.extend(variables(&services, namespace)),
            Err(error) => tracing::warn!(%error, "a container starts without being told of services"),
        }
        all
    }
}
