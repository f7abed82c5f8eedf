//! What is counted of replicas.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// See the methods.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    leading: Gauge,
    living: Gauge,
    claimed: Counter,
    lost: Counter,
    fenced: Counter,
}

impl Metrics {
    /// Registers all of them.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register("replicas_leader", "Whether this CloudCore leads", metrics.leading.clone());
        registry.register(
            "replicas_alive",
            "CloudCores that live, this one included",
            metrics.living.clone(),
        );
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

    pub(super) fn leading(&self, is_leading: bool) {
        self.leading.set(is_leading.into());
    }

    pub(super) fn living(&self, replicas: usize) {
        self.living.set(i64::try_from(replicas).unwrap_or(i64::MAX));
    }

    pub(crate) fn claimed(&self) {
        self.claimed.inc();
    }

    pub(crate) fn lost(&self) {
        self.lost.inc();
    }

    pub(crate) fn fenced(&self) {
        self.fenced.inc();
    }
}
