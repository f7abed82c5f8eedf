//! Whether what a node says on a connection may still be written: only while this CloudCore holds the node.
//!
//! A node that has moved may have left requests behind here. Two things say that it has moved: its Node, which names who holds it
//! ([`super::Claims`]), and time. A process that was stopped, or cut off from the API, for longer than its own Lease lasts does
//! not know what happened meanwhile; the connections from before are in doubt then, and the Node is read again before
//! anything is written for them. All by this process's own monotonic clock.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// A Lease that was not renewed for this long is nobody's.
pub const LASTS: Duration = Duration::from_secs(10);
/// Who holds a Lease trusts in it for so long after it began to renew it: what it writes at the last moment has to arrive before
/// another one takes over.
pub const TRUSTED: Duration = Duration::from_secs(8);

/// For how long this CloudCore has had its Lease, without a gap. Cheap to clone; clones are the same.
#[derive(Debug, Clone)]
pub struct Tenure {
    term: Arc<Mutex<Term>>,
}

#[derive(Debug, Clone, Copy)]
struct Term {
    since: Instant,
    until: Instant,
}

/// Of one connection. Clones are the same.
#[derive(Debug, Clone)]
pub struct Fence {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    tenure: Tenure,
    /// Leaf data, never locked across an await.
    state: Mutex<State>,
    lost: Notify,
}

#[derive(Debug, Clone, Copy)]
struct State {
    claim: Claimed,
    /// The newest version in which the Node was seen to say something else: an older one that says ours counts no more.
    theirs: u64,
    /// When the node was known to be held here: the Node was read or written then, or the connection began.
    known: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Claimed {
    /// Not yet.
    NotYet,
    /// There is no Node that could say so.
    NoNode,
    /// The Node says so since this version.
    Ours(u64),
    /// Another CloudCore holds the node: for good.
    Lost,
}

/// What a fence says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It may be written.
    Open,
    /// The Node has to be claimed first.
    Unclaimed,
    /// The Node has to be read first. Nothing may be taken from others.
    InDoubt,
    /// Nothing may be written any more.
    Lost,
}

// === impl Tenure ===

impl Tenure {
    /// Of a process that begins: it has no connections from before.
    #[must_use]
    pub fn new() -> Self {
        let now = Instant::now();
        Self { term: Arc::new(Mutex::new(Term { since: now, until: now + TRUSTED })) }
    }

    /// The Lease was renewed; the call began at `asked`.
    pub fn renewed(&self, asked: Instant) {
        let mut term = self.lock();
        if term.until <= Instant::now() {
            term.since = asked;
        }
        term.until = asked + TRUSTED;
    }

    /// Whether what was known at `known` cannot have changed unnoticed.
    fn covers(&self, known: Instant, now: Instant) -> bool {
        let term = *self.lock();
        term.since <= known && now < term.until
    }

    fn lock(&self) -> MutexGuard<'_, Term> {
        self.term.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Tenure {
    fn default() -> Self {
        Self::new()
    }
}

// === impl Fence ===

impl Fence {
    /// Of a connection that begins now.
    #[must_use]
    pub fn new(tenure: &Tenure) -> Self {
        let state = State { claim: Claimed::NotYet, theirs: 0, known: Instant::now() };
        let shared = Shared { tenure: tenure.clone(), state: Mutex::new(state), lost: Notify::new() };
        Self { shared: Arc::new(shared) }
    }

    /// Whether something may be written, and what has to be done first.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let State { claim, known, .. } = *self.shared.lock();
        let now = Instant::now();
        let is_sure = now < known + TRUSTED || self.shared.tenure.covers(known, now);
        match claim {
            Claimed::Lost => Verdict::Lost,
            _ if !is_sure => Verdict::InDoubt,
            Claimed::NotYet => Verdict::Unclaimed,
            Claimed::NoNode | Claimed::Ours(_) => Verdict::Open,
        }
    }

    /// Whether something may be written at this moment.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.verdict() == Verdict::Open
    }

    /// The Node says in this version that it is held here, as was read or written at `asked`; `None`: as a watch has it. Whether
    /// this connection has lost it now: a later version was seen before, and says something else.
    pub fn claimed(&self, version: u64, asked: Option<Instant>) -> bool {
        self.know(Claimed::Ours(version), asked)
    }

    /// There is no such Node.
    pub fn no_node(&self, asked: Option<Instant>) {
        self.know(Claimed::NoNode, asked);
    }

    /// A watch has brought the Node. Whether this connection has lost it now.
    pub fn seen(&self, is_ours: bool, version: u64) -> bool {
        let mut state = self.shared.lock();
        match state.claim {
            Claimed::Ours(known) if version <= known => {}
            Claimed::Ours(_) | Claimed::NoNode | Claimed::NotYet if is_ours => {
                state.claim = Claimed::Ours(version);
            }
            Claimed::NotYet | Claimed::NoNode => {
                state.claim = Claimed::NotYet;
                state.theirs = state.theirs.max(version);
            }
            Claimed::Ours(_) => {
                drop(state);
                return self.lose();
            }
            Claimed::Lost => {}
        }
        false
    }

    /// The node is held elsewhere. Whether that is news.
    pub fn lose(&self) -> bool {
        let before = std::mem::replace(&mut self.shared.lock().claim, Claimed::Lost);
        self.shared.lost.notify_one();
        before != Claimed::Lost
    }

    /// Ends when the node is held elsewhere. For one who waits: the session.
    pub async fn lost(&self) {
        loop {
            if self.shared.lock().claim == Claimed::Lost {
                return;
            }
            self.shared.lost.notified().await;
        }
    }

    fn know(&self, claim: Claimed, asked: Option<Instant>) -> bool {
        let mut state = self.shared.lock();
        state.claim = match (state.claim, claim) {
            (Claimed::Lost, _) => return false,
            // What is heard late makes nothing older.
            (Claimed::Ours(known), Claimed::Ours(version)) => Claimed::Ours(known.max(version)),
            (_, Claimed::Ours(version)) if version < state.theirs => {
                drop(state);
                return self.lose();
            }
            (_, claim) => claim,
        };
        if let Some(asked) = asked {
            state.known = state.known.max(asked);
        }
        false
    }
}

// === impl Shared ===

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
