//! Tells nodes what rules want of them, as state: a Skerry node is sent all of it when it connects and when it changes; a stock node the
//! difference, and all when it connects. A node that was away when a rule was made hears of it when it comes.

use std::collections::HashMap;

use proto::user::{NodeRules, RULES};
use proto::{Content, Group, Message, Operation, Resource, Route, Source, Stamp};

use crate::flow::{NodeName, UserSession};

/// What each node was told on its present connection.
#[derive(Debug, Default)]
pub(super) struct Telling {
    nodes: HashMap<NodeName, Told>,
    connections: u64,
}

#[derive(Debug)]
struct Told {
    connection: u64,
    session: UserSession,
    rules: Option<NodeRules>,
    is_busy: bool,
}

/// Messages for a node, in this order.
#[derive(Debug)]
pub(super) struct Tell {
    pub(super) session: UserSession,
    pub(super) messages: Vec<Message>,
    connection: u64,
    rules: NodeRules,
}

impl Telling {
    /// A node has connected: nobody knows what it knows.
    pub(super) fn connected(&mut self, session: UserSession) {
        self.nodes.retain(|_, told| !told.session.replies.is_closed());
        self.connections += 1;
        let told = Told { connection: self.connections, session, rules: None, is_busy: false };
        self.nodes.insert(told.session.node.clone(), told);
    }

    /// All nodes that are connected.
    pub(super) fn nodes(&self) -> Vec<NodeName> {
        self.nodes.keys().cloned().collect()
    }

    /// What a node is to be told now, if it has to be and is not being told something.
    pub(super) fn next(
        &mut self,
        node: &NodeName,
        wanted: NodeRules,
        stamp: impl FnMut() -> Stamp,
    ) -> Option<Tell> {
        let told = self.nodes.get_mut(node).filter(|told| !told.is_busy)?;
        if told.rules.as_ref() == Some(&wanted) {
            return None;
        }
        let messages = match told.session.is_native {
            true => vec![whole(&wanted, stamp)],
            false => difference(told.rules.as_ref(), &wanted, stamp),
        };
        if messages.is_empty() {
            told.rules = Some(wanted);
            return None;
        }
        told.is_busy = true;
        Some(Tell { session: told.session.clone(), messages, connection: told.connection, rules: wanted })
    }

    /// It was told, or its connection has ended. Which node may have to be told more.
    pub(super) fn done(&mut self, tell: Tell, is_told: bool) -> Option<NodeName> {
        let told =
            self.nodes.get_mut(&tell.session.node).filter(|told| told.connection == tell.connection)?;
        told.is_busy = false;
        if !is_told {
            self.nodes.remove(&tell.session.node);
            return None;
        }
        told.rules = Some(tell.rules);
        Some(tell.session.node)
    }
}

impl Tell {
    /// Sends them. Whether the node was there for all.
    pub(super) async fn send(mut self) -> (Self, bool) {
        for message in std::mem::take(&mut self.messages) {
            if self.session.replies.send(message).await.is_err() {
                return (self, false);
            }
        }
        (self, true)
    }
}

fn whole(wanted: &NodeRules, mut stamp: impl FnMut() -> Stamp) -> Message {
    let route = Route {
        source: Source::Router,
        group: Group::User,
        operation: Operation::Update,
        resource: Resource::Topic(RULES.to_owned()),
    };
    // Sets of texts and numbers: this does not fail.
    Message::new(stamp(), route, Content::object(wanted).unwrap_or_default())
}

fn difference(
    told: Option<&NodeRules>,
    wanted: &NodeRules,
    mut stamp: impl FnMut() -> Stamp,
) -> Vec<Message> {
    let nothing = NodeRules::default();
    let told = told.unwrap_or(&nothing);
    let gone = told
        .topics
        .difference(&wanted.topics)
        .map(|topic| unsubscribe(topic, &mut stamp))
        .collect::<Vec<_>>();
    let stopped = told.urls.difference(&wanted.urls).map(|url| stop(url, &mut stamp)).collect::<Vec<_>>();
    let mut messages = [gone, stopped].concat();
    for topic in wanted.topics.difference(&told.topics) {
        messages.push(message(Source::RouterEventBus, Operation::Subscribe, topic, &mut stamp));
    }
    for url in wanted.urls.difference(&told.urls) {
        messages.push(message(Source::RouterServiceBus, Operation::Start, url, &mut stamp));
    }
    messages
}

