//! What is counted of forwarding, at both ends.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::flow::{NotForwarded, Unreached};

/// From a request on a LAN to one that a node takes its minute for.
const BUCKETS: [f64; 10] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5, 10.0, 60.0];

/// See the methods.
#[derive(Debug, Clone)]
pub struct Metrics {
    requests: Family<OutcomeLabels, Counter>,
    served: Family<OutcomeLabels, Counter>,
    refused: Family<RefusedLabels, Counter>,
    connections: Family<ConnectionLabels, Gauge>,
    duration: Histogram,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabels {
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RefusedLabels {
    why: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ConnectionLabels {
    direction: &'static str,
}

/// Who has opened a connection.
#[derive(Debug, Clone, Copy)]
pub(super) enum Direction {
    /// Another one.
    In,
    /// This one.
    Out,
}

/// Counts a connection for as long as it is there.
#[derive(Debug)]
pub(super) struct Counted(Gauge);

impl Default for Metrics {
    fn default() -> Self {
        Self {
            requests: Family::default(),
            served: Family::default(),
            refused: Family::default(),
            connections: Family::default(),
            duration: Histogram::new(BUCKETS),
        }
    }
}

impl Metrics {
    /// Registers all of them.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "forwarding_requests",
            "Messages for nodes that another CloudCore was asked to send, by what became of them",
            metrics.requests.clone(),
        );
        registry.register(
            "forwarding_request_duration_seconds",
            "Time from asking another CloudCore to its answer",
            metrics.duration.clone(),
        );
        registry.register(
            "forwarding_served",
            "Messages that other CloudCores have asked this one to send, by what became of them",
            metrics.served.clone(),
        );
        registry.register(
            "forwarding_refused_connections",
            "Connections that were not taken",
            metrics.refused.clone(),
        );
        registry.register(
            "forwarding_connections",
            "Connections with other CloudCores",
            metrics.connections.clone(),
        );
        metrics
    }

    pub(super) fn asked(&self, outcome: Result<(), &NotForwarded>, took: Duration) {
        let outcome = match outcome {
            Ok(()) => "answered",
            Err(NotForwarded::NotHeld(_)) => "not_held",
            Err(NotForwarded::Refused { .. }) => "refused",
            Err(NotForwarded::Unreached(unreached)) => match unreached {
                Unreached::NotConnected | Unreached::WithStock => "not_held",
                Unreached::Busy(_) => "busy",
                Unreached::Away => "refused",
                Unreached::Invalid | Unreached::TooLarge => "invalid",
                Unreached::Lost => "lost",
                Unreached::TimedOut(_) => "timed_out",
            },
        };
        self.requests.get_or_create(&OutcomeLabels { outcome }).inc();
        self.duration.observe(took.as_secs_f64());
    }

    pub(super) fn served(&self, outcome: &'static str) {
        self.served.get_or_create(&OutcomeLabels { outcome }).inc();
    }

    pub(super) fn refused(&self, why: &'static str) {
        self.refused.get_or_create(&RefusedLabels { why }).inc();
    }

    pub(super) fn connection(&self, direction: Direction) -> Counted {
        let direction = match direction {
            Direction::In => "in",
            Direction::Out => "out",
        };
        let gauge = self.connections.get_or_create(&ConnectionLabels { direction }).clone();
        gauge.inc();
        Counted(gauge)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}
