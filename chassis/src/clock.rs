//! The wall clock, injected: what a person or a peer reads. Durations and timeouts are tokio's business.

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

/// Tells the time of day. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Clock {
    source: Source,
}

#[derive(Debug, Clone)]
enum Source {
    /// The machine's clock.
    System,
    /// Starts at a set time and moves along tokio's clock, which tests can pause and advance.
    Fixed { origin: Timestamp, start: Instant },
}

impl Clock {
    /// The machine's clock.
    #[must_use]
    pub fn system() -> Self {
        Self { source: Source::System }
    }

    /// A clock that shows `origin` now and from here on moves with tokio's time, so it stands still while that is
    /// paused.
    #[must_use]
    pub fn fixed(origin: Timestamp) -> Self {
        Self { source: Source::Fixed { origin, start: Instant::now() } }
    }

    /// The time of day, UTC.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        match self.source {
            Source::System => Timestamp::now(),
            Source::Fixed { origin, start } => {
                let passed = Instant::now().saturating_duration_since(start);
                let passed = SignedDuration::try_from(passed).unwrap_or(SignedDuration::MAX);
                origin.saturating_add(passed).unwrap_or(Timestamp::MAX)
            }
        }
    }

    /// The time of day in milliseconds since 1970, as message headers carry it.
    #[must_use]
    pub fn now_ms(&self) -> i64 {
        self.now().as_millisecond()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_fixed_clock_moves_with_the_paused_clock_only() {
        let origin: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
        let clock = Clock::fixed(origin);
        assert_eq!(clock.now(), origin);
        tokio::time::advance(Duration::from_millis(1500)).await;
        assert_eq!(clock.now_ms() - origin.as_millisecond(), 1500);
        assert_eq!(clock.clone().now(), clock.now());
    }

    #[test]
    fn the_system_clock_is_past_the_year_2020() {
        let then: Timestamp = "2020-01-01T00:00:00Z".parse().unwrap();
        assert!(Clock::system().now() > then);
    }
}
