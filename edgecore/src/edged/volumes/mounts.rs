//! What of a pod's volumes a container gets.

use std::path::{Path, PathBuf};

use k8s_cri::v1::{Device, Mount, MountPropagation};
use k8s_openapi::api::core::v1::{Container, Pod, VolumeMount};

use super::layout::Layout;
use super::{PodVolumes, VolumeError, Volumes, blocking, subpath};
use crate::edged::env::Environment;
use crate::edged::sources::ConfigSource;

const MISSING: &str = "the pod has no volume of this name";
const DEVICE: &str =
    "it is a device (volumeMode: Block): containers name it in volumeDevices, not in volumeMounts";
const NO_DEVICE: &str =
    "it is no device (volumeMode: Block): containers name it in volumeMounts, not in volumeDevices";

impl<S: ConfigSource> Volumes<S> {
    /// The CRI mounts of `container`; `environment` is used for `subPathExpr`.
    pub async fn mounts(
        &self,
        pod: &Pod,
        container: &Container,
        environment: &Environment,
        volumes: &PodVolumes,
    ) -> Result<Vec<Mount>, VolumeError> {
        let uid = pod.metadata.uid.as_deref().unwrap_or_default();
        let pod_dir =
            self.layout.pod(uid).ok_or_else(|| VolumeError::invalid("", format!("bad pod uid {uid:?}")))?;
        let mut mounts = Vec::new();
        for (index, mount) in container.volume_mounts.iter().flatten().enumerate() {
            let missing = || {
                let is_device = volumes.devices.contains_key(&mount.name);
                VolumeError::invalid(&mount.name, if is_device { DEVICE } else { MISSING })
            };
            let volume = volumes.paths.get(&mount.name).ok_or_else(missing)?;
            let host_path = match subpath_of(mount, environment) {
                None => volume.clone(),
                Some(subpath) => {
                    let target = Layout::subpath(&pod_dir, &mount.name, &container.name, index);
                    self.bind_subpath(&mount.name, volume.clone(), subpath, target).await?
                }
            };
            let mut made = cri_mount(mount, &host_path)?;
            made.readonly |= volumes.read_only.contains(&mount.name);
            mounts.push(made);
        }
        Ok(mounts)
    }

    /// The devices of `container`: volumes of `volumeMode: Block`.
    pub fn devices(&self, container: &Container, volumes: &PodVolumes) -> Result<Vec<Device>, VolumeError> {
        let devices = container.volume_devices.iter().flatten().map(|wanted| {
            let missing = || {
                let is_mount = volumes.paths.contains_key(&wanted.name);
                VolumeError::invalid(&wanted.name, if is_mount { NO_DEVICE } else { MISSING })
            };
            let path = volumes.devices.get(&wanted.name).ok_or_else(missing)?;
            let path =
                path.to_str().ok_or_else(|| VolumeError::invalid(&wanted.name, "its path is not UTF-8"))?;
            let is_read_only = volumes.read_only.contains(&wanted.name);
            Ok(Device {
                container_path: wanted.device_path.clone(),
                host_path: path.to_owned(),
                permissions: if is_read_only { "r" } else { "mrw" }.to_owned(),
            })
        });
        devices.collect()
    }

    async fn bind_subpath(
        &self,
        name: &str,
        volume: PathBuf,
        subpath: String,
        target: PathBuf,
    ) -> Result<PathBuf, VolumeError> {
        let mounter = self.mounter.clone();
        let bound = blocking(move || {
            subpath::bind(mounter.as_ref(), &volume, &subpath, &target)
                .map(|()| target)
                .map_err(|error| format!("subPath {subpath:?}: {error}"))
        });
        bound.await.and_then(|bound| bound).map_err(|cause| VolumeError::not_ready(name, cause))
    }
}

fn subpath_of(mount: &VolumeMount, environment: &Environment) -> Option<String> {
    let expanded = mount.sub_path_expr.as_ref().map(|expression| environment.expand(expression));
    expanded.or_else(|| mount.sub_path.clone()).filter(|subpath| !subpath.is_empty())
}

fn cri_mount(mount: &VolumeMount, host_path: &Path) -> Result<Mount, VolumeError> {
    let propagation = match mount.mount_propagation.as_deref().unwrap_or("None") {
        "None" => MountPropagation::PropagationPrivate,
        "HostToContainer" => MountPropagation::PropagationHostToContainer,
        "Bidirectional" => MountPropagation::PropagationBidirectional,
        other => {
            return Err(VolumeError::invalid(&mount.name, format!("mountPropagation {other:?} is unknown")));
        }
    };
    let host_path =
        host_path.to_str().ok_or_else(|| VolumeError::invalid(&mount.name, "its path is not UTF-8"))?;
    Ok(Mount {
        // A path without a leading slash is meant from the root.
        container_path: format!("/{}", mount.mount_path.trim_start_matches('/')),
        host_path: host_path.to_owned(),
        readonly: mount.read_only.unwrap_or_default(),
        propagation: propagation.into(),
        ..Mount::default()
    })
}
