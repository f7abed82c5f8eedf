//! What comes down from the cloud: stored, then acknowledged, then told.

mod bus;
mod notice;
mod unused;
mod users;

use std::fmt;
use std::sync::Arc;

use proto::codec::binary::{Acks, Push, Refused};
use proto::hello::Held;
use proto::message::ContentError;
use proto::{Content, Group, Message, ObjectPath, Operation, Resource, ResourceKind, Source};
use serde::Deserialize;
use tokio::sync::oneshot;

pub(super) use self::bus::SUBSCRIPTION;
use self::notice::Addressed;
pub(super) use self::notice::Notice;
use self::unused::unused_after;
pub(super) use self::users::{SERVICE_URL, answer};
use super::cloud::{CallError, Cloud};
use crate::flow::{
    BusFeed, ConfigKind, DeviceFeed, DeviceKey, FromCloud, HubFeed, PodFeed, PodKey, ServiceFeed,
};
use crate::store::{Change, Object, Removal, Store};

/// Messages in one transaction; the same reason as for the store's own batches.
const BATCH: usize = 64;

/// The downward loop.
#[derive(Debug)]
pub(super) struct Intake {
    inbox: HubFeed,
    cloud: Arc<Cloud>,
    store: Store,
    feed: PodFeed,
    devices: Option<DeviceFeed>,
    bus: Option<BusFeed>,
    services: Option<ServiceFeed>,
}

/// What to do about one message, worked out before anything is done.
#[derive(Debug, PartialEq)]
pub(super) struct Plan {
    /// What to write.
    pub(super) change: Change,
    /// Whom to tell when it is written, and changed something.
    pub(super) notice: Option<Notice>,
}

/// Something to take in.
#[derive(Debug)]
enum Arrived {
    Message(Box<Message>),
    Push(Box<Push>),
}

/// What the cloud is told of one batch.
#[derive(Debug, Default)]
struct Answers {
    messages: Vec<Message>,
    acks: Acks,
}

/// Why a message cannot be stored. The cloud is told with operation `error` and nothing is acknowledged.
#[derive(Debug, thiserror::Error)]
pub(super) enum IntakeError {
    #[error("{resource}: operation {operation} on this resource is not understood")]
    NotUnderstood { operation: Operation, resource: Resource },
    #[error("{path}: the content is not such an object: {reason}")]
    Malformed { path: ObjectPath, reason: String },
}

/// The part of any object that we need to file it.
#[derive(Debug, Deserialize)]
struct Filed {
    metadata: Metadata,
}

#[derive(Debug, Deserialize)]
struct Metadata {
    #[serde(default)]
    uid: String,
}

impl Intake {
    pub(super) fn new(inbox: HubFeed, cloud: Arc<Cloud>, store: Store, feed: PodFeed) -> Self {
        Self { inbox, cloud, store, feed, devices: None, bus: None, services: None }
    }

    /// With somebody who is told of devices.
    pub(super) fn with_devices(mut self, devices: Option<DeviceFeed>) -> Self {
        self.devices = devices;
        self
    }

    /// With somebody who publishes for the cloud.
    pub(super) fn with_bus(mut self, bus: Option<BusFeed>) -> Self {
        self.bus = bus;
        self
    }

    /// With somebody who calls services for the cloud.
    pub(super) fn with_services(mut self, services: Option<ServiceFeed>) -> Self {
        self.services = services;
        self
    }

    /// Ends when edgehub has ended, or edged has.
    pub(super) async fn run(mut self) {
        while let Some(first) = self.inbox.recv().await {
            let mut batch = Vec::new();
            let mut next = Some(first);
            while let Some(event) = next.take() {
                let arrived = match event {
                    FromCloud::Connected(None) => {
                        self.cloud.connected(false);
                        None
                    }
                    FromCloud::Connected(Some(hello)) => {
                        // What came on the last link counts as held, so it has to be in the store first.
                        if self.take_in(std::mem::take(&mut batch)).await.is_err() {
                            return self.cloud.disconnected();
                        }
                        self.say_what_is_held(hello).await;
                        None
                    }
                    FromCloud::Disconnected => {
                        self.cloud.disconnected();
                        None
                    }
                    FromCloud::Message(message) if users::are_rules(&message) => {
                        // They replace what came before them, so that has to be in the store first.
                        if self.take_in(std::mem::take(&mut batch)).await.is_err() {
                            return self.cloud.disconnected();
                        }
                        self.take_rules(&message).await;
                        None
                    }
                    FromCloud::Message(message) => self.sort(message).map(Arrived::Message),
                    FromCloud::Push(push) => Some(Arrived::Push(push)),
                };
                batch.extend(arrived);
                if batch.len() < BATCH {
                    next = self.inbox.try_recv();
                }
            }
            if self.take_in(batch).await.is_err() {
                break;
            }
        }
        self.cloud.disconnected();
    }

