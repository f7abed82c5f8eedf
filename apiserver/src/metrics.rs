//! What the server counts.

use std::fmt;

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::dispatch::Verb;

/// The server's numbers. Clones count into the same ones.
#[derive(Debug, Clone, Default)]
pub(crate) struct Metrics {
    requests: Family<RequestLabels, Counter>,
    watches: Gauge,
    watches_refused: Counter,
    watches_expired: Counter,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    verb: Option<Verb>,
    /// Plural name of a kind that is served, so that their number is bounded.
    resource: Option<String>,
    code: u16,
}

/// Counts a watch for as long as it is held.
#[derive(Debug)]
pub(crate) struct OpenWatch {
    watches: Gauge,
}

impl Metrics {
    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register(
            "apiserver_requests",
            "Requests answered, by verb, resource and code",
            self.requests.clone(),
        );
        registry.register("apiserver_watches", "Watches that are open", self.watches.clone());
        registry.register(
            "apiserver_watches_refused",
            "Watches refused because too many were open",
            self.watches_refused.clone(),
        );
        registry.register(
            "apiserver_watches_expired",
            "Watches ended because they were slower than the window of changes",
            self.watches_expired.clone(),
        );
    }

    /// A request for objects (with a verb, and of which kind if it is one that is served) or for a document of the
    /// server (without) was answered.
    pub(crate) fn answered(&self, verb: Option<Verb>, resource: Option<String>, code: u16) {
        self.requests.get_or_create(&RequestLabels { verb, resource, code }).inc();
    }

    pub(crate) fn watch_opened(&self) -> OpenWatch {
        self.watches.inc();
        OpenWatch { watches: self.watches.clone() }
    }

    pub(crate) fn watch_refused(&self) {
        self.watches_refused.inc();
    }

    pub(crate) fn watch_expired(&self) {
        self.watches_expired.inc();
    }
}

impl Drop for OpenWatch {
    fn drop(&mut self) {
        self.watches.dec();
    }
}

impl EncodeLabelValue for Verb {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        self.as_str().encode(encoder)
    }
}
