//! Token bucket for messages to the cloud (`messageQPS`, `messageBurst`).

use std::time::Duration;

use tokio::time::Instant;

/// Gives `burst` at once and then `qps` per second. Pure: the time is an argument.
#[derive(Debug, Clone)]
pub(super) struct Throttle {
    interval: Duration,
    burst: Duration,
    /// When the bucket would be full again, counted as if every message took `interval`.
    full_at: Instant,
}

impl Throttle {
    /// `qps` 0 is no limit.
    pub(super) fn new(qps: u32, burst: u32, now: Instant) -> Self {
        let interval = if qps == 0 { Duration::ZERO } else { Duration::from_secs(1) / qps };
        Self { interval, burst: interval * burst.max(1), full_at: now }
    }

    /// Takes one token; gives how long to wait before using it.
    pub(super) fn take(&mut self, now: Instant) -> Duration {
        self.full_at = self.full_at.max(now) + self.interval;
        (self.full_at - now).saturating_sub(self.burst)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;
    use tokio::time::Instant;

    use super::Throttle;

    #[test]
    fn a_burst_goes_at_once_and_the_rest_at_the_rate() {
        let now = Instant::now();
        let mut throttle = Throttle::new(10, 3, now);
        let waits: Vec<_> = (0..5).map(|_| throttle.take(now)).collect();
        let ms = Duration::from_millis;
        assert_eq!(waits, [ms(0), ms(0), ms(0), ms(100), ms(200)]);
    }

    #[test]
    fn zero_is_no_limit() {
        let now = Instant::now();
        let mut throttle = Throttle::new(0, 0, now);
        assert!((0..1000).all(|_| throttle.take(now).is_zero()));
    }

    proptest! {
        #[test]
        fn never_more_than_burst_plus_rate(qps in 1_u32..200, burst in 1_u32..50, gaps in prop::collection::vec(0_u64..300, 1..100)) {
            let start = Instant::now();
            let mut throttle = Throttle::new(qps, burst, start);
            let mut now = start;
            let mut sent_at = Vec::new();
            for gap in gaps {
                now += Duration::from_millis(gap);
                now += throttle.take(now);
                sent_at.push(now - start);
            }
            for (count, at) in (1_u32..).zip(&sent_at) {
                let allowed = f64::from(burst) + at.as_secs_f64() * f64::from(qps) + 1e-3;
                prop_assert!(f64::from(count) <= allowed, "{count} messages by {at:?}");
            }
        }
    }
}
