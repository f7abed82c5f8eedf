//! A connection to a broker, made again whenever it breaks.
//!
//! MQTT 3.1.1, which every broker speaks. The session is kept by the broker (clean session false, always the same client id), so
//! that messages of QoS 1 that come while EdgeCore is away, or that it could not store, are sent again. Two tasks: one reads,
//! the other one writes and keeps the subscriptions as they should be, so that a full queue in one direction does not stop the
//! other.

#[cfg(test)]
mod tests;
mod writer;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use chassis::backoff::{Backoff, BackoffPolicy};
use chassis::rng::Rng;
use chassis::task;
use proto::config::Sensitive;
use rumqttc::{
    AsyncClient, ConnAck, ConnectionError, Event, EventLoop, MqttOptions, Packet, StateError, SubAck,
    SubscribeReasonCode, TlsConfiguration, Transport, mqttbytes,
};
use tokio::sync::watch;

use self::writer::Writer;
use super::Metrics;
use super::wire::{Ack, Arrival, Broker, Ends, Heard, Manner};

/// Largest packet, in bytes. Allocation follows what a broker declares, so this is no more than what users' messages (1 MiB)
/// and twins need.
const MAX_PACKET: usize = 4 << 20;
/// Requests between the two tasks.
const REQUESTS: usize = 64;
/// Messages that are published and not acknowledged, as mosquitto allows.
const IN_FLIGHT: u16 = 20;
/// A broker that says nothing for longer is asked whether it is still there.
const KEEP_ALIVE: Duration = Duration::from_secs(30);
/// Between attempts at a broker that is not there.
const RETRY: BackoffPolicy =
    BackoffPolicy { initial: Duration::from_secs(1), max: Duration::from_secs(60), factor: 2.0, jitter: 0.5 };

/// How a broker is reached.
#[derive(Debug, Clone)]
pub struct Dial {
    /// Name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Under which name EdgeCore is known there.
    pub client_id: String,
    /// User and password, where there is a user.
    pub credentials: Option<(String, Sensitive)>,
    /// TLS, where it is used.
    pub tls: Option<TlsFiles>,
    /// What is said to it by EventBus itself.
    pub manner: Manner,
}

/// Files for TLS. They are read for each connection: certificates are renewed.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// Certificates of the CAs that the broker's may be of.
    pub ca: PathBuf,
    /// EdgeCore's own, and its key; none where the broker asks for none.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// What the two tasks share: the connection that there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Session {
    /// Counted from 1.
    connection: u64,
    /// Whether everything has to be subscribed to again.
    is_new: bool,
}

/// The reading task.
pub(super) struct Connection {
    broker: Broker,
    dial: Dial,
    heard: chassis::channel::Sender<Heard>,
    session: watch::Sender<Option<Session>>,
    /// Subscriptions that were asked for and not answered.
    asked: Arc<AtomicUsize>,
    metrics: Metrics,
    rng: Rng,
    connections: u64,
    /// The broker would send again what is too large: its memory of us has to go.
    is_poisoned: bool,
}

impl Connection {
    /// Connects and goes on until nobody listens.
    pub(super) async fn run(dial: Dial, ends: Ends, rng: Rng, metrics: Metrics) {
        let Ends { broker, publishes, acks, filters, queued, heard } = ends;
        let (session, sessions) = watch::channel(None);
        let asked = Arc::new(AtomicUsize::new(0));
        let (client, events) = AsyncClient::new(options(&dial), REQUESTS);
        let asking = Arc::clone(&asked);
        let writer = Writer { client, publishes, acks, filters, queued, sessions, asked: asking, begun: 0 };
        let span = tracing::info_span!("mqtt", %broker);
        let _writing = task::spawn(span, writer.run());
        let connection =
            Self { broker, dial, heard, session, asked, metrics, rng, connections: 0, is_poisoned: false };
        connection.read(events).await;
    }

    async fn read(mut self, mut events: EventLoop) {
        let broker = self.broker;
        let mut backoff = Backoff::new(RETRY, self.rng.clone());
        self.prepare(&mut events);
        loop {
            let heard = match events.poll().await {
                Ok(Event::Incoming(Packet::ConnAck(answer))) => {
                    backoff.reset();
                    if std::mem::take(&mut self.is_poisoned) {
                        // It connected only to make the broker forget the one before.
                        events.clean();
                        self.prepare(&mut events);
                        continue;
                    }
                    self.connected(&answer)
                }
                Ok(Event::Incoming(Packet::Publish(publish))) => self.arrival(publish),
                Ok(Event::Incoming(Packet::SubAck(answer))) => {
                    self.subscribed(&answer);
                    continue;
                }
                Ok(Event::Incoming(Packet::UnsubAck(_))) => {
                    self.answered();
                    continue;
                }
                Ok(_) => continue,
                Err(error) => {
                    let was_up = self.lost(&error);
                    self.is_poisoned |= is_too_large(&error);
                    if was_up && self.heard.send(Heard::Lost(broker)).await.is_err() {
                        return;
                    }
                    let wait = backoff.next_delay();
                    tracing::warn!(%broker, ?wait, "no connection: {error}");
                    tokio::time::sleep(wait).await;
                    self.prepare(&mut events);
                    continue;
                }
            };
            if self.heard.send(heard).await.is_err() {
                return;
            }
        }
    }

