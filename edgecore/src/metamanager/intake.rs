//! What comes down from the cloud: stored, then acknowledged, then told.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;
use proto::{Message, ObjectPath, Operation, Resource, ResourceKind, Source};
use serde::Deserialize;

use super::cloud::Cloud;
use crate::flow::{ConfigKind, FromCloud, HubFeed, PodChange, PodFeed, PodKey};
use crate::store::{Change, Object, Store, StoreError};

/// Messages in one transaction; the same reason as for the store's own batches.
const BATCH: usize = 64;

/// The downward loop.
#[derive(Debug)]
pub(super) struct Intake {
    inbox: HubFeed,
    cloud: Arc<Cloud>,
    store: Store,
    feed: PodFeed,
}

/// What to do about one message, worked out before anything is done.
#[derive(Debug, PartialEq)]
pub(super) struct Plan {
    /// What to write.
    pub(super) change: Change,
    /// Whom to tell when it is written, and changed something.
    pub(super) notice: Option<Notice>,
}

/// What edged is told.
#[derive(Debug, PartialEq)]
pub(super) enum Notice {
    /// New or changed pod.
    Pod(Box<Pod>),
    /// The API object of the pod is gone.
    PodDeleted(PodKey),
    /// A config map or secret is new, changed or gone.
    Config(ConfigKind, String, String),
}

/// Why a message cannot be stored. The cloud is told with operation `error` and nothing is acknowledged.
#[derive(Debug, thiserror::Error)]
pub(super) enum IntakeError {
    #[error("{resource}: operation {operation} on this resource is not understood")]
    NotUnderstood { operation: Operation, resource: Resource },
    #[error("{resource}: the content is not such an object: {reason}")]
    Malformed { resource: Resource, reason: String },
    #[error(transparent)]
    Store(#[from] StoreError),
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
        Self { inbox, cloud, store, feed }
    }

    /// Ends when edgehub has ended, or edged has.
    pub(super) async fn run(mut self) {
        while let Some(first) = self.inbox.recv().await {
            let mut batch = Vec::new();
            let mut next = Some(first);
            while let Some(event) = next.take() {
                match event {
                    FromCloud::Connected => self.cloud.connected(),
                    FromCloud::Disconnected => self.cloud.disconnected(),
                    FromCloud::Message(message) => batch.extend(self.sort(message)),
                }
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

    /// Answers go to who asked; what is left is for us. An answer that nobody waits for any more is dropped, as is
    /// a bare acknowledgement.
    fn sort(&self, message: Box<Message>) -> Option<Message> {
        if message.header.parent_id.is_none() {
            return Some(*message);
        }
        if let Err(late) = self.cloud.answered(message) {
            tracing::debug!(resource = %late.route.resource, "an answer that nobody waits for");
        }
        None
    }

    /// Writes the batch in one transaction, acknowledges it, tells edged. An error means that edged has ended.
    async fn take_in(&self, batch: Vec<Message>) -> Result<(), ()> {
        let mut planned = Vec::with_capacity(batch.len());
        for message in batch {
            match plan(&message) {
                Ok(plan) => planned.push((message, self.complete(plan).await)),
                Err(error) => self.refuse(&message, &error).await,
            }
        }
        let changes = planned.iter().map(|(_, plan)| plan.change.clone()).collect();
        if let Err(error) = self.store.apply(changes).await {
            let error = IntakeError::Store(error);
            for (message, _) in &planned {
                self.refuse(message, &error).await;
            }
            return Ok(());
        }
        for (message, _) in &planned {
            // Without a link the ack is lost; the cloud then sends the object again.
            if self.cloud.send(message.ack(self.cloud.stamp())).await.is_err() {
                tracing::debug!(resource = %message.route.resource, "ack not sent");
            }
        }
        for notice in planned.into_iter().filter_map(|(_, plan)| plan.notice) {
            self.feed.tell(notice.into()).await.map_err(|_| ())?;
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

    async fn refuse(&self, message: &Message, error: &IntakeError) {
        tracing::error!(resource = %message.route.resource, msg = message.header.id, %error, "not taken in");
        let answer = message
            .error(self.cloud.stamp(), error.to_string())
            .from_module(Source::MetaManager, message.route.group.clone());
        if self.cloud.send(answer).await.is_err() {
            tracing::debug!("the cloud was not told");
        }
    }
}

/// Works out what a message means for the store and for edged. Pure.
pub(super) fn plan(message: &Message) -> Result<Plan, IntakeError> {
    let resource = &message.route.resource;
    let not_understood = || IntakeError::NotUnderstood {
        operation: message.route.operation.clone(),
        resource: resource.clone(),
    };
    let Resource::Object(path) = resource else { return Err(not_understood()) };
    let Some(name) = path.name.as_deref() else { return Err(not_understood()) };
    let malformed = |reason: String| IntakeError::Malformed { resource: resource.clone(), reason };
    match message.route.operation {
        Operation::Insert | Operation::Update | Operation::Patch => {
            let filed: Filed = message.content.decode().map_err(|error| malformed(error.to_string()))?;
            let notice = match path.kind {
                ResourceKind::Pod => {
                    let pod: Pod = message.content.decode().map_err(|error| malformed(error.to_string()))?;
                    Some(Notice::Pod(Box::new(pod)))
                }
                _ => config_notice(path, name),
            };
            let object = Object {
                key: resource.to_string(),
                kind: path.kind.to_string(),
                uid: filed.metadata.uid,
                value: message.content.data().into_owned(),
            };
            Ok(Plan { change: Change::PutObject(object), notice })
        }
        Operation::Delete => {
            // The content of a delete may be empty or only a name.
            let uid = message.content.decode::<Filed>().map(|filed| filed.metadata.uid).unwrap_or_default();
            let notice = match path.kind {
                ResourceKind::Pod => Some(Notice::PodDeleted(PodKey {
                    namespace: path.namespace.clone().unwrap_or_default(),
                    name: name.to_owned(),
                    uid: uid.clone(),
                })),
                _ => config_notice(path, name),
            };
            Ok(Plan { change: Change::DeleteObject { key: resource.to_string(), uid }, notice })
        }
        _ => Err(not_understood()),
    }
}

fn config_notice(path: &ObjectPath, name: &str) -> Option<Notice> {
    let kind = match path.kind {
        ResourceKind::ConfigMap => ConfigKind::ConfigMap,
        ResourceKind::Secret => ConfigKind::Secret,
        _ => return None,
    };
    Some(Notice::Config(kind, path.namespace.clone().unwrap_or_default(), name.to_owned()))
}

impl From<Notice> for PodChange {
    fn from(notice: Notice) -> Self {
        match notice {
            Notice::Pod(pod) => Self::Upsert(Arc::new(*pod)),
            Notice::PodDeleted(pod) => Self::Delete(pod),
            Notice::Config(kind, namespace, name) => Self::ConfigChanged { kind, namespace, name },
        }
    }
}
