//! What each node should have, as a pure state: no clock, no tokio, no API.
//!
//! A node should have the pods bound to it, the config maps and secrets that those pods use, and its own Node.
//! Facts about objects go in, changes for nodes come out. What no pod on a node uses any more is removed from it.
//!
//! In this cut the config maps and secrets of the whole cluster are kept in memory, because the watch brings them;
//! nodes get only theirs.
//!
//! The same graph says what a node may touch ([`Desired::uses`], [`Desired::pod_on`], [`Desired::uses_volume`]): a look is a few
//! lookups in maps, whatever the size of the cluster.

mod leftovers;
pub(crate) mod volumes;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use k8s_openapi::api::core::v1::{ConfigMap, Node, Pod, Secret};
use proto::hello::Held;
use proto::{ObjectPath, Operation, ResourceKind};

pub(crate) use self::leftovers::Leftovers;
use super::references::{self, Reference};
use super::shape;
use crate::flow::{Change, NodeName};

/// What a change is for.
pub(crate) type Outgoing = (NodeName, Arc<Change>);

/// See the module's documentation.
#[derive(Debug, Default)]
pub(crate) struct Desired {
    pods: HashMap<Key, KnownPod>,
    configs: HashMap<ObjectPath, Arc<Change>>,
    nodes: HashMap<NodeName, Arc<Change>>,
    on_node: HashMap<NodeName, OnNode>,
    users: HashMap<ObjectPath, BTreeSet<NodeName>>,
    volumes: volumes::Volumes,
}

/// Namespace and name.
type Key = (String, String);

#[derive(Debug)]
struct KnownPod {
    node: NodeName,
    /// Whether it has a deletionTimestamp.
    ends: bool,
    change: Arc<Change>,
    uses: BTreeSet<ObjectPath>,
    service_account: String,
}

/// What the pods of one node add up to.
#[derive(Debug, Default)]
struct OnNode {
    pods: BTreeSet<Key>,
    /// How many pods use it.
    uses: BTreeMap<ObjectPath, usize>,
}

/// A pod that is bound to the node that asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BoundPod {
    pub(crate) uid: String,
    pub(crate) service_account: String,
}

// === what nodes should have ===

impl Desired {
    /// Everything that `node` should have, in an order in which a pod comes after what it uses.
    pub(crate) fn snapshot(&self, node: &NodeName) -> Vec<Arc<Change>> {
        let mut all: Vec<Arc<Change>> = self.nodes.get(node).into_iter().cloned().collect();
        if let Some(on_node) = self.on_node.get(node) {
            all.extend(on_node.uses.keys().filter_map(|path| self.configs.get(path)).cloned());
            all.extend(
                on_node.pods.iter().filter_map(|key| self.pods.get(key)).map(|pod| Arc::clone(&pod.change)),
            );
        }
        all
    }

    /// What has to be sent to a node that holds these objects: what it lacks, in the order of [`Self::snapshot`], and
    /// the removal of what it should not have.
    pub(crate) fn delta(&self, node: &NodeName, held: Vec<Held>) -> Vec<Arc<Change>> {
        let mut held: HashMap<String, Held> =
            held.into_iter().map(|object| (object.path.clone(), object)).collect();
        let mut all = Vec::new();
        for wanted in self.snapshot(node) {
            match held.remove(&wanted.path.to_string()) {
                Some(object) if wanted.is_held_as(&object) => {}
                Some(object) => {
                    let is_other = object.uid != wanted.uid && !object.uid.is_empty();
                    let removal = is_other.then(|| shape::removal_of(&object)).flatten();
                    all.extend(removal.map(Arc::new));
                    all.push(wanted);
                }
                None => all.push(wanted),
            }
        }
        let mut gone: Vec<_> = held.values().filter_map(shape::removal_of).map(Arc::new).collect();
        gone.sort_by(|a, b| a.path.cmp(&b.path));
        all.extend(gone);
        all
    }

