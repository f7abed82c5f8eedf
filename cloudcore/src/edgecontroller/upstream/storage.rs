//! Volumes, claims and attachments (spec cloud-and-wire 3.8): what belongs to the pods of the node. And the classes of runtimes and
//! what there is to know of CSI drivers, which belong to nobody.

use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use k8s_openapi::api::node::v1::RuntimeClass;
use k8s_openapi::api::storage::v1::{CSIDriver, VolumeAttachment};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Status;
use kube::Api;
use proto::{ObjectPath, ResourceKind};

use super::answer::Done;
use super::{Caller, Outcomes, not_found, status_of};
use crate::edgecontroller::desired::volumes::claim_of;

impl Caller {
    pub(super) async fn get_storage(&self, path: &ObjectPath) -> Outcomes {
        let name = path.name.as_deref().unwrap_or_default();
        match path.kind {
            ResourceKind::PersistentVolumeClaim => self.get_claim(path, name).await,
            ResourceKind::PersistentVolume => self.get_volume(name).await,
            ResourceKind::RuntimeClass => self.get_runtime_class(name).await,
            ResourceKind::CsiDriver => self.get_driver(name).await,
            _ => self.get_attachment(name).await,
        }
    }

    /// What runs a pod is no secret: every kubelet may read all of them.
    async fn get_runtime_class(&self, name: &str) -> Outcomes {
        let classes = Api::<RuntimeClass>::all(self.context.client.clone());
        let found = classes.get_opt(name).await.map_err(status_of)?;
        found.map(Done::object).ok_or_else(|| not_found("runtimeclasses.node.k8s.io", name))
    }

    /// Every kubelet may read all of them, too.
    async fn get_driver(&self, name: &str) -> Outcomes {
        let drivers = Api::<CSIDriver>::all(self.context.client.clone());
        let found = drivers.get_opt(name).await.map_err(status_of)?;
        found.map(Done::object).ok_or_else(|| not_found("csidrivers.storage.k8s.io", name))
    }

    async fn get_claim(&self, path: &ObjectPath, name: &str) -> Outcomes {
        self.check_is_used(path)?;
        let namespace = path.namespace.as_deref().unwrap_or_default();
        let claims = Api::<PersistentVolumeClaim>::namespaced(self.context.client.clone(), namespace);
        let found = claims.get_opt(name).await.map_err(status_of)?;
        found.map(Done::object).ok_or_else(|| not_found("persistentvolumeclaims", name))
    }

    async fn get_volume(&self, name: &str) -> Outcomes {
        let known = self.context.desired.read().uses_volume(&self.node, name);
        if known == Some(false) {
            self.deny_volume(name)?;
        }
        let volumes = Api::<PersistentVolume>::all(self.context.client.clone());
        let found = volumes.get_opt(name).await.map_err(status_of)?;
        if known.is_none() {
            // The node may be faster than the watch. Whether a volume exists that is not the node's is not its business either.
            let claim = found.as_ref().and_then(claim_of);
            if !claim.is_some_and(|claim| self.context.desired.read().uses(&self.node, &claim)) {
                self.deny_volume(name)?;
            }
        }
        found.map(Done::object).ok_or_else(|| not_found("persistentvolumes", name))
    }

    fn deny_volume(&self, name: &str) -> Result<(), Box<Status>> {
        self.deny("persistentvolume", format!("no pod on node {:?} uses volume {name:?}", self.node.as_str()))
    }

    async fn get_attachment(&self, name: &str) -> Outcomes {
        let attachments = Api::<VolumeAttachment>::all(self.context.client.clone());
        let found = attachments.get_opt(name).await.map_err(status_of)?;
        // Attachments name their node themselves. One of another node and one that does not exist look the same.
        if found.as_ref().is_none_or(|attachment| attachment.spec.node_name != self.node.as_str()) {
            let why = format!("volume attachment {name:?} is not of node {:?}", self.node.as_str());
            self.deny("volumeattachment", why)?;
        }
        found.map(Done::object).ok_or_else(|| not_found("volumeattachments.storage.k8s.io", name))
    }
}
