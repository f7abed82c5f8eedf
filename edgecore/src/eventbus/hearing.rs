//! What is heard of brokers.

use chassis::channel::Receiver;
use proto::twin::TwinUpdate;
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};

use super::State;
use super::payload::{self, Base, StateRequest, UNREADABLE};
use super::topics::{self, Topic, UPLOADED};
use super::wire::{Ack, Arrival, Broker, Heard};
use crate::flow::{DeviceKey, DriverError, DriverReply, DriverRequest, MqttMessage, TopicRequest};
use crate::store::Upload;

/// Messages that are heard before anything else is looked at.
const AT_ONCE: usize = 64;
/// Largest message of a user, in bytes: as JSON text it must fit into a message of the channel.
const LARGEST: usize = 1 << 20;

impl State {
    /// What is heard, and what waits behind it.
    ///
    /// # Errors
    /// When MetaManager has ended.
    pub(super) async fn hear_all(&mut self, first: Heard, heard: &mut Receiver<Heard>) -> anyhow::Result<()> {
        let mut next = Some(first);
        let mut count = 0;
        while let Some(one) = next {
            match one {
                Heard::Connected { broker, is_new } => self.connected(broker, is_new).await?,
                Heard::Lost(broker) => tracing::debug!(%broker, "lost"),
                Heard::Message(arrival) => self.hear(arrival).await?,
            }
            count += 1;
            let goes_on = count < AT_ONCE && self.uploading.has_room();
            next = if goes_on { heard.try_recv() } else { None };
        }
        self.uploading.go_on();
        Ok(())
    }

    /// A broker without memory of us counts its messages anew.
    async fn connected(&mut self, broker: Broker, is_new: bool) -> anyhow::Result<()> {
        if is_new && let Err(error) = self.meta.forget_upload_marks().await {
            tracing::warn!(%broker, %error, "what the broker repeats may be taken for what it sent before");
        }
        Ok(())
    }

    async fn hear(&mut self, arrival: Arrival) -> anyhow::Result<()> {
        let (broker, ack) = (arrival.broker, arrival.ack);
        match Topic::parse(&arrival.topic) {
            Topic::TwinUpdate(key) => self.update_twin(broker, key, &arrival.payload).await,
            Topic::TwinGet(key) => self.get_twin(broker, key, &arrival.payload).await,
            Topic::StateUpdate(key) => self.update_state(broker, key, &arrival.payload).await,
            Topic::MembershipGet(node) if node == self.node => {
                self.get_members(broker, &arrival.payload).await;
            }
            // Another node on the same broker will answer.
            Topic::MembershipGet(_) | Topic::Meaningless => self.metrics.refused("meaningless"),
            Topic::Other => return self.hear_other(arrival).await,
        }
        self.acknowledge(broker, ack);
        Ok(())
    }

    fn acknowledge(&self, broker: Broker, ack: Option<Ack>) {
        if let (Some(line), Some(ack)) = (self.line(broker), ack) {
            line.acknowledge(ack);
        }
    }

    /// A device that speaks MQTT itself, a user, or both.
    async fn hear_other(&mut self, arrival: Arrival) -> anyhow::Result<()> {
        let (broker, ack) = (arrival.broker, arrival.ack);
        let devices = self.devices.as_ref();
        let is_of_device = devices.is_some_and(|devices| devices.topics.borrow().contains(&arrival.topic));
        let is_matched = |filter: &str| topics::matches(filter, &arrival.topic);
        let is_of_user = UPLOADED.iter().any(|filter| is_matched(filter))
            || self.rules.iter().any(|filter| is_matched(filter));
        if is_of_device && let Some(devices) = &self.devices {
            self.metrics.heard("device");
            let (topic, payload) = (arrival.topic.clone(), arrival.payload.clone());
            // Without them nothing is lost: EdgeCore ends.
            devices.said.send(MqttMessage { topic, payload }).await.ok();
        }
        if is_of_user {
            return self.upload(arrival).await;
        }
        if !is_of_device {
            self.metrics.refused("unwanted");
        }
        self.acknowledge(broker, ack);
        Ok(())
    }

    async fn upload(&mut self, arrival: Arrival) -> anyhow::Result<()> {
        let Arrival { topic, payload, broker, ack, client, number, is_repeated } = arrival;
        if payload.len() > LARGEST {
            self.metrics.refused("too_large");
            tracing::warn!(
                topic,
                bytes = payload.len(),
                "a user's message is too large for the cloud: dropped"
            );
            self.acknowledge(broker, ack);
            return Ok(());
        }
        self.metrics.heard("upload");
        if std::str::from_utf8(&payload).is_err() {
            self.metrics.refused("not_text");
            tracing::debug!(topic, "a user's message is no text: it is mangled, as in stock");
        }
        let mark = ack.map_or(0, |_| mark(broker, (client.as_deref(), number), &topic, &payload));
        let Base { event_id: id, timestamp } = self.fresh();
        let upload = Upload { id, topic, payload: payload.to_vec(), timestamp, mark, is_repeated };
        match ack {
            Some(ack) => self.uploading.push(upload, Some((broker, ack))),
            None => self.meta.say(upload).await?,
        }
        Ok(())
    }

