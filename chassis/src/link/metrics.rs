//! What an acceptor counts.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use super::LinkError;

/// What became of the connections that came in. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct AcceptorMetrics {
    opened: Counter,
    refused: Family<Reason, Counter>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    reason: &'static str,
}

impl AcceptorMetrics {
    /// Registers `link_handshakes_completed_total` and `link_handshakes_refused_total`, the latter by the kind of
    /// [`LinkError`].
    pub fn new(registry: &mut Registry) -> Self {
        let metrics = Self::default();
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
        metrics
    }

    pub(super) fn opened(&self) {
        self.opened.inc();
    }

    pub(super) fn refused(&self, error: &LinkError) {
        self.refused.get_or_create(&Reason { reason: error.kind() }).inc();
    }
}
