//! Memory and CPU of processes from `/proc` (proc(5)), what the machine is, what its memory costs, and how many files this
//! process may have open.

use std::fmt;
use std::hint::black_box;
use std::time::Duration;

use anyhow::Context as _;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::{SysconfVar, sysconf};
use tokio::time::Instant;

/// Files that this process has open beside its nodes' sockets.
const OTHER_FILES: u64 = 128;

/// Memory that is touched to see what that costs: 16 MiB, so that one page more or less makes no difference.
const TOUCHED_PAGES: usize = 4096;
const PAGE: usize = 4096;

/// What a process has used at one moment.
#[derive(Debug, Clone, Copy, Default)]
pub struct Usage {
    /// Its own memory and its share of what it has in common with others, in KiB.
    pub pss_kib: u64,
    /// The part of it that is no file: heap and stacks.
    pub anon_kib: u64,
    /// CPU seconds since its start.
    pub cpu: f64,
    /// Threads.
    pub threads: u64,
}

impl Usage {
    /// Looks at a process.
    ///
    /// # Errors
    /// When it is gone, or another user's.
    pub fn of(pid: i32) -> anyhow::Result<Self> {
        let read = |file: &str| {
            let path = format!("/proc/{pid}/{file}");
            std::fs::read_to_string(&path).with_context(|| format!("read {path}"))
        };
        let memory = read("smaps_rollup")?;
        let (ticks, threads) = parse_stat(&read("stat")?).context("an unreadable stat")?;
        let ticks_per_second = sysconf(SysconfVar::CLK_TCK)?.unwrap_or(100) as f64;
        Ok(Self {
            pss_kib: field(&memory, "Pss:").context("no Pss")?,
            anon_kib: field(&memory, "Anonymous:").context("no Anonymous")?,
            cpu: ticks as f64 / ticks_per_second,
            threads,
        })
    }
}

/// What it costs to reach for a page of memory. A virtual machine whose host takes back what is not in use pays for every
/// page that has rested, and shows that as CPU time of the process: where the two differ much, figures of processes
/// that rest most of the time say more of the machine than of them.
#[derive(Debug, Clone, Copy)]
pub struct Touch {
    /// A page that was in use just before.
    pub in_use: Duration,
    /// A page that nobody has touched for a while.
    pub rested: Duration,
}

impl Touch {
    /// The time between two leases of a node, in which most of what belongs to it is not touched.
    pub const BETWEEN_LEASES: Duration = Duration::from_secs(10);

    /// Lets memory rest for so long.
    pub async fn after(rest: Duration) -> Self {
        let mut memory = vec![1_u8; TOUCHED_PAGES * PAGE];
        touch(&mut memory);
        let in_use = touch(&mut memory);
        tokio::time::sleep(rest).await;
        Self { in_use, rested: touch(&mut memory) }
    }
}

impl fmt::Display for Touch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let us = |time: Duration| time.as_secs_f64() * 1e6;
        write!(f, "{:.2} µs ({:.2} µs in use)", us(self.rested), us(self.in_use))
    }
}

/// Writes to every page; how long that takes for one of them.
fn touch(memory: &mut [u8]) -> Duration {
    let start = Instant::now();
    for byte in memory.iter_mut().step_by(PAGE) {
        *byte = black_box(byte.wrapping_add(1));
    }
    black_box(&memory);
    start.elapsed() / u32::try_from(TOUCHED_PAGES).unwrap_or(u32::MAX)
}

/// The machine, as far as figures depend on it. What cannot be read is left empty.
#[derive(Debug, Clone, Default)]
pub struct Machine {
    cores: usize,
    processor: String,
    memory_kib: u64,
    kernel: String,
}

impl Machine {
    /// This one.
    #[must_use]
    pub fn this() -> Self {
        let read = |file: &str| std::fs::read_to_string(file).unwrap_or_default();
        Self::parse(&read("/proc/cpuinfo"), &read("/proc/meminfo"), &read("/proc/sys/kernel/osrelease"))
    }

    fn parse(cpuinfo: &str, meminfo: &str, osrelease: &str) -> Self {
        let models = cpuinfo.lines().filter_map(|line| line.strip_prefix("model name")?.split_once(':'));
        let mut models = models.map(|(_, model)| model.trim());
        Self {
            processor: models.next().unwrap_or("unknown").to_owned(),
            cores: models.count() + 1,
            memory_kib: field(meminfo, "MemTotal:").unwrap_or_default(),
            kernel: osrelease.trim().to_owned(),
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cores, processor, memory_kib, kernel } = self;
        let gib = *memory_kib as f64 / (1024.0 * 1024.0);
        write!(f, "{cores} cores of {processor}, {gib:.0} GiB, Linux {kernel}")
    }
}

fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

/// Fields 14 and 15 (user and system time) and 20 (threads). The second field, the name, may hold anything.
fn parse_stat(text: &str) -> Option<(u64, u64)> {
    let (_, behind_name) = text.rsplit_once(')')?;
    let fields: Vec<&str> = behind_name.split_whitespace().collect();
    let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
    Some((number(11)? + number(12)?, number(17)?))
}

/// Lets this process have so many sockets.
///
/// # Errors
/// When the system does not allow it.
pub fn allow_sockets(sockets: usize) -> anyhow::Result<()> {
    let wanted = sockets as u64 + OTHER_FILES;
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if soft >= wanted {
        return Ok(());
    }
    setrlimit(Resource::RLIMIT_NOFILE, wanted, hard.max(wanted)).with_context(|| {
        format!(
            "the nodes need {wanted} open files and {hard} are allowed; raise `ulimit -Hn` or start as root"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_found_by_name() {
        let text = "Rss:  9000 kB\nPss:                8123 kB\nAnonymous:         77 kB\n";
        assert_eq!((field(text, "Pss:"), field(text, "Anonymous:")), (Some(8123), Some(77)));
        assert_eq!(field("Pss: many\n", "Pss:"), None);
    }

    #[test]
    fn times_and_threads_are_found_behind_any_name() {
        let line = "1234 (a (b) c) S 1 1 1 0 -1 4194560 100 0 0 0 17 25 0 0 20 0 3 0 100 1 1";
        assert_eq!(parse_stat(line), Some((42, 3)));
        assert_eq!(parse_stat("nonsense"), None);
    }

    #[test]
    fn a_machine_is_described_in_a_line() {
        let cpuinfo = "processor\t: 0\nmodel name\t: Fast One\nprocessor\t: 1\nmodel name\t: Fast One\n";
        let machine = Machine::parse(cpuinfo, "MemTotal:       25165824 kB\n", "6.18.0\n");
        assert_eq!(machine.to_string(), "2 cores of Fast One, 24 GiB, Linux 6.18.0");
    }

    #[test]
    fn this_process_can_be_measured() {
        let usage = Usage::of(std::process::id() as i32).unwrap();
        assert!(usage.pss_kib > 0 && usage.threads > 0);
    }
}
