//! What is said about MQTT: MetaManager tells EventBus what the cloud wants of it, EventBus tells MetaManager what users say,
//! DeviceTwin and the drivers inside EdgeCore say through it what is new.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use chassis::channel::{Receiver, Sender, TrySend};
use proto::api::device::{DeviceModel, DeviceSpec};
use proto::twin::{DeviceReport, MsgTwin, TwinDoc};
use tokio::sync::watch;

use super::{DeviceKey, MetaClient, MetaError, MetaRequest, Reply};
use crate::store::Upload;

/// What MetaManager tells EventBus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BusChange {
    /// What the cloud has subscribed the node to; once, first.
    Restore(Vec<String>),
    /// The cloud wants what is published on these topics, one filter.
    Subscribe(String),
    /// It does not want it any more.
    Unsubscribe(String),
    /// The cloud publishes something here.
    Publish {
        /// Topic.
        topic: String,
        /// What it says.
        payload: Vec<u8>,
    },
}

/// MetaManager's way to EventBus. Subscriptions are in the store, and are told again after a start. What is published is
/// dropped where the queue is full: nobody waits for a broker that is away.
#[derive(Debug, Clone)]
pub struct BusFeed {
    tx: Sender<BusChange>,
}

/// EventBus' inbox from MetaManager.
pub type BusInbox = Receiver<BusChange>;

impl BusFeed {
    /// Wraps the sending half of the queue.
    #[must_use]
    pub fn new(tx: Sender<BusChange>) -> Self {
        Self { tx }
    }

    /// Tells EventBus, after waiting for room.
    ///
    /// # Errors
    /// When it has ended.
    pub async fn tell(&self, change: BusChange) -> Result<(), MetaError> {
        self.tx.send(change).await.map_err(|_| MetaError::Closed)
    }

    /// Tells EventBus if there is room now. Whether there was.
    pub fn offer(&self, change: BusChange) -> bool {
        self.tx.try_send(change).is_ok()
    }
}

/// What EventBus asks of MetaManager or tells it.
#[derive(Debug)]
pub enum UploadRequest {
    /// Users' messages, to be kept until the cloud has them; answered when they are on disk.
    Keep(Vec<Upload>, Reply<()>),
    /// A user's message that is not worth keeping.
    Say(Box<Upload>),
    /// The broker has begun a new session.
    ForgetMarks(Reply<()>),
}

/// What DeviceTwin tells EventBus, to be published on the topics of stock.
#[derive(Debug, Clone, PartialEq)]
pub enum DeviceNews {
    /// Which devices the node has got or lost.
    Membership {
        /// New ones.
        added: Vec<Member>,
        /// Those that are gone.
        removed: Vec<Member>,
    },
    /// The twin of a device has changed.
    Twin(DeviceKey, TwinChange),
    /// The state of a device was told.
    State(DeviceKey, DeviceReport),
}

/// A device of the node in short.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Which.
    pub key: DeviceKey,
    /// Its state; empty while it is not known.
    pub state: String,
    /// When it was last online, RFC 3339; empty when it never was.
    pub last_online: String,
}

/// What a write has done to a twin.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TwinChange {
    /// What was written, as it is now; `None` for a property whose values are gone.
    pub changed: BTreeMap<String, Option<MsgTwin>>,
    /// Each property before.
    pub last: BTreeMap<String, Option<MsgTwin>>,
    /// All properties now.
    pub twin: TwinDoc,
}

impl TwinChange {
    /// The values that properties should have and do not have.
    #[must_use]
    pub fn delta(&self) -> BTreeMap<&str, &str> {
        let differing = self.twin.iter().filter_map(|(name, twin)| {
            let expected = twin.expected.as_ref()?.value.as_deref().filter(|value| !value.is_empty())?;
            let actual = twin.actual.as_ref().and_then(|actual| actual.value.as_deref());
            (actual != Some(expected)).then_some((name.as_str(), expected))
        });
        differing.collect()
    }
}

/// DeviceTwin's way to whoever speaks MQTT. News is dropped where the queue is full, and counted there: DeviceTwin waits for no
/// broker, and a device that was not told asks (`twin/get`). Which devices speak MQTT themselves is a state: newest wins.
#[derive(Debug, Clone)]
pub struct TopicFeed {
    news: Sender<DeviceNews>,
    devices: watch::Sender<Arc<MqttDevices>>,
}

/// EventBus' inbox from DeviceTwin.
pub type NewsInbox = Receiver<DeviceNews>;

/// The devices that speak MQTT themselves.
pub type MqttDevices = BTreeMap<DeviceKey, MqttDevice>;

/// One of them.
#[derive(Debug, Clone, PartialEq)]
pub struct MqttDevice {
    /// What it is, with what its model says of it.
    pub spec: Arc<DeviceSpec>,
    /// Its model.
    pub model: Option<Arc<DeviceModel>>,
}

/// Something that was published on a topic of a device that speaks MQTT itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MqttMessage {
    /// Topic.
    pub topic: String,
    /// What it says.
    pub payload: Bytes,
}

/// Something to publish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MqttPublish {
    /// Topic.
    pub topic: String,
    /// What it says.
    pub payload: Bytes,
    /// Quality of service: 0, 1 or 2.
    pub qos: u8,
    /// Whether the broker keeps it for later subscribers.
    pub retain: bool,
}

impl MqttPublish {
    /// Bytes that it takes.
    #[must_use]
    pub fn size(&self) -> usize {
        self.topic.len() + self.payload.len()
    }
}

impl TopicFeed {
    /// Wraps the sending halves.
    #[must_use]
    pub fn new(news: Sender<DeviceNews>, devices: watch::Sender<Arc<MqttDevices>>) -> Self {
        Self { news, devices }
    }

    /// Tells what is new, if there is room for it.
    pub fn tell(&self, news: DeviceNews) {
        if let Err(TrySend::Full(_)) = self.news.try_send(news) {
            tracing::warn!("too much is new of devices: something is not published");
        }
    }

    /// Which devices speak MQTT themselves.
    pub fn show(&self, devices: MqttDevices) {
        self.devices.send_if_modified(|shown| {
            let is_news = **shown != devices;
            if is_news {
                *shown = Arc::new(devices);
            }
            is_news
        });
    }
}

// === impl MetaClient ===

impl MetaClient {
    /// Keeps users' messages until the cloud has them. On disk when this returns: then their senders may be told so.
    ///
    /// # Errors
    /// When they could not be written; nothing is kept of them then.
    pub async fn upload(&self, uploads: Vec<Upload>) -> Result<(), MetaError> {
        self.ask(|reply| MetaRequest::Upload(UploadRequest::Keep(uploads, reply))).await
    }

    /// Sends a user's message to the cloud if it can be sent now, else it is dropped and counted.
    ///
    /// # Errors
    /// When MetaManager has ended.
    pub async fn say(&self, upload: Upload) -> Result<(), MetaError> {
        self.tell(MetaRequest::Upload(UploadRequest::Say(Box::new(upload)))).await
    }

    /// The broker has begun a new session: what it repeats from now on is not what it sent before.
    ///
    /// # Errors
    /// When it could not be written.
    pub async fn forget_upload_marks(&self) -> Result<(), MetaError> {
        self.ask(|reply| MetaRequest::Upload(UploadRequest::ForgetMarks(reply))).await
    }
}
