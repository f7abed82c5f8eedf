//! Which devices there are, and who has them. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use tokio::time::Instant;

use super::api::{Device, DevicePluginOptions, HEALTHY, TopologyInfo};
use super::record::PodGrants;
use super::{Count, Counts, DeviceError, GONE_AFTER, MAX_DEVICES, MAX_RESOURCES, Placed};

/// All of it.
#[derive(Debug, Default)]
pub(super) struct Book {
    resources: BTreeMap<String, Resource>,
    /// What pods have, by UID.
    pods: BTreeMap<String, PodGrants>,
    /// Pods whose grants are not on disk yet.
    unsaved: BTreeSet<String>,
    /// Devices that are being given: by UID of the pod, then resource.
    reserved: BTreeMap<String, BTreeMap<String, BTreeSet<String>>>,
}

/// A resource that some plugin has brought.
#[derive(Debug, Default)]
struct Resource {
    plugin: Option<Contact>,
    /// By id.
    devices: BTreeMap<String, Listed>,
    /// What its plugin can do; `None` before one has come since edged was started.
    options: Option<DevicePluginOptions>,
    gone_since: Option<Instant>,
}

/// A device, as its plugin has listed it.
#[derive(Debug, Default)]
struct Listed {
    /// Whether it can be used.
    healthy: bool,
    topology: Option<TopologyInfo>,
}

/// Where a plugin is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Contact {
    pub(super) socket: PathBuf,
    pub(super) options: DevicePluginOptions,
    /// Tells it from those before it.
    pub(super) number: u64,
    /// Its number in the registry of plugins, when it has come from there.
    pub(super) met: Option<u64>,
}

/// Devices that were chosen and are reserved.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Choice {
    /// Of init containers that have ended when this one starts.
    pub(super) inherited: BTreeSet<String>,
    pub(super) fresh: BTreeSet<String>,
    /// Those that could have been chosen instead.
    pub(super) others: BTreeSet<String>,
    pub(super) contact: Contact,
}

// === impl Book ===

impl Book {
    /// What was kept: the resources that are known, and what pods have.
    pub(super) fn restore(&mut self, names: Vec<String>, pods: BTreeMap<String, PodGrants>) {
        for name in names.into_iter().take(MAX_RESOURCES) {
            self.resources.entry(name).or_default();
        }
        self.pods.extend(pods);
    }

    /// Whether a plugin has ever brought this resource.
    pub(super) fn knows(&self, resource: &str) -> bool {
        self.resources.contains_key(resource)
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.resources.keys().cloned().collect()
    }

    /// A plugin is there, in place of the one before it, whose devices are as they were until it has said what it has.
    pub(super) fn register(&mut self, name: &str, contact: Contact) -> Result<(), DeviceError> {
        if !self.knows(name) && self.resources.len() >= MAX_RESOURCES {
            return Err(DeviceError::TooManyResources);
        }
        let resource = self.resources.entry(name.to_owned()).or_default();
        resource.options = Some(contact.options);
        resource.plugin = Some(contact);
        resource.gone_since = None;
        Ok(())
    }

    /// Its devices are these now. False: it is not the plugin of this resource any more.
    pub(super) fn list(&mut self, name: &str, number: u64, devices: Vec<Device>) -> bool {
        let Some(resource) = self.with_plugin(name, number) else { return false };
        if devices.len() > MAX_DEVICES {
            tracing::warn!(
                resource = name,
                devices = devices.len(),
                "too many devices, the first {MAX_DEVICES} count"
            );
        }
        let read = |device: Device| {
            let Device { id, health, topology } = device;
            (id, Listed { healthy: health == HEALTHY, topology })
        };
        resource.devices = devices.into_iter().take(MAX_DEVICES).map(read).collect();
        true
    }

