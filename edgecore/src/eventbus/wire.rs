//! What goes over a connection to a broker, both ways, and the ends of the queues that carry it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use chassis::channel::{Receiver, Sender};
use tokio::sync::watch;

use super::Metrics;
use crate::flow::MqttPublish;

/// Messages that wait for a broker. A broker that is away for an hour gets these when it is back, and not what came later.
pub(super) const PUBLISHES: usize = 1024;
/// Their bytes at most.
const PUBLISH_BYTES: usize = 8 << 20;
/// Acknowledgements that wait: no more messages than this can be unacknowledged (packet ids are numbers of 16 bits), so that
/// there is always room.
pub(super) const ACKS: usize = 65_536;

/// Which broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Broker {
    /// The one inside EdgeCore.
    Internal,
    /// One beside it.
    External,
}

impl Broker {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Internal => "internal",
            Self::External => "external",
        }
    }
}

impl fmt::Display for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How EventBus says to a broker what it says by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Manner {
    /// Quality of service.
    pub qos: u8,
    /// Whether the broker keeps it.
    pub retain: bool,
}

/// Filters that should be subscribed to.
pub(super) type Filters = BTreeMap<String, ()>;

/// What is heard of a broker.
#[derive(Debug)]
pub(super) enum Heard {
    /// There is a connection now.
    Connected {
        /// To which.
        broker: Broker,
        /// Whether the broker knows nothing of an earlier one.
        is_new: bool,
    },
    /// The connection is gone.
    Lost(Broker),
    /// Something was published.
    Message(Arrival),
}

/// A message that was published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Arrival {
    pub(super) topic: String,
    pub(super) payload: Bytes,
    pub(super) broker: Broker,
    /// What acknowledges it; none where nobody waits for that (QoS 0).
    pub(super) ack: Option<Ack>,
    /// Who numbers the messages, if that is not the broker.
    pub(super) client: Option<Arc<str>>,
    /// The number of the message when it comes again.
    pub(super) number: u16,
    /// Whether it may have been sent before.
    pub(super) is_repeated: bool,
}

/// Acknowledges a message on the connection that it came on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ack {
    /// Which connection to the broker it was, counted.
    pub(super) connection: u64,
    /// Packet id.
    pub(super) id: u16,
}

/// EventBus' end of a connection.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) broker: Broker,
    pub(super) manner: Manner,
    pub(super) publishes: Sender<MqttPublish>,
    pub(super) acks: Sender<Ack>,
    pub(super) filters: watch::Sender<Arc<Filters>>,
    pub(super) queued: Queued,
    pub(super) metrics: Metrics,
}

/// The broker's end of a connection.
#[derive(Debug)]
pub(super) struct Ends {
    pub(super) broker: Broker,
    pub(super) publishes: Receiver<MqttPublish>,
    pub(super) acks: Receiver<Ack>,
    pub(super) filters: watch::Receiver<Arc<Filters>>,
    pub(super) queued: Queued,
    pub(super) heard: Sender<Heard>,
}

/// Bytes that wait to be published.
#[derive(Debug, Clone, Default)]
pub(super) struct Queued(Arc<AtomicUsize>);

impl Queued {
    fn add(&self, bytes: usize) -> bool {
        let fits = |queued: usize| queued.checked_add(bytes).filter(|sum| *sum <= PUBLISH_BYTES);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_ok()
    }

    /// They wait no longer.
    pub(super) fn remove(&self, bytes: usize) {
        self.0.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl Line {
    /// Publishes something if there is room for it, else it is dropped and counted: nobody waits for a broker.
    pub(super) fn publish(&self, message: MqttPublish) {
        let bytes = message.size();
        let is_sent = self.queued.add(bytes) && {
            let sent = self.publishes.try_send(message).is_ok();
            if !sent {
                self.queued.remove(bytes);
            }
            sent
        };
        self.metrics.published(is_sent);
    }

    /// Publishes what EventBus says by itself.
    pub(super) fn say(&self, topic: String, payload: String) {
        let Manner { qos, retain } = self.manner;
        self.publish(MqttPublish { topic, payload: payload.into(), qos, retain });
    }

    /// The sender of the message need not keep it any longer.
    pub(super) fn acknowledge(&self, ack: Ack) {
        if self.acks.try_send(ack).is_err() {
            tracing::debug!(broker = %self.broker, "a message was not acknowledged");
        }
    }

    /// What should be subscribed to.
    pub(super) fn want(&self, filters: &Arc<Filters>) {
        self.filters.send_if_modified(|wanted| {
            let is_news = **wanted != **filters;
            wanted.clone_from(filters);
            is_news
        });
    }
}
