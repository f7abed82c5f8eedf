//! Messages to nodes, and the answers to them.
//!
//! [`Reach`] is all that the rest of the router knows of where a node is. [`LocalNodes`] knows those that are connected here.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use proto::{Message, Operation};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::flow::{NodeName, UserSession};

/// A node whose connection has ended while it was asked may be back within this, and answer then.
const BACK: Duration = Duration::from_secs(10);

/// What a message is to be followed by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wants {
    /// An answer, whatever it takes.
    Answer,
    /// An answer from nodes that give one to such a message (ours); from others none is waited for.
    Receipt,
}

/// Why a message has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unreached {
    /// It was not sent.
    #[error("the node is not connected")]
    NotConnected,
    /// It was not sent: the node took nothing for so long.
    #[error("the node took nothing within {0:?}")]
    Busy(Duration),
    /// It was sent. Nobody knows what became of it.
    #[error("the connection of the node broke before it answered")]
    Lost,
    /// It was sent. Nobody knows what became of it.
    #[error("the node did not answer within {0:?}")]
    TimedOut(Duration),
}

/// Sends to a node, wherever it is connected.
pub(super) trait Reach: Send + Sync + 'static {
    /// Sends a message once, and waits for its answer until `limit` is over. `None`: the node gives none.
    fn send<'a>(
        &'a self,
        node: &'a NodeName,
        message: Message,
        wants: Wants,
        limit: Duration,
    ) -> BoxFuture<'a, Result<Option<Message>, Unreached>>;
}

/// The nodes that are connected to this CloudCore.
#[derive(Debug, Clone, Default)]
pub(super) struct LocalNodes {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    sessions: HashMap<NodeName, UserSession>,
    /// By message id: which node was asked, and who waits. Bounded by the requests under way.
    asked: HashMap<String, (NodeName, oneshot::Sender<Message>)>,
}

/// Forgets that an answer is waited for.
struct Asking<'a> {
    nodes: &'a LocalNodes,
    id: String,
}

// === impl LocalNodes ===

impl LocalNodes {
    /// A node has connected.
    pub(super) fn connected(&self, session: UserSession) {
        let mut inner = self.lock();
        inner.sessions.retain(|_, session| !session.replies.is_closed());
        inner.sessions.insert(session.node.clone(), session);
    }

    /// The way to a node, if it is connected.
    pub(super) fn session(&self, node: &NodeName) -> Option<UserSession> {
        self.lock().sessions.get(node).filter(|session| !session.replies.is_closed()).cloned()
    }

    /// A node has answered. Whether somebody waited for that answer of that node.
    pub(super) fn answered(&self, node: &NodeName, message: Message) -> bool {
        let mut inner = self.lock();
        let Some(id) = message.header.parent_id.clone() else { return false };
        // What another node was asked is not for this one to answer.
        if inner.asked.get(&id).is_none_or(|(asked, _)| asked != node) {
            return false;
        }
        inner.asked.remove(&id).is_some_and(|(_, waiter)| waiter.send(message).is_ok())
    }

    fn wait_for(&self, node: &NodeName, id: &str) -> (oneshot::Receiver<Message>, Asking<'_>) {
        let (waiter, answer) = oneshot::channel();
        self.lock().asked.insert(id.to_owned(), (node.clone(), waiter));
        (answer, Asking { nodes: self, id: id.to_owned() })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn ask(
        &self,
        node: &NodeName,
        message: Message,
        wants: Wants,
        limit: Duration,
    ) -> Result<Option<Message>, Unreached> {
        let until = Instant::now() + limit;
        let session = self.session(node).ok_or(Unreached::NotConnected)?;
        let (mut answer, _asking) = self.wait_for(node, &message.header.id);
        match tokio::time::timeout_at(until, session.replies.send(message)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return Err(Unreached::NotConnected),
            Err(_) => return Err(Unreached::Busy(limit)),
        }
        if wants == Wants::Receipt && !session.is_native {
            return Ok(None);
        }
        tokio::select! {
            answered = &mut answer => return answered.map(Some).map_err(|_| Unreached::Lost),
            () = tokio::time::sleep_until(until) => return Err(Unreached::TimedOut(limit)),
            () = session.replies.closed() => {}
        }
        let patience = until.min(Instant::now() + BACK);
        match tokio::time::timeout_at(patience, answer).await {
            Ok(Ok(answer)) => Ok(Some(answer)),
            Ok(Err(_)) | Err(_) => Err(Unreached::Lost),
        }
    }
}

impl Reach for LocalNodes {
    fn send<'a>(
        &'a self,
        node: &'a NodeName,
        message: Message,
        wants: Wants,
        limit: Duration,
    ) -> BoxFuture<'a, Result<Option<Message>, Unreached>> {
        Box::pin(self.ask(node, message, wants, limit))
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.nodes.lock().asked.remove(&self.id);
    }
}

/// Whether a message of a node answers one of ours.
pub(super) fn is_answer(message: &Message) -> bool {
    // Stock's error replies have no operation.
    message.header.parent_id.is_some()
        && matches!(message.route.operation, Operation::Upload | Operation::Unset)
}

#[cfg(test)]
mod tests;
