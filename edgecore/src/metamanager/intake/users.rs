//! What the cloud wants of users' messages: what it publishes and calls is passed on at once, what it listens to is kept.
//!
//! A stock cloud says each subscription by itself. A Skerry cloud says all of them when it connects and when one changes, so that what went
//! while the node was away goes here, too.

use std::collections::BTreeSet;

use proto::user::{HttpResponse, NodeRules, RULES};
use proto::{Content, Group, Message, Operation, Resource, Route, Source};

use super::bus::SUBSCRIPTION;
use super::notice::{ForUsers, Notice};
use super::{Intake, Plan, bus};
use crate::flow::{BusChange, ServiceCall, ServiceChange};
use crate::store::{Change, Object, StoreError};

/// Kind of the stored objects that say for which URLs applications may ask.
pub(in crate::metamanager) const SERVICE_URL: &str = "service_url";

/// Whether a message says everything that rules want.
pub(super) fn are_rules(message: &Message) -> bool {
    message.header.parent_id.is_none()
        && message.route.source == Source::Router
        && message.route.operation == Operation::Update
        && matches!(&message.route.resource, Resource::Topic(topic) if topic == RULES)
}

/// One URL more or less. `None` for anything else.
pub(super) fn plan(message: &Message, url: &str) -> Option<Plan> {
    if message.route.source != Source::RouterServiceBus {
        return None;
    }
    let (change, told) = match message.route.operation {
        Operation::Start => (kept(SERVICE_URL, url), ServiceChange::Start(url.to_owned())),
        Operation::Stop => (dropped(SERVICE_URL, url), ServiceChange::Stop(url.to_owned())),
        _ => return None,
    };
    Some(Plan { change, notice: Some(Notice::Service(told)) })
}

/// A call of a service. `None` where a message is none.
fn call(message: &Message, is_native: bool) -> Option<ServiceCall> {
    let Resource::Topic(resource) = &message.route.resource else { return None };
    let operation = &message.route.operation;
    if message.route.source != Source::RouterServiceBus
        || matches!(operation, Operation::Start | Operation::Stop)
    {
        return None;
    }
    Some(ServiceCall {
        id: message.header.id.clone(),
        method: operation.to_string(),
        resource: resource.clone(),
        request: message.content.decode().map_err(|error| error.to_string()),
        is_native,
    })
}

fn key(kind: &str, text: &str) -> String {
    format!("bus/{kind}/{text}")
}

fn kept(kind: &str, text: &str) -> Change {
    let value = text.as_bytes().to_vec();
    Change::PutObject(Object {
        key: key(kind, text),
        kind: kind.to_owned(),
        uid: String::new(),
        value,
        digest: 0,
    })
}

fn dropped(kind: &str, text: &str) -> Change {
    Change::DeleteObject { key: key(kind, text), uid: String::new() }
}

/// An answer of this node to something of the router's.
pub(in crate::metamanager) fn answer(
    source: Source,
    parent: &str,
    response: &HttpResponse,
    stamp: proto::Stamp,
) -> Message {
    let route = Route { source, group: Group::User, operation: Operation::Upload, resource: Resource::Empty };
    // Texts and numbers: this does not fail.
    let mut answer = Message::new(stamp, route, Content::object(response).unwrap_or_default());
    answer.header.parent_id = Some(parent.to_owned());
    answer
}

impl Intake {
    /// What is not kept goes on at once. Whether it was such a message.
    pub(super) fn pass_on(&self, message: &Message) -> bool {
        let is_native = self.cloud.is_native();
        if let Some(change) = bus::published(message) {
            let is_told = self.bus.as_ref().is_some_and(|bus| bus.offer(change));
            if !is_told {
                tracing::warn!(topic = %message.route.resource, "what the cloud publishes here is dropped");
            }
            // A cloud of stock waits for nothing.
            if is_native {
                let (status, text) = match (is_told, &self.bus) {
                    (true, _) => (200, ""),
                    (false, None) => (503, "modules.eventBus is off on this node"),
                    (false, Some(_)) => (503, "too much waits for MQTT on this node"),
                };
                self.reply(Source::Bus, message, &HttpResponse::text(status, text));
            }
            return true;
        }
        let Some(call) = call(message, is_native) else { return false };
        let refusal = match &self.services {
            Some(services) if services.offer(ServiceChange::Call(Box::new(call))) => None,
            Some(_) => Some("too many calls wait on this node"),
            None => Some("modules.serviceBus is off on this node"),
        };
        if let Some(why) = refusal {
            self.reply(Source::ServiceBus, message, &HttpResponse::text(503, why));
        }
        true
    }

