//! How much a connection has carried. On a weak line the first question is which node, the second what for.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use proto::ResourceKind;
use serde::Serialize;
use serde::ser::{SerializeStruct as _, Serializer};

use super::Metrics;

/// What answers to a node's requests are counted as.
pub(super) const ANSWER: &str = "answer";
/// What keepalives are counted as.
pub(super) const KEEPALIVE: &str = "keepalive";

/// Bytes of messages on one connection, without what TLS and the transport add. Clones count together.
#[derive(Debug, Clone, Default)]
pub(super) struct Traffic {
    bytes: Arc<Bytes>,
}

#[derive(Debug, Default)]
struct Bytes {
    received: AtomicU64,
    sent: AtomicU64,
}

impl Traffic {
    pub(super) fn received(&self, bytes: usize, metrics: &Metrics) {
        self.bytes.received.fetch_add(bytes as u64, Ordering::Relaxed);
        metrics.received_bytes(bytes as u64);
    }

    pub(super) fn sent(&self, what: &'static str, bytes: usize, metrics: &Metrics) {
        self.bytes.sent.fetch_add(bytes as u64, Ordering::Relaxed);
        metrics.sent_bytes(what, bytes as u64);
    }
}

impl Serialize for Traffic {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut traffic = serializer.serialize_struct("Traffic", 2)?;
        traffic.serialize_field("receivedBytes", &self.bytes.received.load(Ordering::Relaxed))?;
        traffic.serialize_field("sentBytes", &self.bytes.sent.load(Ordering::Relaxed))?;
        traffic.end()
    }
}

/// What the sending of an object is counted as: a word of ours, so that their number is bounded.
pub(super) fn of_kind(kind: &ResourceKind) -> &'static str {
    match kind {
        ResourceKind::Pod => "pod",
        ResourceKind::Node => "node",
        ResourceKind::ConfigMap => "configmap",
        ResourceKind::Secret => "secret",
        ResourceKind::Device => "device",
        ResourceKind::DeviceModel => "devicemodel",
        _ => "other",
    }
}
