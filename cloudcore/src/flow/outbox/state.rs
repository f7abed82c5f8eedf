//! The outbox as a pure state machine: no clock, no tokio.
//!
//! Keyed by object path, newest version wins, so its size is bounded by the number of objects. For each path at
//! most one message is under way, and a removal goes before the put of a new object of the same name: so an edge
//! that acknowledges late can never take the new one for the old.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use proto::{Content, ObjectPath, Operation, Source};

/// Messages under way to one node. Stock sends one at a time, so that an edge 100 ms away takes 10 objects a
/// second; an edge handles them in order, so more only moves the waiting from here to its queue (stock: 100,
/// then the oldest are dropped, so it must stay well below that).
pub(crate) const WINDOW: usize = 16;

/// A message that is not acknowledged in this time is sent again (spec cloud-and-wire 2.6).
pub(crate) const RESEND_AFTER: Duration = Duration::from_secs(5);

/// One thing that a node should have, or should no longer have.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// Module in whose name it is sent.
    pub source: Source,
    /// `insert`, `update` or `delete`.
    pub operation: Operation,
    /// Which object.
    pub path: ObjectPath,
    /// Which incarnation of it.
    pub uid: String,
    /// Its version.
    pub resource_version: String,
    /// The object, with apiVersion and kind.
    pub content: Content,
}

/// A message to send now.
#[derive(Debug, Clone, PartialEq)]
pub struct Transmission {
    /// Message id; the same each time that the same change is sent.
    pub id: String,
    /// What to send.
    pub change: Arc<Change>,
    /// Whether it was sent before.
    pub again: bool,
}

/// See the module's documentation.
#[derive(Debug, Default)]
pub(crate) struct OutboxState {
    slots: HashMap<ObjectPath, Slot>,
    /// Paths with something to send and nothing under way, in the order in which they got something to send.
    queue: VecDeque<ObjectPath>,
    /// Paths with a message under way, by message id.
    under_way: HashMap<String, ObjectPath>,
    /// Ids under way, in the order in which they fall due. Those that were acknowledged are skipped.
    due: VecDeque<(Duration, String)>,
}

/// Objects of one name that wait to be removed. More than one is rare (an edge that missed a removal, and a pod
/// that was made again since); what does not fit comes again when the edge reports the status of the pod.
const MAX_REMOVALS: usize = 4;

#[derive(Debug, Default)]
struct Slot {
    /// Objects of this name that have to go, each uid once; sent before `put`.
    removals: VecDeque<Pending>,
    /// The object that has to be there.
    put: Option<Pending>,
    /// What was sent and not acknowledged.
    under_way: Option<Pending>,
}

#[derive(Debug, Clone)]
struct Pending {
    change: Arc<Change>,
    /// Given when it is sent first.
    id: Option<String>,
}

// === impl OutboxState ===

impl OutboxState {
    /// The node should have this, or should no longer have it.
    pub(crate) fn push(&mut self, change: Arc<Change>) {
        let slot = self.slots.entry(change.path.clone()).or_default();
        let was_idle = slot.is_idle();
        let path = change.path.clone();
        slot.push(change);
        if was_idle && !slot.is_idle() {
            self.queue.push_back(path);
        }
    }

    /// What to send at `now`, if the window has room and anything waits.
    pub(crate) fn next(&mut self, now: Duration, new_id: impl FnOnce() -> String) -> Option<Transmission> {
        self.expire(now);
        if self.under_way.len() >= WINDOW {
            return None;
        }
        let path = self.queue.pop_front()?;
        let slot = self.slots.get_mut(&path)?;
        let mut pending = slot.removals.pop_front().or_else(|| slot.put.take())?;
        let again = pending.id.is_some();
        let id = pending.id.get_or_insert_with(new_id).clone();
        let change = Arc::clone(&pending.change);
        slot.under_way = Some(pending);
        self.under_way.insert(id.clone(), path);
        self.due.push_back((now + RESEND_AFTER, id.clone()));
        Some(Transmission { id, change, again })
    }

    /// The node has stored message `id`. Whether it was one of ours that nobody had acknowledged.
    pub(crate) fn acknowledged(&mut self, id: &str) -> bool {
        if let Some(path) = self.under_way.remove(id) {
            self.due.retain(|(_, due)| due != id);
            self.settle(path);
            return true;
        }
        self.acknowledged_late(id)
    }

