//! Who may come in. Asked twice: by the acceptor, before the upgrade, so that a node hears of it in HTTP's words, and
//! by the hub when it takes the link.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chassis::link::{Gate, Peer, Rejection};

use super::identity::{self, Refusal};
use super::metrics::Metrics;
use crate::flow::NodeName;

/// When a node for which there is no room may ask again. Nodes leave rarely; asking costs a TLS handshake.
const COME_BACK: Duration = Duration::from_secs(30);

/// Cheap to clone; clones are the same door.
#[derive(Debug, Clone)]
pub struct Door {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    limit: usize,
    metrics: Metrics,
    /// Nodes that are in. Leaf data, never locked across an await.
    present: Mutex<HashSet<NodeName>>,
}

impl Door {
    /// A door for `limit` nodes; whom it turns away counts in `metrics`.
    #[must_use]
    pub fn new(limit: usize, metrics: Metrics) -> Self {
        Self { shared: Arc::new(Shared { limit, metrics, present: Mutex::default() }) }
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
                _ => (403, None),
            };
            Err(Rejection { status, retry_after, reason: refusal.to_string() })
        })
    }

    /// The node that `peer` is, if it may come in.
    pub(super) fn check(&self, peer: &Peer) -> Result<NodeName, Refusal> {
        let node = identity::check(peer)?;
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
