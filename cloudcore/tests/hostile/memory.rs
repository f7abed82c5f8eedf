//! What this process takes of the machine.

use tokio::sync::{Mutex, MutexGuard};

/// Tests of one process share its memory, so they take turns.
static TURN: Mutex<()> = Mutex::const_new(());

/// Waits until no other test runs.
pub(crate) async fn alone() -> MutexGuard<'static, ()> {
    TURN.lock().await
}

/// In KiB: what is in RAM, and what was asked for, used or not.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Memory {
    pub(crate) resident: u64,
    pub(crate) data: u64,
}

impl Memory {
    pub(crate) fn now() -> Self {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let value = |key: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap();
            line.trim_start_matches(':').trim().trim_end_matches(" kB").parse().unwrap()
        };
        Self { resident: value("VmRSS"), data: value("VmData") }
    }

    /// How much more than `before`, in MiB.
    pub(crate) fn grown_since(self, before: Self) -> (u64, u64) {
        let mib = |now: u64, then: u64| now.saturating_sub(then) / 1024;
        (mib(self.resident, before.resident), mib(self.data, before.data))
    }
}
