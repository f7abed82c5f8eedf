//! What ServiceBus counts.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

/// See the methods.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    calls: Family<Labels, Counter>,
    asked: Family<Labels, Counter>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    outcome: &'static str,
}

impl Metrics {
    /// Registers all of them.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "servicebus_calls",
            "Calls of services by the cloud, by the class of the answer's status",
            metrics.calls.clone(),
        );
        registry.register(
            "servicebus_requests",
            "Requests of applications for the cloud, by the class of the answer's status",
            metrics.asked.clone(),
        );
        metrics
    }

    pub(super) fn called(&self, status: u16) {
        self.calls.get_or_create(&Labels { outcome: class(status) }).inc();
    }

    pub(super) fn asked(&self, status: u16) {
        self.asked.get_or_create(&Labels { outcome: class(status) }).inc();
    }
}

fn class(status: u16) -> &'static str {
    match status {
        0..=199 => "other",
        200..=299 => "success",
        300..=399 => "redirection",
        400..=499 => "refused",
        _ => "failed",
    }
}
