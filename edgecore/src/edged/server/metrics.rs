//! What the server counts.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// See the module. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    refused: Family<Reason, Counter>,
    connections: Gauge,
    streams: Gauge,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    reason: &'static str,
}

/// Counts one for as long as it is kept.
#[derive(Debug)]
pub(super) struct Counted(Gauge);

// === impl Metrics ===

impl Metrics {
    /// Registers them.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "edged_server_refused_requests",
            "Requests of the local server that were not answered as they were meant",
            metrics.refused.clone(),
        );
        registry.register(
            "edged_server_connections",
            "Open connections of the local server",
            metrics.connections.clone(),
        );
        registry.register(
            "edged_server_streams",
            "Logs that are read, and exec, attach and port-forward under way",
            metrics.streams.clone(),
        );
        metrics
    }

    pub(super) fn request_refused(&self, reason: &'static str) {
        self.refused.get_or_create(&Reason { reason }).inc();
    }

    pub(super) fn connection(&self) -> Counted {
        Counted::new(&self.connections)
    }

    pub(super) fn stream(&self) -> Counted {
        Counted::new(&self.streams)
    }
}

// === impl Counted ===

impl Counted {
    fn new(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}
