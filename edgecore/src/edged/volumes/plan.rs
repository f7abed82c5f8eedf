//! Parses the volumes of a pod into what is to be done, or says why that cannot be done here.
//!
//! Volume types: <https://kubernetes.io/docs/concepts/storage/volumes/>.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use k8s_openapi::api::core::v1::{
    ConfigMapProjection, DownwardAPIProjection, DownwardAPIVolumeFile, EmptyDirVolumeSource,
    HostPathVolumeSource, KeyToPath, Pod, ProjectedVolumeSource, SecretProjection,
    ServiceAccountTokenProjection, Volume, VolumeProjection,
};
use proto::ephemeral::claim_name;

use super::csi::{CsiVolume, inline};
use super::layout::is_one_component;
use crate::edged::resources::Amount;
use crate::edged::resources::hugepages::page_size;

/// Kubernetes' default for `defaultMode`.
const DEFAULT_MODE: u32 = 0o644;
/// Kubernetes' default for `expirationSeconds`.
const DEFAULT_TOKEN_SECONDS: i64 = 3600;

/// One volume that a container of the pod uses.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Plan {
    pub(super) name: String,
    pub(super) kind: Kind,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    /// A directory that lives as long as the pod.
    EmptyDir { memory: bool, size: Option<Amount> },
    /// The same on huge pages of this many bytes, or of the only size that the pod asks for.
    HugePages { size: Option<u64> },
    /// Something of the host.
    HostPath { path: PathBuf, check: HostPathType },
    /// Files made from objects.
    Files(Files),
    /// What a claim leads to, which is not known yet. `is_own`: it has to be one that was made for this pod.
    Claim { name: String, read_only: bool, is_own: bool },
    /// A directory of the node that somebody has made for a persistent volume.
    Local { path: PathBuf },
    /// A device of the node.
    LocalDevice { path: PathBuf },
    /// Of a CSI driver.
    Csi(Box<CsiVolume>),
}

/// Files made from objects and refreshed when these change.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Files {
    /// As in the name of kubelet's directory.
    pub(super) plugin: &'static str,
    /// On tmpfs: never written to disk.
    pub(super) memory: bool,
    pub(super) default_mode: u32,
    pub(super) sources: Vec<Source>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Source {
    ConfigMap { name: String, items: Option<Vec<Item>>, optional: bool },
    Secret { name: String, items: Option<Vec<Item>>, optional: bool },
    Downward(Vec<DownwardAPIVolumeFile>),
    Token(Token),
}

/// One key of a config map or secret under a name of its own.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Item {
    pub(super) key: String,
    pub(super) path: String,
    pub(super) mode: Option<u32>,
}

/// A service account token in a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Token {
    pub(super) audience: Option<String>,
    pub(super) seconds: i64,
    pub(super) path: String,
}

/// What a hostPath must be, or is made to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HostPathType {
    Unchecked,
    DirectoryOrCreate,
    Directory,
    FileOrCreate,
    File,
    Socket,
    CharDevice,
    BlockDevice,
}

/// The volumes that a container of the pod mounts, or has as a device; kubelet, too, leaves the others alone. The error is a sentence
/// about the named volume.
pub(super) fn plans(pod: &Pod) -> Result<Vec<Plan>, (String, String)> {
    let Some(spec) = &pod.spec else { return Ok(Vec::new()) };
    let pod_name = pod.metadata.name.as_deref().unwrap_or_default();
    let containers = spec.containers.iter().chain(spec.init_containers.iter().flatten());
    let ephemeral = spec.ephemeral_containers.iter().flatten();
    let containers = containers.map(|container| (&container.volume_mounts, &container.volume_devices));
    let all =
        containers.chain(ephemeral.map(|container| (&container.volume_mounts, &container.volume_devices)));
    let mut used: BTreeSet<&str> = BTreeSet::new();
    for (mounts, devices) in all {
        used.extend(mounts.iter().flatten().map(|mount| mount.name.as_str()));
        used.extend(devices.iter().flatten().map(|device| device.name.as_str()));
    }
    let volumes = spec.volumes.iter().flatten().filter(|volume| used.contains(volume.name.as_str()));
    let mut plans = Vec::new();
    for volume in volumes {
        if !is_one_component(&volume.name) {
            return Err((volume.name.clone(), "its name is not a file name".to_owned()));
        }
        let kind = kind(pod_name, volume).map_err(|reason| (volume.name.clone(), reason))?;
        plans.push(Plan { name: volume.name.clone(), kind });
    }
    Ok(plans)
}

