//! What is counted of claims.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;

/// See the methods.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    claimed: Counter,
    lost: Counter,
    fenced: Counter,
}

impl Metrics {
    /// Registers all of them.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "replicas_claims_written",
            "Nodes that were claimed for this CloudCore, because their Node said something else",
            metrics.claimed.clone(),
        );
        registry.register(
            "replicas_claims_lost",
            "Connections that ended because the node is held by another CloudCore",
            metrics.lost.clone(),
        );
        registry.register(
            "replicas_fenced_writes",
            "Writes for nodes that were held back, because it was not sure that the node is held here",
            metrics.fenced.clone(),
        );
        metrics
    }

    pub(super) fn claimed(&self) {
        self.claimed.inc();
    }

    pub(super) fn lost(&self) {
        self.lost.inc();
    }

    pub(super) fn fenced(&self) {
        self.fenced.inc();
    }
}