    /// The plugin is gone: nothing of it can be given any more. False: it was not there.
    pub(super) fn stop(&mut self, name: &str, number: u64, now: Instant) -> bool {
        let Some(resource) = self.with_plugin(name, number) else { return false };
        resource.plugin = None;
        resource.gone_since = Some(now);
        resource.devices.values_mut().for_each(|device| device.healthy = false);
        true
    }

    /// Forgets the devices of plugins that have not come back. Says when the next one's time is over.
    pub(super) fn expire(&mut self, now: Instant) -> Option<Instant> {
        let mut next: Option<Instant> = None;
        for (name, resource) in &mut self.resources {
            let Some(until) = resource.gone_since.map(|since| since + GONE_AFTER) else { continue };
            if until <= now {
                tracing::info!(resource = name, "the device plugin has not come back, its devices are gone");
                resource.devices.clear();
                resource.gone_since = None;
            } else {
                next = Some(next.map_or(until, |next| next.min(until)));
            }
        }
        next
    }

    pub(super) fn counts(&self) -> Counts {
        let count = |resource: &Resource| Count {
            capacity: resource.devices.len(),
            allocatable: resource.devices.values().filter(|device| device.healthy).count(),
        };
        self.resources.iter().map(|(name, resource)| (name.clone(), count(resource))).collect()
    }

    /// Every device that can be used.
    pub(super) fn usable(&self) -> Vec<Placed> {
        let of = |(name, resource): (&String, &Resource)| -> Vec<Placed> {
            let usable = resource.devices.iter().filter(|(_, device)| device.healthy);
            let placed = |(id, device): (&String, &Listed)| Placed {
                resource: name.clone(),
                id: id.clone(),
                topology: device.topology.clone(),
            };
            usable.map(placed).collect()
        };
        self.resources.iter().flat_map(of).collect()
    }

    /// What the containers of a pod have, by name.
    pub(super) fn placed(&self, uid: &str) -> BTreeMap<String, Vec<Placed>> {
        let mut all: BTreeMap<String, Vec<Placed>> = BTreeMap::new();
        for (container, resource, id) in self.pods.get(uid).into_iter().flat_map(PodGrants::all) {
            let listed = self.resources.get(resource).and_then(|known| known.devices.get(id));
            let topology = listed.and_then(|device| device.topology.clone());
            let placed = Placed { resource: resource.clone(), id: id.clone(), topology };
            all.entry(container.clone()).or_default().push(placed);
        }
        all
    }

    /// The plugin of a resource, if it has come from the registry of plugins with this number.
    pub(super) fn met(&self, name: &str, met: u64) -> Option<u64> {
        self.contact(name).filter(|contact| contact.met == Some(met)).map(|contact| contact.number)
    }

    pub(super) fn contact(&self, name: &str) -> Option<&Contact> {
        self.resources.get(name)?.plugin.as_ref()
    }

    /// What the plugin of a resource can do, also when it is gone; `None` when none has come since edged was started.
    pub(super) fn options(&self, name: &str) -> Option<DevicePluginOptions> {
        self.resources.get(name)?.options
    }

    /// What a pod has.
    pub(super) fn grants(&self, uid: &str) -> Option<&PodGrants> {
        self.pods.get(uid)
    }

    /// Gives a pod what was reserved for it; it is to be put on disk.
    pub(super) fn grant(&mut self, uid: &str, grants: PodGrants) {
        self.reserved.remove(uid);
        self.pods.insert(uid.to_owned(), grants);
        self.unsaved.insert(uid.to_owned());
    }

    pub(super) fn is_unsaved(&self, uid: &str) -> bool {
        self.unsaved.contains(uid)
    }

    pub(super) fn saved(&mut self, uid: &str) {
        self.unsaved.remove(uid);
    }

    /// Takes back what a pod has. False: it had nothing.
    pub(super) fn release(&mut self, uid: &str) -> bool {
        self.unsaved.remove(uid);
        self.reserved.remove(uid);
        self.pods.remove(uid).is_some()
    }

