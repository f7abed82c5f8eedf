//! How much each rule takes: requests in a second, and at once. What is more is refused at once, so that one rule that is asked too much
//! leaves the others what is theirs.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::rules::Key;

/// Past so many rules those that nobody has asked for a while are forgotten.
const KEPT: usize = 1024;

/// The limits, and what was used of them. The lock is a leaf.
#[derive(Debug)]
pub(super) struct Limits {
    per_second: u32,
    at_once: usize,
    rules: Mutex<HashMap<Key, Rule>>,
}

#[derive(Debug)]
struct Rule {
    /// Requests that may come at once; one comes back each `1 / per_second`.
    left: f64,
    since: Instant,
    places: Arc<Semaphore>,
}

/// Which limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Limit {
    #[error("the rule takes {0} requests a second")]
    Rate(u32),
    #[error("the rule takes {0} requests at once")]
    AtOnce(usize),
}

impl Limits {
    pub(super) fn new(per_second: u32, at_once: usize) -> Self {
        Self { per_second, at_once, rules: Mutex::default() }
    }

    /// A place for one request, for as long as it takes.
    ///
    /// # Errors
    /// The limit that is reached.
    pub(super) fn enter(&self, key: &Key, now: Instant) -> Result<OwnedSemaphorePermit, Limit> {
        let rate = f64::from(self.per_second);
        let mut rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        if rules.len() >= KEPT {
            let is_used = |rule: &Rule| {
                now < rule.since + Duration::from_secs(1) || rule.places.available_permits() < self.at_once
            };
            rules.retain(|_, rule| is_used(rule));
        }
        let rule = rules.entry(key.clone()).or_insert_with(|| Rule {
            left: rate,
            since: now,
            places: Arc::new(Semaphore::new(self.at_once)),
        });
        let passed = now.saturating_duration_since(rule.since).as_secs_f64();
        rule.left = (rule.left + passed * rate).min(rate);
        rule.since = now;
        if rule.left < 1.0 {
            return Err(Limit::Rate(self.per_second));
        }
        let place = Arc::clone(&rule.places).try_acquire_owned().map_err(|_| Limit::AtOnce(self.at_once))?;
        rule.left -= 1.0;
        Ok(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn each_rule_has_its_own() {
        let limits = Limits::new(2, 3);
        let key = |name: &str| ("default".to_owned(), name.to_owned());
        let now = Instant::now();
        let _first = (limits.enter(&key("a"), now).unwrap(), limits.enter(&key("a"), now).unwrap());
        assert_eq!(limits.enter(&key("a"), now).unwrap_err(), Limit::Rate(2));
        assert!(limits.enter(&key("b"), now).is_ok());
        let later = now + Duration::from_secs(60);
        let third = limits.enter(&key("a"), later).unwrap();
        assert_eq!(limits.enter(&key("a"), later).unwrap_err(), Limit::AtOnce(3));
        drop(third);
        assert!(limits.enter(&key("a"), later).is_ok());
        assert_eq!(
            limits.enter(&key("a"), later).unwrap_err(),
            Limit::Rate(2),
            "a place that was not there costs nothing"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn rules_that_nobody_asks_are_forgotten() {
        let limits = Limits::new(1, 1);
        let now = Instant::now();
        for number in 0..KEPT {
            drop(limits.enter(&(String::new(), number.to_string()), now).unwrap());
        }
        drop(limits.enter(&(String::new(), "new".to_owned()), now + Duration::from_secs(2)).unwrap());
        assert_eq!(limits.rules.lock().unwrap().len(), 1);
    }
}
