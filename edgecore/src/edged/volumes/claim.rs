//! `persistentVolumeClaim`: from the claim that a pod names to the volume behind it.
//!
//! <https://kubernetes.io/docs/concepts/storage/persistent-volumes/>. Volumes of this node itself are mounted, `hostPath` and
//! `local` (<https://kubernetes.io/docs/concepts/storage/volumes/#local>), and those of CSI drivers.

use std::path::{Component, PathBuf};

use k8s_openapi::api::core::v1::{Node, PersistentVolume, PersistentVolumeClaim, PersistentVolumeSpec};
use proto::placement::is_one_of;

use super::csi::persistent;
use super::plan::{HostPathType, Kind, host_path};

/// Fields of a persistent volume that do not say what it is.
const ABOUT: [&str; 9] = [
    "accessModes",
    "capacity",
    "claimRef",
    "mountOptions",
    "nodeAffinity",
    "persistentVolumeReclaimPolicy",
    "storageClassName",
    "volumeAttributesClassName",
    "volumeMode",
];
/// A local volume is a directory that somebody has made.
pub(super) const LOCAL: HostPathType = HostPathType::Directory;
/// ... or a device.
pub(super) const LOCAL_DEVICE: HostPathType = HostPathType::BlockDevice;

/// Name of the volume that the claim is bound to.
///
/// # Errors
/// A sentence: it is not bound (yet), or goes.
pub(super) fn volume_of(claim: &PersistentVolumeClaim) -> Result<&str, String> {
    let name = claim.metadata.name.as_deref().unwrap_or_default();
    if claim.metadata.deletion_timestamp.is_some() {
        return Err(format!("persistentvolumeclaim {name:?} is being deleted"));
    }
    let phase = claim.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or("Pending");
    let volume = claim.spec.as_ref().and_then(|spec| spec.volume_name.as_deref()).unwrap_or_default();
    if phase != "Bound" || volume.is_empty() {
        return Err(format!(
            "persistentvolumeclaim {name:?} is not bound to a volume yet: its phase is {phase}"
        ));
    }
    Ok(volume)
}

/// What is to be mounted for a claim that is bound to `volume`.
///
/// # Errors
/// A sentence: the volume belongs to another claim, or is of a kind that cannot be mounted here.
pub(super) fn mount_of(claim: &PersistentVolumeClaim, volume: &PersistentVolume) -> Result<Kind, String> {
    let name = volume.metadata.name.as_deref().unwrap_or_default();
    let Some(spec) = &volume.spec else { return Err(format!("persistentvolume {name:?} has no spec")) };
    let owner = spec.claim_ref.as_ref();
    let is_owned = owner.is_some_and(|owner| {
        owner.name == claim.metadata.name
            && owner.namespace == claim.metadata.namespace
            && (owner.uid.is_none() || owner.uid == claim.metadata.uid)
    });
    if !is_owned {
        let claim = claim.metadata.name.as_deref().unwrap_or_default();
        return Err(format!("persistentvolume {name:?} is not bound to claim {claim:?}"));
    }
    if let Some(source) = &spec.csi {
        return Ok(Kind::Csi(Box::new(persistent(claim, volume, source))));
    }
    source(spec).map_err(|reason| format!("persistentvolume {name:?}: {reason}"))
}

/// Whether the volume can be reached from `node`; where nothing is known of the node, the scheduler's word is taken for it.
///
/// # Errors
/// A sentence: it is another node's.
pub(super) fn is_reachable(volume: &PersistentVolume, node: Option<&Node>) -> Result<(), String> {
    let affinity = volume.spec.as_ref().and_then(|spec| spec.node_affinity.as_ref());
    let required = affinity.and_then(|affinity| affinity.required.as_ref());
    match required.zip(node) {
        Some((required, node)) if !is_one_of(required, node) => {
            let name = volume.metadata.name.as_deref().unwrap_or_default();
            Err(format!("persistentvolume {name:?}: its node affinity does not fit this node"))
        }
        _ => Ok(()),
    }
}

fn source(spec: &PersistentVolumeSpec) -> Result<Kind, String> {
    let is_block = spec.volume_mode.as_deref() == Some("Block");
    if let Some(source) = &spec.host_path {
        if is_block {
            return Err("a hostPath is no device (volumeMode: Block): a local volume may be one".to_owned());
        }
        return host_path(source);
    }
    if let Some(source) = &spec.local {
        let path = PathBuf::from(&source.path);
        if !path.is_absolute() || path.components().any(|part| part == Component::ParentDir) {
            return Err(format!("local path {:?} must be absolute and without \"..\"", source.path));
        }
        return Ok(if is_block { Kind::LocalDevice { path } } else { Kind::Local { path } });
    }
    Err(format!("volume type {:?} is not supported on this node", type_name(spec)))
}

