//! Which devices and models each node should have, as a pure state. Facts go in, in any order; steps for nodes come out.
//!
//! A node should have the devices whose `nodeName` it is, and the models that those name. A model that comes later than its
//! device follows it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use proto::api::device::{Device, DeviceModel, DeviceSpec};
use proto::hello::Held;
use proto::twin::Member;
use proto::{Content, ObjectPath, Operation, Resource, ResourceKind, Source};

use crate::flow::{Change, NodeName, RecordId};

/// Namespace and name.
pub(super) type Key = (String, String);

/// What is to be done for a node.
pub(super) type Outgoing = (NodeName, Step);

/// See [`Outgoing`].
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Step {
    /// It gets or loses an object.
    Change(Arc<Change>),
    /// It has a device more; stock edges are told by name.
    Joined(Member),
    /// It has a device less.
    Left(Member),
}

/// See the module's documentation.
#[derive(Debug, Default)]
pub(super) struct Desired {
    devices: BTreeMap<Key, Known>,
    models: BTreeMap<Key, Arc<Change>>,
    on_node: HashMap<NodeName, BTreeSet<Key>>,
    /// How many devices of a node name the model.
    users: BTreeMap<Key, BTreeMap<NodeName, usize>>,
}

/// A device as last seen.
#[derive(Debug, Clone)]
pub(super) struct Known {
    /// Where it is.
    pub(super) node: Option<NodeName>,
    /// What is wanted of it.
    pub(super) spec: Arc<DeviceSpec>,
    /// What stands in `status.state`.
    pub(super) state: String,
    /// Which incarnation it is.
    pub(super) uid: String,
    change: Arc<Change>,
    description: String,
}

// === what nodes should have ===

impl Desired {
    /// The device.
    pub(super) fn device(&self, key: &Key) -> Option<&Known> {
        self.devices.get(key)
    }

    /// Every device.
    pub(super) fn keys(&self) -> impl Iterator<Item = &Key> {
        self.devices.keys()
    }

    /// The devices of a node, as stock edges are told of them.
    pub(super) fn members(&self, node: &NodeName) -> Vec<Member> {
        self.of_node(node).map(|(key, device)| member(key, device)).collect()
    }

    /// Everything that the node should have, models first.
    pub(super) fn snapshot(&self, node: &NodeName) -> Vec<Arc<Change>> {
        let models: BTreeSet<Key> =
            self.of_node(node).filter_map(|(key, device)| device.model(key)).collect();
        let models = models.iter().filter_map(|model| self.models.get(model)).cloned();
        models.chain(self.of_node(node).map(|(_, device)| Arc::clone(&device.change))).collect()
    }

    /// What a node lacks that holds these, and what it should no longer have.
    pub(super) fn delta(&self, node: &NodeName, held: Vec<Held>) -> Vec<Arc<Change>> {
        let mut held: BTreeMap<String, Held> =
            held.into_iter().map(|object| (object.path.clone(), object)).collect();
        let mut all = Vec::new();
        for wanted in self.snapshot(node) {
            match held.remove(&wanted.path.to_string()) {
                Some(object) if wanted.is_held_as(&object) => {}
                _ => all.push(wanted),
            }
        }
        let gone = held.values().filter_map(|held| {
            let Resource::Object(path) = Resource::from(held.path.as_str()) else { return None };
            Some(Arc::new(removal(path, held.uid.clone(), held.digest)))
        });
        all.extend(gone);
        all
    }

    /// What a stock node holds by its records and should no longer have. The records go when it says that it has.
    pub(super) fn leftover(
        &self,
        node: &NodeName,
        id: &RecordId,
        kind: &str,
        name: &str,
    ) -> Option<Arc<Change>> {
        let namespace = id.namespace.clone()?;
        let key = (namespace.clone(), name.to_owned());
        let (kind, wanted) = match kind {
            "Device" => {
                let device = self.devices.get(&key).filter(|device| device.node.as_ref() == Some(node));
                (ResourceKind::Device, device.map(|device| &device.change))
            }
            "DeviceModel" => {
                let is_used = self.users.get(&key).is_some_and(|users| users.contains_key(node));
                (ResourceKind::DeviceModel, self.models.get(&key).filter(|_| is_used))
            }
            _ => return None,
        };
        // The one that is there now takes its place.
        if wanted.is_some() {
            return None;
        }
        let path = ObjectPath { namespace: Some(namespace), kind, name: Some(name.to_owned()) };
        let mut gone = removal(path, id.uid.clone(), 0);
        let metadata = ObjectMeta {
            name: Some(key.1),
            namespace: Some(key.0),
            uid: Some(id.uid.clone()),
            ..ObjectMeta::default()
        };
        gone.content = Content::object(&Device { metadata, ..Device::default() }).ok()?;
        Some(Arc::new(gone))
    }

