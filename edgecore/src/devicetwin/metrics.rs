//! What DeviceTwin counts.

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use proto::twin::CallState;

use crate::flow::DriverError;

/// See the methods.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    reports: Family<Labels, Counter>,
    registrations: Family<Labels, Counter>,
    calls: Family<Labels, Counter>,
    drivers: Gauge,
    silent: Counter,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    outcome: Word,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
enum Word {
    Taken,
    Invalid,
    NotFound,
    Denied,
    TooMany,
    Closed,
    Begun,
    Done,
    Failed,
}

impl Metrics {
    /// Registers all of them.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "devicetwin_reports",
            "Reports of drivers about devices, by what became of them",
            metrics.reports.clone(),
        );
        registry.register(
            "devicetwin_registrations",
            "Registrations of drivers, by what became of them",
            metrics.registrations.clone(),
        );
        registry.register(
            "devicetwin_calls",
            "Calls of devices' methods, by what became of them",
            metrics.calls.clone(),
        );
        registry.register("devicetwin_drivers", "Drivers that are registered", metrics.drivers.clone());
        registry.register(
            "devicetwin_silent_devices",
            "Devices that became offline because their drivers said nothing for too long",
            metrics.silent.clone(),
        );
        metrics
    }

    pub(super) fn heard(&self, answer: &Result<(), DriverError>) {
        self.reports.get_or_create(&Labels { outcome: word(answer.as_ref().err()) }).inc();
    }

    pub(super) fn registered<T>(&self, answer: &Result<T, DriverError>) {
        self.registrations.get_or_create(&Labels { outcome: word(answer.as_ref().err()) }).inc();
    }

    pub(super) fn called(&self, state: CallState) {
        let outcome = match state {
            CallState::Running => Word::Begun,
            CallState::Done => Word::Done,
            CallState::Failed => Word::Failed,
        };
        self.calls.get_or_create(&Labels { outcome }).inc();
    }

    pub(super) fn drivers(&self, count: usize) {
        self.drivers.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    pub(super) fn fell_silent(&self, devices: u64) {
        self.silent.inc_by(devices);
    }
}

fn word(error: Option<&DriverError>) -> Word {
    match error {
        None => Word::Taken,
        Some(DriverError::Invalid(_)) => Word::Invalid,
        Some(DriverError::NotFound(_)) => Word::NotFound,
        Some(DriverError::NotYours { .. }) => Word::Denied,
        Some(DriverError::TooMany(_)) => Word::TooMany,
        Some(DriverError::Closed) => Word::Closed,
    }
}
