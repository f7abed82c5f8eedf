//! What is counted of devices that speak MQTT themselves.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

/// See the methods.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    refused: Family<WhyLabel, Counter>,
    written: Counter,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct WhyLabel {
    why: &'static str,
}

impl Metrics {
    /// Registers all of them.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "mqttdevices_values_refused",
            "Values of devices that were not taken: unreadable, or invalid by the model",
            metrics.refused.clone(),
        );
        registry.register(
            "mqttdevices_values_written",
            "Desired values that were sent to devices",
            metrics.written.clone(),
        );
        metrics
    }

    pub(super) fn refused(&self, why: &'static str) {
        self.refused.get_or_create(&WhyLabel { why }).inc();
    }

    pub(super) fn written(&self) {
        self.written.inc();
    }
}
