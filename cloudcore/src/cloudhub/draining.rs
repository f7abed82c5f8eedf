//! The end of the hub where there are others: its nodes are asked to go there, at a pace that the others can take.

use std::time::Duration;

use tokio::time::{Interval, MissedTickBehavior, interval};

/// At this many a second nodes go, or faster where there is less time: a few nodes do not take long.
const LEAST: usize = 200;
/// They go in steps of this.
const STEP: Duration = Duration::from_millis(50);

/// How fast.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rate {
    /// So many in each [`STEP`].
    pub(super) at_once: usize,
}

impl Rate {
    /// For so many nodes, all of which are to be told in so much time.
    pub(super) fn new(nodes: usize, within: Duration) -> Self {
        let steps = usize::try_from(within.as_millis() / STEP.as_millis()).unwrap_or(usize::MAX).max(1);
        let least = LEAST * usize::try_from(STEP.as_millis()).unwrap_or(1) / 1000;
        Self { at_once: nodes.div_ceil(steps).max(least) }
    }

    pub(super) fn steps() -> Interval {
        let mut steps = interval(STEP);
        steps.set_missed_tick_behavior(MissedTickBehavior::Delay);
        steps
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_are_told_in_time_and_few_are_told_soon() {
        for (nodes, seconds, at_once) in
            [(0, 10, 10), (200, 10, 10), (2000, 10, 10), (10_000, 10, 50), (10_001, 10, 51), (500, 0, 500)]
        {
            let rate = Rate::new(nodes, Duration::from_secs(seconds));
            assert_eq!(rate, Rate { at_once }, "{nodes} nodes in {seconds} s");
        }
    }
}
