//! What the mapper counts, at `/metrics`.

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::driver::DriverError;
use crate::health::State;

/// How something went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
pub(crate) enum Outcome {
    Ok,
    /// The device was not there.
    Unreachable,
    /// It did not want to, or what it said makes no sense.
    Refused,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByOutcome {
    outcome: Outcome,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByState {
    state: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BySink {
    sink: &'static str,
}

/// All metrics of a mapper. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Metrics {
    reads: Family<ByOutcome, Counter>,
    writes: Family<ByOutcome, Counter>,
    calls: Family<ByOutcome, Counter>,
    devices: Family<ByState, Gauge>,
    connects: Family<ByOutcome, Counter>,
    pub(crate) anomalies: Counter,
    pub(crate) recorded: Counter,
    pub(crate) registrations: Counter,
    pub(crate) reports: Counter,
    pub(crate) reports_refused: Counter,
    pushed: Family<BySink, Counter>,
    push_failed: Family<BySink, Counter>,
    push_dropped: Family<BySink, Counter>,
}

impl Metrics {
    pub(crate) fn new(registry: &mut Registry) -> Self {
        let all = Self::default();
        registry.register("mapper_reads", "Properties read from devices", all.reads.clone());
        registry.register("mapper_writes", "Properties set at devices", all.writes.clone());
        registry.register("mapper_method_calls", "Methods of devices called", all.calls.clone());
        registry.register("mapper_connects", "Attempts to connect a device", all.connects.clone());
        registry.register("mapper_devices", "Devices by state", all.devices.clone());
        registry.register("mapper_anomalies", "Values that left their bounds", all.anomalies.clone());
        registry.register("mapper_recorded_files", "Files that streams were kept in", all.recorded.clone());
        registry.register("mapper_registrations", "Registrations with EdgeCore", all.registrations.clone());
        registry.register("mapper_reports", "Reports that EdgeCore took", all.reports.clone());
        let refused = all.reports_refused.clone();
        registry.register("mapper_reports_refused", "Reports that EdgeCore did not take", refused);
        registry.register("mapper_pushed_values", "Values that a sink took", all.pushed.clone());
        registry.register("mapper_push_failures", "Attempts to push that failed", all.push_failed.clone());
        let dropped = all.push_dropped.clone();
        registry.register("mapper_push_dropped_values", "Values that no sink took in time", dropped);
        all
    }

    pub(crate) fn read<T>(&self, result: &Result<T, DriverError>) {
        count(&self.reads, result);
    }

    pub(crate) fn wrote<T>(&self, result: &Result<T, DriverError>) {
        count(&self.writes, result);
    }

    pub(crate) fn called<T>(&self, result: &Result<T, DriverError>) {
        count(&self.calls, result);
    }

    pub(crate) fn connected<T>(&self, result: &Result<T, DriverError>) {
        count(&self.connects, result);
    }

    /// A device is in another state, or none any more.
    pub(crate) fn state(&self, before: Option<State>, now: Option<State>) {
        if let Some(before) = before {
            self.devices.get_or_create(&ByState { state: before.word() }).dec();
        }
        if let Some(now) = now {
            self.devices.get_or_create(&ByState { state: now.word() }).inc();
        }
    }

    pub(crate) fn pushed(&self, sink: &'static str, values: u64) {
        self.pushed.get_or_create(&BySink { sink }).inc_by(values);
    }

    pub(crate) fn push_failed(&self, sink: &'static str) {
        self.push_failed.get_or_create(&BySink { sink }).inc();
    }

    pub(crate) fn push_dropped(&self, sink: &'static str) {
        self.push_dropped.get_or_create(&BySink { sink }).inc();
    }
}

fn count<T>(family: &Family<ByOutcome, Counter>, result: &Result<T, DriverError>) {
    let outcome = match result {
        Ok(_) => Outcome::Ok,
        Err(error) if error.is_lost() => Outcome::Unreachable,
        Err(_) => Outcome::Refused,
    };
    family.get_or_create(&ByOutcome { outcome }).inc();
}
