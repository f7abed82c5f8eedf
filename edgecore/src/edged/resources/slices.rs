//! Slices of systemd: made with their limits, limited anew, stopped (<https://systemd.io/CONTROL_GROUP_INTERFACE/>).
//!
//! With the `systemd` driver the tree of cgroups is systemd's. What somebody else writes into its files stands only until systemd looks at them
//! again (a unit that is started, `daemon-reload`), so limits are properties of the units, set over D-Bus, as kubelet does it. Our own client has what
//! that takes; the crates that speak D-Bus are as large as a tenth of this daemon. Each change has its own connection: pods come and go seldom, and a bus that was
//! started again needs no care.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::cgroup::weight;
use super::{PodLimits, TreeLimits};
use crate::edged::dbus::body::{Property, Value, put_array, put_flag, put_properties, put_text};
use crate::edged::dbus::{Bus, Destination};

/// Where every system has its bus.
const SYSTEM_BUS: &str = "/run/dbus/system_bus_socket";
/// Where systemd itself listens to root, on systems without a bus.
const PRIVATE: &str = "/run/systemd/private";
const NAME: &str = "org.freedesktop.systemd1";
const MANAGER: Destination = Destination {
    name: NAME,
    path: "/org/freedesktop/systemd1",
    interface: "org.freedesktop.systemd1.Manager",
};
/// Sent when what was asked for has been done.
const JOB_REMOVED: &str = "JobRemoved";
/// systemd starts and stops a slice at once; what it stops in it has 90 s by its own rules.
const LIMIT: Duration = Duration::from_secs(100);
/// systemd's word for no limit.
const INFINITY: u64 = u64::MAX;
/// systemd keeps the share of a processor in percent: what is between two is rounded up, or containers could not have what their pod has.
const QUOTA_STEP: u64 = 10_000;

/// systemd, by the sockets where it is reached.
#[derive(Debug, Clone)]
pub(super) struct Slices {
    sockets: Arc<(PathBuf, PathBuf)>,
}

impl Default for Slices {
    fn default() -> Self {
        Self::at(SYSTEM_BUS, PRIVATE)
    }
}

// === impl Slices ===

impl Slices {
    /// At another bus, and another place where it listens itself.
    pub(super) fn at(bus: impl Into<PathBuf>, private: impl Into<PathBuf>) -> Self {
        Self { sockets: Arc::new((bus.into(), private.into())) }
    }

    /// Makes a slice with these properties, or gives them to the one that is there.
    pub(super) async fn start(&self, slice: &str, properties: Vec<Property>) -> io::Result<()> {
        within(async {
            let mut bus = self.connect().await?;
            let mut body = Vec::new();
            put_text(&mut body, slice);
            put_text(&mut body, "replace");
            let further = [
                Property { name: "Description", value: Value::Text(format!("cgroup {slice}")) },
                Property { name: "DefaultDependencies", value: Value::Flag(false) },
                Property { name: "CPUAccounting", value: Value::Flag(true) },
                Property { name: "MemoryAccounting", value: Value::Flag(true) },
                Property { name: "TasksAccounting", value: Value::Flag(true) },
            ];
            put_properties(&mut body, &[&further[..], &properties[..]].concat());
            put_array(&mut body, |_| {});
            match self.job(&mut bus, "StartTransientUnit", "ssa(sv)a(sa(sv))", body).await {
                Err(error) if error.to_string().contains("UnitExists") => {
                    set(&mut bus, slice, &properties).await
                }
                other => other,
            }
        })
        .await
    }

    /// Gives a slice these properties, until the next start of the machine.
    pub(super) async fn set(&self, slice: &str, properties: Vec<Property>) -> io::Result<()> {
        within(async { set(&mut self.connect().await?, slice, &properties).await }).await
    }

    /// Stops a slice and all that is in it. One that is not there is no error.
    pub(super) async fn stop(&self, slice: &str) -> io::Result<()> {
        within(async {
            let mut bus = self.connect().await?;
            let mut body = Vec::new();
            put_text(&mut body, slice);
            put_text(&mut body, "replace");
            match self.job(&mut bus, "StopUnit", "ss", body).await {
                Err(error) if error.to_string().contains("NoSuchUnit") => Ok(()),
                other => other,
            }
        })
        .await
    }

