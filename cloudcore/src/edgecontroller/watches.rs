//! The watches, as one stream of facts.

use chassis::rng::Rng;
use futures::stream::{BoxStream, SelectAll};
use k8s_openapi::api::core::v1::{ConfigMap, Node, PersistentVolume, Pod, Secret};
use kube::runtime::watcher::{self, Config};
use kube::{Api, Client, Resource, ResourceExt as _};
use prometheus_client::encoding::EncodeLabelValue;
use proto::ban::ANNOTATION;
use proto::{ObjectPath, ResourceKind};

use super::desired::{Desired, Outgoing};
use crate::flow::{AnnotatedNodes, Claim, Claims, NodeName};
use crate::watching::{Change, Patience, facts};

/// Pods that are bound to some node.
const BOUND: &str = "spec.nodeName!=";

/// Edge nodes carry this label (spec cloud-and-wire 3.1).
const EDGE: &str = "node-role.kubernetes.io/edge";

/// The facts of all watches. It never ends: a watch that is interrupted starts again, later each time.
pub(super) type Watches = SelectAll<BoxStream<'static, Result<Fact, (Kind, watcher::Error)>>>;

/// Which watch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
pub(super) enum Kind {
    Pods,
    ConfigMaps,
    Secrets,
    Nodes,
    PersistentVolumes,
}

/// What one watch has brought.
#[derive(Debug)]
pub(super) enum Fact {
    Pods(Change<Pod>),
    ConfigMaps(Change<ConfigMap>),
    Secrets(Change<Secret>),
    Nodes(Change<Node>),
    PersistentVolumes(Change<PersistentVolume>),
}

/// Which watches have brought what exists. That of volumes is not waited for: what a node asks about one before it has come
/// is looked up.
#[derive(Debug, Default)]
pub(super) struct Synced {
    pods: bool,
    config_maps: bool,
    secrets: bool,
    nodes: bool,
}

/// Starts the watches.
pub(super) fn start(client: &Client, rng: &Rng) -> Watches {
    let (client, patience) = (|| client.clone(), || Patience::new(rng));
    let any = Config::default();
    let mut all = SelectAll::new();
    all.push(facts(Api::all(client()), any.clone().fields(BOUND), patience(), Kind::Pods, Fact::Pods));
    all.push(facts(Api::all(client()), any.clone(), patience(), Kind::ConfigMaps, Fact::ConfigMaps));
    all.push(facts(Api::all(client()), any.clone(), patience(), Kind::Secrets, Fact::Secrets));
    all.push(facts(
        Api::all(client()),
        any.clone(),
        patience(),
        Kind::PersistentVolumes,
        Fact::PersistentVolumes,
    ));
    all.push(facts(Api::all(client()), any.labels(EDGE), patience(), Kind::Nodes, Fact::Nodes));
    all
}

// === facts into the desired state ===

pub(super) fn pods(desired: &mut Desired, change: Change<Pod>) -> Vec<Outgoing> {
    match change {
        Change::Applied(pod) => desired.pod_applied(*pod),
        Change::Deleted(pod) => desired.pod_deleted(&pod),
        Change::Replaced(pods) => desired.pods_replaced(pods),
    }
}

pub(super) fn config_maps(desired: &mut Desired, change: Change<ConfigMap>) -> Vec<Outgoing> {
    match change {
        Change::Applied(map) => desired.config_map_applied(&map),
        Change::Deleted(map) => desired.config_deleted(&path(&*map, ResourceKind::ConfigMap)),
        Change::Replaced(maps) => desired.config_maps_replaced(&maps),
    }
}

pub(super) fn secrets(desired: &mut Desired, change: Change<Secret>) -> Vec<Outgoing> {
    match change {
        Change::Applied(secret) => desired.secret_applied(&secret),
        Change::Deleted(secret) => desired.config_deleted(&path(&*secret, ResourceKind::Secret)),
        Change::Replaced(secrets) => desired.secrets_replaced(&secrets),
    }
}

/// Nothing is sent about volumes: nodes ask.
pub(super) fn persistent_volumes(desired: &mut Desired, change: Change<PersistentVolume>) {
    match change {
        Change::Applied(volume) => desired.volume_applied(&volume),
        Change::Deleted(volume) => desired.volume_deleted(&volume),
        Change::Replaced(volumes) => desired.volumes_replaced(&volumes),
    }
}

/// What changed, and which nodes are gone.
pub(super) fn nodes(desired: &mut Desired, change: Change<Node>) -> (Vec<Outgoing>, Vec<NodeName>) {
    match change {
        Change::Applied(node) => (desired.node_applied(&node).into_iter().collect(), Vec::new()),
        Change::Deleted(node) => {
            let name = NodeName::new(node.name_any());
            let was_known = desired.node_deleted(&name);
            (Vec::new(), was_known.then_some(name).into_iter().collect())
        }
        Change::Replaced(nodes) => desired.nodes_replaced(&nodes),
    }
}

/// Which Nodes are banned by annotation.
pub(super) fn annotations(annotated: &AnnotatedNodes, change: &Change<Node>) {
    let name = |node: &Node| NodeName::new(node.name_any());
    let reason = |node: &Node| node.annotations().get(ANNOTATION).cloned();
    match change {
        Change::Applied(node) => annotated.set(&name(node), reason(node).as_deref()),
        Change::Deleted(node) => annotated.set(&name(node), None),
        Change::Replaced(nodes) => {
            let banned = nodes.iter().filter_map(|node| Some((name(node), reason(node)?)));
            annotated.replace(banned.collect());
        }
    }
}

/// What Nodes say of who holds them.
pub(super) fn claims(claims: &Claims, change: &Change<Node>) -> Vec<(NodeName, Claim)> {
    let said = |node: &Node| (NodeName::new(node.name_any()), Claim::of(node));
    match change {
        Change::Applied(node) => {
            let (name, claim) = said(node);
            claims.seen(&name, claim.clone());
            vec![(name, claim)]
        }
        Change::Deleted(node) => {
            claims.gone(&NodeName::new(node.name_any()));
            Vec::new()
        }
        Change::Replaced(nodes) => {
            let all: Vec<_> = nodes.iter().map(said).collect();
            claims.only(&all);
            all
        }
    }
}

fn path<K: Resource>(object: &K, kind: ResourceKind) -> ObjectPath {
    let metadata = object.meta();
    ObjectPath { namespace: metadata.namespace.clone(), kind, name: metadata.name.clone() }
}

// === impl Kind, Synced ===

impl Kind {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Pods => "pods",
            Self::ConfigMaps => "configmaps",
            Self::Secrets => "secrets",
            Self::Nodes => "nodes",
            Self::PersistentVolumes => "persistentvolumes",
        }
    }
}

impl Synced {
    /// Whether, with this fact, every watch has brought what exists.
    pub(super) fn note(&mut self, fact: &Fact) -> bool {
        match fact {
            Fact::Pods(Change::Replaced(_)) => self.pods = true,
            Fact::ConfigMaps(Change::Replaced(_)) => self.config_maps = true,
            Fact::Secrets(Change::Replaced(_)) => self.secrets = true,
            Fact::Nodes(Change::Replaced(_)) => self.nodes = true,
            _ => {}
        }
        self.pods && self.config_maps && self.secrets && self.nodes
    }
}