    /// A store that cannot be read holds nothing that counts: then everything is sent, and nothing is removed.
    async fn say_what_is_held(&self, hello: oneshot::Sender<Vec<Held>>) {
        let held = self.store.held().await.unwrap_or_else(|error| {
            tracing::error!(%error, "the cloud is told that nothing is held");
            Vec::new()
        });
        // Without a receiver the link is gone already; its end is the next event.
        drop(hello.send(held));
        self.cloud.connected(true);
    }

    /// Answers go to who asked; what is left is for us. An answer that nobody waits for any more is dropped, as is
    /// a bare acknowledgement.
    fn sort(&self, message: Box<Message>) -> Option<Box<Message>> {
        if message.header.parent_id.is_none() {
            if self.pass_on(&message) {
                return None;
            }
            // Which devices the node has is known from the devices themselves; nobody waits for an acknowledgement.
            return Some(message).filter(|message| message.route.resource != Resource::Membership);
        }
        if let Err(late) = self.cloud.answered(message) {
            tracing::debug!(resource = %late.route.resource, "an answer that nobody waits for");
        }
        None
    }

    /// Writes the batch in one transaction, acknowledges it, tells edged. An error means that edged has ended.
    async fn take_in(&self, batch: Vec<Arrived>) -> Result<(), ()> {
        let mut answers = Answers::default();
        let mut planned = Vec::with_capacity(batch.len());
        for arrived in batch {
            match arrived.plan() {
                Ok(plan) => planned.push((arrived, self.complete(plan).await)),
                Err(error) => answers.refuse(&arrived, &error, &self.cloud),
            }
        }
        let mut changes: Vec<Change> = planned.iter().map(|(_, plan)| plan.change.clone()).collect();
        let removed = planned.iter().filter_map(|(_, plan)| match &plan.notice {
            Some(Notice::PodDeleted(pod)) => Some(pod),
            _ => None,
        });
        let uids = removed.clone().map(|pod| &pod.uid).filter(|uid| !uid.is_empty());
        changes.extend(uids.map(|uid| Change::ForgetPod { uid: uid.clone() }));
        changes.extend(removed.clone().filter(|pod| !pod.uid.is_empty()).map(removal));
        let devices = planned.iter().filter_map(|(_, plan)| match &plan.notice {
            Some(Notice::DeviceGone(_, uid)) if !uid.is_empty() => Some(uid),
            _ => None,
        });
        changes.extend(devices.map(|uid| Change::ForgetPod { uid: uid.clone() }));
        changes.extend(unused_after(removed, self.cloud.is_native()));
        let stored = self.store.apply(changes).await;
        match &stored {
            Ok(_) => planned.iter().for_each(|(arrived, _)| answers.accept(arrived, &self.cloud)),
            Err(error) => {
                planned.iter().for_each(|(arrived, _)| answers.refuse(arrived, &error, &self.cloud));
            }
        }
        if answers.send(&self.cloud).await.is_err() {
            // The cloud sends again what it was not told of.
            tracing::debug!("the cloud was not told what was stored");
        }
        if stored.is_err() {
            return Ok(());
        }
        for notice in planned.into_iter().filter_map(|(_, plan)| plan.notice) {
            match notice.addressed() {
                Addressed::Edged(change) => self.feed.tell(change).await.map_err(|_| ())?,
                Addressed::DeviceTwin(change) => {
                    if let Some(devices) = &self.devices {
                        devices.tell(change).await.map_err(|_| ())?;
                    }
                }
                Addressed::Users(change) => self.tell_users(change).await,
            }
        }
        Ok(())
    }

    /// A stock cloud may delete a pod without saying which incarnation (spec cloud-and-wire 3.6): it is the one that
    /// we hold.
    async fn complete(&self, mut plan: Plan) -> Plan {
        if let (Change::DeleteObject { key, .. }, Some(Notice::PodDeleted(pod))) =
            (&plan.change, &mut plan.notice)
            && pod.uid.is_empty()
            && let Ok(Some(held)) = self.store.object(key).await
        {
            pod.uid = held.uid;
        }
        plan
    }
}

// === impl Answers ===

impl Answers {
    fn accept(&mut self, arrived: &Arrived, cloud: &Cloud) {
        match arrived {
            // Nobody waits for that (spec cloud-and-wire 2.5).
            Arrived::Message(message) if message.route.group == Group::User => {}
            Arrived::Message(message) => self.messages.push(message.ack(cloud.stamp())),
            Arrived::Push(push) => self.acks.stored.push(push.seq),
        }
    }