fn kind(pod: &str, volume: &Volume) -> Result<Kind, String> {
    if let Some(source) = &volume.empty_dir {
        return empty_dir(source);
    }
    if let Some(source) = &volume.host_path {
        return host_path(source);
    }
    if let Some(source) = &volume.config_map {
        let sources = vec![config_map(&source.name, source.items.as_ref(), source.optional)?];
        return Ok(files("configmap", false, source.default_mode, sources));
    }
    if let Some(source) = &volume.secret {
        let name = source.secret_name.as_deref().unwrap_or_default();
        let sources = vec![secret(name, source.items.as_ref(), source.optional)?];
        return Ok(files("secret", true, source.default_mode, sources));
    }
    if let Some(source) = &volume.downward_api {
        let sources = vec![downward(source.items.as_deref().unwrap_or_default())?];
        return Ok(files("downward-api", true, source.default_mode, sources));
    }
    if let Some(source) = &volume.projected {
        return projected(source);
    }
    if let Some(source) = &volume.persistent_volume_claim {
        let read_only = source.read_only == Some(true);
        return Ok(Kind::Claim { name: source.claim_name.clone(), read_only, is_own: false });
    }
    if volume.ephemeral.is_some() {
        let name = claim_name(pod, &volume.name);
        return Ok(Kind::Claim { name, read_only: false, is_own: true });
    }
    if let Some(source) = &volume.csi {
        return Ok(Kind::Csi(Box::new(inline(&volume.name, source))));
    }
    Err(format!("volume type {} is not supported on this node", type_name(volume)))
}

fn files(plugin: &'static str, memory: bool, mode: Option<i32>, sources: Vec<Source>) -> Kind {
    let default_mode = mode_bits(mode).unwrap_or(DEFAULT_MODE);
    Kind::Files(Files { plugin, memory, default_mode, sources })
}

fn empty_dir(source: &EmptyDirVolumeSource) -> Result<Kind, String> {
    let memory = match source.medium.as_deref().unwrap_or_default() {
        "" => false,
        "Memory" => true,
        "HugePages" => return Ok(Kind::HugePages { size: None }),
        other => {
            // `HugePages-2Mi` is on what `hugepages-2Mi` are.
            let size =
                other.strip_prefix("HugePages-").and_then(|size| page_size(&format!("hugepages-{size}")));
            let unknown = || format!("emptyDir medium {other:?} is not supported on this node");
            return size.map(|size| Kind::HugePages { size: Some(size) }).ok_or_else(unknown);
        }
    };
    let size = source.size_limit.as_ref().map(Amount::try_from).transpose();
    Ok(Kind::EmptyDir { memory, size: size.map_err(|error| format!("sizeLimit: {error}"))? })
}

pub(super) fn host_path(source: &HostPathVolumeSource) -> Result<Kind, String> {
    let path = PathBuf::from(&source.path);
    if !path.is_absolute() || path.components().any(|part| part == Component::ParentDir) {
        return Err(format!("hostPath {:?} must be absolute and without \"..\"", source.path));
    }
    let check = match source.type_.as_deref().unwrap_or_default() {
        "" => HostPathType::Unchecked,
        "DirectoryOrCreate" => HostPathType::DirectoryOrCreate,
        "Directory" => HostPathType::Directory,
        "FileOrCreate" => HostPathType::FileOrCreate,
        "File" => HostPathType::File,
        "Socket" => HostPathType::Socket,
        "CharDevice" => HostPathType::CharDevice,
        "BlockDevice" => HostPathType::BlockDevice,
        other => return Err(format!("hostPath type {other:?} is unknown")),
    };
    Ok(Kind::HostPath { path, check })
}

fn projected(source: &ProjectedVolumeSource) -> Result<Kind, String> {
    let sources = source.sources.iter().flatten().map(projection).collect::<Result<Vec<_>, _>>()?;
    Ok(files("projected", true, source.default_mode, sources))
}

fn projection(source: &VolumeProjection) -> Result<Source, String> {
    if let Some(ConfigMapProjection { name, items, optional }) = &source.config_map {
        return config_map(name, items.as_ref(), *optional);
    }
    if let Some(SecretProjection { name, items, optional }) = &source.secret {
        return secret(name, items.as_ref(), *optional);
    }
    if let Some(DownwardAPIProjection { items }) = &source.downward_api {
        return downward(items.as_deref().unwrap_or_default());
    }
    if let Some(token) = &source.service_account_token {
        return service_account_token(token);
    }
    Err(format!("projected source {} is not supported on this node", type_name(source)))
}

fn config_map(name: &str, keys: Option<&Vec<KeyToPath>>, optional: Option<bool>) -> Result<Source, String> {
    Ok(Source::ConfigMap { name: name.to_owned(), items: items(keys)?, optional: optional == Some(true) })
}

fn secret(name: &str, keys: Option<&Vec<KeyToPath>>, optional: Option<bool>) -> Result<Source, String> {
    Ok(Source::Secret { name: name.to_owned(), items: items(keys)?, optional: optional == Some(true) })
}

/// An empty list means "all keys", as no list does.
fn items(keys: Option<&Vec<KeyToPath>>) -> Result<Option<Vec<Item>>, String> {
    let Some(keys) = keys.filter(|keys| !keys.is_empty()) else { return Ok(None) };
    keys.iter()
        .map(|key| Ok(Item { key: key.key.clone(), path: checked(&key.path)?, mode: mode_bits(key.mode) }))
        .collect::<Result<Vec<_>, _>>()
        .map(Some)
}

