//! Whether there is too little of something, and of what to gain some first. Pure: readings and time come in.
//!
//! <https://kubernetes.io/docs/concepts/scheduling-eviction/node-pressure-eviction/>

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;

use super::thresholds::{Pressure, Signal, Threshold};
use crate::edged::upkeep::gauges::Level;

/// How much there is of everything; what could not be read is not in it, and nothing follows from that.
pub type Readings = BTreeMap<Signal, Level>;

/// The node's pressure conditions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pressures {
    /// `MemoryPressure`
    pub memory: bool,
    /// `DiskPressure`
    pub disk: bool,
    /// `PIDPressure`
    pub pids: bool,
}

/// Too little of something: act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shortage {
    /// Of what.
    pub signal: Signal,
    /// So much should be left.
    pub threshold: u64,
    /// So much is.
    pub available: u64,
    /// Pods get no time of their own to end.
    pub is_hard: bool,
}

/// What follows from the readings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// For the node's status.
    pub pressures: Pressures,
    /// What to act upon first.
    pub shortage: Option<Shortage>,
}

/// Remembers what was too little, and since when. Lost at a restart, as in kubelet: periods then begin anew.
#[derive(Debug, Clone)]
pub struct Judge {
    thresholds: Vec<Threshold>,
    /// `evictionPressureTransitionPeriod`
    hold: Duration,
    /// Since when each threshold (by its place) has been passed.
    since: BTreeMap<usize, Instant>,
    /// Thresholds that were acted upon: they are passed until the minimum was reclaimed, too.
    acted: BTreeSet<usize>,
    last_seen: BTreeMap<Pressure, Instant>,
}

// === impl Judge ===

impl Judge {
    /// Nothing was seen yet.
    pub fn new(thresholds: Vec<Threshold>, hold: Duration) -> Self {
        Self { thresholds, hold, since: BTreeMap::new(), acted: BTreeSet::new(), last_seen: BTreeMap::new() }
    }

    /// Takes in new readings.
    pub fn look(&mut self, readings: &Readings, now: Instant) -> Verdict {
        let mut passed: BTreeMap<usize, Shortage> = BTreeMap::new();
        for (place, threshold) in self.thresholds.iter().enumerate() {
            let reading = readings.get(&threshold.signal);
            passed.extend(reading.and_then(|level| self.passed(place, *level)).map(|short| (place, short)));
        }
        self.since.retain(|place, _| passed.contains_key(place));
        for (place, shortage) in &passed {
            self.since.entry(*place).or_insert(now);
            self.last_seen.insert(shortage.signal.pressure(), now);
        }
        let is_due = |place: &usize| {
            let grace = self.thresholds[*place].grace.unwrap_or_default();
            now.saturating_duration_since(self.since[place]) >= grace
        };
        let due: BTreeMap<usize, Shortage> = passed.into_iter().filter(|(place, _)| is_due(place)).collect();
        self.acted = due.keys().copied().collect();
        // The most urgent first, and of its two thresholds the hard one.
        let shortage = due.into_values().min_by_key(|shortage| (shortage.signal, !shortage.is_hard));
        Verdict { pressures: self.pressures(now), shortage }
    }

    /// Is there still too little, now that something was done? Remembers nothing.
    pub fn is_short(&self, signal: Signal, readings: &Readings) -> bool {
        let Some(level) = readings.get(&signal) else { return false };
        let mut acted = self.acted.iter().filter(|place| self.thresholds[**place].signal == signal);
        acted.any(|place| self.passed(*place, *level).is_some())
    }

    fn passed(&self, place: usize, level: Level) -> Option<Shortage> {
        // A file system without a number of inodes does not run out of them.
        if level.capacity == 0 {
            return None;
        }
        let Threshold { signal, quantity, grace, minimum_reclaim } = self.thresholds[place];
        let threshold = quantity.of(level.capacity);
        let reclaim = if self.acted.contains(&place) { minimum_reclaim.of(level.capacity) } else { 0 };
        (level.available < threshold.saturating_add(reclaim)).then_some(Shortage {
            signal,
            threshold,
            available: level.available,
            is_hard: grace.is_none(),
        })
    }

