//! What all nodes of a fleet counted.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use proto::Operation;
use proto::codec::binary::Frame;

use crate::histogram::Histogram;
use crate::node::{Kind, Seen};

/// Counters of a fleet, shared by its nodes.
#[derive(Debug, Default)]
pub struct Stats {
    /// Nodes that are connected.
    pub online: Count,
    /// Nodes that are connected and whose status the cloud has taken.
    pub ready: Count,
    /// Links opened.
    pub connections: Count,
    /// Messages sent, whatever they are.
    pub sent: Count,
    /// Of those: keepalives.
    pub keepalives: Count,
    /// Messages received.
    pub received: Count,
    /// Leases written.
    pub leases: Count,
    /// Objects stored.
    pub stored: Count,
    /// Objects that went away.
    pub deleted: Count,
    /// Objects delivered again.
    pub duplicates: Count,
    /// Objects delivered in the wrong order.
    pub older: Count,
    /// Pod reports taken.
    pub pods_reported: Count,
    /// Answers that nobody waited for.
    pub stray: Count,
    /// From the order to be online to the open link.
    pub connect: Histogram,
    /// From the order to be online to the status that the cloud has taken.
    pub ready_after: Histogram,
    /// Answers to written leases.
    pub lease: Histogram,
    /// From sending a config map to storing it.
    pub config_maps: Histogram,
    /// From sending a pod to storing it.
    pub pods: Histogram,
    /// From the order to misbehave to the end of the connection.
    pub dropped: Histogram,
    /// What went wrong, by name; few names, so that one lock is enough.
    troubles: Mutex<BTreeMap<String, u64>>,
}

/// A number that many change.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    /// One more.
    pub fn up(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// One less.
    pub fn down(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }

    /// The number now.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Stats {
    /// Counts what a node said.
    pub fn said(&self, said: &Frame) {
        self.sent.up();
        let is_keepalive = match said {
            Frame::Keepalive => true,
            Frame::Message(message) => message.route.operation == Operation::Keepalive,
            _ => false,
        };
        if is_keepalive {
            self.keepalives.up();
        }
    }

    /// Counts what a node saw.
    pub fn see(&self, seen: Seen, since_order: Duration) {
        match seen {
            Seen::Ready => {
                self.ready.up();
                self.ready_after.record(since_order);
            }
            Seen::Lease(after) => {
                self.leases.up();
                self.lease.record(after);
            }
            Seen::Stored(kind, late) => self.stored(kind, late),
            Seen::Deleted => self.deleted.up(),
            Seen::Duplicate => self.duplicates.up(),
            Seen::Older => self.older.up(),
            Seen::PodReported => self.pods_reported.up(),
            Seen::Refused { what, reason } => self.trouble(format!("{what} refused: {reason}")),
            Seen::Unanswered(what) => self.trouble(format!("{what} not answered")),
            Seen::Stray => self.stray.up(),
        }
    }

    fn stored(&self, kind: Kind, late: Option<Duration>) {
        self.stored.up();
        match (kind, late) {
            (Kind::Pod, Some(late)) => self.pods.record(late),
            (Kind::ConfigMap, Some(late)) => self.config_maps.record(late),
            _ => {}
        }
    }

    /// Counts something that went wrong.
    pub fn trouble(&self, name: String) {
        let mut troubles = self.troubles.lock().unwrap_or_else(PoisonError::into_inner);
        *troubles.entry(name).or_default() += 1;
    }

    /// What went wrong, how often.
    #[must_use]
    pub fn troubles(&self) -> BTreeMap<String, u64> {
        self.troubles.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Forgets the times of connecting: a new storm begins.
    pub fn begin_storm(&self) {
        self.connect.clear();
        self.ready_after.clear();
    }
}
