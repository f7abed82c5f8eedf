//! What CloudHub counts.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// See the methods.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    connected: Gauge,
    banned: Gauge,
    refused: Family<ReasonLabel, Counter>,
    ended: Family<ReasonLabel, Counter>,
    drained: Counter,
    received: Counter,
    sent: Counter,
    resent: Counter,
    rejected: Counter,
    received_bytes: Counter,
    sent_bytes: Family<WhatLabel, Counter>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct WhatLabel {
    what: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabel {
    reason: &'static str,
}

impl Metrics {
    /// Registers all of them; the number of nodes also under the name that stock KubeEdge gives it.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let nodes = "Nodes that are connected";
        registry.register("cloudhub_connected_nodes", nodes, metrics.connected.clone());
        registry.register("KubeEdge_CloudHub_connected_nodes", nodes, metrics.connected.clone());
        registry.register("cloudhub_banned_nodes", "Nodes that are banned", metrics.banned.clone());
        registry.register("cloudhub_refused_connections", "Connections refused", metrics.refused.clone());
        registry.register("cloudhub_ended_sessions", "Sessions that have ended", metrics.ended.clone());
        registry.register(
            "cloudhub_drained_sessions",
            "Nodes that were asked to connect to another CloudCore, because this one ends",
            metrics.drained.clone(),
        );
        registry.register(
            "cloudhub_received_messages",
            "Messages received from nodes",
            metrics.received.clone(),
        );
        registry.register("cloudhub_sent_messages", "Messages sent to nodes", metrics.sent.clone());
        registry.register(
            "cloudhub_resent_messages",
            "Messages sent again because no acknowledgement came",
            metrics.resent.clone(),
        );
        registry.register(
            "cloudhub_rejected_messages",
            "Messages that a node could not store, in its own words",
            metrics.rejected.clone(),
        );
        registry.register(
            "cloudhub_received_bytes",
            "Bytes of messages received from nodes",
            metrics.received_bytes.clone(),
        );
        registry.register(
            "cloudhub_sent_bytes",
            "Bytes of messages sent to nodes, by the kind of object, answer or keepalive",
            metrics.sent_bytes.clone(),
        );
        metrics
    }

    pub(super) fn received_bytes(&self, bytes: u64) {
        self.received_bytes.inc_by(bytes);
    }

    pub(super) fn sent_bytes(&self, what: &'static str, bytes: u64) {
        self.sent_bytes.get_or_create(&WhatLabel { what }).inc_by(bytes);
    }

    pub(super) fn connected(&self, nodes: usize) {
        self.connected.set(i64::try_from(nodes).unwrap_or(i64::MAX));
    }

    pub(super) fn banned(&self, nodes: usize) {
        self.banned.set(i64::try_from(nodes).unwrap_or(i64::MAX));
    }

    pub(super) fn refused(&self, reason: &'static str) {
        self.refused.get_or_create(&ReasonLabel { reason }).inc();
    }

    pub(super) fn ended(&self, reason: &'static str) {
        self.ended.get_or_create(&ReasonLabel { reason }).inc();
    }

    pub(super) fn drained(&self) {
        self.drained.inc();
    }

    pub(super) fn received(&self) {
        self.received.inc();
    }

    pub(super) fn sent(&self, again: bool) {
        self.sent.inc();
        if again {
            self.resent.inc();
        }
    }

    pub(super) fn rejected(&self) {
        self.rejected.inc();
    }
}
