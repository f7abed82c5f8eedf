//! What an acceptor counts.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::LinkError;

/// What became of the connections that came in. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct AcceptorMetrics {
    pending: Gauge,
    opened: Counter,
    refused: Family<Reason, Counter>,
    unheard: Counter,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    reason: &'static str,
}

/// A handshake in progress.
#[derive(Debug)]
pub(super) struct Pending(Gauge);

impl Drop for Pending {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl AcceptorMetrics {
    /// Registers `link_handshakes_pending`, `link_handshakes_completed_total`, `link_handshakes_refused_total` by the kind
    /// of [`LinkError`], and `link_handshakes_unheard_total`.
    pub fn new(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "link_handshakes_pending",
            "Connections that are not yet a link: each takes one of a limited number of places",
            metrics.pending.clone(),
        );
        registry.register(
            "link_handshakes_completed",
            "Connections whose handshake succeeded",
            metrics.opened.clone(),
        );
        registry.register(
            "link_handshakes_refused",
            "Connections that were dropped before they were a link",
            metrics.refused.clone(),
        );
        registry.register(
            "link_handshakes_unheard",
            "Datagrams that would begin a handshake and found no place to wait: their senders repeat them",
            metrics.unheard.clone(),
        );
        metrics
    }

    /// A handshake has begun; it is over when what is returned is dropped.
    pub(super) fn begun(&self) -> Pending {
        self.pending.inc();
        Pending(self.pending.clone())
    }

    pub(super) fn opened(&self) {
        self.opened.inc();
    }

    pub(super) fn unheard(&self) {
        self.unheard.inc();
    }

    pub(super) fn refused(&self, error: &LinkError) {
        self.refused.get_or_create(&Reason { reason: error.kind() }).inc();
    }
}
