//! A round: what happens to which replica, and for how long, all from one number.

use std::fmt;
use std::time::Duration;

use chassis::rng::Rng;

/// So that no other test with the same seed draws the same numbers.
const OWN: u64 = 0x9e71_1ca5;
/// Things that happen in a round.
const STEPS: usize = 4;

/// What happens to a replica. One at a time: of three there are always two that can be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// SIGKILL, and started again after that time.
    Kill,
    /// SIGSTOP for that time.
    Pause,
    /// Nodes cannot reach it for that time, and do not hear of it.
    Cut,
    /// SIGTERM to each, one after the other, and started again.
    Roll,
}

/// One of them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Step {
    pub(crate) trouble: Trouble,
    pub(crate) victim: usize,
    pub(crate) lasts: Duration,
    /// Before the next one.
    pub(crate) rest: Duration,
}

/// A round.
#[derive(Debug)]
pub(crate) struct Plan {
    seed: u64,
    pub(crate) steps: Vec<Step>,
}

impl Plan {
    pub(crate) fn from_seed(seed: u64) -> Self {
        let rng = Rng::seeded(seed ^ OWN);
        let seconds = |range| Duration::from_secs_f64(rng.range(range));
        let step = |_| {
            let trouble = match rng.below(10) {
                0..3 => Trouble::Kill,
                3..6 => Trouble::Pause,
                6..9 => Trouble::Cut,
                _ => Trouble::Roll,
            };
            // Some are over before anybody has noticed, some outlast every lease.
            let lasts = if rng.below(3) == 0 { seconds(10.0..16.0) } else { seconds(0.1..5.0) };
            Step { trouble, victim: rng.below(3), lasts, rest: seconds(0.2..3.0) }
        };
        Self { seed, steps: (0..STEPS).map(step).collect() }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}:", self.seed)?;
        for Step { trouble, victim, lasts, rest } in &self.steps {
            writeln!(f, "  {trouble:?} replica {} for {lasts:.1?}, then {rest:.1?} of rest", victim + 1)?;
        }
        Ok(())
    }
}
