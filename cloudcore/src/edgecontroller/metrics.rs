//! What EdgeController counts.

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use super::watches::Kind;

/// See the methods.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    requests: Family<RequestLabels, Counter>,
    changes: Counter,
    resyncs: Counter,
    resynced_objects: Counter,
    denials: Family<DenialLabels, Counter>,
    watch_failures: Family<WatchLabels, Counter>,
    spared: Family<SparedLabels, Counter>,
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
pub(super) enum Outcome {
    /// As it should.
    Done,
    /// The API server, or we, said no.
    Failed,
    /// It made no sense.
    Refused,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    request: &'static str,
    outcome: Outcome,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DenialLabels {
    resource: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SparedLabels {
    what: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct WatchLabels {
    kind: Kind,
}

impl Metrics {
    /// Registers all of them.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "edgecontroller_requests",
            "Requests of nodes that were answered",
            metrics.requests.clone(),
        );
        registry.register(
            "edgecontroller_changes",
            "Changes of objects put into outboxes of connected nodes",
            metrics.changes.clone(),
        );
        registry.register(
            "edgecontroller_resyncs",
            "Nodes brought up to date after they connected",
            metrics.resyncs.clone(),
        );
        registry.register(
            "edgecontroller_resynced_objects",
            "Objects that nodes lacked, or held without need, when they connected",
            metrics.resynced_objects.clone(),
        );
        registry.register(
            "edgecontroller_denied_requests",
            "Requests of nodes for what does not belong to them",
            metrics.denials.clone(),
        );
        registry.register(
            "edgecontroller_watch_failures",
            "Watches of the Kubernetes API that were interrupted",
            metrics.watch_failures.clone(),
        );
        registry.register(
            "edgecontroller_spared_writes",
            "Reports of nodes that say what the Kubernetes API says already",
            metrics.spared.clone(),
        );
        metrics
    }

    pub(super) fn request(&self, request: &'static str, outcome: Outcome) {
        self.requests.get_or_create(&RequestLabels { request, outcome }).inc();
    }

    pub(super) fn denied(&self, resource: &'static str) {
        self.denials.get_or_create(&DenialLabels { resource }).inc();
    }

    pub(super) fn change_pushed(&self) {
        self.changes.inc();
    }

    pub(super) fn resynced(&self, objects: usize) {
        self.resyncs.inc();
        self.resynced_objects.inc_by(u64::try_from(objects).unwrap_or(u64::MAX));
    }

    pub(super) fn write_spared(&self, what: &'static str) {
        self.spared.get_or_create(&SparedLabels { what }).inc();
    }

    pub(super) fn watch_failed(&self, kind: Kind) {
        self.watch_failures.get_or_create(&WatchLabels { kind }).inc();
    }
}