    async fn ask<T>(
        &self,
        build: impl FnOnce(DriverReply<T>) -> TopicRequest,
        key: Option<&DeviceKey>,
    ) -> Result<T, DriverError> {
        match (&self.drivers, key) {
            (Some(drivers), _) => drivers.say(|to| DriverRequest::Topic(build(to))).await,
            (None, Some(key)) => Err(DriverError::NotFound(key.clone())),
            (None, None) => Err(DriverError::Closed),
        }
    }

    async fn update_twin(&self, broker: Broker, key: DeviceKey, payload: &[u8]) {
        self.metrics.heard("twin");
        let Some(line) = self.line(broker) else { return };
        let result = || topics::of_device(&key, "twin/update/result");
        let update = match object::<TwinUpdate>(payload) {
            Ok(update) => update,
            Err(error) => {
                tracing::debug!(device = ?key, %error, "a twin's update cannot be read");
                self.metrics.refused("unreadable");
                return line.say(result(), payload::failed(&self.base(String::new()), 400, UNREADABLE));
            }
        };
        let event_id = update.event_id.clone();
        let written = self.ask(|to| TopicRequest::UpdateTwin(key.clone(), update, to), Some(&key)).await;
        let base = self.base(event_id);
        match written {
            Ok(change) => {
                self.tell_twin(line, &key, &base, &change);
                // Who listens at the other broker is told, too.
                for other in self.lines.iter().filter(|other| other.broker != broker) {
                    self.tell_twin(other, &key, &base, &change);
                }
            }
            Err(error) => line.say(result(), self.refusal(&base, &error)),
        }
    }

    async fn get_twin(&self, broker: Broker, key: DeviceKey, payload: &[u8]) {
        self.metrics.heard("twin");
        let Some(line) = self.line(broker) else { return };
        let topic = topics::of_device(&key, "twin/get/result");
        let Some(asked) = self.read::<Base>(payload) else {
            return line.say(topic, payload::failed(&self.base(String::new()), 400, UNREADABLE));
        };
        let twin = self.ask(|to| TopicRequest::GetTwin(key.clone(), to), Some(&key)).await;
        let base = self.base(asked.event_id);
        line.say(
            topic,
            match twin {
                Ok(twin) => payload::got(&base, &twin),
                Err(error) => self.refusal(&base, &error),
            },
        );
    }

    async fn update_state(&self, broker: Broker, key: DeviceKey, payload: &[u8]) {
        self.metrics.heard("state");
        let Some(line) = self.line(broker) else { return };
        let topic = || topics::of_device(&key, "state/update/result");
        let asked = self.read::<Base>(payload).zip(self.read::<StateRequest>(payload));
        let Some((asked, StateRequest { state })) = asked else {
            return line.say(topic(), payload::failed(&self.base(String::new()), 400, UNREADABLE));
        };
        let told = self.ask(|to| TopicRequest::UpdateState(key.clone(), state, to), Some(&key)).await;
        match told {
            Ok(report) => self.lines.iter().for_each(|line| self.tell_state(line, &key, report.clone())),
            Err(error) => line.say(topic(), self.refusal(&self.base(asked.event_id), &error)),
        }
    }

    async fn get_members(&self, broker: Broker, payload: &[u8]) {
        self.metrics.heard("membership");
        let Some(line) = self.line(broker) else { return };
        let topic = topics::of_node(&self.node, "membership/get/result");
        let Some(asked) = self.read::<Base>(payload) else {
            return line.say(topic, payload::failed(&self.base(String::new()), 400, UNREADABLE));
        };
        let members = self.ask(TopicRequest::Members, None).await;
        let base = self.base(asked.event_id);
        line.say(
            topic,
            match members {
                Ok(members) => payload::members(&base, &members),
                Err(error) => self.refusal(&base, &error),
            },
        );
    }

    fn read<T: DeserializeOwned>(&self, payload: &[u8]) -> Option<T> {
        let read = object(payload).ok();
        if read.is_none() {
            self.metrics.refused("unreadable");
        }
        read
    }

    fn refusal(&self, base: &Base, error: &DriverError) -> String {
        let (code, reason) = payload::failure(error);
        self.metrics.refused(if code == 404 { "unknown" } else { "invalid" });
        payload::failed(base, code, &reason)
    }
}

/// An object, and no array of its members, which serde would take for it.
fn object<T: DeserializeOwned>(payload: &[u8]) -> serde_json::Result<T> {
    if payload.trim_ascii_start().first() == Some(&b'[') {
        return Err(serde::de::Error::custom("expected an object"));
    }
    serde_json::from_slice(payload)
}

/// Tells a message from the others of its sender, which is the broker, or a client of the one inside: packet ids come back, so what it
/// says counts, too.
fn mark(broker: Broker, (client, id): (Option<&str>, u16), topic: &str, payload: &[u8]) -> i64 {
    let mut hash = Sha256::new();
    hash.update(broker.as_str());
    let client = client.unwrap_or_default();
    hash.update(client.len().to_le_bytes());
    hash.update(client);
    hash.update(id.to_le_bytes());
    hash.update(topic.len().to_le_bytes());
    hash.update(topic);
    hash.update(payload);
    hash.finalize().first_chunk().map_or(0, |first| i64::from_le_bytes(*first))
}
