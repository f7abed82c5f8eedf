//! Memory and CPU of processes, from `/proc` (proc(5)).

use std::time::Duration;

use anyhow::Context as _;
use nix::unistd::{SysconfVar, sysconf};

use super::demo::Demo;

/// What one process used while nothing happened.
#[derive(Debug, Clone, Copy)]
pub(super) struct Usage {
    /// Its own memory and its share of what it has in common with others.
    pub(super) pss_mib: f64,
    pub(super) cpu_percent: f64,
}

/// Watches these processes for `duration`, all at once.
pub(super) async fn at_rest(
    demo: &Demo,
    names: &[&'static str],
    duration: Duration,
) -> anyhow::Result<Vec<(&'static str, Usage)>> {
    let mut before = Vec::new();
    for name in names {
        let pid = demo.pid(name)?;
        before.push((*name, pid, cpu_ticks(pid)?));
    }
    tokio::time::sleep(duration).await;
    let ticks_per_second = sysconf(SysconfVar::CLK_TCK)?.unwrap_or(100) as f64;
    let usage = |(name, pid, ticks): (&'static str, i32, u64)| {
        let used = (cpu_ticks(pid)? - ticks) as f64 / ticks_per_second;
        let cpu_percent = used / duration.as_secs_f64() * 100.0;
        anyhow::Ok((name, Usage { pss_mib: pss_kib(pid)? as f64 / 1024.0, cpu_percent }))
    };
    before.into_iter().map(usage).collect()
}

fn pss_kib(pid: i32) -> anyhow::Result<u64> {
    let path = format!("/proc/{pid}/smaps_rollup");
    let text = std::fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
    parse_pss(&text).with_context(|| format!("{path} has no Pss"))
}

fn parse_pss(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

fn cpu_ticks(pid: i32) -> anyhow::Result<u64> {
    let path = format!("/proc/{pid}/stat");
    let text = std::fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
    parse_ticks(&text).with_context(|| format!("{path} has no times"))
}

/// Fields 14 and 15, user and system time. The second field, the name, may hold blanks and parentheses.
fn parse_ticks(text: &str) -> Option<u64> {
    let (_, behind_name) = text.rsplit_once(')')?;
    let mut fields = behind_name.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_the_proportional_share() {
        assert_eq!(parse_pss("Rss:  9000 kB\nPss:                8123 kB\nPss_Anon: 1 kB\n"), Some(8123));
        assert_eq!(parse_pss("Rss: 1 kB\n"), None);
    }

    #[test]
    fn times_are_found_behind_any_name() {
        let line = "1234 (a (b) c) S 1 1 1 0 -1 4194560 100 0 0 0 17 25 0 0 20 0 3 0 100 1 1";
        assert_eq!(parse_ticks(line), Some(42));
        assert_eq!(parse_ticks("nonsense"), None);
    }

    #[test]
    fn this_process_can_be_measured() {
        let pid = std::process::id() as i32;
        assert!(pss_kib(pid).unwrap() > 0);
        cpu_ticks(pid).unwrap();
    }
}