    /// Takes back what was only reserved.
    pub(super) fn unreserve(&mut self, uid: &str) {
        self.reserved.remove(uid);
    }

    /// Pods that have something.
    pub(super) fn owners(&self) -> Vec<String> {
        self.pods.keys().cloned().collect()
    }

    /// Reserves `count` devices for a pod: first those that it has had for init containers, then free ones in order of id.
    ///
    /// # Errors
    /// There are not so many.
    pub(super) fn choose(
        &mut self,
        uid: &str,
        name: &str,
        count: usize,
        inherited: &BTreeSet<String>,
    ) -> Result<Choice, DeviceError> {
        let found = self.resources.get(name).and_then(|resource| Some((resource, resource.plugin.clone()?)));
        let healthy = |resource: &Resource| resource.devices.values().any(|device| device.healthy);
        let Some((resource, contact)) = found.filter(|(resource, _)| healthy(resource)) else {
            return Err(DeviceError::NoneHealthy(name.to_owned()));
        };
        let inherited: BTreeSet<String> = inherited.iter().take(count).cloned().collect();
        let taken = self.taken(name);
        let free =
            resource.devices.iter().filter(|(id, device)| device.healthy && !taken.contains(id.as_str()));
        let mut others: BTreeSet<String> = free.map(|(id, _)| id.clone()).collect();
        let requested = count - inherited.len();
        if others.len() < requested {
            let available = others.len();
            return Err(DeviceError::Unavailable { resource: name.to_owned(), requested, available });
        }
        let fresh: BTreeSet<String> = others.iter().take(requested).cloned().collect();
        others.retain(|id| !fresh.contains(id));
        self.reserve(uid, name, &fresh);
        Ok(Choice { inherited, fresh, others, contact })
    }

    /// Puts what the plugin would rather give in place of what was chosen, as far as that is still free.
    pub(super) fn prefer(&mut self, uid: &str, name: &str, choice: &mut Choice, preferred: &[String]) {
        let others = self.taken(name);
        let may_have = |id: &&String| {
            choice.fresh.contains(*id)
                || (choice.others.contains(*id) && !others.contains(id.as_str()) && self.is_healthy(name, id))
        };
        let wanted = choice.fresh.len();
        let mut better: BTreeSet<String> = BTreeSet::new();
        for id in preferred.iter().filter(may_have) {
            if better.len() < wanted {
                better.insert(id.clone());
            }
        }
        for id in &choice.fresh {
            if better.len() < wanted {
                better.insert(id.clone());
            }
        }
        if let Some(reserved) = self.reserved.get_mut(uid).and_then(|pod| pod.get_mut(name)) {
            reserved.retain(|id| !choice.fresh.contains(id));
        }
        self.reserve(uid, name, &better);
        choice.fresh = better;
    }

    fn is_healthy(&self, name: &str, id: &str) -> bool {
        self.resources
            .get(name)
            .and_then(|resource| resource.devices.get(id))
            .is_some_and(|device| device.healthy)
    }

    fn reserve(&mut self, uid: &str, name: &str, ids: &BTreeSet<String>) {
        let pod = self.reserved.entry(uid.to_owned()).or_default();
        pod.entry(name.to_owned()).or_default().extend(ids.iter().cloned());
    }

    /// Devices of a resource that somebody has or is about to get.
    fn taken(&self, name: &str) -> BTreeSet<&str> {
        let had = self.pods.values().flat_map(|grants| grants.ids(name));
        let reserved = self.reserved.values().filter_map(|pod| pod.get(name)).flatten();
        had.chain(reserved).map(String::as_str).collect()
    }

    fn with_plugin(&mut self, name: &str, number: u64) -> Option<&mut Resource> {
        let resource = self.resources.get_mut(name)?;
        let is_it = resource.plugin.as_ref().is_some_and(|contact| contact.number == number);
        is_it.then_some(resource)
    }
}

#[cfg(test)]
mod tests;
