//! What EdgeCore is to be told: the newest value of each property and the newest state of each device. While nobody takes it,
//! it is as large as the devices are, however long that is.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::device::Key;
use crate::health::State;

/// What is reported of a property.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Reading {
    /// The value that it has, as text.
    pub(crate) value: String,
    /// The value that it was told to have, and has taken.
    pub(crate) desired: Option<String>,
    /// Name of its type, as in models; empty where it has none.
    pub(crate) data_type: &'static str,
    /// When it was read, Unix milliseconds.
    pub(crate) at: i64,
}

/// What is to be told of one device.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct News {
    pub(crate) readings: BTreeMap<String, Reading>,
    pub(crate) state: Option<State>,
}

/// Shared by all devices and whoever reports. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Outbox {
    news: Arc<Mutex<BTreeMap<Key, News>>>,
    filled: Arc<Notify>,
}

impl News {
    /// What is newer replaces what is here.
    fn merge(&mut self, newer: Self) {
        self.readings.extend(newer.readings);
        self.state = newer.state.or(self.state);
    }
}

impl Outbox {
    /// Adds what is new of a device.
    pub(crate) fn put(&self, key: &Key, news: News) {
        if news == News::default() {
            return;
        }
        self.lock().entry(key.clone()).or_default().merge(news);
        self.filled.notify_one();
    }

    /// Puts back what could not be told; what is newer by now counts.
    pub(crate) fn put_back(&self, key: Key, mut older: News) {
        let mut all = self.lock();
        older.merge(all.remove(&key).unwrap_or_default());
        all.insert(key, older);
        drop(all);
        self.filled.notify_one();
    }

    /// The device is gone: there is nothing to tell of it.
    pub(crate) fn forget(&self, key: &Key) {
        self.lock().remove(key);
    }

    /// What is to be told of the next device; waits until there is something. Dropped while it waits, it loses nothing.
    pub(crate) async fn take(&self) -> (Key, News) {
        loop {
            if let Some(next) = self.lock().pop_first() {
                return next;
            }
            self.filled.notified().await;
        }
    }

    /// A leaf lock: nothing is called or awaited under it.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Key, News>> {
        self.news.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn reading(value: i64) -> Reading {
        Reading { value: value.to_string(), desired: None, data_type: "INT", at: value }
    }

    fn news(property: &str, value: i64) -> News {
        News { readings: [(property.to_owned(), reading(value))].into(), state: None }
    }

    fn key(name: &str) -> Key {
        ("ns".into(), name.into())
    }

    #[tokio::test]
    async fn the_newest_counts_also_when_something_is_put_back() {
        let outbox = Outbox::default();
        outbox.put(&key("d"), news("a", 1));
        outbox.put(&key("d"), News { state: Some(State::Ok), ..News::default() });
        let (taken, old) = outbox.take().await;
        assert_eq!((old.readings["a"].at, old.state), (1, Some(State::Ok)));
        outbox.put(&taken, news("a", 2));
        outbox.put_back(taken, old);
        let (_, merged) = outbox.take().await;
        assert_eq!((merged.readings["a"].at, merged.state), (2, Some(State::Ok)));
        outbox.put(&key("d"), news("a", 3));
        outbox.forget(&key("d"));
        outbox.put(&key("e"), news("a", 4));
        assert_eq!(outbox.take().await.0, key("e"));
    }

    proptest! {
        #[test]
        fn it_is_never_larger_than_the_devices_are(puts in prop::collection::vec((0..3u8, 0..3u8, any::<i64>()), 0..200)) {
            let outbox = Outbox::default();
            let mut last = BTreeMap::new();
            for (device, property, value) in puts {
                outbox.put(&key(&device.to_string()), news(&property.to_string(), value));
                last.insert((device, property), value);
            }
            let all = outbox.lock();
            let kept: usize = all.values().map(|news| news.readings.len()).sum();
            prop_assert_eq!(kept, last.len());
            for ((device, property), value) in last {
                prop_assert_eq!(&all[&key(&device.to_string())].readings[&property.to_string()], &reading(value));
            }
        }
    }
}
