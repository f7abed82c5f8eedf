//! The typed messages between CloudCore's modules. `app.rs` is the only file that connects them.
//!
//! ```text
//!   cloudhub  - NodeSession (once per connection) ->  edgecontroller
//!   cloudhub  - requests (Message) ->                 edgecontroller   one queue per connection
//!   cloudhub  <- Outbox (newest version wins) -       edgecontroller   one per connection
//!   cloudhub  <- Replies (Message) -                  edgecontroller   one queue per connection
//!   cloudhub  - FromNode (Devices) ->                 devicecontroller one queue for all nodes
//!   cloudhub  <- Outbox, Replies -                    devicecontroller the same as edgecontroller's
//!   cloudhub  - FromUsers (Users) ->                  router           one queue for all nodes
//!   cloudhub  <- Replies -                            router           the same as edgecontroller's
//!   router    - Forward (Message, waits) ->           forwarding       for nodes that another CloudCore holds
//!   forwarding - Reach (Message, waits) ->            router           from another CloudCore, for a node that is connected here
//!   cloudhub  - SyncRecords (state) ->                synccontroller   what stock edges acknowledged
//!   edgecontroller <- SyncRecords (state) -           synccontroller   what stock edges hold
//!   bans      <- AnnotatedNodes (state) -             edgecontroller
//!   bans      - Bans (state) ->                       cloudhub, httpserver, tokens
//!   edgecontroller - Claims (state) ->                replicas         what Nodes say of who holds them
//!   replicas  - Claims, Holders (state) ->            cloudhub, edgecontroller and all who send to nodes
//!   replicas  - Tenure, in each Fence (state) ->      edgecontroller, devicecontroller
//!   replicas  - Leadership (state) ->                 tokens, bans, synccontroller, devicecontroller
//!   cloudhub, edgecontroller - Serving ->             replicas         that somebody still serves nodes
//! ```
//!
//! What a node should have travels as state, in its [`Outbox`]; what it asked for travels as messages.

mod bans;
mod claims;
mod devices;
mod fence;
mod holders;
mod leadership;
mod outbox;
mod reach;
mod serving;
mod sync;
mod users;

use std::fmt;

use chassis::channel::{Receiver, Sender};
use proto::Message;
use proto::hello::Held;

pub use bans::{AnnotatedNodes, Bans, BansWriter, Barred};
pub use claims::{ADDRESS, Claim, Claims, HELD_BY, Peer, Us};
pub use devices::{DeviceInbox, DeviceSession, Devices, FromNode};
pub use fence::{Fence, LASTS, TRUSTED, Tenure, Verdict};
pub use holders::{Holder, Holders, HoldersWriter, Replica};
pub use leadership::{Leadership, LeadershipWriter};
pub use outbox::state::{Change, Pace, Transmission};
pub use outbox::{Outbox, OutboxReader};
pub use reach::{Forward, NotForwarded, Reach, Unreached, Wants};
pub use serving::{Served, Serving};
pub use sync::{Outcome, Record, RecordId, Step, SyncRecords, Task};
pub use users::{FromUsers, UserInbox, UserSession, Users};

/// Name of a node, as its certificate proves it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeName(String);

/// A node has connected: everything that EdgeController needs to serve it. The session lives as long as its
/// `requests` queue is open.
#[derive(Debug)]
pub struct NodeSession {
    /// Who connected; proven by its certificate.
    pub node: NodeName,
    /// What the node asks, in its order. Capacity: `cloudhub::session::REQUESTS`; when it is full the hub stops
    /// reading from this node.
    pub requests: Receiver<Message>,
    /// Answers to those.
    pub replies: Replies,
    /// What the node should have.
    pub outbox: Outbox,
    /// Whether what the node says may be written.
    pub fence: Fence,
    /// What the node says it holds; `None` from a stock edge, which does not say.
    pub held: Option<Vec<Held>>,
}

/// Answers on their way to one node. Capacity: `cloudhub::session::REPLIES`. Waits when it is full, which holds
/// up the requests of this node and of no other.
#[derive(Debug, Clone)]
pub struct Replies {
    tx: Sender<Message>,
}

/// New sessions on their way to EdgeController. Waits when the queue is full: connecting slows down.
#[derive(Debug, Clone)]
pub struct Sessions {
    tx: Sender<NodeSession>,
    devices: Option<Devices>,
    users: Option<Users>,
}

/// The other end is gone: the session has ended, or CloudCore is shutting down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the receiver has ended")]
pub struct Ended;

// === impl NodeName ===

impl NodeName {
    /// Takes a name that has been checked against a certificate (or stands in an API object).
    pub fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

// === impl Replies ===

impl Replies {
    /// Wraps the sending half of the queue to the session.
    pub fn new(tx: Sender<Message>) -> Self {
        Self { tx }
    }

    /// Sends an answer.
    ///
    /// # Errors
    /// When the session has ended: nobody waits for the answer any more.
    pub async fn send(&self, reply: Message) -> Result<(), Ended> {
        self.tx.send(reply).await.map_err(|_| Ended)
    }

    /// Sends an answer if there is room. Whether there was: a node that takes no answers must not hold up others.
    #[must_use]
    pub fn offer(&self, reply: Message) -> bool {
        self.tx.try_send(reply).is_ok()
    }

    /// Whether the session has ended.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.tx.is_closed()
    }

    /// Ends when the session has.
    pub async fn closed(&self) {
        self.tx.closed().await;
    }
}

// === impl Sessions ===

impl Sessions {
    /// Wraps the sending half of the queue to EdgeController.
    pub fn new(tx: Sender<NodeSession>) -> Self {
        Self { tx, devices: None, users: None }
    }

    /// Announces nodes to DeviceController, too.
    #[must_use]
    pub fn with_devices(mut self, devices: Option<Devices>) -> Self {
        self.devices = devices;
        self
    }

    /// The way to DeviceController, if there is one.
    #[must_use]
    pub fn devices(&self) -> Option<&Devices> {
        self.devices.as_ref()
    }

    /// Announces nodes to the router, too.
    #[must_use]
    pub fn with_users(mut self, users: Option<Users>) -> Self {
        self.users = users;
        self
    }

    /// The way to the router, if there is one.
    #[must_use]
    pub fn users(&self) -> Option<&Users> {
        self.users.as_ref()
    }

    /// Announces a node.
    ///
    /// # Errors
    /// When EdgeController has ended.
    pub async fn announce(&self, mut session: NodeSession) -> Result<(), Ended> {
        if let Some(users) = &self.users {
            let (node, replies) = (session.node.clone(), session.replies.clone());
            users
                .tell(FromUsers::Connected(UserSession { node, replies, is_native: session.held.is_some() }))
                .await?;
        }
        if let Some(devices) = &self.devices {
            let held =
                session.held.as_mut().map(|held| held.extract_if(.., |held| Devices::owns(held)).collect());
            let (node, replies) = (session.node.clone(), session.replies.clone());
            let (outbox, fence) = (session.outbox.clone(), session.fence.clone());
            let session = DeviceSession { node, replies, outbox, fence, held };
            devices.tell(FromNode::Connected(Box::new(session))).await?;
        }
        self.tx.send(session).await.map_err(|_| Ended)
    }
}
