//! What MetaManager counts.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::store::{UploadsWaiting, Waiting};

/// See the methods.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    waiting: Family<WhatLabel, Gauge>,
    uploads: Family<OutcomeLabel, Counter>,
    uploads_waiting: Gauge,
    uploads_waiting_bytes: Gauge,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct WhatLabel {
    what: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabel {
    outcome: &'static str,
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
        registry.register(
            "metamanager_uploads",
            "Users' messages by what became of them: stored, repeated, crowded_out, arrived, refused, said, unsaid",
            metrics.uploads.clone(),
        );
        registry.register(
            "metamanager_uploads_waiting",
            "Users' messages in the store that have not arrived in the cloud",
            metrics.uploads_waiting.clone(),
        );
        registry.register(
            "metamanager_uploads_waiting_bytes",
            "Their size; modules.eventBus.uploadQueueBytes is the limit",
            metrics.uploads_waiting_bytes.clone(),
        );
        metrics
    }

    pub(super) fn upload(&self, outcome: &'static str, count: u64) {
        self.uploads.get_or_create(&OutcomeLabel { outcome }).inc_by(count);
    }

    pub(super) fn uploads_waiting(&self, waiting: UploadsWaiting) {
        self.uploads_waiting.set(waiting.count);
        self.uploads_waiting_bytes.set(waiting.bytes);
    }

    pub(super) fn waiting(&self, waiting: Waiting) {
        for (what, count) in [("states", waiting.states), ("queue", waiting.queue)] {
            self.waiting.get_or_create(&WhatLabel { what }).set(count);
        }
    }
}
