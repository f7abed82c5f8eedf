//! Which volume belongs to whom: the part of the graph that leads from a persistent volume through its claim to the nodes whose pods
//! use it. Of the volumes themselves nothing is kept.

use std::collections::HashMap;

use k8s_openapi::api::core::v1::PersistentVolume;
use proto::{ObjectPath, ResourceKind};

use super::Desired;
use crate::flow::NodeName;

/// The claim that each volume is bound to, by the volume's name.
#[derive(Debug, Default)]
pub(super) struct Volumes(HashMap<String, ObjectPath>);

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
        match claim_of(volume) {
            Some(claim) => self.volumes.0.insert(name, claim),
            None => self.volumes.0.remove(&name),
        };
    }

    /// A volume is gone.
    pub(crate) fn volume_deleted(&mut self, volume: &PersistentVolume) {
        self.volumes.0.remove(volume.metadata.name.as_deref().unwrap_or_default());
    }

    /// These are all the volumes that there are.
    pub(crate) fn volumes_replaced(&mut self, volumes: &[PersistentVolume]) {
        self.volumes.0.clear();
        for volume in volumes {
            self.volume_applied(volume);
        }
    }

    /// Whether a pod on `node` uses the volume; `None` when no claim of the volume is known.
    pub(crate) fn uses_volume(&self, node: &NodeName, name: &str) -> Option<bool> {
        self.volumes.0.get(name).map(|claim| self.uses(node, claim))
    }
}
