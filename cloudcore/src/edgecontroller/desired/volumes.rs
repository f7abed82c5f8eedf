//! Which volume belongs to whom: the part of the graph that leads from a persistent volume through its claim to the nodes whose pods
//! use it, and to the secrets that its driver needs there. Of the volumes themselves nothing is kept.

use std::collections::{BTreeSet, HashMap};

use k8s_openapi::api::core::v1::{PersistentVolume, SecretReference};
use proto::{ObjectPath, ResourceKind};

use super::Desired;
use crate::flow::NodeName;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Volumes {
    /// The claim that each volume is bound to, by the volume's name.
    claims: HashMap<String, ObjectPath>,
    /// The volumes that name a secret.
    by_secret: HashMap<ObjectPath, BTreeSet<String>>,
}

/// The secrets that a driver needs on the node. Those for its controller are no node's business.
fn secrets_of(volume: &PersistentVolume) -> impl Iterator<Item = ObjectPath> {
    let source = volume.spec.as_ref().and_then(|spec| spec.csi.as_ref());
    let references = source.map(|csi| [&csi.node_stage_secret_ref, &csi.node_publish_secret_ref]);
    references.into_iter().flatten().flatten().map(|SecretReference { namespace, name }| ObjectPath {
        namespace: namespace.clone(),
        kind: ResourceKind::Secret,
        name: name.clone(),
    })
}

/// The claim of a volume, if it is bound.
pub(crate) fn claim_of(volume: &PersistentVolume) -> Option<ObjectPath> {
    let claim = volume.spec.as_ref()?.claim_ref.as_ref()?;
    Some(ObjectPath {
        namespace: claim.namespace.clone(),
        kind: ResourceKind::PersistentVolumeClaim,
        name: claim.name.clone(),
    })
}

impl Desired {
    /// A volume is new or has changed.
    pub(crate) fn volume_applied(&mut self, volume: &PersistentVolume) {
        let Some(name) = volume.metadata.name.clone() else { return };
        self.volume_forgotten(&name);
        for secret in secrets_of(volume) {
            self.volumes.by_secret.entry(secret).or_default().insert(name.clone());
        }
        if let Some(claim) = claim_of(volume) {
            self.volumes.claims.insert(name, claim);
        }
    }

    /// A volume is gone.
    pub(crate) fn volume_deleted(&mut self, volume: &PersistentVolume) {
        self.volume_forgotten(volume.metadata.name.as_deref().unwrap_or_default());
    }

    fn volume_forgotten(&mut self, name: &str) {
        self.volumes.claims.remove(name);
        self.volumes.by_secret.retain(|_, volumes| {
            volumes.remove(name);
            !volumes.is_empty()
        });
    }

    /// These are all the volumes that there are.
    pub(crate) fn volumes_replaced(&mut self, volumes: &[PersistentVolume]) {
        self.volumes = Volumes::default();
        for volume in volumes {
            self.volume_applied(volume);
        }
    }

    /// Whether a pod on `node` uses the volume; `None` when no claim of the volume is known.
    pub(crate) fn uses_volume(&self, node: &NodeName, name: &str) -> Option<bool> {
        self.volumes.claims.get(name).map(|claim| self.uses(node, claim))
    }

    /// Whether a pod on `node` uses a volume whose driver needs the secret there.
    pub(crate) fn uses_secret_of_volume(&self, node: &NodeName, secret: &ObjectPath) -> bool {
        let volumes = self.volumes.by_secret.get(secret);
        volumes.into_iter().flatten().any(|volume| self.uses_volume(node, volume) == Some(true))
    }
}
