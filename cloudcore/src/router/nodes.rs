//! Messages to nodes, and the answers to them.
//!
//! [`Reach`] is all that the rest of the router knows of where a node is. [`LocalNodes`] knows those that are connected here; of others knows
//! [`super::anywhere`].

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use proto::{Message, Operation};
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

use crate::flow::{NodeName, Reach, Unreached, UserSession, Wants};

/// A node whose connection has ended while it was asked may be back within this, and answer then.
const BACK: Duration = Duration::from_secs(10);

/// The nodes that are connected to this CloudCore.
#[derive(Debug, Clone, Default)]
pub(super) struct LocalNodes {
    inner: Arc<Mutex<Inner>>,
    /// Some node has connected.
    arrivals: watch::Sender<()>,
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
        drop(inner);
        self.arrivals.send_replace(());
    }

    /// Waits until a node is connected; at once if it is.
    pub(super) async fn comes(&self, node: &NodeName) {
        let mut arrivals = self.arrivals.subscribe();
        while self.session(node).is_none() {
            // The sender is ours.
            if arrivals.changed().await.is_err() {
                return;
            }
        }
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
