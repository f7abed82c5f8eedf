//! When the properties of a device are read, as a pure state.
//!
//! A property is read every `collectCycle` for the cloud, and every `reportCycle` for where else it is pushed; what is due at
//! the same time is read once. A cycle that was missed (a slow device) is left out, not caught up with.

use std::time::Duration;

use tokio::time::Instant;

use crate::device::Property;

/// What is due of a property.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Due {
    /// Its place among the properties of the device.
    pub(crate) property: usize,
    /// For the cloud.
    pub(crate) collect: bool,
    /// For where it is pushed.
    pub(crate) push: bool,
}

/// The cycles of all properties of a device.
#[derive(Debug, Clone, Default)]
pub(crate) struct Schedule {
    beats: Vec<(Option<Beat>, Option<Beat>)>,
    next: Option<Instant>,
}

#[derive(Debug, Clone, Copy)]
struct Beat {
    cycle: Duration,
    next: Instant,
}

impl Beat {
    fn new(cycle: Duration, now: Instant) -> Self {
        Self { cycle, next: now }
    }

    /// Whether it is due; then it is next due in the future.
    fn take(&mut self, now: Instant) -> bool {
        if self.next > now {
            return false;
        }
        let late = now - self.next;
        let missed = late.as_nanos() / self.cycle.as_nanos().max(1);
        let steps = u32::try_from(missed + 1).unwrap_or(u32::MAX);
        self.next = self.next.checked_add(self.cycle.saturating_mul(steps)).unwrap_or(now + self.cycle);
        // Only where a cycle is so short, or so long ago, that the steps do not fit.
        if self.next <= now {
            self.next = now + self.cycle;
        }
        true
    }
}

impl Schedule {
    /// Everything is due at once, and then by its cycle.
    pub(crate) fn new(properties: &[Property], now: Instant) -> Self {
        let cycles = properties.iter().map(|property| (property.collected(), property.pushed()));
        Self::of(cycles, now)
    }

    fn of(cycles: impl Iterator<Item = (Option<Duration>, Option<Duration>)>, now: Instant) -> Self {
        let beat = |cycle: Duration| Beat::new(cycle, now);
        let beats: Vec<_> = cycles.map(|(collect, push)| (collect.map(beat), push.map(beat))).collect();
        let mut schedule = Self { beats, next: None };
        schedule.look();
        schedule
    }

    /// When something is due.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.next
    }

    /// What is due.
    pub(crate) fn due(&mut self, now: Instant) -> Vec<Due> {
        let mut due = Vec::new();
        for (property, (collect, push)) in self.beats.iter_mut().enumerate() {
            let collect = collect.as_mut().is_some_and(|beat| beat.take(now));
            let push = push.as_mut().is_some_and(|beat| beat.take(now));
            if collect || push {
                due.push(Due { property, collect, push });
            }
        }
        self.look();
        due
    }

    fn look(&mut self) {
        let beats = self.beats.iter().flat_map(|(collect, push)| [collect, push]);
        self.next = beats.flatten().map(|beat| beat.next).min();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    #[tokio::test(start_paused = true)]
    async fn what_is_due_together_is_read_once() {
        let start = Instant::now();
        let mut schedule = Schedule::of(
            [(Some(MS(100)), Some(MS(200))), (None, None), (Some(MS(300)), None)].into_iter(),
            start,
        );
        let both = Due { property: 0, collect: true, push: true };
        let collect = |property| Due { property, collect: true, push: false };
        assert_eq!(schedule.due(start), [both, collect(2)]);
        assert_eq!(schedule.next(), Some(start + MS(100)));
        assert_eq!(schedule.due(start + MS(100)), [collect(0)]);
        assert_eq!(schedule.due(start + MS(150)), []);
        assert_eq!(schedule.due(start + MS(200)), [both]);
        assert_eq!(schedule.due(start + MS(300)), [collect(0), collect(2)]);
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_caught_up_with() {
        let start = Instant::now();
        let mut schedule = Schedule::of([(Some(MS(100)), None)].into_iter(), start);
        assert_eq!(schedule.due(start).len(), 1);
        assert_eq!(schedule.due(start + MS(1050)).len(), 1);
        assert_eq!(schedule.next(), Some(start + MS(1100)));
        assert_eq!(Schedule::default().next(), None);
    }

    proptest! {
        #[test]
        fn a_property_is_read_once_a_cycle_and_in_step(
            cycle in 1u64..10_000, steps in prop::collection::vec(0u64..5_000, 1..100),
        ) {
            let start = Instant::now();
            let mut schedule = Schedule::of([(Some(MS(cycle)), None)].into_iter(), start);
            let (mut now, mut read) = (start, std::collections::BTreeSet::new());
            for step in steps {
                now += MS(step);
                let is_due = !schedule.due(now).is_empty();
                let turn = (now - start).as_millis() / u128::from(cycle);
                // It is due exactly when its cycle has not been read yet.
                prop_assert_eq!(is_due, read.insert(turn));
                let next = schedule.next().unwrap();
                prop_assert!(next > now && next <= now + MS(cycle));
                prop_assert_eq!((next - start).as_millis() % u128::from(cycle), 0);
            }
        }
    }
}