    /// What may have changed since the last attempt.
    fn prepare(&self, events: &mut EventLoop) {
        events.mqtt_options.set_clean_session(self.is_poisoned);
        let Some(files) = &self.dial.tls else { return };
        match tls(files) {
            Ok(config) => {
                let config = TlsConfiguration::Rustls(Arc::new(config));
                events.mqtt_options.set_transport(Transport::tls_with_config(config));
            }
            // Without it the broker is not reached, and that is said by whoever tries.
            Err(error) => {
                tracing::error!(broker = %self.broker, "modules.eventBus.eventBusTLS: {error:#}")
            }
        }
    }

    fn connected(&mut self, answer: &ConnAck) -> Heard {
        let broker = self.broker;
        self.connections += 1;
        let is_new = !answer.session_present;
        // What was asked and not answered on the last connection may not have arrived.
        let is_unsure = self.asked.swap(0, Ordering::Relaxed) > 0;
        let session = Session { connection: self.connections, is_new: is_new || is_unsure };
        self.session.send_replace(Some(session));
        self.metrics.connected(broker);
        tracing::info!(%broker, host = self.dial.host, port = self.dial.port, is_new, "connected");
        Heard::Connected { broker, is_new }
    }

    /// Whether there was a connection.
    fn lost(&self, error: &ConnectionError) -> bool {
        let broker = self.broker;
        let was_up = self.session.send_replace(None).is_some();
        if was_up {
            self.metrics.lost(broker);
            tracing::warn!(%broker, "connection lost: {error}");
        }
        was_up
    }

    fn arrival(&self, publish: rumqttc::Publish) -> Heard {
        let id = publish.pkid;
        let ack = (id != 0).then_some(Ack { connection: self.connections, id });
        Heard::Message(Arrival {
            topic: publish.topic,
            payload: publish.payload,
            broker: self.broker,
            ack,
            client: None,
            number: id,
            is_repeated: publish.dup,
        })
    }

    fn subscribed(&self, answer: &SubAck) {
        self.answered();
        let is_refused = |code: &SubscribeReasonCode| matches!(code, SubscribeReasonCode::Failure);
        let refused = answer.return_codes.iter().filter(|code| is_refused(code)).count();
        if refused > 0 {
            tracing::error!(broker = %self.broker, refused, "the broker refuses subscriptions: look at its rules");
        }
    }

    fn answered(&self) {
        let one_less = |asked: usize| asked.checked_sub(1);
        // None is asked where the answer is late: it counts for nothing.
        self.asked.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less).ok();
    }
}

fn options(dial: &Dial) -> MqttOptions {
    let mut options = MqttOptions::new(dial.client_id.clone(), dial.host.clone(), dial.port);
    options.set_keep_alive(KEEP_ALIVE);
    options.set_clean_session(false);
    options.set_manual_acks(true);
    options.set_inflight(IN_FLIGHT);
    options.set_max_packet_size(MAX_PACKET, MAX_PACKET);
    if let Some((user, password)) = &dial.credentials {
        options.set_credentials(user.clone(), password.reveal().to_owned());
    }
    options
}

fn tls(files: &TlsFiles) -> anyhow::Result<rustls::ClientConfig> {
    use anyhow::Context as _;
    let read = |path: &PathBuf| std::fs::read(path).with_context(|| format!("read {}", path.display()));
    let roots = read(&files.ca)?;
    let identity = files.identity.as_ref();
    let identity = identity.map(|(chain, key)| anyhow::Ok((read(chain)?, read(key)?))).transpose()?;
    let identity = identity.as_ref().map(|(chain, key)| (chain.as_slice(), key.as_slice()));
    Ok(certs::tls::foreign_client_config(&roots, identity)?)
}

/// The broker has something for us that is larger than what we take, and would send it for ever.
fn is_too_large(error: &ConnectionError) -> bool {
    matches!(
        error,
        ConnectionError::MqttState(StateError::Deserialization(mqttbytes::Error::PayloadSizeLimitExceeded(
            _
        )))
    )
}
