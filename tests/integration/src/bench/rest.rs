//! What processes use while nothing happens.

use std::time::Duration;

use hollow_edge::process::{Touch, Usage};
use tokio::join;

use super::demo::Demo;

/// A while in which nothing happened.
#[derive(Debug)]
pub(super) struct Rest {
    /// Names, and what each used.
    pub(super) processes: Vec<(&'static str, AtRest)>,
    /// What the machine adds to the CPU time of whoever wakes now and then.
    pub(super) touch: Touch,
}

/// What one process used.
#[derive(Debug, Clone, Copy)]
pub(super) struct AtRest {
    /// Its own memory and its share of what it has in common with others.
    pub(super) pss_mib: f64,
    /// The part of it that is no file.
    pub(super) anon_mib: f64,
    pub(super) cpu_percent: f64,
}

/// Watches these processes for `duration`, all at once.
pub(super) async fn measure(demo: &Demo, names: &[&'static str], duration: Duration) -> anyhow::Result<Rest> {
    let mut before = Vec::new();
    for name in names {
        let pid = demo.pid(name)?;
        before.push((*name, pid, Usage::of(pid)?));
    }
    let ((), touch) = join!(tokio::time::sleep(duration), Touch::after(Touch::BETWEEN_LEASES));
    let used = |(name, pid, before): (&'static str, i32, Usage)| {
        let after = Usage::of(pid)?;
        let cpu_percent = (after.cpu - before.cpu) / duration.as_secs_f64() * 100.0;
        let mib = |kib: u64| kib as f64 / 1024.0;
        anyhow::Ok((name, AtRest { pss_mib: mib(after.pss_kib), anon_mib: mib(after.anon_kib), cpu_percent }))
    };
    Ok(Rest { processes: before.into_iter().map(used).collect::<Result<_, _>>()?, touch })
}
