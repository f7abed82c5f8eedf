//! Who has subscribed to what.

use std::collections::{BTreeMap, HashMap};

use rumqttc::mqttbytes::QoS;

use crate::session::SessionId;

/// Subscriptions by the levels of their filters. A wildcard is a level like any other here, because no topic has one.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    root: Node,
}

#[derive(Debug, Default)]
struct Node {
    below: HashMap<Box<str>, Self>,
    here: BTreeMap<SessionId, QoS>,
}

impl Tree {
    /// Subscribes; a subscription to the same filter is replaced.
    pub(crate) fn add(&mut self, filter: &str, session: SessionId, qos: QoS) {
        let mut node = &mut self.root;
        for level in filter.split('/') {
            node = node.below.entry(level.into()).or_default();
        }
        node.here.insert(session, qos);
    }

    /// Ends a subscription, if there is one.
    pub(crate) fn remove(&mut self, filter: &str, session: SessionId) {
        self.root.remove(Some(filter), session);
    }

    /// Appends everyone who is to have what is published on `topic`, each once, with the highest quality that was granted.
    pub(crate) fn find(&self, topic: &str, found: &mut Vec<(SessionId, QoS)>) {
        let start = found.len();
        self.root.find(Some(topic), topic.starts_with('$'), found);
        // Highest quality first, so that it is what stays of each.
        found[start..].sort_unstable_by_key(|(session, qos)| (*session, std::cmp::Reverse(*qos as u8)));
        found.dedup_by_key(|(session, _)| *session);
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.root.is_empty()
    }
}

impl Node {
    fn is_empty(&self) -> bool {
        self.below.is_empty() && self.here.is_empty()
    }

    /// As deep as the filter, which has few levels.
    fn remove(&mut self, filter: Option<&str>, session: SessionId) {
        let Some(filter) = filter else {
            self.here.remove(&session);
            return;
        };
        let (level, rest) = split(filter);
        if let Some(node) = self.below.get_mut(level) {
            node.remove(rest, session);
            if node.is_empty() {
                self.below.remove(level);
            }
        }
    }

    /// As deep as the tree, however long the topic is. `is_special`: the first level begins with `$`, which wildcards do not name.
    fn find(&self, topic: Option<&str>, is_special: bool, found: &mut Vec<(SessionId, QoS)>) {
        let take =
            |node: &Self, found: &mut Vec<_>| found.extend(node.here.iter().map(|(id, qos)| (*id, *qos)));
        if let Some(all) = self.below.get("#").filter(|_| !is_special) {
            take(all, found);
        }
        let Some(topic) = topic else { return take(self, found) };
        let (level, rest) = split(topic);
        if let Some(node) = self.below.get(level) {
            node.find(rest, false, found);
        }
        if let Some(any) = self.below.get("+").filter(|_| !is_special) {
            any.find(rest, false, found);
        }
    }
}

fn split(text: &str) -> (&str, Option<&str>) {
    text.split_once('/').map_or((text, None), |(level, rest)| (level, Some(rest)))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::topic;

    fn quality() -> impl Strategy<Value = QoS> {
        prop_oneof![Just(QoS::AtMostOnce), Just(QoS::AtLeastOnce), Just(QoS::ExactlyOnce)]
    }

    proptest! {
        #[test]
        fn the_tree_finds_whom_a_look_at_every_filter_finds(
            changes in prop::collection::vec((any::<bool>(), "[$ab/+#]{1,5}", 0u64..4, quality()), 0..40),
            topic in "[$ab/]{1,6}",
        ) {
            let mut tree = Tree::default();
            let mut known: BTreeMap<(String, SessionId), QoS> = BTreeMap::new();
            for (is_added, filter, session, qos) in changes {
                if !topic::is_filter(&filter) {
                    continue;
                }
                let session = SessionId(session);
                if is_added {
                    tree.add(&filter, session, qos);
                    known.insert((filter, session), qos);
                } else {
                    tree.remove(&filter, session);
                    known.remove(&(filter, session));
                }
            }
            let mut expected: BTreeMap<SessionId, u8> = BTreeMap::new();
            for ((filter, session), qos) in &known {
                if topic::matches(filter, &topic) {
                    let highest = expected.entry(*session).or_default();
                    *highest = (*highest).max(*qos as u8);
                }
            }
            let mut found = Vec::new();
            tree.find(&topic, &mut found);
            let found: Vec<(SessionId, u8)> = found.into_iter().map(|(id, qos)| (id, qos as u8)).collect();
            prop_assert_eq!(found, expected.into_iter().collect::<Vec<_>>());
            for (filter, session) in known.into_keys() {
                tree.remove(&filter, session);
            }
            prop_assert!(tree.is_empty());
        }
    }
}
