//! What was asked not long ago.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Answers at most; past it those go whose time is over, and if that is none, all of them.
const KEPT: usize = 4096;
/// How long a "yes" counts: so long a token that was revoked, or a right that was taken away, still works.
const YES: Duration = Duration::from_secs(30);
/// How long a "no" counts: so long a right that was given does not work yet, and so often a wrong token is asked for.
const NO: Duration = Duration::from_secs(5);

/// Answers and until when they count. The lock is a leaf.
#[derive(Debug)]
pub(super) struct Cache<K, V> {
    known: Mutex<HashMap<K, (Option<V>, Instant)>>,
}

impl<K: Eq + Hash, V: Clone> Cache<K, V> {
    pub(super) fn new() -> Self {
        Self { known: Mutex::default() }
    }

    /// What was answered: `Some(None)` is "no".
    pub(super) fn get(&self, key: &K, now: Instant) -> Option<Option<V>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(key).filter(|(_, until)| now < *until).map(|(answer, _)| answer.clone())
    }

    pub(super) fn put(&self, key: K, answer: Option<V>, now: Instant) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= KEPT {
            known.retain(|_, (_, until)| now < *until);
        }
        if known.len() >= KEPT {
            known.clear();
        }
        let until = now + if answer.is_some() { YES } else { NO };
        known.insert(key, (answer, until));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn answers_count_for_a_while_and_are_not_too_many() {
        let (cache, now) = (Cache::new(), Instant::now());
        cache.put(0, Some("yes"), now);
        cache.put(1, None, now);
        assert_eq!(
            (cache.get(&0, now), cache.get(&1, now), cache.get(&2, now)),
            (Some(Some("yes")), Some(None), None)
        );
        assert_eq!(cache.get(&1, now + NO), None);
        assert_eq!(cache.get(&0, now + YES), None);
        for key in 0..3 * KEPT {
            cache.put(key, None, now);
        }
        assert!(cache.known.lock().unwrap().len() <= KEPT);
    }
}
