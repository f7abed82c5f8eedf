//! Config maps and secrets that the pods of a node use (spec cloud-and-wire 3.8).

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Status;
use kube::Api;
use proto::{ObjectPath, ResourceKind};

use super::answer::Done;
use super::{Caller, Outcomes, not_found, status_of};

impl Caller {
    /// A node sees what its pods use, and what the drivers of their volumes need.
    pub(super) fn check_is_used(&self, path: &ObjectPath) -> Result<(), Box<Status>> {
        let is_used = {
            let desired = self.context.desired.read();
            desired.uses(&self.node, path) || desired.uses_secret_of_volume(&self.node, path)
        };
        if is_used {
            return Ok(());
        }
        let what = match path.kind {
            ResourceKind::Secret => "secret",
            ResourceKind::ConfigMap => "configmap",
            _ => "persistentvolumeclaim",
        };
        self.deny(what, format!("no pod on node {:?} uses {path}", self.node.as_str()))
    }

    /// From what the watch brought, and when it is not there, from the API server: the node may be faster than
    /// the watch.
    pub(super) async fn get_config(&self, path: &ObjectPath) -> Outcomes {
        self.check_is_used(path)?;
        let known = self.context.desired.read().config(path);
        if let Some(known) = known {
            let resource_version = Some(known.resource_version.clone());
            return Ok(Done::Object { content: known.content.clone(), resource_version });
        }
        let (namespace, name) =
            (path.namespace.as_deref().unwrap_or_default(), path.name.as_deref().unwrap_or_default());
        let client = self.context.client.clone();
        if path.kind == ResourceKind::Secret {
            let found =
                Api::<Secret>::namespaced(client, namespace).get_opt(name).await.map_err(status_of)?;
            return found.map(Done::object).ok_or_else(|| not_found("secrets", name));
        }
        let found = Api::<ConfigMap>::namespaced(client, namespace).get_opt(name).await.map_err(status_of)?;
        found.map(Done::object).ok_or_else(|| not_found("configmaps", name))
    }
}
