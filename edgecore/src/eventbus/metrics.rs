//! What EventBus counts.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::Broker;

/// See the methods.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    heard: Family<WhatLabel, Counter>,
    refused: Family<WhyLabel, Counter>,
    published: Family<OutcomeLabel, Counter>,
    connected: Family<BrokerLabel, Gauge>,
    connections: Family<BrokerLabel, Counter>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct WhatLabel {
    what: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct WhyLabel {
    why: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabel {
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BrokerLabel {
    broker: &'static str,
}

impl Metrics {
    /// Registers all of them.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "eventbus_messages_heard",
            "Messages from brokers by what they were: twin, state, membership, upload, device",
            metrics.heard.clone(),
        );
        registry.register(
            "eventbus_messages_refused",
            "Messages that were not taken: unreadable, unknown, invalid, meaningless, too_large, unwanted, not_text",
            metrics.refused.clone(),
        );
        registry.register(
            "eventbus_messages_published",
            "Messages to brokers by what became of them: sent, dropped where too many waited",
            metrics.published.clone(),
        );
        registry.register(
            "eventbus_connected",
            "1 while there is a connection to the broker",
            metrics.connected.clone(),
        );
        registry.register(
            "eventbus_connections",
            "Connections that were made to the broker",
            metrics.connections.clone(),
        );
        metrics
    }

    pub(super) fn heard(&self, what: &'static str) {
        self.heard.get_or_create(&WhatLabel { what }).inc();
    }

    pub(super) fn refused(&self, why: &'static str) {
        self.refused.get_or_create(&WhyLabel { why }).inc();
    }

    pub(super) fn published(&self, is_sent: bool) {
        let outcome = if is_sent { "sent" } else { "dropped" };
        self.published.get_or_create(&OutcomeLabel { outcome }).inc();
    }

    pub(super) fn connected(&self, broker: Broker) {
        let label = BrokerLabel { broker: broker.as_str() };
        self.connected.get_or_create(&label).set(1);
        self.connections.get_or_create(&label).inc();
    }

    pub(super) fn lost(&self, broker: Broker) {
        self.connected.get_or_create(&BrokerLabel { broker: broker.as_str() }).set(0);
    }
}
