//! How long to wait before trying again: longer each time, and never in step with others.

use std::time::Duration;

use crate::rng::Rng;

/// The shape of a [`Backoff`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BackoffPolicy {
    /// The first delay, before jitter.
    pub initial: Duration,
    /// No delay is longer.
    pub max: Duration,
    /// Each delay is this many times the one before; less than 1 counts as 1.
    pub factor: f64,
    /// The part of each delay that is random, 0 to 1: a delay `d` is spread evenly over `d * (1 - jitter) ..= d`.
    pub jitter: f64,
}

/// Gives the delays between the attempts of one retried operation.
#[derive(Debug, Clone)]
pub struct Backoff {
    policy: BackoffPolicy,
    rng: Rng,
    next: Duration,
}

impl Backoff {
    /// Starts at the policy's initial delay.
    #[must_use]
    pub fn new(policy: BackoffPolicy, rng: Rng) -> Self {
        Self { policy, rng, next: policy.initial.min(policy.max) }
    }

    /// How long to wait before the next attempt.
    pub fn next_delay(&mut self) -> Duration {
        let delay = self.next;
        let grown = delay.as_secs_f64() * self.policy.factor.max(1.0);
        self.next = Duration::try_from_secs_f64(grown).unwrap_or(Duration::MAX).min(self.policy.max);
        let taken = self.rng.range(0.0..self.policy.jitter.clamp(0.0, 1.0));
        delay.mul_f64(1.0 - taken)
    }

    /// An attempt succeeded: the next delay is the initial one again.
    pub fn reset(&mut self) {
        self.next = self.policy.initial.min(self.policy.max);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{ProptestConfig, prop_assert, proptest};

    use super::*;

    /// Conversions between `Duration` and `f64` may be off by this much.
    const ROUNDING: Duration = Duration::from_micros(1);

    #[test]
    fn without_jitter_delays_double_up_to_the_maximum_and_reset_starts_over() {
        let policy = BackoffPolicy {
            initial: Duration::from_secs(1),
            max: Duration::from_secs(5),
            factor: 2.0,
            jitter: 0.0,
        };
        let mut backoff = Backoff::new(policy, Rng::seeded(0));
        let mut delays = || [(); 4].map(|()| backoff.next_delay().as_secs());
        assert_eq!(delays(), [1, 2, 4, 5]);
        assert_eq!(delays(), [5, 5, 5, 5]);
        backoff.reset();
        assert_eq!(backoff.next_delay(), policy.initial);
    }

    #[test]
    fn two_seeds_do_not_wait_in_step() {
        let policy = BackoffPolicy {
            initial: Duration::from_secs(1),
            max: Duration::from_secs(60),
            factor: 2.0,
            jitter: 0.5,
        };
        let first = |seed| Backoff::new(policy, Rng::seeded(seed)).next_delay();
        assert_ne!(first(1), first(2));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn every_delay_is_within_its_jitter_and_under_the_maximum(
            seed: u64, initial_ms in 0u64..100_000, max_ms in 0u64..10_000_000, factor in 0.0f64..10.0, jitter in -1.0f64..2.0,
        ) {
            let policy = BackoffPolicy {
                initial: Duration::from_millis(initial_ms), max: Duration::from_millis(max_ms), factor, jitter,
            };
            let mut backoff = Backoff::new(policy, Rng::seeded(seed));
            let mut whole = policy.initial.min(policy.max);
            for _ in 0..40 {
                let delay = backoff.next_delay();
                let least = whole.mul_f64(1.0 - jitter.clamp(0.0, 1.0));
                prop_assert!(delay <= whole + ROUNDING, "{delay:?} > {whole:?}");
                prop_assert!(delay + ROUNDING >= least, "{delay:?} < {least:?}");
                whole = whole.mul_f64(factor.max(1.0)).min(policy.max);
            }
        }
    }
}