/// A topic is wanted no more.
pub(super) fn unsubscribe(topic: &str, stamp: impl FnMut() -> Stamp) -> Message {
    message(Source::RouterEventBus, Operation::Unsubscribe, topic, stamp)
}

/// A URL may be asked for no more.
pub(super) fn stop(url: &str, stamp: impl FnMut() -> Stamp) -> Message {
    message(Source::RouterServiceBus, Operation::Stop, url, stamp)
}

fn message(
    source: Source,
    operation: Operation,
    resource: &str,
    mut stamp: impl FnMut() -> Stamp,
) -> Message {
    let route =
        Route { source, group: Group::User, operation, resource: Resource::Topic(resource.to_owned()) };
    Message::new(stamp(), route, Content::Null)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use chassis::channel::{Receiver, bounded};

    use super::*;
    use crate::flow::Replies;

    fn stamp() -> Stamp {
        Stamp { id: "1".to_owned(), timestamp: 1 }
    }

    fn node(is_native: bool) -> (UserSession, Receiver<Message>) {
        let (tx, rx) = bounded("replies", 8);
        (UserSession { node: NodeName::new("a"), replies: Replies::new(tx), is_native }, rx)
    }

    fn rules(topics: &[&str], urls: &[&str]) -> NodeRules {
        let set = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<BTreeSet<_>>();
        NodeRules { topics: set(topics), urls: set(urls), ..NodeRules::default() }
    }

    fn said(tell: &Tell) -> Vec<String> {
        let one = |message: &Message| format!("{} {}", message.route.operation, message.route.resource);
        tell.messages.iter().map(one).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_stock_node_is_told_the_difference_and_all_when_it_comes_back() {
        let mut telling = Telling::default();
        let name = NodeName::new("a");
        let (session, _rx) = node(false);
        telling.connected(session);
        let tell = telling.next(&name, rules(&["ns/a"], &["http://x"]), stamp).unwrap();
        assert_eq!(said(&tell), ["subscribe ns/a", "start http://x"]);
        assert!(telling.next(&name, rules(&["ns/b"], &[]), stamp).is_none(), "one after the other");
        let (tell, is_told) = tell.send().await;
        assert_eq!(telling.done(tell, is_told), Some(name.clone()));
        let tell = telling.next(&name, rules(&["ns/b"], &[]), stamp).unwrap();
        assert_eq!(said(&tell), ["unsubscribe ns/a", "stop http://x", "subscribe ns/b"]);
        // It connects anew before that has arrived.
        let (session, _rx) = node(false);
        telling.connected(session);
        let (tell, is_told) = tell.send().await;
        assert_eq!(telling.done(tell, is_told), None);
        assert_eq!(said(&telling.next(&name, rules(&["ns/b"], &[]), stamp).unwrap()), ["subscribe ns/b"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_skerry_node_is_told_everything_once() {
        let mut telling = Telling::default();
        let name = NodeName::new("a");
        let (session, rx) = node(true);
        telling.connected(session);
        let tell = telling.next(&name, NodeRules::default(), stamp).unwrap();
        assert_eq!(said(&tell), ["update rules"], "also that there is nothing: it may know something old");
        let (tell, is_told) = tell.send().await;
        telling.done(tell, is_told);
        assert!(telling.next(&name, NodeRules::default(), stamp).is_none());
        let wanted = rules(&["ns/a"], &[]);
        let tell = telling.next(&name, wanted.clone(), stamp).unwrap();
        assert_eq!(tell.messages[0].content.decode::<NodeRules>().unwrap(), wanted);
        drop(rx);
        let (tell, is_told) = tell.send().await;
        assert_eq!(telling.done(tell, is_told), None);
        assert!(telling.nodes().is_empty());
    }
}