    fn refuse(&mut self, arrived: &Arrived, error: &dyn std::error::Error, cloud: &Cloud) {
        tracing::error!(%error, "not taken in: {arrived}");
        match arrived {
            Arrived::Message(message) => {
                let answer = message.error(cloud.stamp(), error.to_string());
                self.messages.push(answer.from_module(Source::MetaManager, message.route.group.clone()));
            }
            Arrived::Push(push) => {
                self.acks.refused.push(Refused { seq: push.seq, reason: error.to_string() });
            }
        }
    }

    async fn send(self, cloud: &Cloud) -> Result<(), CallError> {
        for message in self.messages {
            cloud.send(message).await?;
        }
        if self.acks != Acks::default() {
            cloud.acknowledge(self.acks).await?;
        }
        Ok(())
    }
}

// === impl Arrived ===

impl Arrived {
    fn plan(&self) -> Result<Plan, IntakeError> {
        match self {
            Self::Message(message) => plan(message),
            Self::Push(push) => plan_push(push),
        }
    }
}

impl fmt::Display for Arrived {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Message(message) => {
                write!(f, "message {} on {}", message.header.id, message.route.resource)
            }
            Self::Push(push) => write!(f, "push {} of {}", push.seq, push.path),
        }
    }
}

/// Works out what a push means for the store and for edged. Pure.
pub(super) fn plan_push(push: &Push) -> Result<Plan, IntakeError> {
    let name = push.path.name.as_deref().unwrap_or_default();
    match &push.object {
        Some(object) => put(&push.path, name, object, push.digest),
        None => Ok(remove(&push.path, name, push.uid.clone())),
    }
}

/// Works out what a message means for the store and for edged. Pure.
pub(super) fn plan(message: &Message) -> Result<Plan, IntakeError> {
    let resource = &message.route.resource;
    let not_understood = || IntakeError::NotUnderstood {
        operation: message.route.operation.clone(),
        resource: resource.clone(),
    };
    if let Resource::Topic(topic) = resource {
        return bus::plan(message, topic).or_else(|| users::plan(message, topic)).ok_or_else(not_understood);
    }
    let Resource::Object(path) = resource else { return Err(not_understood()) };
    let Some(name) = path.name.as_deref() else { return Err(not_understood()) };
    match message.route.operation {
        Operation::Insert | Operation::Update | Operation::Patch => put(path, name, &message.content, 0),
        Operation::Delete => {
            // The content of a delete may be empty or only a name.
            let uid = message.content.decode::<Filed>().map(|filed| filed.metadata.uid).unwrap_or_default();
            Ok(remove(path, name, uid))
        }
        _ => Err(not_understood()),
    }
}

fn put(path: &ObjectPath, name: &str, content: &Content, digest: u64) -> Result<Plan, IntakeError> {
    let malformed =
        |error: ContentError| IntakeError::Malformed { path: path.clone(), reason: error.to_string() };
    let filed: Filed = content.decode().map_err(malformed)?;
    let notice = match path.kind {
        ResourceKind::Pod => Some(Notice::Pod(content.decode().map_err(malformed)?)),
        ResourceKind::Device => Some(Notice::Device(content.decode().map_err(malformed)?)),
        ResourceKind::DeviceModel => Some(Notice::Model(content.decode().map_err(malformed)?)),
        _ => config_notice(path, name),
    };
    let object = Object {
        key: path.to_string(),
        kind: path.kind.to_string(),
        uid: filed.metadata.uid,
        value: content.data().into_owned(),
        digest,
    };
    Ok(Plan { change: Change::PutObject(object), notice })
}

fn remove(path: &ObjectPath, name: &str, uid: String) -> Plan {
    let notice = match path.kind {
        ResourceKind::Pod => Some(Notice::PodDeleted(PodKey {
            namespace: path.namespace.clone().unwrap_or_default(),
            name: name.to_owned(),
            uid: uid.clone(),
        })),
        ResourceKind::Device => Some(Notice::DeviceGone(device_key(path, name), uid.clone())),
        ResourceKind::DeviceModel => Some(Notice::ModelGone(device_key(path, name))),
        _ => config_notice(path, name),
    };
    Plan { change: Change::DeleteObject { key: path.to_string(), uid }, notice }
}

/// Kept until edged has done it: the cloud does not say it again.
fn removal(pod: &PodKey) -> Change {
    let PodKey { uid, namespace, name } = pod.clone();
    Change::RemovePod(Removal { uid, namespace, name })
}

fn config_notice(path: &ObjectPath, name: &str) -> Option<Notice> {
    let kind = match path.kind {
        ResourceKind::ConfigMap => ConfigKind::ConfigMap,
        ResourceKind::Secret => ConfigKind::Secret,
        _ => return None,
    };
    Some(Notice::Config(kind, path.namespace.clone().unwrap_or_default(), name.to_owned()))
}

fn device_key(path: &ObjectPath, name: &str) -> DeviceKey {
    (path.namespace.clone().unwrap_or_default(), name.to_owned())
}
