//! Reporting over MQTT, on stock's topics: `$hw/events/device/<namespace>/<name>/twin/update` and `.../state/update`. Devices
//! come from EdgeCore's socket all the same, or from a file; in the latter case desired values come from `.../twin/update/delta`.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use chassis::clock::Clock;
use chassis::module::Module;
use chassis::rng::Rng;
use chassis::shutdown::Shutdown;
use chassis::task;
use proto::twin::{MsgTwin, TwinUpdate, TwinValue, TypeMetadata, ValueMetadata};
use rumqttc::{AsyncClient, Incoming, QoS};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::mpsc;

use crate::broker;
use crate::fleet::FleetClient;
use crate::metrics::Metrics;
use crate::outbox::{News, Outbox, Reading};
use crate::tls::Trust;

/// Messages between this module and the broker; what does not fit waits in the outbox, newest wins.
const ON_THE_WAY: usize = 16;
/// Desired values that wait for their devices.
const HEARD: usize = 64;
/// All devices of this node: whose they are is found out by their names.
const DELTAS: &str = "$hw/events/device/+/+/twin/update/delta";

/// The module.
#[derive(Debug)]
pub(crate) struct MqttReporter {
    pub(crate) address: String,
    pub(crate) name: String,
    pub(crate) trust: Trust,
    pub(crate) outbox: Outbox,
    pub(crate) fleet: FleetClient,
    /// Whether desired values come over MQTT, because there is nobody else who says them.
    pub(crate) is_told_here: bool,
    pub(crate) metrics: Metrics,
    pub(crate) clock: Clock,
    pub(crate) rng: Rng,
}

impl Module for MqttReporter {
    const NAME: &'static str = "mqtt";

    async fn run(self, shutdown: Shutdown) -> anyhow::Result<()> {
        let id = format!("{}-{}", self.name, self.rng.alphanumeric(5));
        let options = broker::options(&self.address, &id, &self.trust);
        let (client, events) = AsyncClient::new(options.map_err(anyhow::Error::msg)?, ON_THE_WAY);
        let (heard, mut deltas) = mpsc::channel(HEARD);
        let (up, mut is_up) = mpsc::channel(1);
        let hear = move |packet| match packet {
            // A full queue of deltas is no loss: each delta holds all that differs.
            Incoming::Publish(publish) => drop(heard.try_send(publish)),
            Incoming::ConnAck(_) => drop(up.try_send(())),
            _ => {}
        };
        let _polling =
            task::spawn(tracing::Span::current(), broker::poll(events, Duration::from_secs(5), hear));
        loop {
            tokio::select! {
                () = shutdown.requested() => return Ok(()),
                Some(()) = is_up.recv(), if self.is_told_here => {
                    client.subscribe(DELTAS, QoS::AtLeastOnce).await?;
                }
                Some(delta) = deltas.recv() => self.desire(&delta.topic, &delta.payload).await,
                () = self.report(&client) => {}
            }
        }
    }
}

/// What differs from what is desired.
#[derive(Debug, Deserialize)]
struct Delta {
    #[serde(default)]
    delta: BTreeMap<String, String>,
}

impl MqttReporter {
    /// Reports of one device. Dropped while it waits, it loses nothing.
    async fn report(&self, client: &AsyncClient) {
        let (key, news) = self.outbox.take().await;
        let now = self.clock.now_ms();
        let base = format!("$hw/events/device/{}/{}", key.0, key.1);
        for (topic, payload) in messages(&base, &news, now, &self.rng) {
            // Without room the broker is away: what is newer then is said then.
            if client.try_publish(topic, QoS::AtLeastOnce, false, payload).is_ok() {
                self.metrics.reports.inc();
            } else {
                self.outbox.put_back(key, news);
                tokio::time::sleep(Duration::from_secs(1)).await;
                return;
            }
        }
    }

    async fn desire(&self, topic: &str, payload: &[u8]) {
        let mut parts = topic.split('/').skip(3);
        let (Some(namespace), Some(name)) = (parts.next(), parts.next()) else { return };
        let delta: Delta = match serde_json::from_slice(payload) {
            Ok(delta) => delta,
            Err(error) => return tracing::warn!(topic, "a delta that is none: {error}"),
        };
        for (property, value) in delta.delta {
            let key = (namespace.to_owned(), name.to_owned());
            if let Err(error) = self.fleet.desired(key, property, value).await {
                tracing::debug!(topic, "{error}");
            }
        }
    }
}

/// What is published.
fn messages(base: &str, news: &News, now: i64, rng: &Rng) -> Vec<(String, String)> {
    let mut messages = Vec::new();
    if let Some(state) = news.state {
        let payload = json!({"event_id": rng.uuid().to_string(), "timestamp": now, "state": state.word()});
        messages.push((format!("{base}/state/update"), payload.to_string()));
    }
    if !news.readings.is_empty() {
        let twin = news.readings.iter().map(|(name, reading)| (name.clone(), Some(twin(reading))));
        let update = TwinUpdate { event_id: rng.uuid().to_string(), timestamp: now, twin: twin.collect() };
        if let Ok(payload) = serde_json::to_string(&update) {
            messages.push((format!("{base}/twin/update"), payload));
        }
    }
    messages
}

fn twin(reading: &Reading) -> MsgTwin {
    let value = |value: &str| TwinValue {
        value: Some(value.to_owned()),
        metadata: Some(ValueMetadata { timestamp: reading.at }),
    };
    // Stock knows no double, and no bytes or streams.
    let data_type = match reading.data_type {
        "INT" => "int",
        "FLOAT" | "DOUBLE" => "float",
        "BOOLEAN" => "boolean",
        _ => "string",
    };
    MsgTwin {
        expected: reading.desired.as_deref().map(value),
        actual: Some(value(&reading.value)),
        metadata: Some(TypeMetadata { data_type: data_type.to_owned() }),
        ..MsgTwin::default()
    }
}