    fn of_node(&self, node: &NodeName) -> impl Iterator<Item = (&Key, &Known)> {
        let keys = self.on_node.get(node).into_iter().flatten();
        keys.filter_map(|key| self.devices.get_key_value(key))
    }
}

// === facts about devices ===

impl Desired {
    /// A device is new or has changed.
    pub(super) fn device_applied(&mut self, device: &Device) -> Vec<Outgoing> {
        let Some((key, known)) = Known::new(device) else { return Vec::new() };
        let mut out = Vec::new();
        let before = match self.devices.remove(&key) {
            Some(before) if before.node != known.node || before.uid != known.uid => {
                self.unlink(&key, &before, &mut out);
                None
            }
            before => before,
        };
        if let Some(node) = known.node.clone() {
            self.link(&key, &known, before.as_ref(), &node, &mut out);
        }
        self.devices.insert(key, known);
        out
    }

    /// A device is gone.
    pub(super) fn device_deleted(&mut self, key: &Key) -> Vec<Outgoing> {
        let mut out = Vec::new();
        if let Some(device) = self.devices.remove(key) {
            self.unlink(key, &device, &mut out);
        }
        out
    }

    /// These are all devices.
    pub(super) fn devices_replaced(&mut self, devices: &[Device]) -> Vec<Outgoing> {
        let kept: BTreeSet<Key> = devices.iter().filter_map(|device| key(&device.metadata)).collect();
        let gone: Vec<Key> = self.devices.keys().filter(|key| !kept.contains(key)).cloned().collect();
        let mut out: Vec<Outgoing> = gone.iter().flat_map(|key| self.device_deleted(key)).collect();
        out.extend(devices.iter().flat_map(|device| self.device_applied(device)));
        out
    }

    fn link(
        &mut self,
        key: &Key,
        device: &Known,
        before: Option<&Known>,
        node: &NodeName,
        out: &mut Vec<Outgoing>,
    ) {
        if before.is_none() {
            self.on_node.entry(node.clone()).or_default().insert(key.clone());
            out.push((node.clone(), Step::Joined(member(key, device))));
        }
        let (now, then) = (device.model(key), before.and_then(|before| before.model(key)));
        if now != then {
            self.acquire(now, node, out);
        }
        if before.is_none_or(|before| before.change.digest != device.change.digest) {
            let operation = if before.is_some() { Operation::Update } else { Operation::Insert };
            let change = Change { operation, ..(*device.change).clone() };
            out.push((node.clone(), Step::Change(Arc::new(change))));
        }
        if now_differs(device, before, key) {
            self.release(then, node, out);
        }
    }

    fn unlink(&mut self, key: &Key, device: &Known, out: &mut Vec<Outgoing>) {
        let Some(node) = &device.node else { return };
        out.push((node.clone(), Step::Left(member(key, device))));
        out.push((node.clone(), Step::Change(gone(&device.change))));
        self.release(device.model(key), node, out);
        if let Some(keys) = self.on_node.get_mut(node) {
            keys.remove(key);
            if keys.is_empty() {
                self.on_node.remove(node);
            }
        }
    }

    fn acquire(&mut self, model: Option<Key>, node: &NodeName, out: &mut Vec<Outgoing>) {
        let Some(model) = model else { return };
        let change = self.models.get(&model).cloned();
        let count = self.users.entry(model).or_default().entry(node.clone()).or_default();
        *count += 1;
        if *count == 1 {
            out.extend(change.map(|change| (node.clone(), Step::Change(change))));
        }
    }

    fn release(&mut self, model: Option<Key>, node: &NodeName, out: &mut Vec<Outgoing>) {
        let Some(model) = model else { return };
        let Some(users) = self.users.get_mut(&model) else { return };
        let Some(count) = users.get_mut(node) else { return };
        *count -= 1;
        if *count > 0 {
            return;
        }
        users.remove(node);
        if users.is_empty() {
            self.users.remove(&model);
        }
        out.extend(self.models.get(&model).map(|change| (node.clone(), Step::Change(gone(change)))));
    }
}

// === facts about models ===

