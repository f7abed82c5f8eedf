//! What edgehub and MetaManager tell each other.

use std::sync::Weak;

use chassis::channel::Receiver;
use proto::Message;
use proto::codec::binary::{Acks, Push};
use proto::hello::Held;
use tokio::sync::oneshot;

/// What edgehub tells MetaManager. Waits when the queue is full: then the socket waits, and the cloud with it.
#[derive(Debug)]
pub enum FromCloud {
    /// There is a link now. A native link begins with what the store holds, which is to be put in here once
    /// everything that came before is stored.
    Connected(Option<oneshot::Sender<Vec<Held>>>),
    /// The link is gone, and with it every answer that was still to come.
    Disconnected,
    /// A message arrived.
    Message(Box<Message>),
    /// The cloud says what this node should have (native links only).
    Push(Box<Push>),
}

/// What MetaManager gives edgehub to write to the link.
#[derive(Debug)]
pub enum ToCloud {
    /// A request, a report, or an answer.
    Message(Box<Message>),
    /// The same, and sent only while its answer is waited for: what was asked on a link that is gone is asked again on the next
    /// one, and must not come there out of its turn.
    Asked(Box<Message>, Weak<()>),
    /// What became of pushes (native links only).
    Acks(Acks),
}

/// MetaManager's inbox from edgehub.
pub type HubFeed = Receiver<FromCloud>;
/// edgehub's inbox from MetaManager: what to write to the link. Waits when the queue is full; everything that must
/// not be lost is in the store until it is answered.
pub type HubInbox = Receiver<ToCloud>;

impl ToCloud {
    /// What is to be written, if it still is.
    #[must_use]
    pub fn wanted(self) -> Option<Self> {
        match self {
            Self::Asked(_, waits) if waits.strong_count() == 0 => None,
            Self::Asked(message, _) => Some(Self::Message(message)),
            other => Some(other),
        }
    }
}
