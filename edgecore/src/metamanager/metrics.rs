//! What MetaManager counts.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::store::Waiting;

/// See the methods.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    waiting: Family<WhatLabel, Gauge>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct WhatLabel {
    what: &'static str,
}

impl Metrics {
    /// Registers all of them.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "metamanager_outbox_waiting",
            "Reports in the store that the cloud has not accepted: statuses, and what is sent in order",
            metrics.waiting.clone(),
        );
        metrics
    }

    pub(super) fn waiting(&self, waiting: Waiting) {
        for (what, count) in [("states", waiting.states), ("queue", waiting.queue)] {
            self.waiting.get_or_create(&WhatLabel { what }).set(count);
        }
    }
}
