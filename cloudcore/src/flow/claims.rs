//! Which CloudCore each Node names as its holder, and which CloudCores live: from both follows who holds what ([`super::Holders`]).
//!
//! EdgeController tells what Nodes say, the module `replicas` who lives. A Node names its holder twice: for stock KubeEdge by
//! address, which several replicas may share, and by the name of the replica. Whichever was written last counts: a stock CloudCore
//! writes the address and leaves our annotation as it is.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use k8s_openapi::api::core::v1::Node;

use super::NodeName;
use super::holders::{Holder, Holders, HoldersWriter, Replica};

/// Annotation of a Node: the address of the CloudCore that holds it (stock's; spec cloud-and-wire 6.3).
pub const ADDRESS: &str = "cloudcore";
/// Annotation of a Node: the name of the replica that holds it (ours).
pub const HELD_BY: &str = "node.kubeedge.io/held-by";

/// This CloudCore among its replicas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Us {
    /// Its name: that of its Lease.
    pub name: Arc<str>,
    /// Its address, as Nodes are annotated with it.
    pub address: Arc<str>,
}

/// Another CloudCore, as its Lease says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Its name, and where it takes what is forwarded.
    pub replica: Replica,
    /// Its address, as Nodes are annotated with it.
    pub address: Arc<str>,
    /// Whether it renews its Lease.
    pub lives: bool,
    /// Whether it is about to end.
    pub leaves: bool,
}

/// What a Node says of who holds it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Claim {
    held_by: Option<Arc<str>>,
    address: Option<Arc<str>>,
    /// The version of the Node that says so.
    pub version: String,
}

/// See the module. Cheap to clone; clones are the same.
#[derive(Debug, Clone)]
pub struct Claims {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    us: Us,
    holders: HoldersWriter,
    /// Never locked across an await. That of the holders is taken inside it, and is a leaf.
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// As many as there are Nodes.
    claims: HashMap<NodeName, Claim>,
    /// Whether anybody has looked for others.
    are_peers_known: bool,
    /// By name. Those that were not heard of for long are forgotten.
    peers: BTreeMap<Arc<str>, Peer>,
}

// === impl Us ===

impl Us {
    /// Whether a Node names this one.
    #[must_use]
    pub fn holds(&self, claim: &Claim) -> bool {
        claim.held_by.as_deref() == Some(&*self.name)
            && claim.address.as_deref().unwrap_or_default() == &*self.address
    }
}

// === impl Claim ===

impl Claim {
    /// What the Node says.
    #[must_use]
    pub fn of(node: &Node) -> Self {
        let said = |key: &str| {
            let value = node.metadata.annotations.as_ref()?.get(key)?;
            (!value.is_empty()).then(|| Arc::from(value.as_str()))
        };
        let version = node.metadata.resource_version.clone().unwrap_or_default();
        Self { held_by: said(HELD_BY), address: said(ADDRESS), version }
    }

    /// The version as a number: a later one is higher.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.version.parse().unwrap_or_default()
    }

    fn says_the_same(&self, other: &Self) -> bool {
        self.held_by == other.held_by && self.address == other.address
    }
}

// === impl Claims ===

impl Claims {
    /// No Node and no other CloudCore is known yet.
    #[must_use]
    pub fn new(us: Us) -> (Self, Holders) {
        let (writer, holders) = Holders::new();
        let shared = Shared { us, holders: writer, inner: Mutex::default() };
        (Self { shared: Arc::new(shared) }, holders)
    }

    /// This CloudCore.
    #[must_use]
    pub fn us(&self) -> &Us {
        &self.shared.us
    }

    /// What a Node says, as the watch has it.
    #[must_use]
    pub fn of(&self, node: &NodeName) -> Option<Claim> {
        self.shared.lock().claims.get(node).cloned()
    }

    /// Whether this CloudCore holds what says so, or nobody that lives does.
    #[must_use]
    pub fn is_free(&self, claim: &Claim) -> bool {
        let inner = self.shared.lock();
        (inner.are_peers_known || claim.held_by.is_none())
            && matches!(self.shared.holder(&inner, claim), Holder::Nobody | Holder::Us)
    }

    /// A node that leaves this CloudCore finds another one.
    #[must_use]
    pub fn has_others(&self) -> bool {
        self.shared.lock().peers.values().any(|peer| peer.lives && !peer.leaves)
    }
}

// === for EdgeController ===

impl Claims {
    /// A Node says this. What is known of a later version stays: a watch may be behind what was read or written.
    pub fn seen(&self, node: &NodeName, claim: Claim) {
        let mut inner = self.shared.lock();
        if inner.claims.get(node).is_some_and(|known| known.number() > claim.number()) {
            return;
        }
        let before = inner.claims.insert(node.clone(), claim.clone());
        if before.is_none_or(|before| !before.says_the_same(&claim)) {
            self.shared.holders.set(node, self.shared.holder(&inner, &claim));
        }
    }

    /// A Node is gone.
    pub fn gone(&self, node: &NodeName) {
        let mut inner = self.shared.lock();
        inner.claims.remove(node);
        self.shared.holders.set(node, Holder::Nobody);
    }

    /// There are no Nodes but these.
    pub fn only(&self, nodes: &[(NodeName, Claim)]) {
        let known: Vec<NodeName> = self.shared.lock().claims.keys().cloned().collect();
        let all: HashMap<&NodeName, &Claim> = nodes.iter().map(|(node, claim)| (node, claim)).collect();
        for node in known.iter().filter(|node| !all.contains_key(node)) {
            self.gone(node);
        }
        for (node, claim) in nodes {
            self.seen(node, claim.clone());
        }
    }
}

// === for the module `replicas` ===

impl Claims {
    /// These are the other CloudCores. Whether that is news.
    pub fn peers(&self, peers: Vec<Peer>) -> bool {
        let mut inner = self.shared.lock();
        inner.are_peers_known = true;
        let peers = peers.into_iter().map(|peer| (Arc::clone(&peer.replica.name), peer)).collect();
        if inner.peers == peers {
            return false;
        }
        inner.peers = peers;
        for (node, claim) in &inner.claims {
            self.shared.holders.set(node, self.shared.holder(&inner, claim));
        }
        true
    }
}

// === impl Shared ===

impl Shared {
    fn holder(&self, inner: &Inner, claim: &Claim) -> Holder {
        let Claim { held_by, address, .. } = claim;
        let Some(name) = held_by else {
            // One of ours wrote no name before there were replicas.
            let is_of_ours = |address: &Arc<str>| {
                *address == self.us.address || inner.peers.values().any(|peer| peer.address == *address)
            };
            return address
                .clone()
                .filter(|address| !is_of_ours(address))
                .map_or(Holder::Nobody, Holder::Stock);
        };
        let (holder, own) = if *name == self.us.name {
            (Holder::Us, &self.us.address)
        } else {
            match inner.peers.get(name) {
                Some(peer) if peer.lives => (Holder::Replica(peer.replica.clone()), &peer.address),
                Some(peer) => (Holder::Nobody, &peer.address),
                // Nobody knows whether the address is its own.
                None => return Holder::Nobody,
            }
        };
        match address {
            Some(address) if address != own => Holder::Stock(Arc::clone(address)),
            _ => holder,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