/// The field that says what kind of volume it is, as the user wrote it.
fn type_name(spec: &PersistentVolumeSpec) -> String {
    let object = proto::json::value(spec).unwrap_or_default();
    let mut names = object.as_object().into_iter().flat_map(|object| object.keys());
    names.find(|name| !ABOUT.contains(&name.as_str())).cloned().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn claim(phase: &str) -> PersistentVolumeClaim {
        serde_json::from_value(json!({
            "metadata": {"name": "data", "namespace": "shop", "uid": "c1"},
            "spec": {"volumeName": "pv1"}, "status": {"phase": phase},
        }))
        .unwrap()
    }

    fn mounted(source: Value, owner: Value) -> Result<Kind, String> {
        let mut spec = source;
        spec["claimRef"] = owner;
        let volume = json!({"metadata": {"name": "pv1"}, "spec": spec});
        mount_of(&claim("Bound"), &serde_json::from_value(volume).unwrap())
    }

    fn owner() -> Value {
        json!({"name": "data", "namespace": "shop", "uid": "c1"})
    }

    #[test]
    fn a_claim_has_to_be_bound() {
        assert_eq!(volume_of(&claim("Bound")), Ok("pv1"));
        assert!(volume_of(&claim("Pending")).unwrap_err().contains("not bound"));
        assert!(volume_of(&claim("Lost")).unwrap_err().contains("Lost"));
    }

    #[test]
    fn volumes_of_the_node_are_mounted() {
        let path = PathBuf::from("/mnt/disk");
        assert_eq!(
            mounted(json!({"local": {"path": "/mnt/disk"}}), owner()),
            Ok(Kind::Local { path: path.clone() })
        );
        let device = json!({"local": {"path": "/dev/sda"}, "volumeMode": "Block"});
        assert_eq!(mounted(device, owner()), Ok(Kind::LocalDevice { path: PathBuf::from("/dev/sda") }));
        let kind = mounted(json!({"hostPath": {"path": "/mnt/disk"}}), owner());
        assert_eq!(kind, Ok(Kind::HostPath { path, check: HostPathType::Unchecked }));
    }

    #[test]
    fn a_volume_of_another_node_is_told_apart() {
        let term = json!({"matchExpressions": [{"key": "host", "operator": "In", "values": ["a"]}]});
        let required = json!({"required": {"nodeSelectorTerms": [term]}});
        let volume: PersistentVolume = serde_json::from_value(
            json!({"metadata": {"name": "pv1"}, "spec": {"local": {"path": "/mnt"}, "nodeAffinity": required}}),
        )
        .unwrap();
        let node =
            |host: &str| serde_json::from_value::<Node>(json!({"metadata": {"labels": {"host": host}}}));
        assert_eq!(is_reachable(&volume, None), Ok(()));
        assert_eq!(is_reachable(&volume, Some(&node("a").unwrap())), Ok(()));
        let reason = is_reachable(&volume, Some(&node("b").unwrap())).unwrap_err();
        assert!(reason.contains("\"pv1\": its node affinity"), "{reason}");
        assert_eq!(is_reachable(&PersistentVolume::default(), Some(&node("b").unwrap())), Ok(()));
    }

    #[test]
    fn what_cannot_be_mounted_is_named() {
        let reason = |source, owner| mounted(source, owner).unwrap_err();
        let nfs = reason(
            json!({"accessModes": ["ReadWriteOnce"], "nfs": {"server": "192.0.2.9", "path": "/"}}),
            owner(),
        );
        assert!(nfs.contains("\"nfs\" is not supported"), "{nfs}");
        let other = json!({"name": "other", "namespace": "shop"});
        assert!(reason(json!({"local": {"path": "/mnt"}}), other).contains("not bound to claim"));
        assert!(reason(json!({"local": {"path": "mnt/../etc"}}), owner()).contains("absolute"));
        let block = json!({"hostPath": {"path": "/dev/sda"}, "volumeMode": "Block"});
        assert!(reason(block, owner()).contains("no device"));
    }
}
