//! What edgehub and MetaManager tell each other.

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
    /// What became of pushes (native links only).
    Acks(Acks),
}

/// MetaManager's inbox from edgehub.
pub type HubFeed = Receiver<FromCloud>;
/// edgehub's inbox from MetaManager: what to write to the link. Waits when the queue is full; everything that must
/// not be lost is in the store until it is answered.
pub type HubInbox = Receiver<ToCloud>;
