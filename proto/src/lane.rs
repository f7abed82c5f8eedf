//! How urgent a message is. On a transport with lanes of their own (QUIC) a lane that is stuck stops no other; on one
//! stream the sender takes what waits in this order.

use crate::message::Message;
use crate::words::{Group, Operation, ResourceKind};

/// Content of this many bytes and more is bulk, whatever it is: at 256 kbit/s it takes half a second, and a lease must
/// not wait behind it for longer.
pub const BULK_BYTES: usize = 16 * 1024;

/// What a message is for, most urgent first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Lane {
    /// Small and urgent: keepalives, leases, acknowledgements, answers.
    Control,
    /// What a node should have and how it is.
    State,
    /// Whatever is large or can wait.
    Bulk,
}

impl Lane {
    /// Every lane, most urgent first.
    pub const ALL: [Self; 3] = [Self::Control, Self::State, Self::Bulk];

    /// The lane of a message.
    #[must_use]
    pub fn of(message: &Message) -> Self {
        let route = &message.route;
        if message.content.len() >= BULK_BYTES || route.group == Group::User {
            return Self::Bulk;
        }
        match route.resource.kind() {
            Some(ResourceKind::Lease) => Self::Control,
            Some(ResourceKind::Event) if message.header.parent_id.is_none() => Self::Bulk,
            _ if route.operation == Operation::Keepalive || message.header.parent_id.is_some() => {
                Self::Control
            }
            _ => Self::State,
        }
    }

    /// Its word in metrics and logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Control => "control",
            Self::State => "state",
            Self::Bulk => "bulk",
        }
    }
}
