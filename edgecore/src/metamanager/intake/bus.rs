//! What the cloud wants of MQTT (spec edge-keadm-mapper 4.6): subscriptions are kept, what is published is not.

use proto::{Message, Operation, Resource, Source};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Notice, Plan};
use crate::flow::BusChange;
use crate::store::{Change, Object};

/// Kind of the stored objects that say what the cloud has subscribed the node to.
pub(in crate::metamanager) const SUBSCRIPTION: &str = "subscription";
/// Longest topic that MQTT can say, in bytes.
const LONGEST: usize = 65_535;

/// Subscribing and its end. `None` for anything else.
pub(super) fn plan(message: &Message, topic: &str) -> Option<Plan> {
    if message.route.source != Source::RouterEventBus || !is_filter(topic) {
        return None;
    }
    let key = format!("bus/{SUBSCRIPTION}/{topic}");
    let topic = topic.to_owned();
    Some(match message.route.operation {
        Operation::Subscribe => {
            let value = topic.clone().into_bytes();
            let object = Object { key, kind: SUBSCRIPTION.to_owned(), uid: String::new(), value, digest: 0 };
            let notice = Notice::Bus(BusChange::Subscribe(topic));
            Plan { change: Change::PutObject(object), notice: Some(notice) }
        }
        Operation::Unsubscribe => {
            let notice = Notice::Bus(BusChange::Unsubscribe(topic));
            Plan { change: Change::DeleteObject { key, uid: String::new() }, notice: Some(notice) }
        }
        _ => return None,
    })
}

/// The content of operation `message`.
#[derive(Deserialize)]
struct Wrapped<'a> {
    #[serde(borrow)]
    message: &'a RawValue,
}

#[derive(Deserialize)]
struct Addressed {
    topic: String,
}

/// What is to be published. `None` where a message says nothing of the kind.
pub(super) fn published(message: &Message) -> Option<BusChange> {
    let route = &message.route;
    let Resource::Topic(resource) = &route.resource else { return None };
    if route.source != Source::RouterEventBus {
        return None;
    }
    let data = message.content.data();
    let (topic, payload) = match route.operation {
        Operation::Publish => (resource.clone(), data.into_owned()),
        Operation::Message => {
            let wrapped: Wrapped<'_> = serde_json::from_slice(&data).ok()?;
            let text = wrapped.message.get();
            (serde_json::from_str::<Addressed>(text).ok()?.topic, text.as_bytes().to_vec())
        }
        _ => return None,
    };
    is_topic(&topic).then_some(BusChange::Publish { topic, payload })
}

/// Whether something can be published there (MQTT 3.1.1, 4.7).
fn is_topic(topic: &str) -> bool {
    is_filter(topic) && !topic.contains(['+', '#'])
}

/// Whether one can subscribe to it (MQTT 3.1.1, 4.7): wildcards stand alone between slashes, `#` at the end.
fn is_filter(filter: &str) -> bool {
    let levels: Vec<&str> = filter.split('/').collect();
    let is_level = |(at, level): (usize, &&str)| match *level {
        "+" => true,
        "#" => at + 1 == levels.len(),
        level => !level.contains(['+', '#']),
    };
    (1..=LONGEST).contains(&filter.len()) && !filter.contains('\0') && levels.iter().enumerate().all(is_level)
}

#[cfg(test)]
mod tests {
    use proto::{Content, Group, Route, Stamp};

    use super::*;

    fn message(operation: Operation, topic: &str, content: &str) -> Message {
        let route = Route {
            source: Source::RouterEventBus,
            group: Group::User,
            operation,
            resource: Resource::Topic(topic.to_owned()),
        };
        Message::new(Stamp { id: "1".to_owned(), timestamp: 1 }, route, Content::text(content))
    }

    #[test]
    fn subscriptions_are_kept_and_forgotten() {
        let plan_of = |operation, topic: &str| plan(&message(operation, topic, ""), topic);
        let kept = plan_of(Operation::Subscribe, "default/up/+").unwrap();
        assert!(matches!(&kept.change, Change::PutObject(object) if object.value == b"default/up/+"));
        assert_eq!(kept.notice, Some(Notice::Bus(BusChange::Subscribe("default/up/+".to_owned()))));
        let gone = plan_of(Operation::Unsubscribe, "default/up/+").unwrap();
        let key = "bus/subscription/default/up/+".to_owned();
        assert_eq!(gone.change, Change::DeleteObject { key, uid: String::new() });
        for wrong in ["", "a#", "#/a", "a/+b", "a\0"] {
            assert!(plan_of(Operation::Subscribe, wrong).is_none(), "{wrong:?}");
        }
        assert!(plan_of(Operation::Insert, "a").is_none());
    }

    #[test]
    fn what_is_published_says_where_and_what() {
        let change = |topic: &str, payload: &str| {
            Some(BusChange::Publish { topic: topic.to_owned(), payload: payload.as_bytes().to_vec() })
        };
        let said = message(Operation::Publish, "testtopic", r#"{"hello":"edge"}"#);
        assert_eq!(published(&said), change("testtopic", r#"{"hello":"edge"}"#));
        let said = message(Operation::Message, "x", r#"{"message":{"topic":"a/b","data": 1}}"#);
        assert_eq!(published(&said), change("a/b", r#"{"topic":"a/b","data": 1}"#));
        assert_eq!(published(&message(Operation::Publish, "a/#", "x")), None);
        assert_eq!(published(&message(Operation::Message, "x", "nonsense")), None);
        let mut other = message(Operation::Publish, "a", "x");
        other.route.source = Source::RouterServiceBus;
        assert_eq!(published(&other), None);
    }
}
