//! Services of the cluster, for the environment of containers. As with kubelet those count that there are when a container starts: the cloud
//! is asked then, and at no other time. What it said is kept for when it cannot be asked.

use std::time::Duration;

use k8s_openapi::List;
use k8s_openapi::api::core::v1::Service;
use proto::{Content, ObjectPath, Operation, Resource, ResourceKind};

use super::super::cloud::{CallError, queried};
use super::{Answers, filing};
use crate::flow::{Linked, MetaError};
use crate::store::Change;

/// A container waits this long at most for a cloud that does not answer: it can do without, and the answer of last time is mostly still right.
const PATIENCE: Duration = Duration::from_secs(5);

impl Answers {
    pub(super) async fn links(&self, of: &Linked) -> Result<Vec<Service>, MetaError> {
        let resource = resource(of);
        let stored: Option<List<Service>> = self.stored(&resource.to_string()).await?;
        let items = |list: Option<List<Service>>| list.unwrap_or_default().items;
        if stored.is_none() && self.cloud.link_soon().await.is_err() {
            tracing::warn!(%resource, "a container starts without being told of services: the cloud cannot be asked");
        }
        // A stock cloud tells no edge of services, and does not answer.
        if !self.cloud.is_connected() || !self.cloud.is_native() {
            return Ok(items(stored));
        }
        let question = self.cloud.request(Operation::Query, resource.clone(), Content::Null);
        let answer = self.cloud.ask_within(PATIENCE, question).await;
        let told: List<Service> = match answer.and_then(|answer| queried(&answer)) {
            Ok(told) => told,
            Err(error) => {
                match error {
                    CallError::Offline | CallError::Lost => {
                        tracing::debug!(%resource, %error, "services are not known anew")
                    }
                    error => tracing::warn!(%resource, %error, "services are not known anew"),
                }
                return Ok(items(stored));
            }
        };
        if stored.as_ref() != Some(&told)
            && let Err(error) = self.apply(Change::PutObject(filing(&resource, &told, None)?)).await
        {
            tracing::error!(%error, %resource, "used, and not in the store: a restart offline will not have it");
        }
        Ok(told.items)
    }
}

fn resource(of: &Linked) -> Resource {
    let kind = ResourceKind::Service;
    match of {
        Linked::Kubernetes => Resource::object(Some("default"), kind, "kubernetes"),
        Linked::Namespace(namespace) => {
            Resource::Object(ObjectPath { namespace: Some(namespace.clone()), kind, name: None })
        }
    }
}