    /// The pod, if it is bound to `node`.
    pub(crate) fn pod_on(&self, node: &NodeName, namespace: &str, name: &str) -> Option<BoundPod> {
        let pod = self.pods.get(&(namespace.to_owned(), name.to_owned())).filter(|pod| pod.node == *node)?;
        Some(BoundPod { uid: pod.change.uid.clone(), service_account: pod.service_account.clone() })
    }

    /// Whether the pod is bound to another node than `node`.
    pub(crate) fn is_elsewhere(&self, node: &NodeName, namespace: &str, name: &str) -> bool {
        self.pods.get(&(namespace.to_owned(), name.to_owned())).is_some_and(|pod| pod.node != *node)
    }

    /// Whether a pod on `node` uses the object.
    pub(crate) fn uses(&self, node: &NodeName, path: &ObjectPath) -> bool {
        self.on_node.get(node).is_some_and(|on_node| on_node.uses.contains_key(path))
    }

    /// The Nodes that there are.
    pub(crate) fn node_names(&self) -> BTreeSet<NodeName> {
        self.nodes.keys().cloned().collect()
    }

    /// A config map or secret as last seen.
    pub(crate) fn config(&self, path: &ObjectPath) -> Option<Arc<Change>> {
        self.configs.get(path).cloned()
    }

    /// The Node as last seen.
    pub(crate) fn node(&self, node: &NodeName) -> Option<Arc<Change>> {
        self.nodes.get(node).cloned()
    }
}

// === facts about pods ===

impl Desired {
    /// A pod is new or has changed.
    pub(crate) fn pod_applied(&mut self, pod: Pod) -> Vec<Outgoing> {
        let Some(known) = KnownPod::new(&pod) else { return Vec::new() };
        let key = known.key();
        let mut out = Vec::new();
        let before = match self.pods.remove(&key) {
            // A pod never moves: another node means another pod of the same name, and so does another uid.
            Some(before) if before.node != known.node || before.change.uid != known.change.uid => {
                self.unlink(&key, &before, &mut out);
                None
            }
            before => before,
        };
        let is_news = before.as_ref().is_none_or(|before| before.change.digest != known.change.digest);
        self.link(&key, &known, before.as_ref(), &mut out);
        if is_news {
            out.push((known.node.clone(), known.to_change(before.is_some())));
        }
        self.pods.insert(key, known);
        out
    }

    /// A pod is gone.
    pub(crate) fn pod_deleted(&mut self, pod: &Pod) -> Vec<Outgoing> {
        let (Some(namespace), Some(name)) = (&pod.metadata.namespace, &pod.metadata.name) else {
            return Vec::new();
        };
        self.remove_pod(&(namespace.clone(), name.clone()))
    }

    /// These are all the pods that there are.
    pub(crate) fn pods_replaced(&mut self, pods: Vec<Pod>) -> Vec<Outgoing> {
        let mut gone: BTreeSet<Key> = self.pods.keys().cloned().collect();
        let mut out = Vec::new();
        for pod in pods {
            if let (Some(namespace), Some(name)) = (&pod.metadata.namespace, &pod.metadata.name) {
                gone.remove(&(namespace.clone(), name.clone()));
            }
            out.extend(self.pod_applied(pod));
        }
        out.extend(gone.iter().flat_map(|key| self.remove_pod(key)));
        out
    }

    fn remove_pod(&mut self, key: &Key) -> Vec<Outgoing> {
        let mut out = Vec::new();
        if let Some(pod) = self.pods.remove(key) {
            self.unlink(key, &pod, &mut out);
        }
        out
    }

