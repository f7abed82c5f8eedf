//! A message for a node, wherever the node is: what modules ask for, and what CloudCores ask of each other.

use std::time::Duration;

use futures::future::BoxFuture;
use proto::Message;

use super::{Holder, NodeName, Replica};

/// What a message is to be followed by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wants {
    /// An answer, whatever it takes.
    Answer,
    /// An answer from nodes that give one to such a message (ours); from others none is waited for.
    Receipt,
}

/// Why a message has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unreached {
    /// It was not sent.
    #[error("the node is not connected")]
    NotConnected,
    /// It was not sent: the node took nothing for so long.
    #[error("the node took nothing within {0:?}")]
    Busy(Duration),
    /// It was not sent.
    #[error("the CloudCore that holds the node cannot be reached, or takes nothing")]
    Away,
    /// It was not sent.
    #[error("a CloudCore of KubeEdge holds the node; hint: modules.router.stockReplicas")]
    WithStock,
    /// It was not sent, and will not be by trying again.
    #[error("the CloudCore that holds the node does not pass on such a message")]
    Invalid,
    /// It was not sent, and will not be by trying again.
    #[error("the message is too large for the CloudCore that holds the node")]
    TooLarge,
    /// It was sent. Nobody knows what became of it.
    #[error("the connection of the node broke before it answered")]
    Lost,
    /// It was sent. Nobody knows what became of it.
    #[error("the node did not answer within {0:?}")]
    TimedOut(Duration),
}

/// Why another CloudCore has given no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotForwarded {
    /// It was not sent: the node is not connected there. Who holds it, as that one believes.
    #[error("it does not hold the node; holder: {0:?}")]
    NotHeld(Holder),
    /// It was not sent, and it makes no sense to try again sooner than after this.
    #[error("it cannot be reached, or takes nothing: {why}")]
    Refused {
        /// Says what was wrong.
        why: String,
        /// How long.
        after: Duration,
    },
    /// What that one says of the node, or what has become of it on the way.
    #[error(transparent)]
    Unreached(#[from] Unreached),
}

/// Sends to a node.
pub trait Reach: Send + Sync + 'static {
    /// Sends a message once, and waits for its answer until `limit` is over. `None`: the node gives none.
    ///
    /// # Errors
    /// Why there is no answer; and by that, whether the node may have the message.
    fn send<'a>(
        &'a self,
        node: &'a NodeName,
        message: Message,
        wants: Wants,
        limit: Duration,
    ) -> BoxFuture<'a, Result<Option<Message>, Unreached>>;
}

/// Has another CloudCore send to a node.
pub trait Forward: Send + Sync + 'static {
    /// As [`Reach::send`], through a CloudCore that sends only to nodes that are connected to itself.
    ///
    /// # Errors
    /// Why there is no answer; and by that, whether the node may have the message.
    fn forward<'a>(
        &'a self,
        replica: &'a Replica,
        node: &'a NodeName,
        message: &'a Message,
        wants: Wants,
        limit: Duration,
    ) -> BoxFuture<'a, Result<Option<Message>, NotForwarded>>;
}

impl Unreached {
    /// Whether the node may have the message.
    #[must_use]
    pub fn may_have_been_sent(self) -> bool {
        match self {
            Self::NotConnected
            | Self::Busy(_)
            | Self::Away
            | Self::WithStock
            | Self::Invalid
            | Self::TooLarge => false,
            Self::Lost | Self::TimedOut(_) => true,
        }
    }
}
