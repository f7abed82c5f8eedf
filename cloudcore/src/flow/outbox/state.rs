//! The outbox as a pure state machine: no clock, no tokio.
//!
//! Keyed by object path, newest version wins, so its size is bounded by the number of objects. For each path at
//! most one message is under way, and a removal goes before the put of a new object of the same name: so an edge
//! that acknowledges late can never take the new one for the old.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use proto::lane::BULK_BYTES;
use proto::{Content, Lane, ObjectPath, Operation, Source};

/// How much may be under way to a node, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Messages under way that are not bulk.
    pub window: usize,
    /// Bulk messages under way: each may be as large as an object can be.
    pub bulk_window: usize,
    /// A message that is not acknowledged in this time is sent again.
    pub resend_after: Duration,
    /// A message that the node refused is sent again after this.
    pub retry_after: Duration,
    /// Whether the node is sent what only echoes its own reports ([`Change::is_echo`]).
    pub echoes: bool,
}

impl Pace {
    /// For a stock edge. Stock itself sends one at a time, so that an edge 100 ms away takes 10 objects a second; an
    /// edge handles them in order, so more only moves the waiting from here to its queue (100, then the oldest are
    /// dropped, so it must stay well below that). It is sent again as stock does (spec cloud-and-wire 2.6).
    pub const STOCK: Self = Self {
        window: 12,
        bulk_window: 4,
        resend_after: Duration::from_secs(5),
        retry_after: Duration::from_secs(5),
        echoes: true,
    };
    /// For an edge that acknowledges many at once and drops nothing. What is lost is lost with the link, and comes with
    /// the next one; a link that is only slow must not carry everything twice.
    pub const NATIVE: Self = Self {
        window: 256,
        bulk_window: 4,
        resend_after: Duration::from_secs(60),
        retry_after: Duration::from_secs(5),
        echoes: false,
    };
}

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
    /// Stands for everything of the object that an edge acts on; the same again after a restart.
    pub digest: u64,
    /// Nothing in it is new to the node but what the node itself reported. Stock edges (1.23) read their own Node from
    /// what the cloud sent last, status included, and need it.
    pub is_echo: bool,
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
    /// How urgent it is.
    pub lane: Lane,
}

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct OutboxState {
    pace: Pace,
    slots: HashMap<ObjectPath, Slot>,
    /// Paths with something to send and nothing under way, by lane (removals are control, most urgent), each in the
    /// order in which they got something to send.
    queues: [VecDeque<ObjectPath>; Lane::ALL.len()],
    /// What is under way, by message id.
    under_way: HashMap<String, UnderWay>,
    /// How many of those are bulk.
    bulk_under_way: usize,
    /// When what is under way is sent again.
    due: BTreeSet<(Duration, String)>,
    /// What was not acknowledged in time and waits to be sent again, by message id: an edge that makes up ids costs
    /// one look each.
    late: HashMap<String, ObjectPath>,
}

#[derive(Debug)]
struct UnderWay {
    path: ObjectPath,
    lane: Lane,
    due: Duration,
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
    pub(crate) fn new(pace: Pace) -> Self {
        Self {
            pace,
            slots: HashMap::new(),
            queues: Default::default(),
            under_way: HashMap::new(),
            bulk_under_way: 0,
            due: BTreeSet::new(),
            late: HashMap::new(),
        }
    }

    /// The node should have this, or should no longer have it.
    pub(crate) fn push(&mut self, change: Arc<Change>) {
        if change.is_echo && !self.pace.echoes {
            return;
        }
        let path = change.path.clone();
        let slot = self.slots.entry(path.clone()).or_default();
        let before = slot.lane();
        let waited = slot.ids();
        slot.push(change);
        for id in waited.iter().filter(|id| !slot.waits_with(id)) {
            self.late.remove(id);
        }
        let now = slot.lane();
        self.requeue(path, before, now);
    }

    /// What to send at `now` on one of `lanes`, if the window has room and anything waits; most urgent first.
    pub(crate) fn next(
        &mut self,
        now: Duration,
        lanes: &[Lane],
        new_id: impl FnOnce() -> String,
    ) -> Option<Transmission> {
        self.expire(now);
        let lane =
            *lanes.iter().find(|lane| self.has_room(**lane) && !self.queues[index(**lane)].is_empty())?;
        let path = self.queues[index(lane)].pop_front()?;
        let slot = self.slots.get_mut(&path)?;
        let mut pending = slot.removals.pop_front().or_else(|| slot.put.take())?;
        let again = pending.id.is_some();
        let id = pending.id.get_or_insert_with(new_id).clone();
        self.late.remove(&id);
        let change = Arc::clone(&pending.change);
        slot.under_way = Some(pending);
        let due = now + self.pace.resend_after;
        self.under_way.insert(id.clone(), UnderWay { path, lane, due });
        self.bulk_under_way += usize::from(lane == Lane::Bulk);
        self.due.insert((due, id.clone()));
        Some(Transmission { id, change, again, lane })
    }

