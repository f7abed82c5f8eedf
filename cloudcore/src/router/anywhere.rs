//! Messages to nodes wherever they are: connected here, or to another CloudCore, or just between the two.
//!
//! Nothing is sent twice. What was certainly not sent is tried again when somebody else holds the node, or it comes here, for as long as a
//! node takes to move; what may have been sent is not, because an edge does not know a message that it has published already by its id.
//!
//! Order: a request that waits for its answer before the next one is made comes before that one, wherever the node is then. Requests that
//! are made at once have none, here as with a node that stays.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chassis::task::until;
use futures::future::BoxFuture;
use proto::Message;
use tokio::time::{Instant, sleep_until};

use super::metrics::Metrics;
use super::nodes::LocalNodes;
use crate::flow::{Forward, Holder, Holders, NodeName, NotForwarded, Reach, Replica, Unreached, Wants};

/// A node that nobody holds is waited for for so long: it has lost one CloudCore and looks for another.
const MOVES: Duration = Duration::from_secs(5);
/// A node that has not come by then is away: what is asked of it is refused at once, until it is given another chance after this.
const AWAY: Duration = Duration::from_secs(60);
/// Nodes that are known to be away; of further ones each is refused at once.
const KNOWN: usize = 8192;
/// A node that this CloudCore holds will have told the router so by then.
const COMES: Duration = Duration::from_secs(2);
/// Hints that are followed before one waits for news: who is asked may know better than we do, and each may be as wrong.
const HINTS: usize = 3;

/// Other CloudCores, and who holds what.
#[derive(Clone)]
pub struct Elsewhere {
    /// Who holds which node.
    pub holders: Holders,
    /// The way to them.
    pub forward: Arc<dyn Forward>,
}

/// All nodes.
#[derive(Debug)]
pub(super) struct Anywhere {
    here: Here,
    elsewhere: Elsewhere,
    away: Away,
    metrics: Metrics,
}

/// The nodes that are connected here, those included that are just about to be. Never asks another CloudCore.
#[derive(Debug, Clone)]
pub(super) struct Here {
    nodes: LocalNodes,
    holders: Holders,
}

/// Since when nodes are looked for in vain. The lock is a leaf.
#[derive(Debug, Default)]
struct Away(Mutex<HashMap<NodeName, Instant>>);

/// One attempt that has sent nothing.
struct NotSent {
    why: Unreached,
    /// Whom to ask at once.
    hint: Option<Replica>,
    /// When it makes sense to try the same again.
    again: Option<Instant>,
}

enum Failed {
    NotSent(NotSent),
    /// The end of it.
    Final(Unreached),
}

// === impl Here ===

impl Here {
    pub(super) fn new(nodes: LocalNodes, holders: Holders) -> Self {
        Self { nodes, holders }
    }

    async fn ask(
        &self,
        node: &NodeName,
        message: Message,
        wants: Wants,
        limit: Duration,
    ) -> Result<Option<Message>, Unreached> {
        let until = Instant::now() + limit;
        if self.nodes.session(node).is_none() && self.holders.of(node) == Holder::Us {
            // The hub has it, and the router has not heard of it yet.
            let patience = until.min(Instant::now() + COMES);
            tokio::select! {
                () = self.nodes.comes(node) => {}
                _ = self.holders.other_than(node, &Holder::Us) => {}
                () = sleep_until(patience) => {}
            }
        }
        let left = until.saturating_duration_since(Instant::now());
        self.nodes.send(node, message, wants, left).await
    }
}

impl Reach for Here {
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

// === impl Anywhere ===

impl Anywhere {
    pub(super) fn new(nodes: LocalNodes, elsewhere: Elsewhere, metrics: Metrics) -> Self {
        let here = Here::new(nodes, elsewhere.holders.clone());
        Self { here, elsewhere, away: Away::default(), metrics }
    }

