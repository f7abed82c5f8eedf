//! Processor time per second, where the runtime only tells the total: from two looks at it.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

/// Two looks that are closer than this say little: counters of some kernels move in steps of 10 ms.
const SHORTEST: Duration = Duration::from_secs(1);
/// What nobody has looked at for this long is forgotten; a scraper comes every minute.
const LONGEST: Duration = Duration::from_secs(300);

/// What was seen, by name (a container's id, a pod's UID). As many entries as there are containers and pods.
#[derive(Debug, Default)]
pub(super) struct Rates {
    seen: BTreeMap<String, Look>,
}

#[derive(Debug, Clone, Copy)]
struct Look {
    time: Timestamp,
    total: u64,
    rate: Option<u64>,
}

impl Rates {
    /// Nanoseconds per second between the last look and this one; `None` for the first look.
    pub(super) fn rate(&mut self, name: &str, time: Timestamp, total: u64) -> Option<u64> {
        let before = self.seen.get(name).copied();
        let passed = before.and_then(|before| Duration::try_from(time.duration_since(before.time)).ok());
        let rate = match (before, passed) {
            // It began anew under the same name, or the clock went back.
            (None, _) | (Some(_), None) => None,
            (Some(before), _) if total < before.total => None,
            (Some(before), Some(passed)) if passed < SHORTEST => return before.rate,
            (Some(before), Some(passed)) => {
                let per_second = u128::from(total - before.total) * 1_000_000_000 / passed.as_nanos();
                u64::try_from(per_second).ok()
            }
        };
        self.seen.insert(name.to_owned(), Look { time, total, rate });
        rate
    }

    /// Forgets what is not there any more.
    pub(super) fn forget_old(&mut self, now: Timestamp) {
        self.seen.retain(|_, look| {
            Duration::try_from(now.duration_since(look.time)).is_ok_and(|passed| passed < LONGEST)
                || look.time > now
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_needs_two_looks_that_are_not_too_close() {
        let at = |milliseconds: i64| Timestamp::from_millisecond(1_000_000 + milliseconds).unwrap();
        let mut rates = Rates::default();
        assert_eq!(rates.rate("c", at(0), 1_000_000_000), None);
        assert_eq!(rates.rate("c", at(500), 1_900_000_000), None, "too close");
        assert_eq!(rates.rate("c", at(2000), 2_000_000_000), Some(500_000_000));
        assert_eq!(rates.rate("c", at(2500), 2_000_000_001), Some(500_000_000), "too close");
        assert_eq!(rates.rate("c", at(4000), 1), None, "another one");
        assert_eq!(rates.rate("c", at(1000), 2), None, "the clock went back");
        rates.forget_old(at(500_000));
        assert!(rates.seen.is_empty());
    }
}