    /// Takes the pod and what only it uses from its node. The pod goes first.
    fn unlink(&mut self, key: &Key, pod: &KnownPod, out: &mut Vec<Outgoing>) {
        out.push((pod.node.clone(), shape::removal(&pod.change)));
        let Some(on_node) = self.on_node.get_mut(&pod.node) else { return };
        on_node.pods.remove(key);
        for path in &pod.uses {
            self.release(&pod.node, path, out);
        }
        if self.on_node.get(&pod.node).is_some_and(|on_node| on_node.pods.is_empty()) {
            self.on_node.remove(&pod.node);
        }
    }

    /// Counts what the pod uses, gives its node what is new there, and takes what `before` used and it does not.
    fn link(&mut self, key: &Key, pod: &KnownPod, before: Option<&KnownPod>, out: &mut Vec<Outgoing>) {
        self.on_node.entry(pod.node.clone()).or_default().pods.insert(key.clone());
        let nothing = BTreeSet::new();
        let used_before = before.map_or(&nothing, |before| &before.uses);
        for path in pod.uses.difference(used_before) {
            self.acquire(&pod.node, path, out);
        }
        for path in used_before.difference(&pod.uses) {
            self.release(&pod.node, path, out);
        }
    }

    fn acquire(&mut self, node: &NodeName, path: &ObjectPath, out: &mut Vec<Outgoing>) {
        let count = self.on_node.entry(node.clone()).or_default().uses.entry(path.clone()).or_default();
        *count += 1;
        if *count == 1 {
            self.users.entry(path.clone()).or_default().insert(node.clone());
            out.extend(self.configs.get(path).map(|config| (node.clone(), Arc::clone(config))));
        }
    }

    fn release(&mut self, node: &NodeName, path: &ObjectPath, out: &mut Vec<Outgoing>) {
        let Some(uses) = self.on_node.get_mut(node).map(|on_node| &mut on_node.uses) else { return };
        let Some(count) = uses.get_mut(path) else { return };
        *count -= 1;
        if *count > 0 {
            return;
        }
        uses.remove(path);
        if let Some(users) = self.users.get_mut(path) {
            users.remove(node);
            if users.is_empty() {
                self.users.remove(path);
            }
        }
        out.extend(self.configs.get(path).map(|config| (node.clone(), shape::removal(config))));
    }
}

// === facts about config maps and secrets ===

impl Desired {
    /// A config map is new or has changed.
    pub(crate) fn config_map_applied(&mut self, map: &ConfigMap) -> Vec<Outgoing> {
        shape::config_map(map).map(|change| self.config_applied(change)).unwrap_or_default()
    }

    /// A secret is new or has changed.
    pub(crate) fn secret_applied(&mut self, secret: &Secret) -> Vec<Outgoing> {
        shape::secret(secret).map(|change| self.config_applied(change)).unwrap_or_default()
    }

    /// A config map or secret is gone.
    pub(crate) fn config_deleted(&mut self, path: &ObjectPath) -> Vec<Outgoing> {
        let Some(gone) = self.configs.remove(path) else { return Vec::new() };
        let removal = shape::removal(&gone);
        self.users_of(path).map(|node| (node.clone(), Arc::clone(&removal))).collect()
    }

    /// These are all the config maps that there are.
    pub(crate) fn config_maps_replaced(&mut self, maps: &[ConfigMap]) -> Vec<Outgoing> {
        self.configs_replaced(&ResourceKind::ConfigMap, maps.iter().filter_map(shape::config_map).collect())
    }

    /// These are all the secrets that there are.
    pub(crate) fn secrets_replaced(&mut self, secrets: &[Secret]) -> Vec<Outgoing> {
        self.configs_replaced(&ResourceKind::Secret, secrets.iter().filter_map(shape::secret).collect())
    }

    fn configs_replaced(&mut self, kind: &ResourceKind, all: Vec<Change>) -> Vec<Outgoing> {
        let mut gone: BTreeSet<ObjectPath> =
            self.configs.keys().filter(|path| path.kind == *kind).cloned().collect();
        let mut out = Vec::new();
        for change in all {
            gone.remove(&change.path);
            out.extend(self.config_applied(change));
        }
        out.extend(gone.iter().flat_map(|path| self.config_deleted(path)));
        out
    }

