//! What the broker counts.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// The broker's metrics, named `mqtt_...`.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    pub(crate) clients: Gauge,
    pub(crate) sessions: Gauge,
    pub(crate) subscriptions: Gauge,
    pub(crate) retained: Gauge,
    pub(crate) retained_bytes: Gauge,
    pub(crate) queued_bytes: Gauge,
    listening: Family<WhichDoor, Gauge>,
    pub(crate) received: Counter,
    pub(crate) sent: Counter,
    dropped: Family<Reason, Counter>,
    ended: Family<Reason, Counter>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct WhichDoor {
    door: &'static str,
}

/// Why something was dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Drop {
    /// Too much waited for a client.
    Queue,
    /// Too much waited for all of them.
    Total,
    /// There was no room to keep a message for later subscribers.
    Retained,
    /// A session of a client that is away, for another one.
    Session,
}

impl Metrics {
    /// Registers them.
    #[must_use]
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let gauges = [
            ("mqtt_clients", "Clients of the embedded MQTT broker", &metrics.clients),
            ("mqtt_sessions", "Sessions, those of clients that are away included", &metrics.sessions),
            ("mqtt_subscriptions", "Subscriptions", &metrics.subscriptions),
            ("mqtt_retained_messages", "Messages kept for later subscribers", &metrics.retained),
            ("mqtt_retained_bytes", "Bytes of these", &metrics.retained_bytes),
            ("mqtt_queued_bytes", "Bytes that wait for clients", &metrics.queued_bytes),
        ];
        for (name, help, gauge) in gauges {
            registry.register(name, help, gauge.clone());
        }
        registry.register(
            "mqtt_listening",
            "1 where clients can come in, by door (plain, tls), and 0 where its address cannot be had",
            metrics.listening.clone(),
        );
        registry.register(
            "mqtt_received_messages",
            "Messages that clients published",
            metrics.received.clone(),
        );
        registry.register("mqtt_sent_messages", "Messages that clients were sent", metrics.sent.clone());
        registry.register(
            "mqtt_dropped",
            "Messages that were dropped because too much waited for a client (queue) or for all (total), messages that were \
             not retained, and sessions that were forgotten for others",
            metrics.dropped.clone(),
        );
        registry.register(
            "mqtt_ended_connections",
            "Connections that ended, by reason",
            metrics.ended.clone(),
        );
        metrics
    }

    pub(crate) fn dropped(&self, why: Drop, count: usize) {
        let reason = match why {
            Drop::Queue => "queue",
            Drop::Total => "total",
            Drop::Retained => "retained",
            Drop::Session => "session",
        };
        self.dropped.get_or_create(&Reason { reason }).inc_by(count as u64);
    }

    pub(crate) fn listening(&self, door: &'static str, is_open: bool) {
        self.listening.get_or_create(&WhichDoor { door }).set(i64::from(is_open));
    }

    #[cfg(test)]
    pub(crate) fn dropped_family(&self) -> impl prometheus_client::registry::Metric + use<> {
        self.dropped.clone()
    }

    pub(crate) fn ended(&self, reason: &'static str) {
        self.ended.get_or_create(&Reason { reason }).inc();
    }
}
