//! How long a driver may say nothing.

use std::time::Duration;

use proto::api::device::Device;

/// A driver may miss this many reports before it counts as silent.
const MISSED: u32 = 3;
/// And this is always given: a driver that restarts says nothing meanwhile.
const LEAST_PATIENCE: Duration = Duration::from_secs(5);
/// Where a cycle is not given, as in stock drivers.
const CYCLE: Duration = Duration::from_secs(1);

/// How long the driver of a device may say nothing; `None` where it need not say anything.
pub(super) fn patience(device: &Device) -> Option<Duration> {
    let cycle = |milliseconds: i64| match u64::try_from(milliseconds) {
        Ok(0) | Err(_) => CYCLE,
        Ok(milliseconds) => Duration::from_millis(milliseconds),
    };
    let spec = &device.spec;
    let reported = spec.properties.iter().filter(|property| property.report_to_cloud);
    let values = reported.map(|property| cycle(property.collect_cycle)).min();
    let status = &device.status;
    let state = match &spec.state_report {
        Some(report) => report.report_to_cloud.then(|| cycle(report.report_cycle)),
        None => status.report_to_cloud.then(|| cycle(status.report_cycle)),
    };
    let cycle = values.into_iter().chain(state).min()?;
    Some(cycle.saturating_mul(MISSED).max(cycle + LEAST_PATIENCE))
}
