//! What SyncController counts.

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::flow::Outcome;

/// See the methods.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    writes: Family<WriteLabels, Counter>,
    waiting: Gauge,
    watch_failures: Counter,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct WriteLabels {
    outcome: Word,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
enum Word {
    Done,
    Corrected,
    Failed,
    Refused,
}

impl Metrics {
    /// Registers all of them.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "synccontroller_writes",
            "Changes to ObjectSync and ClusterObjectSync records, by what became of them",
            metrics.writes.clone(),
        );
        registry.register(
            "synccontroller_waiting_records",
            "Records that wait to be written, or are being written",
            metrics.waiting.clone(),
        );
        registry.register(
            "synccontroller_watch_failures",
            "Watches of the records that were interrupted",
            metrics.watch_failures.clone(),
        );
        metrics
    }

    pub(super) fn written(&self, outcome: Outcome) {
        let outcome = match outcome {
            Outcome::Done => Word::Done,
            Outcome::Exists | Outcome::Missing => Word::Corrected,
            Outcome::Again(_) => Word::Failed,
            Outcome::Refused => Word::Refused,
        };
        self.writes.get_or_create(&WriteLabels { outcome }).inc();
    }

    pub(super) fn waiting(&self, records: usize) {
        self.waiting.set(i64::try_from(records).unwrap_or(i64::MAX));
    }

    pub(super) fn watch_failed(&self) {
        self.watch_failures.inc();
    }
}
