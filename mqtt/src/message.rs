//! What is published.

use bytes::Bytes;
use rumqttc::mqttbytes::QoS;
use rumqttc::mqttbytes::v4::{LastWill, Publish};

/// What a message costs beside its topic and its payload, about.
const OVERHEAD: usize = 128;

/// A message. It is kept once, however many wait for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) topic: String,
    pub(crate) payload: Bytes,
    pub(crate) qos: QoS,
    /// Whether it is to be kept for later subscribers.
    pub(crate) retain: bool,
}

impl Message {
    /// Bytes that it costs in memory.
    pub(crate) fn weight(&self) -> usize {
        OVERHEAD + self.topic.len() + self.payload.len()
    }
}

impl From<Publish> for Message {
    /// With a copy of the payload: what was read shares its memory with all that came with it.
    fn from(publish: Publish) -> Self {
        let Publish { topic, payload, qos, retain, .. } = publish;
        Self { topic, payload: Bytes::copy_from_slice(&payload), qos, retain }
    }
}

impl From<LastWill> for Message {
    fn from(will: LastWill) -> Self {
        let LastWill { topic, message, qos, retain } = will;
        Self { topic, payload: Bytes::copy_from_slice(&message), qos, retain }
    }
}

/// The lower of two qualities.
pub(crate) fn lower(one: QoS, other: QoS) -> QoS {
    if (one as u8) < (other as u8) { one } else { other }
}