    /// When the first message under way falls due.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        self.due.front().map(|(due, _)| *due)
    }

    /// Objects that wait or are under way.
    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    /// The message is acknowledged: what waits behind it may go.
    fn settle(&mut self, path: ObjectPath) {
        let Some(slot) = self.slots.get_mut(&path) else { return };
        slot.under_way = None;
        if slot.is_idle() {
            self.slots.remove(&path);
        } else {
            self.queue.push_back(path);
        }
    }

    /// Messages that were not acknowledged in time go to the back of the queue: an object that the edge cannot
    /// store must not stop those behind it.
    fn expire(&mut self, now: Duration) {
        while let Some((due, _)) = self.due.front()
            && *due <= now
        {
            let Some((_, id)) = self.due.pop_front() else { return };
            let Some(path) = self.under_way.remove(&id) else { continue };
            let Some(slot) = self.slots.get_mut(&path) else { continue };
            slot.take_back();
            self.queue.push_back(path);
        }
    }

    /// An acknowledgement of a message that waits to be sent again.
    fn acknowledged_late(&mut self, id: &str) -> bool {
        let Some((path, slot)) = self.slots.iter_mut().find(|(_, slot)| slot.waits_with(id)) else {
            return false;
        };
        slot.removals.retain(|pending| !pending.has_id(id));
        slot.put.take_if(|pending| pending.has_id(id));
        if slot.is_idle() && slot.under_way.is_none() {
            let path = path.clone();
            self.slots.remove(&path);
            self.queue.retain(|queued| *queued != path);
        }
        true
    }
}

// === impl Slot ===

impl Slot {
    /// Whether nothing waits to be sent, or it cannot be sent because something else is under way.
    fn is_idle(&self) -> bool {
        self.under_way.is_some() || self.removals.is_empty() && self.put.is_none()
    }

    fn waits_with(&self, id: &str) -> bool {
        self.removals.iter().chain(&self.put).any(|pending| pending.has_id(id))
    }

    /// Whether a removal goes before whatever is put.
    fn has_removal(&self) -> bool {
        !self.removals.is_empty() || self.under_way.as_ref().is_some_and(Pending::is_removal)
    }

    fn push(&mut self, change: Arc<Change>) {
        if change.operation == Operation::Delete {
            self.push_removal(change);
        } else if self.put.as_ref().is_none_or(|waiting| change.supersedes(&waiting.change)) {
            self.put = Some(Pending { change, id: None });
        }
    }

    fn push_removal(&mut self, change: Arc<Change>) {
        let cancelled = self.put.take_if(|waiting| waiting.change.uid == change.uid);
        // What has never been sent and came after an object that has to go: the edge cannot have it.
        if cancelled.is_some_and(|waiting| waiting.id.is_none()) && self.has_removal() {
            return;
        }
        self.removals.retain(|waiting| waiting.change.uid != change.uid);
        if self.removals.len() == MAX_REMOVALS {
            self.removals.pop_front();
        }
        self.removals.push_back(Pending { change, id: None });
    }

    /// What was under way waits again, unless something newer does.
    fn take_back(&mut self) {
        let Some(pending) = self.under_way.take() else { return };
        let uid = &pending.change.uid;
        if pending.is_removal() {
            if self.removals.len() < MAX_REMOVALS
                && self.removals.iter().all(|waiting| waiting.change.uid != *uid)
            {
                self.removals.push_front(pending);
            }
        } else if self.put.is_none() && self.removals.iter().all(|waiting| waiting.change.uid != *uid) {
            self.put = Some(pending);
        }
    }
}

// === impl Pending ===

impl Pending {
    fn has_id(&self, id: &str) -> bool {
        self.id.as_deref() == Some(id)
    }

    fn is_removal(&self) -> bool {
        self.change.operation == Operation::Delete
    }
}

// === impl Change ===

impl Change {
    /// Whether this replaces `other`, which came before it. Versions of one object are compared as numbers, as
    /// the API server writes them; where they are none, what came last wins.
    fn supersedes(&self, other: &Self) -> bool {
        let version = |change: &Self| change.resource_version.parse::<u64>();
        match (version(self), version(other)) {
            (Ok(new), Ok(old)) if self.uid == other.uid => new >= old,
            _ => true,
        }
    }
}

#[cfg(test)]
mod tests;
