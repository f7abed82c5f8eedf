//! What CloudHub tells the router: one queue for all nodes, because the router only notes what it is told and waits for nobody.
//! Capacity in `app.rs`; when it is full the sessions wait.

use chassis::channel::{Receiver, Sender};
use proto::{Group, Message};

use super::{NodeName, Replies};

/// CloudHub's way to the router.
#[derive(Debug, Clone)]
pub struct Users {
    tx: Sender<FromUsers>,
}

/// The router's inbox.
pub type UserInbox = Receiver<FromUsers>;

/// What comes from a node. What a node says comes after its connection.
#[derive(Debug)]
pub enum FromUsers {
    /// It has connected.
    Connected(UserSession),
    /// It has a user's message, or the answer to one.
    Said(NodeName, Box<Message>),
}

/// What the router needs to talk to a node that has connected. It ends when `replies` is closed.
#[derive(Debug, Clone)]
pub struct UserSession {
    /// Who; proven by its certificate.
    pub node: NodeName,
    /// The way to it.
    pub replies: Replies,
    /// Whether it is Skerry's: it waits for answers to users' messages, and answers those to it.
    pub is_native: bool,
}

impl Users {
    /// Wraps the sending half of the queue.
    #[must_use]
    pub fn new(tx: Sender<FromUsers>) -> Self {
        Self { tx }
    }

    /// Whether a message of a node is for the router.
    #[must_use]
    pub fn concerns(message: &Message) -> bool {
        message.route.group == Group::User
    }

    /// Tells it.
    ///
    /// # Errors
    /// When the router has ended.
    pub async fn tell(&self, event: FromUsers) -> Result<(), super::Ended> {
        self.tx.send(event).await.map_err(|_| super::Ended)
    }
}
