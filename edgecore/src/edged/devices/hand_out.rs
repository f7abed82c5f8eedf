//! Devices are given to pods.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{Container, PodSpec};
use proto::placement::{amounts, is_sidecar};

use super::plugin::{allocate, preferred};
use super::record::PodGrants;
use super::{DeviceError, Devices};

/// Devices that an init container has had, by resource: those after it use them, too.
type Inheritance = BTreeMap<String, BTreeSet<String>>;

/// What a container wants of the resources of plugins: name and number. Extended resources have a limit that is their request.
pub(super) fn wants(container: &Container) -> impl Iterator<Item = (String, usize)> {
    let limits = container.resources.as_ref().and_then(|resources| resources.limits.as_ref());
    let whole = |(name, amount): (String, proto::quantity::Amount)| {
        Some((name, usize::try_from(amount.value()).ok().filter(|count| *count > 0)?))
    };
    amounts(limits).into_iter().filter_map(whole)
}

impl Devices {
    /// Gives the containers of a pod the devices that they ask for, all of them or none; what they have been given before stays. On
    /// disk when this returns. Resources that no plugin has ever brought are left alone, as kubelet leaves them.
    ///
    /// # Errors
    /// There are not enough, the plugin refuses, or it cannot be written down.
    pub async fn give(&self, uid: &str, spec: &PodSpec) -> Result<(), DeviceError> {
        let containers = || spec.init_containers.iter().flatten().chain(&spec.containers);
        if !containers().any(|container| wants(container).next().is_some()) {
            return Ok(());
        }
        self.restore().await?;
        let is_missing = |container: &Container| {
            let book = self.shared.book();
            wants(container).any(|(name, _)| book.knows(&name))
        };
        if !containers().any(is_missing) {
            return Ok(());
        }
        let reservation = Reservation { devices: self, uid };
        let had = self.shared.book().grants(uid).cloned().unwrap_or_default();
        let mut grants = had.clone();
        let mut inheritance = Inheritance::new();
        for container in spec.init_containers.iter().flatten() {
            self.give_to(uid, container, &mut grants, &mut inheritance, is_sidecar(container)).await?;
        }
        for container in &spec.containers {
            self.give_to(uid, container, &mut grants, &mut inheritance, true).await?;
        }
        if grants != had {
            self.shared.book().grant(uid, grants.clone());
        }
        drop(reservation);
        self.save(uid, &grants).await
    }

    async fn save(&self, uid: &str, grants: &PodGrants) -> Result<(), DeviceError> {
        if !self.shared.book().is_unsaved(uid) {
            return Ok(());
        }
        let failed = |error: &dyn std::fmt::Display| DeviceError::Record(error.to_string());
        let value = serde_json::to_vec(grants).map_err(|error| failed(&error))?;
        let kept = self.shared.meta.keep_devices(uid.to_owned(), Some(value)).await;
        kept.map_err(|error| failed(&error))?;
        self.shared.book().saved(uid);
        Ok(())
    }

    /// `keeps`: the container runs beside those after it, so what it gets is not passed on.
    async fn give_to(
        &self,
        uid: &str,
        container: &Container,
        grants: &mut PodGrants,
        inheritance: &mut Inheritance,
        keeps: bool,
    ) -> Result<(), DeviceError> {
        for (name, count) in wants(container) {
            if !self.shared.book().knows(&name) {
                continue;
            }
            let heirs = inheritance.entry(name.clone()).or_default();
            if let Some(grant) = grants.of(&container.name, &name) {
                if grant.ids.len() != count {
                    let (had, resource) = (grant.ids.len(), name.clone());
                    let container = container.name.clone();
                    return Err(DeviceError::Changed { container, resource, had, wants: count });
                }
            } else {
                let mut choice = self.shared.book().choose(uid, &name, count, heirs)?;
                let preferred = preferred(&name, &choice).await?;
                if !preferred.is_empty() {
                    self.shared.book().prefer(uid, &name, &mut choice, &preferred);
                }
                grants.add(&container.name, &name, allocate(&name, &choice).await?);
            }
            let ids = grants.of(&container.name, &name).map(|grant| grant.ids.as_slice()).unwrap_or_default();
            match keeps {
                true => heirs.retain(|id| !ids.contains(id)),
                false => heirs.extend(ids.iter().cloned()),
            }
        }
        Ok(())
    }
}

/// Ends what was reserved, however the giving ends.
struct Reservation<'a> {
    devices: &'a Devices,
    uid: &'a str,
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        self.devices.shared.book().unreserve(self.uid);
    }
}