    fn reply(&self, source: Source, message: &Message, response: &HttpResponse) {
        let answer = answer(source, &message.header.id, response, self.cloud.stamp());
        if !self.cloud.offer(answer) {
            tracing::debug!(msg = message.header.id, "the cloud is not told what became of it");
        }
    }

    /// Whoever carries users' messages ends early when EdgeCore does; what matters is in the store.
    pub(super) async fn tell_users(&self, change: ForUsers) {
        let told = match change {
            ForUsers::EventBus(change) => match &self.bus {
                Some(bus) => bus.tell(change).await,
                None => Ok(()),
            },
            ForUsers::ServiceBus(change) => match &self.services {
                Some(services) => services.tell(change).await,
                None => Ok(()),
            },
        };
        if told.is_err() {
            tracing::debug!("EventBus or ServiceBus has ended");
        }
    }

    /// Everything that rules want of this node: kept in place of what they wanted before, then told.
    pub(super) async fn take_rules(&self, message: &Message) {
        let rules: NodeRules = match message.content.decode() {
            Ok(rules) => rules,
            Err(error) => return tracing::error!(%error, "what rules want of this node cannot be read"),
        };
        if let Err(error) = self.replace(&rules).await {
            // The cloud says it again on the next link.
            return tracing::error!(%error, "what rules want of this node is not kept");
        }
        self.tell_users(ForUsers::EventBus(BusChange::Restore(rules.topics.into_iter().collect()))).await;
        self.tell_users(ForUsers::ServiceBus(ServiceChange::Urls(rules.urls))).await;
        self.tell_users(ForUsers::ServiceBus(ServiceChange::Services(rules.services))).await;
    }

    async fn replace(&self, rules: &NodeRules) -> Result<(), StoreError> {
        let mut changes = Vec::new();
        for (kind, wanted) in [(SUBSCRIPTION, &rules.topics), (SERVICE_URL, &rules.urls)] {
            let stored = self.store.objects(kind).await?;
            let stored: BTreeSet<String> =
                stored.into_iter().filter_map(|object| String::from_utf8(object.value).ok()).collect();
            changes.extend(stored.difference(wanted).map(|gone| dropped(kind, gone)));
            changes.extend(wanted.difference(&stored).map(|new| kept(kind, new)));
        }
        if changes.is_empty() {
            return Ok(());
        }
        self.store.apply(changes).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use proto::Stamp;

    use super::*;

    fn message(operation: &str, resource: &str, content: Content) -> Message {
        let route = Route {
            source: Source::RouterServiceBus,
            group: Group::User,
            operation: Operation::from(operation),
            resource: Resource::Topic(resource.to_owned()),
        };
        Message::new(Stamp { id: "1".to_owned(), timestamp: 1 }, route, content)
    }

    #[test]
    fn urls_are_kept_and_forgotten() {
        let kept = plan(&message("start", "http://x/y", Content::Null), "http://x/y").unwrap();
        assert!(
            matches!(&kept.change, Change::PutObject(object) if object.value == b"http://x/y" && object.kind == SERVICE_URL)
        );
        assert_eq!(kept.notice, Some(Notice::Service(ServiceChange::Start("http://x/y".to_owned()))));
        let gone = plan(&message("stop", "http://x/y", Content::Null), "http://x/y").unwrap();
        let key = "bus/service_url/http://x/y".to_owned();
        assert_eq!(gone.change, Change::DeleteObject { key, uid: String::new() });
        assert!(plan(&message("GET", "8080:/", Content::Null), "8080:/").is_none());
    }

    #[test]
    fn a_call_says_what_it_asks_or_what_is_wrong() {
        let content =
            Content::object(&serde_json::json!({"header": {}, "body": "aGk=", "method": "POST", "url": ""}));
        let read = call(&message("POST", "8080:/x", content.unwrap()), false).unwrap();
        assert_eq!(
            (read.id.as_str(), read.method.as_str(), read.resource.as_str()),
            ("1", "POST", "8080:/x")
        );
        assert_eq!(read.request.unwrap().body.0, b"hi");
        assert!(call(&message("POST", "8080:/x", Content::text("?")), false).unwrap().request.is_err());
        assert!(call(&message("stop", "http://x", Content::Null), false).is_none());
        let mut other = message("POST", "8080:/x", Content::Null);
        other.route.source = Source::RouterEventBus;
        assert!(call(&other, false).is_none());
    }
}
