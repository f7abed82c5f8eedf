//! What goes into a [`super::Machine`] and what comes out of it.

use std::time::Duration;

use jiff::Timestamp;
use proto::codec::binary::Frame;
use tokio::time::Instant;

/// Who a node is.
#[derive(Debug, Clone)]
pub struct Identity {
    /// Name of the node.
    pub name: Box<str>,
    /// Its number; makes its message ids unlike those of other nodes.
    pub index: u32,
}

/// How often nodes speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// Between keepalives.
    pub keepalive: Duration,
    /// Between renewals of the lease.
    pub lease: Duration,
    /// Between reports of the node's status.
    pub status: Duration,
    /// An answer that takes longer is given up.
    pub answer: Duration,
    /// Whether answers about leases and nodes are acknowledged too, as stock edges do and ours do not.
    pub ack_answers: bool,
}

/// What time it is.
#[derive(Debug, Clone, Copy)]
pub struct Now {
    /// For intervals.
    pub at: Instant,
    /// For peers.
    pub wall: Timestamp,
}

/// What a step comes to.
#[derive(Debug, Default)]
pub struct Output {
    /// To be sent, in this order.
    pub send: Vec<Frame>,
    /// To be counted.
    pub seen: Vec<Seen>,
    /// The link is of no use, in a word.
    pub leave: Option<&'static str>,
}

impl Output {
    /// One after the other.
    pub fn append(&mut self, later: Self) {
        self.send.extend(later.send);
        self.seen.extend(later.seen);
        self.leave = self.leave.or(later.leave);
    }
}

/// Something worth counting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// The cloud has taken the first status report on this connection.
    Ready,
    /// A lease was written; how long the answer took.
    Lease(Duration),
    /// An object was stored; how long ago the scenario sent it, if it said so.
    Stored(Kind, Option<Duration>),
    /// An object went away.
    Deleted,
    /// The version that the node has came again.
    Duplicate,
    /// An earlier version than the node has came.
    Older,
    /// The status of a pod was taken.
    PodReported,
    /// The cloud refused.
    Refused {
        /// What.
        what: &'static str,
        /// The reason in the API server's word.
        reason: String,
    },
    /// There was no answer in time.
    Unanswered(&'static str),
    /// An answer that nobody waits for.
    Stray,
}

/// Kinds of objects that are told apart in figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `v1/Pod`
    Pod,
    /// `v1/ConfigMap`
    ConfigMap,
    /// Any other.
    Other,
}