    async fn follow(
        &self,
        node: &NodeName,
        message: &Message,
        wants: Wants,
        limit: Duration,
    ) -> Result<Option<Message>, Unreached> {
        let end = Instant::now() + limit;
        let (mut hint, mut hints) = (None, 0);
        loop {
            let known = self.elsewhere.holders.of(node);
            let left = end.saturating_duration_since(Instant::now());
            let failed = match self.try_once(node, message, wants, left, &known, hint.take()).await {
                Ok(answer) => {
                    self.away.found(node);
                    return Ok(answer);
                }
                Err(Failed::Final(why)) => {
                    self.away.found(node);
                    return Err(why);
                }
                Err(Failed::NotSent(failed)) => failed,
            };
            let patience = self.away.patience(node, Instant::now()).min(end);
            if Instant::now() >= patience {
                return Err(failed.why);
            }
            if let Some(replica) = failed.hint.filter(|_| hints < HINTS) {
                (hint, hints) = (Some(replica), hints + 1);
            } else {
                let again = failed.again.filter(|again| *again < patience);
                tokio::select! {
                    _ = self.elsewhere.holders.other_than(node, &known) => hints = 0,
                    () = self.here.nodes.comes(node) => {}
                    () = until(again) => {}
                    () = sleep_until(patience) => return Err(failed.why),
                }
            }
            self.metrics.retried();
        }
    }

    /// Asks whoever holds the node, or is said to.
    async fn try_once(
        &self,
        node: &NodeName,
        message: &Message,
        wants: Wants,
        limit: Duration,
        known: &Holder,
        hint: Option<Replica>,
    ) -> Result<Option<Message>, Failed> {
        let replica = match (hint, known) {
            (Some(hint), _) => hint,
            (None, Holder::Replica(replica)) => replica.clone(),
            (None, Holder::Stock(_)) if self.here.nodes.session(node).is_none() => {
                return Err(Failed::of(Unreached::WithStock));
            }
            (None, Holder::Us | Holder::Nobody | Holder::Stock(_)) => {
                return self.here.ask(node, message.clone(), wants, limit).await.map_err(Failed::of);
            }
        };
        let begun = Instant::now();
        let error = match self.elsewhere.forward.forward(&replica, node, message, wants, limit).await {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        tracing::debug!(%node, replica = %replica.name, msg = message.header.id, "not by it: {error}");
        if let NotForwarded::Unreached(why) = error {
            return Err(Failed::of(why));
        }
        if self.here.nodes.session(node).is_some() {
            // It is here, and nobody has said so yet.
            let left = limit.saturating_sub(begun.elapsed());
            return self.here.ask(node, message.clone(), wants, left).await.map_err(Failed::of);
        }
        let failed = match error {
            NotForwarded::Refused { after, .. } => {
                NotSent { why: Unreached::Away, hint: None, again: Some(Instant::now() + after) }
            }
            NotForwarded::NotHeld(Holder::Replica(other)) if other != replica => {
                NotSent { why: Unreached::NotConnected, hint: Some(other), again: None }
            }
            NotForwarded::NotHeld(_) | NotForwarded::Unreached(_) => {
                NotSent { why: Unreached::NotConnected, hint: None, again: None }
            }
        };
        Err(Failed::NotSent(failed))
    }
}

impl Reach for Anywhere {
    fn send<'a>(
        &'a self,
        node: &'a NodeName,
        message: Message,
        wants: Wants,
        limit: Duration,
    ) -> BoxFuture<'a, Result<Option<Message>, Unreached>> {
        Box::pin(async move { self.follow(node, &message, wants, limit).await })
    }
}

impl Failed {
    fn of(why: Unreached) -> Self {
        match why {
            Unreached::NotConnected | Unreached::Away | Unreached::WithStock => {
                Self::NotSent(NotSent { why, hint: None, again: None })
            }
            // Nothing is left of its time, or nobody knows, or it would come to the same.
            Unreached::Busy(_)
            | Unreached::Invalid
            | Unreached::TooLarge
            | Unreached::Lost
            | Unreached::TimedOut(_) => Self::Final(why),
        }
    }
}

impl std::fmt::Debug for Elsewhere {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Elsewhere").field("holders", &self.holders).finish_non_exhaustive()
    }
}

// === impl Away ===

impl Away {
    /// Until when a node is waited for that was not found at `now`: many requests for one that is away wait no longer than one does.
    fn patience(&self, node: &NodeName, now: Instant) -> Instant {
        let mut away = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if away.len() >= KNOWN && !away.contains_key(node) {
            away.retain(|_, since| now < *since + AWAY);
            if away.len() >= KNOWN {
                return now;
            }
        }
        let since = away.entry(node.clone()).or_insert(now);
        if now >= *since + AWAY {
            *since = now;
        }
        *since + MOVES
    }

    fn found(&self, node: &NodeName) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(node);
    }
}

#[cfg(test)]
mod tests;
