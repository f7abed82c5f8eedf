//! Who may come in. Asked twice: by the acceptor, before the upgrade, so that a node hears of it in HTTP's words, and
//! by the hub when it takes the link.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chassis::link::{Gate, Peer, Rejection};

use super::identity::{self, Refusal};
use super::metrics::Metrics;
use crate::flow::{Bans, Barred, NodeName};

/// When a node for which there is no room may ask again. Nodes leave rarely; asking costs a TLS handshake.
const COME_BACK: Duration = Duration::from_secs(30);

/// When a node may ask again that came before the hub knew whom to let in.
const SOON: Duration = Duration::from_secs(1);

/// Cheap to clone; clones are the same door.
#[derive(Debug, Clone)]
pub struct Door {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    limit: usize,
    bans: Bans,
    metrics: Metrics,
    /// Nodes that are in. Leaf data, never locked across an await.
    present: Mutex<HashSet<NodeName>>,
}

impl Door {
    /// A door for `limit` nodes that are not banned; whom it turns away counts in `metrics`.
    #[must_use]
    pub fn new(limit: usize, bans: Bans, metrics: Metrics) -> Self {
        Self { shared: Arc::new(Shared { limit, bans, metrics, present: Mutex::default() }) }
    }

    pub(super) fn bans(&self) -> Bans {
        self.shared.bans.clone()
    }

    /// For an acceptor.
    #[must_use]
    pub fn gate(&self) -> Gate {
        let door = self.clone();
        Arc::new(move |peer| {
            let Err(refusal) = door.check(peer) else { return Ok(()) };
            tracing::warn!(peer = peer.address, "turned away: {refusal}");
            door.shared.metrics.refused(refusal.kind());
            let (status, retry_after) = match refusal {
                Refusal::TooManyNodes { .. } => (503, Some(COME_BACK)),
                Refusal::Barred(Barred::Unknown) => (503, Some(SOON)),
                _ => (403, None),
            };
            Err(Rejection { status, retry_after, reason: refusal.to_string() })
        })
    }

    /// The node that `peer` is, if it may come in.
    pub(super) fn check(&self, peer: &Peer) -> Result<NodeName, Refusal> {
        let node = identity::check(peer)?;
        self.shared.bans.check(node.as_str(), identity::not_before(peer))?;
        let (limit, present) = (self.shared.limit, self.present());
        // A node that is here already takes its own place.
        if present.len() >= limit && !present.contains(&node) {
            return Err(Refusal::TooManyNodes { limit });
        }
        Ok(node)
    }

    pub(super) fn enter(&self, node: &NodeName) {
        self.present().insert(node.clone());
    }

    pub(super) fn leave(&self, node: &NodeName) {
        self.present().remove(node);
    }

    fn present(&self) -> MutexGuard<'_, HashSet<NodeName>> {
        self.shared.present.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