    /// The node has stored message `id`. What it was, if it was one of ours that nobody had acknowledged.
    pub(crate) fn acknowledged(&mut self, id: &str) -> Option<Arc<Change>> {
        let Some(path) = self.landed(id) else { return self.acknowledged_late(id) };
        let slot = self.slots.get_mut(&path)?;
        let stored = slot.under_way.take()?.change;
        match slot.lane() {
            Some(lane) => self.queues[index(lane)].push_back(path),
            None => self.settle(&path),
        }
        Some(stored)
    }

    /// The node could not store message `id`: it goes out again after a while. Whether it was under way.
    pub(crate) fn refused(&mut self, now: Duration, id: &str) -> bool {
        let Some(under_way) = self.under_way.get_mut(id) else { return false };
        self.due.remove(&(under_way.due, id.to_owned()));
        under_way.due = now + self.pace.retry_after;
        self.due.insert((under_way.due, id.to_owned()));
        true
    }

    /// When the first message under way falls due.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        self.due.first().map(|(due, _)| *due)
    }

    /// Objects that wait or are under way.
    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    fn has_room(&self, lane: Lane) -> bool {
        match lane {
            Lane::Bulk => self.bulk_under_way < self.pace.bulk_window,
            _ => self.under_way.len() - self.bulk_under_way < self.pace.window,
        }
    }

    /// Moves a path whose lane has changed from one queue to the other.
    fn requeue(&mut self, path: ObjectPath, before: Option<Lane>, now: Option<Lane>) {
        if before == now {
            return;
        }
        if let Some(lane) = before {
            self.queues[index(lane)].retain(|queued| *queued != path);
        }
        if let Some(lane) = now {
            self.queues[index(lane)].push_back(path);
        }
    }

    /// The message is under way no longer. Whose it was.
    fn landed(&mut self, id: &str) -> Option<ObjectPath> {
        let UnderWay { path, lane, due } = self.under_way.remove(id)?;
        self.bulk_under_way -= usize::from(lane == Lane::Bulk);
        self.due.remove(&(due, id.to_owned()));
        Some(path)
    }

    /// Messages that were not acknowledged in time go to the back of the queue: an object that the edge cannot
    /// store must not stop those behind it.
    fn expire(&mut self, now: Duration) {
        while let Some((due, id)) = self.due.first()
            && *due <= now
        {
            let id = id.clone();
            let Some(path) = self.landed(&id) else { return };
            let Some(slot) = self.slots.get_mut(&path) else { continue };
            slot.take_back();
            let lane = slot.lane();
            if slot.waits_with(&id) {
                self.late.insert(id, path.clone());
            }
            self.requeue(path, None, lane);
        }
    }

    /// An acknowledgement of a message that waits to be sent again.
    fn acknowledged_late(&mut self, id: &str) -> Option<Arc<Change>> {
        let path = self.late.remove(id)?;
        let slot = self.slots.get_mut(&path)?;
        let before = slot.lane();
        let stored = slot.take_waiting(id)?.change;
        let now = slot.lane();
        let is_settled = now.is_none() && slot.under_way.is_none();
        self.requeue(path.clone(), before, now);
        if is_settled {
            self.settle(&path);
        }
        Some(stored)
    }

    /// Nothing of the path waits or is under way any more. What is empty then takes no room: ten thousand outboxes are empty
    /// nearly always, and the tables that held one object each take 2 KiB.
    fn settle(&mut self, path: &ObjectPath) {
        self.slots.remove(path);
        if self.slots.is_empty() {
            debug_assert!(self.under_way.is_empty(), "what is under way has a slot");
            *self = Self::new(self.pace);
        }
    }
}

fn index(lane: Lane) -> usize {
    match lane {
        Lane::Control => 0,
        Lane::State => 1,
        Lane::Bulk => 2,
    }
}

// === impl Slot ===

impl Slot {
    /// The lane of what can be sent now; none when nothing waits, or something else is under way.
    fn lane(&self) -> Option<Lane> {
        if self.under_way.is_some() {
            return None;
        }
        if !self.removals.is_empty() {
            return Some(Lane::Control);
        }
        let put = self.put.as_ref()?;
        Some(if put.change.content.len() >= BULK_BYTES { Lane::Bulk } else { Lane::State })
    }

    /// Of what waits to be sent again.
    fn ids(&self) -> Vec<String> {
        self.removals.iter().chain(&self.put).filter_map(|pending| pending.id.clone()).collect()
    }

    fn waits_with(&self, id: &str) -> bool {
        self.removals.iter().chain(&self.put).any(|pending| pending.has_id(id))
    }

    fn take_waiting(&mut self, id: &str) -> Option<Pending> {
        match self.removals.iter().position(|pending| pending.has_id(id)) {
            Some(at) => self.removals.remove(at),
            None => self.put.take_if(|pending| pending.has_id(id)),
        }
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

#[cfg(test)]
mod tests;
