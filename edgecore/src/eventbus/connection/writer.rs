//! The writing task of a connection.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use chassis::channel::Receiver;
use rumqttc::{AsyncClient, ClientError, Publish, QoS, SubscribeFilter};
use tokio::sync::watch;

use super::Session;
use crate::eventbus::wire::{Ack, Filters, Queued};
use crate::flow::MqttPublish;

/// Filters in one packet.
const FILTERS: usize = 64;

/// See the module.
pub(super) struct Writer {
    pub(super) client: AsyncClient,
    pub(super) publishes: Receiver<MqttPublish>,
    pub(super) acks: Receiver<Ack>,
    pub(super) filters: watch::Receiver<Arc<Filters>>,
    pub(super) queued: Queued,
    pub(super) sessions: watch::Receiver<Option<Session>>,
    pub(super) asked: Arc<AtomicUsize>,
    /// The connection that was last looked at.
    pub(super) begun: u64,
}

impl Writer {
    /// Ends with the queues, or with the reading task.
    pub(super) async fn run(mut self) {
        // What the broker was asked for in the session that it keeps.
        let mut made = BTreeSet::new();
        loop {
            let session = *self.sessions.borrow_and_update();
            if let Some(session) = session
                && self.subscribe(session, &mut made).await.is_err()
            {
                return;
            }
            if self.pass_on(session).await.is_none() {
                return;
            }
        }
    }

    /// Writes until the session or what is wanted changes; `None` at the end.
    async fn pass_on(&mut self, session: Option<Session>) -> Option<()> {
        loop {
            let written = tokio::select! {
                biased;
                changed = self.sessions.changed() => return changed.ok(),
                changed = self.filters.changed() => return changed.ok(),
                ack = self.acks.recv() => self.acknowledge(ack?).await,
                message = self.publishes.recv(), if session.is_some() => self.publish(message?).await,
            };
            if let Err(error) = written {
                tracing::debug!("nothing can be written any more: {error}");
                return None;
            }
        }
    }

    /// What is acknowledged on another connection than it came on would be another message.
    async fn acknowledge(&self, ack: Ack) -> Result<(), ClientError> {
        let is_current = self.sessions.borrow().is_some_and(|session| session.connection == ack.connection);
        if !is_current {
            return Ok(());
        }
        let mut publish = Publish::new("", QoS::AtLeastOnce, Vec::new());
        publish.pkid = ack.id;
        self.client.ack(&publish).await
    }

    async fn publish(&self, message: MqttPublish) -> Result<(), ClientError> {
        let bytes = message.size();
        let MqttPublish { topic, payload, qos, retain } = message;
        let qos = match qos {
            0 => QoS::AtMostOnce,
            1 => QoS::AtLeastOnce,
            _ => QoS::ExactlyOnce,
        };
        let published = self.client.publish_bytes(topic, qos, retain, payload).await;
        self.queued.remove(bytes);
        published
    }

    /// Subscribes to what is wanted and is not subscribed to, and ends what is not wanted any more.
    async fn subscribe(&mut self, session: Session, made: &mut BTreeSet<String>) -> Result<(), ClientError> {
        let wanted = Arc::clone(&self.filters.borrow_and_update());
        if session.is_new && self.begun != session.connection {
            made.clear();
        }
        self.begun = session.connection;
        let missing: Vec<&String> = wanted.keys().filter(|filter| !made.contains(*filter)).collect();
        for some in missing.chunks(FILTERS) {
            let filters = some.iter().map(|filter| SubscribeFilter::new((*filter).clone(), QoS::AtLeastOnce));
            self.asked.fetch_add(1, Ordering::Relaxed);
            self.client.subscribe_many(filters).await?;
        }
        for filter in made.iter().filter(|filter| !wanted.contains_key(*filter)) {
            self.asked.fetch_add(1, Ordering::Relaxed);
            self.client.unsubscribe(filter.clone()).await?;
        }
        *made = wanted.keys().cloned().collect();
        Ok(())
    }
}
