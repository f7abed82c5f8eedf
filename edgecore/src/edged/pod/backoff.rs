//! How long to wait before the next try. Pure: the caller says what time it is.

use std::time::Duration;

use tokio::time::Instant;

/// First wait after a container has crashed twice:
/// <https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#restart-policy>.
pub const CRASH_INITIAL: Duration = Duration::from_secs(10);
/// The longest wait between restarts (same page); also between pulls of an image.
pub const CRASH_MAX: Duration = Duration::from_secs(300);
/// A container that ran this long starts with a clean record (same page).
pub const CRASH_FORGIVEN_AFTER: Duration = Duration::from_secs(600);

/// Waits between the restarts of one container: none before the first, then 10 s, doubling to 5 minutes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CrashBackoff {
    delay: Option<Duration>,
}

impl CrashBackoff {
    /// How long after its end the container stays down.
    pub fn delay(&self) -> Duration {
        self.delay.unwrap_or_default()
    }

    /// The container is started again after it ran for `ran`.
    pub fn restarted(&mut self, ran: Duration) {
        self.delay = Some(match self.delay {
            Some(delay) if ran < CRASH_FORGIVEN_AFTER => (delay * 2).min(CRASH_MAX),
            _ => CRASH_INITIAL,
        });
    }

    /// Clean record for a container that ended after it ran for `ran`, if that was long enough.
    pub fn ended(&mut self, ran: Duration) {
        if ran >= CRASH_FORGIVEN_AFTER {
            self.delay = None;
        }
    }
}

/// Something that failed and is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// When it failed.
    pub failed: Instant,
    /// When to try again.
    pub at: Instant,
    delay: Duration,
}

impl Retry {
    /// Doubles the wait of `previous`, between `initial` and `max`.
    pub fn after(previous: Option<&Self>, now: Instant, initial: Duration, max: Duration) -> Self {
        let delay = previous.map_or(initial, |previous| (previous.delay * 2).min(max));
        Self { failed: now, at: now + delay, delay }
    }

    /// The wait of this round.
    pub fn delay(&self) -> Duration {
        self.delay
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn restarts_slow_down_to_five_minutes() {
        let mut backoff = CrashBackoff::default();
        let mut waits = vec![backoff.delay()];
        for _ in 0..7 {
            backoff.restarted(Duration::from_secs(1));
            waits.push(backoff.delay());
        }
        assert_eq!(waits, [0, 10, 20, 40, 80, 160, 300, 300].map(Duration::from_secs));
    }

    #[test]
    fn ten_minutes_of_work_clear_the_record() {
        let mut backoff = CrashBackoff::default();
        backoff.restarted(Duration::ZERO);
        backoff.restarted(Duration::ZERO);
        backoff.ended(CRASH_FORGIVEN_AFTER - Duration::from_secs(1));
        assert_eq!(backoff.delay(), CRASH_INITIAL * 2);
        backoff.ended(CRASH_FORGIVEN_AFTER);
        assert_eq!(backoff.delay(), Duration::ZERO);
    }
}
