//! What DeviceController counts.

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::report::Refusal;
use super::status::Written;

/// See the methods.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    reports: Family<Labels, Counter>,
    writes: Family<Labels, Counter>,
    waiting: Gauge,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    outcome: Word,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
enum Word {
    Taken,
    Malformed,
    NotFound,
    Denied,
    TooEarly,
    Done,
    Unchanged,
    Again,
}

impl Metrics {
    /// Registers all of them.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "devicecontroller_reports",
            "Reports of nodes about devices, by what became of them",
            metrics.reports.clone(),
        );
        registry.register(
            "devicecontroller_writes",
            "Writes of DeviceStatus objects, by what became of them",
            metrics.writes.clone(),
        );
        registry.register(
            "devicecontroller_waiting_devices",
            "Devices whose reports are not written yet",
            metrics.waiting.clone(),
        );
        metrics
    }

    pub(super) fn taken(&self) {
        self.reports.get_or_create(&Labels { outcome: Word::Taken }).inc();
    }

    pub(super) fn refused(&self, refusal: &Refusal) {
        let outcome = match refusal {
            Refusal::Unsupported(..) | Refusal::Malformed(_) => Word::Malformed,
            Refusal::NotHere { is_elsewhere: true, .. } => Word::Denied,
            Refusal::NotHere { .. } => Word::NotFound,
            Refusal::TooEarly => Word::TooEarly,
        };
        self.reports.get_or_create(&Labels { outcome }).inc();
    }

    pub(super) fn unchanged(&self) {
        self.writes.get_or_create(&Labels { outcome: Word::Unchanged }).inc();
    }

    pub(super) fn written(&self, written: &Written) {
        let outcome = if matches!(written, Written::Done(_)) { Word::Done } else { Word::Again };
        self.writes.get_or_create(&Labels { outcome }).inc();
    }

    pub(super) fn waiting(&self, devices: usize) {
        self.waiting.set(i64::try_from(devices).unwrap_or(i64::MAX));
    }
}
