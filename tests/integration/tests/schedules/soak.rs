//! Many schedules, as many at a time as there are cores, each in a runtime of its own.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic as tests may")]
#![expect(clippy::print_stdout, reason = "a run of an hour shows how far it is")]

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use anyhow::Context as _;
use chassis::telemetry::{self, LogFormat};
use tokio::runtime::Builder;

use crate::schedule;

/// Schedules between two lines of progress.
const REPORT_EVERY: u64 = 100;
/// Failures that are told in full; a mistake that breaks everything shall not fill the disk.
const TOLD: usize = 20;

/// How many seeds, and from where: `SEEDS` (1,000) and `START` (1,000). `LOG` (as `logging.level` in the configuration) says what is
/// logged meanwhile, to standard error.
#[expect(clippy::disallowed_methods, reason = "the test harness passes no arguments on")]
pub(crate) fn seeds_from_environment() -> anyhow::Result<Range<u64>> {
    if let Some(level) = std::env::var("LOG").ok().filter(|level| !level.is_empty()) {
        telemetry::init(LogFormat::Text, &level)?;
    }
    let number = |name: &str| match std::env::var(name).ok().filter(|value| !value.is_empty()) {
        Some(value) => value.parse::<u64>().with_context(|| format!("{name}={value} is no number")),
        None => Ok(1_000),
    };
    let (start, count) = (number("START")?, number("SEEDS")?);
    Ok(start..start + count)
}

/// Plays a schedule for each seed, and tells of all that failed.
///
/// # Errors
/// One or more did.
pub(crate) fn run(seeds: Range<u64>) -> anyhow::Result<()> {
    let (first, total) = (seeds.start, seeds.end - seeds.start);
    let (next, done) = (AtomicU64::new(first), AtomicU64::new(0));
    let failed: Mutex<Vec<u64>> = Mutex::default();
    let workers = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        return;
                    }
                    if let Err(error) = play(seed) {
                        let mut failed = failed.lock().unwrap();
                        failed.push(seed);
                        if failed.len() <= TOLD {
                            println!("FAILED: seed {seed}: {error:#}\n");
                        }
                    }
                    let done = done.fetch_add(1, Ordering::Relaxed) + 1;
                    if done.is_multiple_of(REPORT_EVERY) {
                        let failed = failed.lock().unwrap().len();
                        println!(
                            "{done} of {total} schedules, {failed} failed, peak memory {}",
                            peak_memory()
                        );
                    }
                }
            });
        }
    });
    let mut failed = failed.into_inner().unwrap();
    failed.sort_unstable();
    println!("{total} schedules from seed {first}: {} failed; peak memory {}", failed.len(), peak_memory());
    anyhow::ensure!(failed.is_empty(), "these seeds failed: {failed:?}");
    Ok(())
}

/// One schedule, in a runtime on a paused clock.
fn play(seed: u64) -> anyhow::Result<()> {
    let runtime = Builder::new_current_thread().enable_all().start_paused(true).build()?;
    let played = catch_unwind(AssertUnwindSafe(|| runtime.block_on(schedule(seed))));
    played.unwrap_or_else(|_| Err(anyhow::anyhow!("it panicked: see above")))
}

/// The most memory that this process ever had, as the kernel counts it.
fn peak_memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    peak.map_or("unknown".to_owned(), |peak| peak.trim().to_owned())
}
