//! `/metrics`: what EdgeCore counts of itself, what its process uses, and how many pods and containers there are.

use std::collections::BTreeMap;
use std::path::Path;

use super::prometheus::Page;
use crate::edged::metrics::Metrics;
use crate::edged::runtime::{ContainerRecord, ContainerState, SandboxRecord};

/// Bytes of a page of memory, in which `/proc/<pid>/statm` counts. Where pages are larger (some ARM kernels), the value is
/// read from `/proc/<pid>/status` instead, in which the kernel says kB.
const STATUS_RSS: &str = "VmRSS:";

/// The part that no registry has.
pub(super) fn own(sandboxes: &[SandboxRecord], containers: &[ContainerRecord], process: &Process) -> String {
    let mut page = Page::default();
    page.metric("kubelet_running_pods", "gauge", "Number of pods that have a running pod sandbox");
    page.value(&[], Some(sandboxes.iter().filter(|sandbox| sandbox.ready).count()), None);
    page.metric("kubelet_running_containers", "gauge", "Number of containers currently there, by state");
    let mut states: BTreeMap<&str, usize> = BTreeMap::new();
    for container in containers {
        *states.entry(state(container.state)).or_default() += 1;
    }
    for (state, count) in states {
        page.value(&[("container_state", state)], Some(count), None);
    }
    page.metric("process_resident_memory_bytes", "gauge", "Resident memory size in bytes.");
    page.value(&[], process.resident, None);
    page.metric("process_open_fds", "gauge", "Number of open file descriptors.");
    page.value(&[], process.open_files, None);
    page.metric("process_cpu_seconds_total", "counter", "Total user and system CPU time spent in seconds.");
    page.value(&[], process.cpu_ticks.map(|ticks| ticks as f64 / 100.0), None);
    page.finish()
}

/// What no registry can name as kubelet does: counters without `_total`.
pub(super) fn counted(metrics: &Metrics) -> String {
    let mut page = Page::default();
    page.metric("kubelet_evictions", "counter", "Cumulative number of pod evictions by eviction signal");
    for (signal, count) in metrics.evictions() {
        page.value(&[("eviction_signal", signal)], Some(count), None);
    }
    let help = "Cumulative number of pod preemptions by preemption resource";
    page.metric("kubelet_preemptions", "counter", help);
    for (resource, count) in metrics.preemptions() {
        page.value(&[("preemption_signal", &resource)], Some(count), None);
    }
    page.finish()
}

/// This process.
#[derive(Debug, Default)]
pub(super) struct Process {
    resident: Option<u64>,
    open_files: Option<usize>,
    /// Of 1/100 s.
    cpu_ticks: Option<u64>,
}

impl Process {
    /// Reads `/proc/self` (or what stands for it in tests). Blocks.
    pub(super) fn read(folder: &Path) -> Self {
        let text = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap_or_default();
        let resident = text("status").lines().find_map(|line| {
            let kibibytes =
                line.strip_prefix(STATUS_RSS)?.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?;
            Some(kibibytes << 10)
        });
        // After the name, which is in brackets and may hold anything: field 3 on; 14 and 15 are user and system time.
        let stat = text("stat");
        let fields: Vec<&str> =
            stat.rsplit_once(')').map(|(_, rest)| rest.split_whitespace().collect()).unwrap_or_default();
        let field = |number: usize| fields.get(number - 3).and_then(|field| field.parse::<u64>().ok());
        Self {
            resident,
            open_files: std::fs::read_dir(folder.join("fd")).ok().map(Iterator::count),
            cpu_ticks: field(14).zip(field(15)).map(|(user, system)| user + system),
        }
    }
}

fn state(state: ContainerState) -> &'static str {
    match state {
        ContainerState::Created => "created",
        ContainerState::Running => "running",
        ContainerState::Exited => "exited",
        ContainerState::Unknown => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_process_is_counted() {
        let process = Process::read(Path::new("/proc/self"));
        assert!(process.resident.unwrap() > 1 << 20 && process.open_files.unwrap() > 2);
        assert!(process.cpu_ticks.is_some());
        let page = own(&[], &[], &process);
        assert!(page.contains("kubelet_running_pods 0\n"), "{page}");
    }
}
