//! When a probe is due, and what an answer makes of it. Pure: the caller says what time it is.

use std::time::Duration;

use tokio::time::Instant;

use super::ProbeKind;
use super::spec::Timing;

/// What one question came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// A good answer.
    Success,
    /// A bad answer, or none in time.
    Failure,
    /// It could not be asked (the runtime is away, the command does not exist): counts for nothing.
    Unknown,
}

/// One probe of one container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    kind: ProbeKind,
    timing: Timing,
    due: Instant,
    /// The last answer, and how often it came in a row.
    run: Option<(bool, u32)>,
    verdict: Option<bool>,
}

// === impl Schedule ===

impl Schedule {
    /// A probe of a container that has started (with a startup probe: succeeded in that) at `since`.
    pub fn new(kind: ProbeKind, timing: Timing, since: Instant) -> Self {
        Self { kind, timing, due: since + timing.initial_delay, run: None, verdict: None }
    }

    /// The same for a container that was found running: all of a node's probes would be due at once, so that each
    /// begins at its own point (`at`, 0 to 1) of the first period. `verdict` is what was known of it.
    #[must_use]
    pub fn resumed(mut self, at: f64, verdict: Option<bool>) -> Self {
        self.due += self.timing.period.mul_f64(at.clamp(0.0, 1.0));
        self.verdict = verdict;
        self
    }

    /// When to ask; `None`: never again, the verdict is final for this container.
    pub fn due(&self) -> Option<Instant> {
        (!self.is_final()).then_some(self.due)
    }

    /// The time that an answer may take.
    pub fn timeout(&self) -> Duration {
        self.timing.timeout
    }

    /// The container was asked; it is `now`. Gives the verdict when that is a new one.
    pub fn take(&mut self, outcome: Outcome, now: Instant) -> Option<bool> {
        // The beat is kept; beats that were missed while waiting for an answer are not caught up on.
        self.due = (self.due + self.timing.period).max(now);
        let good = match outcome {
            Outcome::Success => true,
            Outcome::Failure => false,
            Outcome::Unknown => return None,
        };
        let count = match self.run {
            Some((same, count)) if same == good => count.saturating_add(1),
            _ => 1,
        };
        self.run = Some((good, count));
        let threshold = if good { self.timing.success_threshold } else { self.timing.failure_threshold };
        if count < threshold || self.verdict == Some(good) {
            return None;
        }
        self.verdict = Some(good);
        self.verdict
    }

    /// After a startup probe's verdict, or a failed liveness probe, nothing is asked before the container is another.
    fn is_final(&self) -> bool {
        match self.kind {
            ProbeKind::Startup => self.verdict.is_some(),
            ProbeKind::Liveness => self.verdict == Some(false),
            ProbeKind::Readiness => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PERIOD: Duration = Duration::from_secs(10);

    fn timing(success_threshold: u32, failure_threshold: u32) -> Timing {
        Timing {
            initial_delay: Duration::from_secs(3),
            period: PERIOD,
            timeout: Duration::from_secs(1),
            success_threshold,
            failure_threshold,
        }
    }

    fn verdicts(mut schedule: Schedule, outcomes: &[Outcome]) -> Vec<Option<bool>> {
        outcomes.iter().map(|outcome| schedule.take(*outcome, schedule.due)).collect()
    }

    use Outcome::{Failure, Success, Unknown};

    #[test]
    fn thresholds_count_answers_in_a_row() {
        let schedule = Schedule::new(ProbeKind::Readiness, timing(2, 3), Instant::now());
        let outcomes =
            [Success, Failure, Success, Success, Failure, Failure, Success, Failure, Failure, Failure];
        let (yes, no) = (Some(true), Some(false));
        assert_eq!(verdicts(schedule, &outcomes), [None, None, None, yes, None, None, None, None, None, no]);
    }

    #[test]
    fn what_could_not_be_asked_counts_for_nothing() {
        let schedule = Schedule::new(ProbeKind::Liveness, timing(1, 2), Instant::now());
        let seen = verdicts(schedule, &[Failure, Unknown, Unknown, Unknown, Failure]);
        assert_eq!(seen, [None, None, None, None, Some(false)], "nor does it break a row");
    }

    #[test]
    fn the_beat_is_kept_and_missed_beats_are_not_caught_up_on() {
        let begin = Instant::now();
        let mut schedule = Schedule::new(ProbeKind::Readiness, timing(1, 3), begin);
        let first = begin + Duration::from_secs(3);
        assert_eq!(schedule.due(), Some(first));
        schedule.take(Success, first + Duration::from_millis(700));
        assert_eq!(schedule.due(), Some(first + PERIOD));
        let late = first + PERIOD * 5 + Duration::from_secs(1);
        schedule.take(Failure, late);
        assert_eq!(schedule.due(), Some(late), "at once, and once");
        schedule.take(Failure, late);
        assert_eq!(schedule.due(), Some(late + PERIOD));
    }

    #[test]
    fn final_verdicts_end_a_probe() {
        let end = |kind, outcome| {
            let mut schedule = Schedule::new(kind, timing(1, 1), Instant::now());
            schedule.take(outcome, Instant::now());
            schedule.due().is_none()
        };
        assert!(end(ProbeKind::Startup, Success) && end(ProbeKind::Startup, Failure));
        assert!(end(ProbeKind::Liveness, Failure) && !end(ProbeKind::Liveness, Success));
        assert!(!end(ProbeKind::Readiness, Success) && !end(ProbeKind::Readiness, Failure));
    }

    #[test]
    fn what_was_ready_stays_so_until_the_threshold_says_otherwise() {
        let begin = Instant::now();
        let ready = Schedule::new(ProbeKind::Readiness, timing(1, 2), begin).resumed(0.5, Some(true));
        assert_eq!(ready.due(), Some(begin + Duration::from_secs(3) + PERIOD / 2));
        assert_eq!(verdicts(ready, &[Success, Failure, Failure]), [None, None, Some(false)]);
    }

    proptest! {
        /// A verdict is never told twice in a row, follows only a full row of equal answers, and time never goes back.
        #[test]
        fn a_verdict_needs_its_row(
            outcomes in prop::collection::vec(
                prop_oneof![Just(Success), Just(Failure), Just(Unknown)], 0..60),
            lags in prop::collection::vec(0_u64..40_000, 60),
            (good, bad) in (1_u32..4, 1_u32..4),
        ) {
            let mut schedule = Schedule::new(ProbeKind::Readiness, timing(good, bad), Instant::now());
            let (mut asked, mut last): (Vec<Outcome>, _) = (Vec::new(), None);
            for (outcome, lag) in outcomes.into_iter().zip(lags) {
                let due = schedule.due().unwrap();
                let now = due + Duration::from_millis(lag);
                let told = schedule.take(outcome, now);
                prop_assert!(schedule.due().unwrap() >= now, "not in the past");
                prop_assert!(schedule.due().unwrap() <= now + PERIOD, "and within a period");
                asked.extend(Some(outcome).filter(|outcome| *outcome != Unknown));
                let Some(verdict) = told else { continue };
                prop_assert_ne!(last, Some(verdict));
                last = Some(verdict);
                let (answer, row) = if verdict { (Success, good) } else { (Failure, bad) };
                prop_assert!(asked.iter().rev().take(row as usize).all(|one| *one == answer));
                prop_assert!(asked.len() >= row as usize);
            }
        }
    }
}