    async fn connect(&self) -> io::Result<Bus> {
        let (bus, private) = &*self.sockets;
        let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", bus.display()));
        match Bus::connect(bus).await {
            Err(error) => Bus::connect_peer(private).await.map_err(|_| named(error)),
            connected => connected,
        }
    }

    /// Calls a method that begins a job, and waits until it is done.
    async fn job(&self, bus: &mut Bus, method: &str, signature: &str, body: Vec<u8>) -> io::Result<()> {
        let rule =
            format!("type='signal',sender='{NAME}',interface='{}',member='{JOB_REMOVED}'", MANAGER.interface);
        bus.listen(&rule).await?;
        bus.call(MANAGER, "Subscribe", "", Vec::new()).await?;
        let begun = bus.call(MANAGER, method, signature, body).await?;
        let job = begun.text(0).ok_or_else(|| io::Error::other(format!("{method} gives no job")))?;
        loop {
            let signal = bus.signal().await?;
            // Its number, its path, its unit, and what came of it.
            if !signal.is_signal(MANAGER.interface, JOB_REMOVED) || signal.text(4).as_deref() != Some(&job) {
                continue;
            }
            let unit = signal.text_after(4);
            let result = unit.and_then(|(_, at)| signal.text_after(at)).map(|(result, _)| result);
            return match result.as_deref() {
                Some("done" | "skipped") => Ok(()),
                other => Err(io::Error::other(format!("{method}: the job's result is {other:?}"))),
            };
        }
    }
}

async fn set(bus: &mut Bus, slice: &str, properties: &[Property]) -> io::Result<()> {
    let mut body = Vec::new();
    put_text(&mut body, slice);
    put_flag(&mut body, true);
    put_properties(&mut body, properties);
    bus.call(MANAGER, "SetUnitProperties", "sba(sv)", body).await.map(drop)
}

async fn within<T>(call: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    tokio::time::timeout(LIMIT, call).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

// === limits as properties ===

fn number(name: &'static str, value: u64) -> Property {
    Property { name, value: Value::Number(value) }
}

/// The weight of shares: systemd has another property for it on cgroup v1.
pub(super) fn weighed(shares: i64, is_unified: bool) -> Property {
    let positive = |number: i64| u64::try_from(number).unwrap_or_default();
    match is_unified {
        true => number("CPUWeight", positive(weight(shares))),
        false => number("CPUShares", positive(shares.clamp(2, 262_144))),
    }
}

fn memory(limit: Option<i64>, is_unified: bool) -> Property {
    let limit = limit.and_then(|limit| u64::try_from(limit).ok()).unwrap_or(INFINITY);
    number(if is_unified { "MemoryMax" } else { "MemoryLimit" }, limit)
}

/// What a pod may have. Huge pages are no property of systemd: nobody but us limits those.
pub(super) fn of_pod(limits: &PodLimits, is_unified: bool) -> Vec<Property> {
    let (period, quota) = limits.cpu_quota.unwrap_or((100_000, -1));
    let per_second = match (u64::try_from(quota), u64::try_from(period)) {
        (Ok(quota), Ok(period)) if period > 0 => {
            quota.saturating_mul(1_000_000).div_ceil(period).next_multiple_of(QUOTA_STEP)
        }
        _ => INFINITY,
    };
    vec![
        weighed(limits.cpu_shares, is_unified),
        number("CPUQuotaPerSecUSec", per_second),
        number("CPUQuotaPeriodUSec", u64::try_from(period).unwrap_or(100_000)),
        memory(limits.memory, is_unified),
        number("TasksMax", limits.pids.and_then(|pids| u64::try_from(pids).ok()).unwrap_or(INFINITY)),
    ]
}

/// What all pods may have together.
pub(super) fn of_all(limits: &TreeLimits, is_unified: bool) -> Vec<Property> {
    let shares = limits.cpu_shares.map(|shares| weighed(shares, is_unified));
    shares.into_iter().chain([memory(limits.memory, is_unified)]).collect()
}

#[cfg(test)]
mod tests;
