//! What is counted of replicas.

use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// See the methods.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    leading: Gauge,
    living: Gauge,
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
        metrics
    }

    pub(super) fn leading(&self, is_leading: bool) {
        self.leading.set(is_leading.into());
    }

    pub(super) fn living(&self, replicas: usize) {
        self.living.set(i64::try_from(replicas).unwrap_or(i64::MAX));
    }
}
