//! Durations, counted by size: of fixed cost however many there are.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Each power of two is cut into this many parts, so that a value is read back to within 1.6 %.
const PARTS: u64 = 64;
/// Its power of two.
const PART_BITS: u32 = PARTS.trailing_zeros();
/// Up to 2^40 microseconds, which is twelve days.
const SIZES: usize = 35 * PARTS as usize;

/// Counts durations of up to days, to within 1.6 %, in microseconds.
pub struct Histogram {
    counts: Box<[AtomicU64]>,
    max: AtomicU64,
}

/// What a histogram says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    /// How many.
    pub count: u64,
    /// Half of them were no longer.
    pub p50: Duration,
    /// All but one of a hundred were no longer.
    pub p99: Duration,
    /// None was longer.
    pub max: Duration,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: (0..SIZES).map(|_| AtomicU64::new(0)).collect(), max: AtomicU64::new(0) }
    }
}

impl std::fmt::Debug for Histogram {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.summary().fmt(f)
    }
}

impl Histogram {
    /// Counts one.
    pub fn record(&self, duration: Duration) {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        self.counts[size(micros)].fetch_add(1, Ordering::Relaxed);
        self.max.fetch_max(micros, Ordering::Relaxed);
    }

    /// Forgets all.
    pub fn clear(&self) {
        self.counts.iter().for_each(|count| count.store(0, Ordering::Relaxed));
        self.max.store(0, Ordering::Relaxed);
    }

    /// What was counted so far.
    #[must_use]
    pub fn summary(&self) -> Summary {
        let counts: Vec<u64> = self.counts.iter().map(|count| count.load(Ordering::Relaxed)).collect();
        let count = counts.iter().sum();
        let max = self.max.load(Ordering::Relaxed);
        let at = |percent| Duration::from_micros(percentile(&counts, count, percent).min(max));
        Summary { count, p50: at(50), p99: at(99), max: Duration::from_micros(max) }
    }
}

/// The largest value of the size in which `percent` of all values are reached.
fn percentile(counts: &[u64], total: u64, percent: u64) -> u64 {
    let rank = (total * percent).div_ceil(100).max(1);
    let mut passed = 0;
    for (size, count) in counts.iter().enumerate() {
        passed += count;
        if passed >= rank {
            return largest(size as u64);
        }
    }
    0
}

fn size(micros: u64) -> usize {
    let shift = (u64::BITS - micros.leading_zeros()).saturating_sub(PART_BITS + 1);
    let size = u64::from(shift) * PARTS + (micros >> shift);
    usize::try_from(size).unwrap_or(usize::MAX).min(SIZES - 1)
}

fn largest(size: u64) -> u64 {
    if size < 2 * PARTS {
        return size;
    }
    let shift = size / PARTS - 1;
    ((size - shift * PARTS + 1) << shift) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_read_back_to_within_its_part() {
        for micros in
            [0, 1, 63, 64, 127, 128, 129, 255, 256, 1_000, 65_535, 1_000_000, 30_000_000, 3_600_000_000]
        {
            let found = largest(size(micros) as u64);
            assert!(found >= micros && found <= micros + micros / PARTS + 1, "{micros} is read as {found}");
        }
        assert_eq!(size(u64::MAX), SIZES - 1);
    }

    #[test]
    fn percentiles_of_a_hundred() {
        let histogram = Histogram::default();
        (1..=100).for_each(|ms| histogram.record(Duration::from_millis(ms)));
        let Summary { count, p50, p99, max } = histogram.summary();
        assert_eq!((count, max), (100, Duration::from_millis(100)));
        assert!((50..=51).contains(&p50.as_millis()), "{p50:?}");
        assert!((99..=100).contains(&p99.as_millis()), "{p99:?}");
        histogram.clear();
        assert_eq!(histogram.summary(), Summary::default());
    }
}
