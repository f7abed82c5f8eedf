//! A volume of a driver, as a pod or a persistent volume describes it.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{
    CSIPersistentVolumeSource, CSIVolumeSource, PersistentVolume, PersistentVolumeClaim, SecretReference,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use super::digest;
use super::rules::access_modes;
use crate::edged::csi::wire::{AccessMode, BlockVolume, Mode, MountVolume, NodeCapability, VolumeCapability};
use crate::edged::resources::Amount;

/// See the module.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::edged::volumes) struct CsiVolume {
    pub(in crate::edged::volumes) driver: String,
    /// Of the persistent volume, or of the pod's volume.
    pub(in crate::edged::volumes) name: String,
    /// What the driver calls it.
    pub(in crate::edged::volumes) handle: String,
    pub(in crate::edged::volumes) attributes: BTreeMap<String, String>,
    /// Empty: as the driver likes.
    pub(in crate::edged::volumes) fs_type: String,
    pub(in crate::edged::volumes) mount_options: Vec<String>,
    pub(in crate::edged::volumes) access_modes: Vec<String>,
    pub(in crate::edged::volumes) read_only: bool,
    /// Namespace and name. The namespace of an inline volume's is the pod's.
    pub(in crate::edged::volumes) stage_secret: Option<SecretReference>,
    pub(in crate::edged::volumes) publish_secret: Option<SecretReference>,
    /// Of the pod itself: it lives as long as the pod.
    pub(in crate::edged::volumes) is_inline: bool,
    /// A device, not a file system.
    pub(in crate::edged::volumes) is_block: bool,
    /// It has more than its claim has yet.
    pub(in crate::edged::volumes) growing: Option<Growing>,
    /// What the driver has to be given when it grows.
    pub(in crate::edged::volumes) grow_secret: Option<SecretReference>,
}

/// A volume that the driver's controller has made larger, and whose file system may not know yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::edged::volumes) struct Growing {
    /// What it has by now, in bytes.
    pub(in crate::edged::volumes) bytes: i64,
    /// The same in the volume's own words.
    pub(in crate::edged::volumes) capacity: String,
    /// Namespace, name and UID of the claim that waits for it.
    pub(in crate::edged::volumes) claim: [String; 3],
}

/// A volume that is in the pod itself. [`CsiVolume::owned_by`] completes it.
pub(in crate::edged::volumes) fn inline(name: &str, source: &CSIVolumeSource) -> CsiVolume {
    let secret = source.node_publish_secret_ref.as_ref().map(|secret| secret.name.clone());
    CsiVolume {
        driver: source.driver.clone(),
        name: name.to_owned(),
        handle: String::new(),
        attributes: source.volume_attributes.clone().unwrap_or_default(),
        fs_type: source.fs_type.clone().unwrap_or_default(),
        mount_options: Vec::new(),
        access_modes: vec!["ReadWriteOnce".to_owned()],
        read_only: source.read_only == Some(true),
        stage_secret: None,
        publish_secret: secret.map(|name| SecretReference { name: Some(name), namespace: None }),
        is_inline: true,
        is_block: false,
        growing: None,
        grow_secret: None,
    }
}

/// The volume of a persistent volume.
pub(in crate::edged::volumes) fn persistent(
    claim: &PersistentVolumeClaim,
    volume: &PersistentVolume,
    source: &CSIPersistentVolumeSource,
) -> CsiVolume {
    let spec = volume.spec.as_ref();
    CsiVolume {
        driver: source.driver.clone(),
        name: volume.metadata.name.clone().unwrap_or_default(),
        handle: source.volume_handle.clone(),
        attributes: source.volume_attributes.clone().unwrap_or_default(),
        fs_type: source.fs_type.clone().unwrap_or_default(),
        mount_options: spec.and_then(|spec| spec.mount_options.clone()).unwrap_or_default(),
        access_modes: access_modes(volume),
        read_only: source.read_only == Some(true),
        stage_secret: source.node_stage_secret_ref.clone(),
        publish_secret: source.node_publish_secret_ref.clone(),
        is_inline: false,
        is_block: spec.and_then(|spec| spec.volume_mode.as_deref()) == Some("Block"),
        growing: growing(claim, volume),
        grow_secret: source.node_expand_secret_ref.clone(),
    }
}

/// Where the volume has more than its claim: the driver's controller has made it larger, and the node has to let the file system know.
fn growing(claim: &PersistentVolumeClaim, volume: &PersistentVolume) -> Option<Growing> {
    let bytes = |amount: &Quantity| Amount::try_from(amount).ok().map(Amount::value);
    let capacity = volume.spec.as_ref()?.capacity.as_ref()?.get("storage")?;
    let claimed = bytes(claim.status.as_ref()?.capacity.as_ref()?.get("storage")?)?;
    let about = &claim.metadata;
    let claim = [&about.namespace, &about.name, &about.uid].map(|text| text.clone().unwrap_or_default());
    let bytes = bytes(capacity).filter(|has| *has > claimed)?;
    Some(Growing { bytes, capacity: capacity.0.clone(), claim })
}

// === impl CsiVolume ===

impl CsiVolume {
    /// A volume of this pod: one that is in the pod itself gets its handle, which kubelet forms in the same way.
    pub(in crate::edged::volumes) fn owned_by(mut self, uid: &str, namespace: &str) -> Self {
        if self.is_inline {
            self.handle = format!("csi-{}", digest(&[uid, &self.name]));
            if let Some(secret) = &mut self.publish_secret {
                secret.namespace = Some(namespace.to_owned());
            }
        }
        self
    }

    /// How it is to be used. `group` owns it, where the driver can see to that itself.
    pub(super) fn capability(&self, can: &BTreeSet<NodeCapability>, group: Option<u32>) -> VolumeCapability {
        let mode = AccessMode { mode: self.mode(can).into() };
        let mut capability = VolumeCapability { block: None, mount: None, access_mode: Some(mode) };
        if self.is_block {
            capability.block = Some(BlockVolume {});
        } else {
            let group = group.filter(|_| can.contains(&NodeCapability::VolumeMountGroup));
            capability.mount = Some(MountVolume {
                fs_type: self.fs_type.clone(),
                mount_flags: self.mount_options.clone(),
                volume_mount_group: group.map(|group| group.to_string()).unwrap_or_default(),
            });
        }
        capability
    }

    /// Kubernetes' access modes are of nodes, and a driver may know those of pods, too.
    fn mode(&self, can: &BTreeSet<NodeCapability>) -> Mode {
        let knows_pods = can.contains(&NodeCapability::SingleNodeMultiWriter);
        match self.access_modes.first().map(String::as_str) {
            Some("ReadOnlyMany") => Mode::MultiNodeReaderOnly,
            Some("ReadWriteMany") => Mode::MultiNodeMultiWriter,
            Some("ReadWriteOncePod") if knows_pods => Mode::SingleNodeSingleWriter,
            Some("ReadWriteOnce") if knows_pods => Mode::SingleNodeMultiWriter,
            Some("ReadWriteOncePod" | "ReadWriteOnce") => Mode::SingleNodeWriter,
            _ => Mode::Unknown,
        }
    }
}