    fn pressures(&self, now: Instant) -> Pressures {
        let lately = |pressure: Pressure| {
            let seen = self.last_seen.get(&pressure);
            seen.is_some_and(|seen| *seen == now || now.saturating_duration_since(*seen) < self.hold)
        };
        Pressures {
            memory: lately(Pressure::Memory),
            disk: lately(Pressure::Disk),
            pids: lately(Pressure::Pids),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::edged::node::Threshold as Quantity;
    use crate::edged::resources::Amount;

    const HOLD: Duration = Duration::from_secs(300);
    const SIGNALS: [Signal; 3] = [Signal::Memory, Signal::Nodefs, Signal::Pids];

    fn threshold(signal: Signal, amount: i64, grace: Option<u64>, reclaim: i64) -> Threshold {
        Threshold {
            signal,
            quantity: Quantity::Amount(Amount::whole(amount)),
            grace: grace.map(Duration::from_secs),
            minimum_reclaim: Quantity::Amount(Amount::whole(reclaim)),
        }
    }

    fn left(of: &[(Signal, u64)]) -> Readings {
        of.iter()
            .map(|(signal, available)| (*signal, Level { capacity: 1000, available: *available }))
            .collect()
    }

    fn at(start: Instant, seconds: u64) -> Instant {
        start + Duration::from_secs(seconds)
    }

    #[test]
    fn pressure_comes_at_once_and_goes_late() {
        let start = Instant::now();
        let mut judge = Judge::new(vec![threshold(Signal::Memory, 100, None, 0)], HOLD);
        let mut look =
            |second, available| judge.look(&left(&[(Signal::Memory, available)]), at(start, second));
        let verdict = look(0, 99);
        assert!(verdict.pressures.memory && !verdict.pressures.disk);
        let shortage = verdict.shortage.unwrap();
        assert_eq!((shortage.threshold, shortage.available, shortage.is_hard), (100, 99, true));
        let verdict = look(10, 100);
        assert!(
            verdict.pressures.memory && verdict.shortage.is_none(),
            "the condition outlives the shortage"
        );
        assert!(look(299, 500).pressures.memory);
        assert!(!look(300, 500).pressures.memory);
    }

    #[test]
    fn a_soft_threshold_waits_and_is_a_condition_meanwhile() {
        let start = Instant::now();
        let mut judge = Judge::new(vec![threshold(Signal::Nodefs, 100, Some(60), 0)], HOLD);
        let mut look =
            |second, available| judge.look(&left(&[(Signal::Nodefs, available)]), at(start, second));
        assert!(look(0, 50).pressures.disk);
        assert_eq!(look(30, 150).shortage, None, "it was enough in between, so the period begins anew");
        assert_eq!(look(40, 50).shortage, None);
        assert_eq!(look(99, 50).shortage, None);
        assert_eq!(look(100, 50).shortage.map(|shortage| shortage.is_hard), Some(false));
    }

    #[test]
    fn what_was_acted_upon_has_to_reclaim_the_minimum() {
        let start = Instant::now();
        let mut judge = Judge::new(vec![threshold(Signal::Memory, 100, None, 50)], HOLD);
        let mut look =
            |available| judge.look(&left(&[(Signal::Memory, available)]), start).shortage.is_some();
        assert!(!look(120));
        assert!(look(99));
        assert!(look(149));
        assert!(!look(150));
        assert!(!look(120));
    }

    #[test]
    fn memory_comes_first_and_what_cannot_be_read_is_no_shortage() {
        let thresholds =
            [Signal::Pids, Signal::Nodefs, Signal::Memory].map(|signal| threshold(signal, 100, None, 0));
        let mut judge = Judge::new(thresholds.to_vec(), HOLD);
        let all = left(&[(Signal::Memory, 1), (Signal::Nodefs, 1), (Signal::Pids, 1)]);
        assert_eq!(judge.look(&all, Instant::now()).shortage.unwrap().signal, Signal::Memory);
        let verdict = judge.look(&left(&[(Signal::Pids, 1)]), Instant::now());
        assert_eq!(verdict.shortage.unwrap().signal, Signal::Pids);
        assert_eq!(judge.look(&Readings::new(), Instant::now()).shortage, None);
        let no_inodes = [(Signal::Nodefs, Level::default())].into();
        assert_eq!(judge.look(&no_inodes, Instant::now()).shortage, None);
    }

    proptest! {
        #[test]
        fn nothing_is_done_without_a_reason_and_no_reason_is_overlooked(
            thresholds in proptest::collection::vec(
                (0usize..3, 1i64..900, proptest::option::of(0u64..120), 0i64..100), 0..6),
            rounds in proptest::collection::vec(proptest::collection::vec(0u64..1000, 3), 1..20),
        ) {
            let thresholds: Vec<Threshold> = thresholds.into_iter()
                .map(|(signal, amount, grace, reclaim)| threshold(SIGNALS[signal], amount, grace, reclaim)).collect();
            let mut judge = Judge::new(thresholds.clone(), HOLD);
            let start = Instant::now();
            let mut before = Pressures::default();
            for (round, available) in rounds.iter().enumerate() {
                let readings = left(&SIGNALS.into_iter().zip(available.iter().copied()).collect::<Vec<_>>());
                let verdict = judge.look(&readings, at(start, round as u64 * 10));
                let below = |threshold: &Threshold, reclaim: u64|
                    readings[&threshold.signal].available < threshold.quantity.of(1000) + reclaim;
                if let Some(shortage) = verdict.shortage {
                    let mut mine = thresholds.iter().filter(|threshold| threshold.signal == shortage.signal);
                    prop_assert!(mine.any(|threshold| below(threshold, threshold.minimum_reclaim.of(1000))));
                    prop_assert!(judge.is_short(shortage.signal, &readings));
                }
                let hard = thresholds.iter().find(|threshold| threshold.grace.is_none() && below(threshold, 0));
                if let Some(hard) = hard {
                    let acted = verdict.shortage.map(|shortage| shortage.signal);
                    prop_assert!(acted.is_some_and(|signal| signal <= hard.signal), "overlooked: {hard:?}");
                }
                let is_under = |pressure| thresholds.iter().any(|one| one.signal.pressure() == pressure && below(one, 0));
                prop_assert!(!is_under(Pressure::Memory) || verdict.pressures.memory);
                prop_assert!(!is_under(Pressure::Disk) || verdict.pressures.disk);
                // Twenty rounds of ten seconds are less than the period for which a condition stays.
                prop_assert!(!before.memory || verdict.pressures.memory);
                prop_assert!(!before.pids || verdict.pressures.pids);
                before = verdict.pressures;
            }
        }
    }
}
