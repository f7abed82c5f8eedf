//! Volumes, claims and attachments (spec cloud-and-wire 3.8): what belongs to the pods of the node.

use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use k8s_openapi::api::storage::v1::VolumeAttachment;
use kube::Api;
use proto::{ObjectPath, ResourceKind};

use super::answer::Done;
use super::{Caller, Outcomes, not_found, status_of};

impl Caller {
    pub(super) async fn get_storage(&self, path: &ObjectPath) -> Outcomes {
        let name = path.name.as_deref().unwrap_or_default();
        match path.kind {
            ResourceKind::PersistentVolumeClaim => self.get_claim(path, name).await,
            ResourceKind::PersistentVolume => self.get_volume(name).await,
            _ => self.get_attachment(name).await,
        }
    }

    async fn get_claim(&self, path: &ObjectPath, name: &str) -> Outcomes {
        self.check_is_used(path)?;
        let namespace = path.namespace.as_deref().unwrap_or_default();
        let claims = Api::<PersistentVolumeClaim>::namespaced(self.context.client.clone(), namespace);
        let found = claims.get_opt(name).await.map_err(status_of)?;
        found.map(Done::object).ok_or_else(|| not_found("persistentvolumeclaims", name))
    }

    async fn get_volume(&self, name: &str) -> Outcomes {
        let volumes = Api::<PersistentVolume>::all(self.context.client.clone());
        let found = volumes.get_opt(name).await.map_err(status_of)?;
        let volume = found.ok_or_else(|| not_found("persistentvolumes", name))?;
        let claim = volume.spec.as_ref().and_then(|spec| spec.claim_ref.as_ref()).map(|claim| ObjectPath {
            namespace: claim.namespace.clone(),
            kind: ResourceKind::PersistentVolumeClaim,
            name: claim.name.clone(),
        });
        if !claim.is_some_and(|claim| self.context.desired.read().uses(&self.node, &claim)) {
            let why = format!("no pod on node {:?} uses volume {name:?}", self.node.as_str());
            self.deny("persistentvolume", why)?;
        }
        Ok(Done::object(volume))
    }

    async fn get_attachment(&self, name: &str) -> Outcomes {
        let attachments = Api::<VolumeAttachment>::all(self.context.client.clone());
        let found = attachments.get_opt(name).await.map_err(status_of)?;
        let attachment = found.ok_or_else(|| not_found("volumeattachments.storage.k8s.io", name))?;
        self.check_is_self("volumeattachment", &attachment.spec.node_name)?;
        Ok(Done::object(attachment))
    }
}