    fn config_applied(&mut self, mut change: Change) -> Vec<Outgoing> {
        let path = change.path.clone();
        let mut out = Vec::new();
        match self.configs.get(&path) {
            Some(before) if before.uid != change.uid => out = self.config_deleted(&path),
            Some(before) if before.digest == change.digest => {
                // Another version with nothing new in it: whoever asks gets it, nobody is sent it.
                self.configs.insert(path, Arc::new(change));
                return out;
            }
            Some(_) => change.operation = Operation::Update,
            None => {}
        }
        let change = Arc::new(change);
        out.extend(self.users_of(&path).map(|node| (node.clone(), Arc::clone(&change))));
        self.configs.insert(path, change);
        out
    }

    fn users_of(&self, path: &ObjectPath) -> impl Iterator<Item = &NodeName> {
        self.users.get(path).into_iter().flatten()
    }
}

// === facts about nodes ===

impl Desired {
    /// A Node is new or has changed.
    pub(crate) fn node_applied(&mut self, node: &Node) -> Option<Outgoing> {
        let change = Arc::new(shape::node(node)?);
        let name = NodeName::new(change.path.name.clone()?);
        let before = self.nodes.insert(name.clone(), Arc::clone(&change));
        match before {
            Some(before) if before.resource_version == change.resource_version => None,
            Some(before) if before.uid == change.uid && before.digest == change.digest => {
                Some((name, Arc::new(Change { is_echo: true, ..(*change).clone() })))
            }
            _ => Some((name, change)),
        }
    }

    /// A Node is gone. Whether it was known.
    pub(crate) fn node_deleted(&mut self, name: &NodeName) -> bool {
        self.nodes.remove(name).is_some()
    }

    /// These are all the Nodes that there are: what changed for each, and which are gone.
    pub(crate) fn nodes_replaced(&mut self, nodes: &[Node]) -> (Vec<Outgoing>, Vec<NodeName>) {
        let mut gone: BTreeSet<NodeName> = self.nodes.keys().cloned().collect();
        let mut out = Vec::new();
        for node in nodes {
            gone.remove(&NodeName::new(node.metadata.name.clone().unwrap_or_default()));
            out.extend(self.node_applied(node));
        }
        for name in &gone {
            self.nodes.remove(name);
        }
        (out, gone.into_iter().collect())
    }
}

// === impl KnownPod ===

impl KnownPod {
    /// `None` when the pod is bound to no node yet.
    fn new(pod: &Pod) -> Option<Self> {
        let spec = pod.spec.as_ref()?;
        let node = NodeName::new(spec.node_name.clone().filter(|node| !node.is_empty())?);
        let change = Arc::new(shape::pod(pod)?);
        let namespace = change.path.namespace.clone();
        let in_namespace =
            |Reference { kind, name }| ObjectPath { namespace: namespace.clone(), kind, name: Some(name) };
        let name = change.path.name.as_deref().unwrap_or_default();
        let uses = references::of_pod(name, spec).into_iter().map(in_namespace).collect();
        let service_account = references::service_account(spec).to_owned();
        let ends = pod.metadata.deletion_timestamp.is_some();
        Some(Self { node, ends, change, uses, service_account })
    }

    fn key(&self) -> Key {
        let path = &self.change.path;
        (path.namespace.clone().unwrap_or_default(), path.name.clone().unwrap_or_default())
    }

    /// As it goes to a node that knows the pod already, or (a new pod that is being deleted counts as known, as
    /// in stock) does not.
    fn to_change(&self, known: bool) -> Arc<Change> {
        if !known && !self.ends {
            return Arc::clone(&self.change);
        }
        Arc::new(Change { operation: Operation::Update, ..(*self.change).clone() })
    }
}

#[cfg(test)]
mod measure;
#[cfg(test)]
mod tests;
