//! What became of each rule's messages, on its way into the rule's status. Counted together: a rule that has much to do is written once in
//! a while, not once a message. Pure, but for the [`Tally`] that all who count share.
//!
//! Each write is made of what the API has and what was counted since, and holds only if that is still so: several CloudCores add up.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use proto::api::rule::RuleStatus;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::rules::Key;

/// A count is written so long after it began to differ: what comes in between is in it.
const SOON: Duration = Duration::from_secs(1);
/// A rule is written no more often.
const PACE: Duration = Duration::from_secs(5);
/// A write that failed is tried again after this.
const AGAIN: Duration = Duration::from_secs(5);
/// Reasons that a rule keeps.
const ERRORS: usize = 10;
/// Longest reason, in characters.
const LONGEST: usize = 256;

/// What was counted since the last look.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Counted {
    taken: i64,
    failed: i64,
    /// Newest last, each once; with the time in front.
    errors: Vec<String>,
}

/// Where everybody counts. The lock is a leaf. Bounded by the number of rules.
#[derive(Debug, Clone, Default)]
pub(super) struct Tally {
    counted: Arc<Mutex<BTreeMap<Key, Counted>>>,
    news: Arc<Notify>,
}

/// What is to be written.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Write {
    pub(super) key: Key,
    pub(super) uid: String,
    /// The version that it is made of.
    pub(super) version: String,
    pub(super) status: RuleStatus,
}

/// What became of a write.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Written {
    /// The rule has it, and this version.
    Done(String),
    /// The rule has changed meanwhile, or cannot be written now.
    Again,
    /// There is no such rule.
    Gone,
}

#[derive(Debug, Default)]
struct Entry {
    uid: String,
    version: String,
    seen: RuleStatus,
    new: Counted,
    /// What is being written.
    under_way: Option<Counted>,
    due: Option<Instant>,
    last: Option<Instant>,
}

/// The statuses of all rules.
#[derive(Debug, Default)]
pub(super) struct Statuses {
    rules: BTreeMap<Key, Entry>,
}

// === impl Counted ===

impl Counted {
    fn add(&mut self, other: Self) {
        self.taken += other.taken;
        self.failed += other.failed;
        for error in other.errors {
            remember(&mut self.errors, error);
        }
    }

    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Reasons differ by what comes after their time.
fn remember(errors: &mut Vec<String>, error: String) {
    errors.retain(|known| reason(known) != reason(&error));
    errors.push(error);
    let surplus = errors.len().saturating_sub(ERRORS);
    errors.drain(..surplus);
}

fn reason(error: &str) -> &str {
    error.split_once(' ').map_or(error, |(_, reason)| reason)
}

// === impl Tally ===

impl Tally {
    /// A message was taken.
    pub(super) fn taken(&self, key: &Key) {
        self.change(key, |counted| counted.taken += 1);
    }

    /// A message was not taken; when and why.
    pub(super) fn failed(&self, key: &Key, at: jiff::Timestamp, why: &str) {
        let error = error(at, why);
        self.change(key, |counted| {
            counted.failed += 1;
            remember(&mut counted.errors, error);
        });
    }

    /// Ends when something was counted.
    pub(super) async fn changed(&self) {
        self.news.notified().await;
    }

    /// What was counted since the last look.
    pub(super) fn take(&self) -> BTreeMap<Key, Counted> {
        std::mem::take(&mut *self.counted.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn change(&self, key: &Key, change: impl FnOnce(&mut Counted)) {
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        match counted.get_mut(key) {
            Some(counted) => change(counted),
            None => change(counted.entry(key.clone()).or_default()),
        }
        self.news.notify_one();
    }
}

fn error(at: jiff::Timestamp, why: &str) -> String {
    let why: String = why.chars().filter(|c| !c.is_control()).take(LONGEST).collect();
    let at = jiff::Timestamp::from_second(at.as_second()).unwrap_or(at);
    format!("{at} {why}")
}

// === impl Statuses ===

impl Statuses {
    /// The API has this of a rule.
    pub(super) fn seen(&mut self, key: &Key, uid: &str, version: &str, status: RuleStatus) {
        let entry = self.rules.entry(key.clone()).or_default();
        if entry.uid != uid {
            *entry = Entry { uid: uid.to_owned(), ..Entry::default() };
        }
        let number = |version: &str| version.parse::<u64>().unwrap_or(u64::MAX);
        // What we wrote ourselves may be newer than what a watch has brought.
        if entry.version.is_empty() || number(version) >= number(&entry.version) {
            (entry.version, entry.seen) = (version.to_owned(), status);
        }
    }

    /// Only these rules are there.
    pub(super) fn only(&mut self, is_there: impl Fn(&Key) -> bool) {
        self.rules.retain(|key, _| is_there(key));
    }

    /// Something was counted.
    pub(super) fn note(&mut self, counted: BTreeMap<Key, Counted>, now: Instant) {
        for (key, counted) in counted {
            // What was counted for a rule that is gone is nobody's.
            if let Some(entry) = self.rules.get_mut(&key) {
                entry.new.add(counted);
                entry.schedule(now);
            }
        }
    }

    /// A rule cannot be acted on. Said once.
    pub(super) fn problem(&mut self, key: &Key, at: jiff::Timestamp, why: &str, now: Instant) {
        let Some(entry) = self.rules.get_mut(key) else { return };
        let error = error(at, why);
        if entry.seen.errors.iter().all(|known| reason(known) != reason(&error)) {
            remember(&mut entry.new.errors, error);
            entry.schedule(now);
        }
    }

    /// When something is to be written.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.rules.values().filter(|entry| entry.under_way.is_none()).filter_map(|entry| entry.due).min()
    }

    /// What is to be written now.
    pub(super) fn next(&mut self, now: Instant) -> Option<Write> {
        let is_due = |entry: &Entry| entry.under_way.is_none() && entry.due.is_some_and(|due| due <= now);
        let (key, entry) = self.rules.iter_mut().find(|(_, entry)| is_due(entry))?;
        entry.due = None;
        let new = std::mem::take(&mut entry.new);
        if new.is_empty() {
            return None;
        }
        let mut status = entry.seen.clone();
        status.success_messages = status.success_messages.saturating_add(new.taken);
        status.fail_messages = status.fail_messages.saturating_add(new.failed);
        for error in new.errors.iter().cloned() {
            remember(&mut status.errors, error);
        }
        entry.under_way = Some(new);
        entry.last = Some(now);
        Some(Write { key: key.clone(), uid: entry.uid.clone(), version: entry.version.clone(), status })
    }

    /// What became of it.
    pub(super) fn done(&mut self, write: Write, written: Written, now: Instant) {
        let Write { key, uid, status, .. } = write;
        let Some(entry) = self.rules.get_mut(&key).filter(|entry| entry.uid == uid) else { return };
        let under_way = entry.under_way.take();
        match written {
            Written::Done(version) => self.seen(&key, &uid, &version, status),
            Written::Gone => {}
            Written::Again => {
                let mut all = under_way.unwrap_or_default();
                all.add(std::mem::take(&mut entry.new));
                entry.new = all;
                entry.due = Some(now + AGAIN);
                return;
            }
        }
        if let Some(entry) = self.rules.get_mut(&key)
            && !entry.new.is_empty()
        {
            entry.schedule(now);
        }
    }
}

// === impl Entry ===

impl Entry {
    fn schedule(&mut self, now: Instant) {
        let earliest = self.last.map_or(now, |last| last + PACE);
        let due = earliest.max(now + SOON);
        self.due = Some(self.due.map_or(due, |before| before.min(due)));
    }
}

#[cfg(test)]
mod tests;
