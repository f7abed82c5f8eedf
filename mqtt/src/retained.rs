//! Messages that are kept for later subscribers: the last one of each topic.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use crate::message::Message;
use crate::topic;

/// The store. It is in memory, as that of stock's broker: after a restart publishers say again what is so.
#[derive(Debug)]
pub(crate) struct Retained {
    messages: BTreeMap<String, Arc<Message>>,
    bytes: usize,
    max_messages: usize,
    max_bytes: usize,
}

/// There was no room: nothing is kept for that topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Full;

impl Retained {
    pub(crate) fn new(max_messages: usize, max_bytes: usize) -> Self {
        Self { messages: BTreeMap::new(), bytes: 0, max_messages, max_bytes }
    }

    /// Keeps a message instead of what was kept for its topic; one without a payload is not kept. If there is no room, the old one
    /// goes all the same: nothing is better than what is no longer so.
    pub(crate) fn keep(&mut self, message: &Arc<Message>) -> Result<(), Full> {
        if let Some(old) = self.messages.remove(&message.topic) {
            self.bytes -= weight(&old);
        }
        if message.payload.is_empty() {
            return Ok(());
        }
        if self.messages.len() >= self.max_messages || self.bytes + weight(message) > self.max_bytes {
            return Err(Full);
        }
        self.bytes += weight(message);
        self.messages.insert(message.topic.clone(), Arc::clone(message));
        Ok(())
    }

    /// What is kept for the topics that a filter names, in the order of the topics.
    pub(crate) fn matching(&self, filter: &str) -> impl Iterator<Item = &Arc<Message>> {
        let prefix = topic::literal_prefix(filter);
        self.messages
            .range::<str, _>((Bound::Included(prefix), Bound::Unbounded))
            .take_while(move |(topic, _)| topic.starts_with(prefix))
            .filter(move |(topic, _)| topic::matches(filter, topic))
            .map(|(_, message)| message)
    }

    pub(crate) fn len(&self) -> usize {
        self.messages.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}

/// The topic is there twice.
fn weight(message: &Message) -> usize {
    message.weight() + message.topic.len()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;
    use rumqttc::mqttbytes::QoS;

    use super::*;

    fn message(topic: &str, payload: usize) -> Arc<Message> {
        let payload = Bytes::from(vec![b'x'; payload]);
        Arc::new(Message { topic: topic.to_owned(), payload, qos: QoS::AtMostOnce, retain: true })
    }

    proptest! {
        #[test]
        fn it_holds_the_last_of_each_topic_within_its_bounds(
            said in prop::collection::vec(("[ab/]{1,3}", 0usize..200), 0..60), filter in "[ab/+#]{1,3}"
        ) {
            let mut store = Retained::new(6, 1500);
            let mut known: BTreeMap<String, usize> = BTreeMap::new();
            for (topic, payload) in said {
                let kept = store.keep(&message(&topic, payload));
                known.remove(&topic);
                if kept.is_ok() && payload > 0 {
                    known.insert(topic, payload);
                }
                prop_assert!(store.len() <= 6 && store.bytes() <= 1500);
            }
            prop_assert_eq!(store.bytes(), store.messages.values().map(|message| weight(message)).sum::<usize>());
            if topic::is_filter(&filter) {
                let found: Vec<(String, usize)> =
                    store.matching(&filter).map(|message| (message.topic.clone(), message.payload.len())).collect();
                let expected: Vec<(String, usize)> =
                    known.into_iter().filter(|(topic, _)| topic::matches(&filter, topic)).collect();
                prop_assert_eq!(found, expected);
            }
        }
    }

    #[test]
    fn what_does_not_fit_is_not_kept_and_neither_is_what_it_replaces() {
        let mut store = Retained::new(1, 10_000);
        assert_eq!(store.keep(&message("a", 1)), Ok(()));
        assert_eq!(store.keep(&message("b", 1)), Err(Full));
        assert_eq!(store.keep(&message("a", 20_000)), Err(Full));
        assert_eq!((store.len(), store.bytes()), (0, 0));
    }
}
