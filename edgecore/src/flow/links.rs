//! What edged asks about services of the cluster.

use k8s_openapi::api::core::v1::Service;

use super::{MetaClient, MetaError, MetaRequest};

/// Which services a container is told of (`enableServiceLinks`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Linked {
    /// `kubernetes` of namespace `default` alone: the API.
    Kubernetes,
    /// Those of this namespace, and that one.
    Namespace(String),
}

impl MetaClient {
    /// The services of the cluster that a container which starts now is told of. Only what is needed for that is in them.
    pub async fn links(&self, of: Linked) -> Result<Vec<Service>, MetaError> {
        self.ask(|reply| MetaRequest::Links(of, reply)).await
    }
}