impl Desired {
    /// A model is new or has changed.
    pub(super) fn model_applied(&mut self, model: &DeviceModel) -> Vec<Outgoing> {
        let Some(key) = key(&model.metadata) else { return Vec::new() };
        let made = Change::of(
            (Source::DeviceController, Operation::Insert),
            ResourceKind::DeviceModel,
            &model.metadata,
            model,
            &model.spec,
        );
        let Some(mut change) = made else { return Vec::new() };
        let mut out = Vec::new();
        let is_new = match self.models.get(&key) {
            Some(before) if before.uid != change.uid => {
                out = self.model_deleted(&key);
                true
            }
            Some(before) if before.digest == change.digest => return out,
            Some(_) => {
                change.operation = Operation::Update;
                false
            }
            None => true,
        };
        let update = Arc::new(change.clone());
        for node in self.users.get(&key).into_iter().flat_map(BTreeMap::keys) {
            out.push((node.clone(), Step::Change(Arc::clone(&update))));
            // A stock edge gives a driver no device without its model, and does not do it later by itself.
            if is_new {
                let devices =
                    self.of_node(node).filter(|(one, device)| device.model(one).as_ref() == Some(&key));
                out.extend(
                    devices.map(|(_, device)| (node.clone(), Step::Change(Arc::clone(&device.change)))),
                );
            }
        }
        change.operation = Operation::Insert;
        self.models.insert(key, Arc::new(change));
        out
    }

    /// A model is gone.
    pub(super) fn model_deleted(&mut self, key: &Key) -> Vec<Outgoing> {
        let Some(model) = self.models.remove(key) else { return Vec::new() };
        let nodes = self.users.get(key).into_iter().flat_map(BTreeMap::keys);
        nodes.map(|node| (node.clone(), Step::Change(gone(&model)))).collect()
    }

    /// These are all models.
    pub(super) fn models_replaced(&mut self, models: &[DeviceModel]) -> Vec<Outgoing> {
        let kept: BTreeSet<Key> = models.iter().filter_map(|model| key(&model.metadata)).collect();
        let lost: Vec<Key> = self.models.keys().filter(|key| !kept.contains(key)).cloned().collect();
        let mut out: Vec<Outgoing> = lost.iter().flat_map(|key| self.model_deleted(key)).collect();
        out.extend(models.iter().flat_map(|model| self.model_applied(model)));
        out
    }
}

// === impl Known ===

impl Known {
    fn new(device: &Device) -> Option<(Key, Self)> {
        let key = key(&device.metadata)?;
        let change = Change::of(
            (Source::DeviceController, Operation::Insert),
            ResourceKind::Device,
            &device.metadata,
            device,
            &device.spec,
        )?;
        let node = Some(device.spec.node_name.as_str()).filter(|node| !node.is_empty()).map(NodeName::new);
        let labels = device.metadata.labels.as_ref();
        let description = labels.and_then(|labels| labels.get("description")).cloned().unwrap_or_default();
        let uid = change.uid.clone();
        let state = device.status.state.clone();
        let known = Self {
            node,
            spec: Arc::new(device.spec.clone()),
            state,
            uid,
            change: Arc::new(change),
            description,
        };
        Some((key, known))
    }

    /// The model that it names.
    fn model(&self, key: &Key) -> Option<Key> {
        let name = self.spec.model();
        (!name.is_empty()).then(|| (key.0.clone(), name.to_owned()))
    }
}

/// Namespace and name.
pub(super) fn key(metadata: &ObjectMeta) -> Option<Key> {
    Some((metadata.namespace.clone()?, metadata.name.clone()?))
}

fn now_differs(device: &Known, before: Option<&Known>, key: &Key) -> bool {
    before.is_some_and(|before| before.model(key) != device.model(key))
}

fn member(key: &Key, device: &Known) -> Member {
    Member {
        id: format!("{}/{}", key.0, key.1),
        name: key.1.clone(),
        description: device.description.clone(),
    }
}

/// The removal of what `change` put there, with the object as last seen: edges look for the uid in it.
fn gone(change: &Change) -> Arc<Change> {
    Arc::new(Change { operation: Operation::Delete, ..change.clone() })
}

fn removal(path: ObjectPath, uid: String, digest: u64) -> Change {
    Change {
        source: Source::DeviceController,
        operation: Operation::Delete,
        path,
        uid,
        resource_version: String::new(),
        digest,
        is_echo: false,
        content: Content::Null,
    }
}

#[cfg(test)]
mod tests;
