//! What a container is started with because of its devices.

use std::collections::BTreeSet;

use k8s_cri::v1::{CdiDevice, ContainerConfig, Device, KeyValue, Mount};
use k8s_openapi::api::core::v1::{Container, PodSpec};

use super::hand_out::wants;
use super::plugin::pre_start;
use super::record::Grant;
use super::{DeviceError, Devices};

/// What plugins have said about the devices of one container, in order of the resources.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Granted {
    grants: Vec<Grant>,
}

impl Devices {
    /// What `container` of a pod is to be started with. Gives it its devices if it has none yet, and tells their plugins where they
    /// want to be told.
    ///
    /// # Errors
    /// See [`DeviceError`]: it cannot be started now.
    pub async fn equip(
        &self,
        uid: &str,
        spec: &PodSpec,
        container: &Container,
    ) -> Result<Granted, DeviceError> {
        if wants(container).next().is_none() {
            return Ok(Granted::default());
        }
        self.give(uid, spec).await?;
        let granted: Vec<(String, Grant)> = {
            let book = self.shared.book();
            let all = book.grants(uid).into_iter().flat_map(|grants| grants.all_of(&container.name));
            all.map(|(name, grant)| (name.clone(), grant.clone())).collect()
        };
        for (name, grant) in &granted {
            self.announce(name, &grant.ids).await?;
        }
        Ok(Granted { grants: granted.into_iter().map(|(_, grant)| grant).collect() })
    }

    /// After a restart of the machine nothing may be as it was before the plugin has seen to it. One that has been here since edged
    /// was started and is gone is missed only where it wants to be told.
    async fn announce(&self, resource: &str, ids: &[String]) -> Result<(), DeviceError> {
        let (options, contact) = {
            let book = self.shared.book();
            (book.options(resource), book.contact(resource).cloned())
        };
        match (options, contact) {
            (Some(options), _) if !options.pre_start_required => Ok(()),
            (_, Some(contact)) => pre_start(resource, &contact, ids).await,
            (_, None) => Err(DeviceError::NotThere(resource.to_owned())),
        }
    }
}

// === impl Granted ===

impl Granted {
    /// Puts it into the container's configuration. Where two say something about the same path or the same key, the first one
    /// counts; the pod's own variables, mounts and annotations stand above those of its devices.
    pub fn put_into(self, config: &mut ContainerConfig) {
        let mut names: BTreeSet<String> = config.envs.iter().map(|env| env.key.clone()).collect();
        let mut paths: BTreeSet<String> =
            config.mounts.iter().map(|mount| mount.container_path.clone()).collect();
        let mut nodes = BTreeSet::new();
        let mut cdi = BTreeSet::new();
        for Grant { given, .. } in self.grants {
            for (key, value) in given.envs {
                if names.insert(key.clone()) {
                    config.envs.push(KeyValue { key, value });
                }
            }
            for mount in given.mounts {
                if paths.insert(mount.container_path.clone()) {
                    config.mounts.push(Mount {
                        container_path: mount.container_path,
                        host_path: mount.host_path,
                        readonly: mount.read_only,
                        ..Mount::default()
                    });
                }
            }
            for device in given.devices {
                if nodes.insert(device.container_path.clone()) {
                    config.devices.push(Device {
                        container_path: device.container_path,
                        host_path: device.host_path,
                        permissions: device.permissions,
                    });
                }
            }
            for (key, value) in given.annotations {
                config.annotations.entry(key).or_insert(value);
            }
            for device in given.cdi_devices {
                if cdi.insert(device.name.clone()) {
                    config.cdi_devices.push(CdiDevice { name: device.name });
                }
            }
        }
    }
}