fn downward(files: &[DownwardAPIVolumeFile]) -> Result<Source, String> {
    for file in files {
        checked(&file.path)?;
    }
    Ok(Source::Downward(files.to_vec()))
}

fn service_account_token(source: &ServiceAccountTokenProjection) -> Result<Source, String> {
    Ok(Source::Token(Token {
        audience: source.audience.clone().filter(|audience| !audience.is_empty()),
        seconds: source.expiration_seconds.unwrap_or(DEFAULT_TOKEN_SECONDS),
        path: checked(&source.path)?,
    }))
}

/// A path inside the volume: names only, and none that the atomic writer keeps for itself.
pub(super) fn checked(path: &str) -> Result<String, String> {
    let inside = !path.is_empty()
        && !path.starts_with("..")
        && !path.contains('\0')
        && Path::new(path).components().all(|part| matches!(part, Component::Normal(_)));
    if inside { Ok(path.to_owned()) } else { Err(format!("{path:?} is not a path inside the volume")) }
}

/// Permission bits; what is no mode counts as not set.
pub(super) fn mode_bits(mode: Option<i32>) -> Option<u32> {
    mode.and_then(|mode| u32::try_from(mode).ok()).map(|mode| mode & 0o777)
}

/// The first field that is set, besides the name, as the user wrote it.
fn type_name(volume: &impl serde::Serialize) -> String {
    let object = proto::json::value(volume).unwrap_or_default();
    let names = object.as_object().into_iter().flat_map(|object| object.keys());
    names.into_iter().find(|key| *key != "name").map_or_else(|| "(none)".to_owned(), |key| format!("{key:?}"))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn plan(volume: Value) -> Result<Kind, String> {
        let mut volume = volume;
        volume["name"] = json!("v");
        let pod = json!({"spec": {
            "volumes": [volume],
            "containers": [{"name": "c", "volumeMounts": [{"name": "v", "mountPath": "/v"}]}],
        }});
        let pod: Pod = serde_json::from_value(pod).unwrap();
        plans(&pod).map(|mut plans| plans.remove(0).kind).map_err(|(_, reason)| reason)
    }

    #[test]
    fn unused_volumes_are_left_alone() {
        let pod = json!({"spec": {"volumes": [{"name": "v", "nfs": {}}], "containers": [{"name": "c"}]}});
        let pod: Pod = serde_json::from_value(pod).unwrap();
        assert_eq!(plans(&pod).unwrap(), []);
    }

    #[test]
    fn defaults_are_kubernetes_own() {
        let Kind::Files(files) = plan(json!({"configMap": {"name": "cm"}})).unwrap() else { panic!() };
        assert_eq!((files.default_mode, files.memory), (0o644, false));
        let sources = json!([{"serviceAccountToken": {"path": "token"}}]);
        let Kind::Files(files) = plan(json!({"projected": {"sources": sources}})).unwrap() else { panic!() };
        assert!(files.memory);
        assert_eq!(
            files.sources,
            [Source::Token(Token { audience: None, seconds: 3600, path: "token".into() })]
        );
    }

    #[test]
    fn a_volume_may_be_on_huge_pages() {
        let on = |medium: &str| plan(json!({"emptyDir": {"medium": medium}})).unwrap();
        assert_eq!(on("HugePages"), Kind::HugePages { size: None });
        assert_eq!(on("HugePages-1Gi"), Kind::HugePages { size: Some(1 << 30) });
    }

    #[test]
    fn what_cannot_be_done_is_named() {
        for (volume, reason) in [
            (
                json!({"nfs": {"server": "s", "path": "/"}}),
                "volume type \"nfs\" is not supported on this node",
            ),
            (json!({}), "volume type (none) is not supported on this node"),
            (
                json!({"emptyDir": {"medium": "HugePages-x"}}),
                "emptyDir medium \"HugePages-x\" is not supported on this node",
            ),
            (json!({"hostPath": {"path": "etc"}}), "hostPath \"etc\" must be absolute and without \"..\""),
            (
                json!({"hostPath": {"path": "/a/../b"}}),
                "hostPath \"/a/../b\" must be absolute and without \"..\"",
            ),
            (json!({"hostPath": {"path": "/", "type": "Pipe"}}), "hostPath type \"Pipe\" is unknown"),
            (
                json!({"projected": {"sources": [{"clusterTrustBundle": {"path": "x"}}]}}),
                "projected source \"clusterTrustBundle\" is not supported on this node",
            ),
        ] {
            assert_eq!(plan(volume).unwrap_err(), reason);
        }
    }

    #[test]
    fn paths_stay_inside_the_volume() {
        for path in ["", "/etc/passwd", "../x", "a/../../b", "..data", "a/..", "x\0y"] {
            let items = json!([{"key": "k", "path": path}]);
            assert!(plan(json!({"configMap": {"name": "cm", "items": items}})).is_err(), "{path:?}");
            assert!(plan(json!({"downwardAPI": {"items": [{"path": path}]}})).is_err(), "{path:?}");
        }
        assert_eq!(checked("a/b..c/d").unwrap(), "a/b..c/d");
    }
}
