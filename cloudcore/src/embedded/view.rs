//! What the controllers see of the cluster: one watch per kind, one shared picture.

use std::fmt::Debug;
use std::hash::Hash;
use std::sync::Arc;

use chassis::rng::Rng;
use futures::stream::{self, BoxStream, StreamExt as _};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Node, PersistentVolumeClaim, Pod, ServiceAccount};
use kube::runtime::reflector::{self, Store};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;

use super::accounts::ROOT_CA;
use crate::watching::Patience;

/// Namespace of the nodes' leases.
pub(super) const LEASES: &str = "kube-node-lease";

/// Read side of the watches.
#[derive(Clone)]
pub(super) struct View {
    pods: Store<Pod>,
    nodes: Store<Node>,
    leases: Store<Lease>,
    namespaces: Store<Namespace>,
    accounts: Store<ServiceAccount>,
    roots: Store<ConfigMap>,
    claims: Store<PersistentVolumeClaim>,
}

/// The cluster at one moment.
#[derive(Debug, Clone, Default)]
pub(super) struct Snapshot {
    /// Every pod.
    pub(super) pods: Vec<Arc<Pod>>,
    /// Every node.
    pub(super) nodes: Vec<Arc<Node>>,
    /// The nodes' leases.
    pub(super) leases: Vec<Arc<Lease>>,
    /// Every namespace.
    pub(super) namespaces: Vec<Arc<Namespace>>,
    /// Every service account.
    pub(super) accounts: Vec<Arc<ServiceAccount>>,
    /// Every `kube-root-ca.crt`.
    pub(super) roots: Vec<Arc<ConfigMap>>,
    /// Every claim for a volume.
    pub(super) claims: Vec<Arc<PersistentVolumeClaim>>,
}

/// What happened to the picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// It is another one.
    Newer,
    /// Nothing but leases has changed.
    Beat,
    /// The watch of this kind (its plural) was interrupted: the picture stands still, whatever the cluster does.
    Interrupted(&'static str),
}

pub(super) type Changes = BoxStream<'static, Change>;

/// Starts watching. The stream must be polled for the picture to follow the cluster.
pub(super) fn watch(client: &Client, rng: &Rng) -> (View, Changes) {
    let everything = watcher::Config::default;
    let patience = || Patience::new(rng);
    let (pods, pod_changes) = follow(Api::all(client.clone()), everything(), patience());
    let (nodes, node_changes) = follow(Api::all(client.clone()), everything(), patience());
    let (leases, lease_changes) = follow(Api::namespaced(client.clone(), LEASES), everything(), patience());
    let (namespaces, namespace_changes) = follow(Api::all(client.clone()), everything(), patience());
    let (accounts, account_changes) = follow(Api::all(client.clone()), everything(), patience());
    let only_roots = everything().fields(&format!("metadata.name={ROOT_CA}"));
    let (roots, root_changes) = follow(Api::all(client.clone()), only_roots, patience());
    let (claims, claim_changes) = follow(Api::all(client.clone()), everything(), patience());
    let changes = stream::select_all([
        pod_changes,
        node_changes,
        lease_changes,
        namespace_changes,
        account_changes,
        root_changes,
        claim_changes,
    ]);
    (View { pods, nodes, leases, namespaces, accounts, roots, claims }, changes.boxed())
}

fn follow<K>(api: Api<K>, config: watcher::Config, patience: Patience) -> (Store<K>, Changes)
where
    K: Resource + k8s_openapi::Resource + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
    K::DynamicType: Default + Eq + Hash + Clone + Debug + Send + Sync + Unpin,
{
    let (store, writer) = reflector::store();
    let changes = watcher(api, config)
        // Managed fields are a third of an object and no controller looks at them.
        .modify(|object| object.meta_mut().managed_fields = None)
        .backoff(patience)
        .reflect(writer)
        .filter_map(|event| async move {
            match event {
                Ok(watcher::Event::Init | watcher::Event::InitApply(_)) => None,
                Ok(watcher::Event::Apply(_))
                    if K::URL_PATH_SEGMENT == <Lease as k8s_openapi::Resource>::URL_PATH_SEGMENT =>
                {
                    Some(Change::Beat)
                }
                Ok(_) => Some(Change::Newer),
                Err(error) => {
                    tracing::warn!(kind = K::URL_PATH_SEGMENT, %error, "watch interrupted");
                    Some(Change::Interrupted(K::URL_PATH_SEGMENT))
                }
            }
        })
        .boxed();
    (store, changes)
}

impl View {
    /// Whether every watch has delivered its first list. Deciding on half a picture would be wrong: a node that
    /// is not listed yet looks like a node that is gone.
    pub(super) fn is_complete(&self) -> bool {
        use futures::FutureExt as _;
        let listed = |ready: Option<Result<(), _>>| {
            matches!(ready, Some(Ok::<(), reflector::store::WriterDropped>(())))
        };
        listed(self.pods.wait_until_ready().now_or_never())
            && listed(self.nodes.wait_until_ready().now_or_never())
            && listed(self.leases.wait_until_ready().now_or_never())
            && listed(self.namespaces.wait_until_ready().now_or_never())
            && listed(self.accounts.wait_until_ready().now_or_never())
            && listed(self.roots.wait_until_ready().now_or_never())
            && listed(self.claims.wait_until_ready().now_or_never())
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        Snapshot {
            pods: self.pods.state(),
            nodes: self.nodes.state(),
            leases: self.leases.state(),
            namespaces: self.namespaces.state(),
            accounts: self.accounts.state(),
            roots: self.roots.state(),
            claims: self.claims.state(),
        }
    }
}
