//! The ledger as a pure state machine: no clock, no tokio, no API.
//!
//! One entry for each record, keyed by its id; newest acknowledgement wins, so its size is bounded by the number of
//! objects that stock edges hold and not by the number of acknowledgements.

mod entry;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use proto::api::reliablesync::{ObjectSyncSpec, RecordName};

use self::entry::{Entry, State, Wanted, Written};
use crate::flow::NodeName;

/// A version that follows another goes into the record no sooner than this after its acknowledgement: an object that
/// changes ten times a second costs one write. What is lost with it costs nothing, because versions in records decide
/// nothing here. A record that is new, or has to go, is not held back: it says that the edge has the object at all.
pub(crate) const LINGER: Duration = Duration::from_secs(1);

/// Which record. Its name in the API is `<node>.<uid>` ([`RecordName`]).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RecordId {
    /// Who holds the object.
    pub node: NodeName,
    /// Namespace of the object and of the record; `None` for objects of the cluster.
    pub namespace: Option<String>,
    /// `metadata.uid` of the object.
    pub uid: String,
}

/// A record as the API has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Which it is.
    pub id: RecordId,
    /// Which object it says it is about.
    pub object: ObjectSyncSpec,
    /// Which version it says the edge has.
    pub version: String,
}

/// What has to be done in the API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// To which record.
    pub id: RecordId,
    /// What.
    pub step: Step,
}

/// What has to be done to a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// It does not exist.
    Create {
        /// Which object it is about.
        object: ObjectSyncSpec,
        /// What the edge has of it.
        version: String,
    },
    /// It exists.
    Update {
        /// Which object it is about, where it says something else.
        object: Option<ObjectSyncSpec>,
        /// What the edge has of it.
        version: String,
    },
    /// The edge has the object no longer.
    Delete,
    /// There is no such edge any more. Of all replicas one does it.
    Collect,
}

/// What became of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was done.
    Done,
    /// The record is there already, and nobody knows what it says.
    Exists,
    /// There is no such record.
    Missing,
    /// Try again after this long.
    Again(Duration),
    /// The API will never take it.
    Refused,
}

/// See the module's documentation.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    nodes: HashMap<NodeName, BTreeMap<Key, Entry>>,
    /// When what has to be written is.
    due: BTreeSet<(Duration, RecordId)>,
}

/// Namespace and uid.
type Key = (Option<String>, String);

// === what edges say ===

impl Ledger {
    /// The node has stored this version of the object. An `echo` is no reason to write when there is a record.
    pub(crate) fn stored(
        &mut self,
        now: Duration,
        id: &RecordId,
        object: ObjectSyncSpec,
        version: &str,
        echo: bool,
    ) {
        let entry = self.entry(id);
        let is_known = entry.record.is_some();
        if echo && is_known && !entry.wanted.is_gone() {
            return;
        }
        entry.object = object;
        if entry.is_written(version) && entry.state == State::Idle {
            entry.wanted = Wanted::AsItIs;
            return;
        }
        entry.wanted = Wanted::Version(version.to_owned());
        self.schedule(id, if is_known { now + LINGER } else { now });
    }

    /// The node has the object no longer.
    pub(crate) fn removed(&mut self, now: Duration, id: &RecordId) {
        let Some(entry) = self.find(id) else { return };
        entry.wanted = Wanted::Gone;
        self.schedule(id, now);
    }

    /// The node is gone, and with it what it held.
    pub(crate) fn node_gone(&mut self, now: Duration, node: &NodeName) {
        let keys: Vec<Key> = self.nodes.get(node).into_iter().flat_map(|all| all.keys().cloned()).collect();
        for (namespace, uid) in keys {
            let id = RecordId { node: node.clone(), namespace, uid };
            let Some(entry) = self.find(&id) else { continue };
            entry.wanted = Wanted::Collected;
            self.schedule(&id, now);
        }
    }

    /// There are no nodes but these.
    pub(crate) fn only(&mut self, now: Duration, nodes: &BTreeSet<NodeName>) {
        let gone: Vec<NodeName> = self.nodes.keys().filter(|node| !nodes.contains(node)).cloned().collect();
        for node in gone {
            self.node_gone(now, &node);
        }
    }

    /// What the node holds, as far as anybody knows.
    pub(crate) fn held(&self, node: &NodeName) -> Vec<(RecordId, ObjectSyncSpec)> {
        let entries = self.nodes.get(node).into_iter().flatten();
        let held = entries.filter(|(_, entry)| entry.is_held());
        let with_id = |((namespace, uid), entry): (&Key, &Entry)| {
            let id = RecordId { node: node.clone(), namespace: namespace.clone(), uid: uid.clone() };
            (id, entry.object.clone())
        };
        held.map(with_id).collect()
    }
}

// === what the API says ===

impl Ledger {
    /// There is this record.
    pub(crate) fn seen(&mut self, record: Record) {
        let Record { id, object, version } = record;
        let entry = self.entry(&id);
        // Between an acknowledgement and its write the entry knows better.
        if entry.state == State::Idle {
            entry.object = object.clone();
        }
        entry.record = Some(Written { object, version });
    }

    /// There is no such record any more.
    pub(crate) fn unseen(&mut self, id: &RecordId) {
        if let Some(entry) = self.find(id) {
            entry.record = None;
        }
        self.forget_if_idle(id);
    }

    /// These are all the records of their scope.
    pub(crate) fn replaced(&mut self, is_cluster: bool, all: Vec<Record>) {
        let there: BTreeSet<RecordId> = all.iter().map(|record| record.id.clone()).collect();
        let of_scope = |(namespace, _): &&Key| namespace.is_none() == is_cluster;
        let mut gone = Vec::new();
        for (node, entries) in &self.nodes {
            let ids = entries.keys().filter(of_scope).map(|(namespace, uid)| RecordId {
                node: node.clone(),
                namespace: namespace.clone(),
                uid: uid.clone(),
            });
            gone.extend(ids.filter(|id| !there.contains(id)));
        }
        for id in gone {
            self.unseen(&id);
        }
        for record in all {
            self.seen(record);
        }
    }
}

// === what has to be written ===

impl Ledger {
    /// What to do now. Whoever takes it says what became of it ([`Self::done`]).
    pub(crate) fn next(&mut self, now: Duration) -> Option<Task> {
        while let Some((due, _)) = self.due.first()
            && *due <= now
        {
            let (_, id) = self.due.pop_first()?;
            let Some(entry) = self.find(&id) else { continue };
            entry.state = State::Idle;
            match entry.step() {
                Some(step) => {
                    entry.state = State::Busy;
                    return Some(Task { id, step });
                }
                None => {
                    entry.wanted = Wanted::AsItIs;
                    self.forget_if_idle(&id);
                }
            }
        }
        None
    }

    /// What became of `task`.
    pub(crate) fn done(&mut self, now: Duration, task: &Task, outcome: Outcome) {
        let Some(entry) = self.find(&task.id) else { return };
        entry.state = State::Idle;
        let mut at = now;
        match outcome {
            Outcome::Done => entry.written(&task.step),
            Outcome::Exists => {
                let nothing = ObjectSyncSpec::default();
                entry.record = Some(Written { object: nothing, version: String::new() });
            }
            Outcome::Missing => entry.record = None,
            Outcome::Again(delay) => at += delay,
            Outcome::Refused => entry.wanted = Wanted::AsItIs,
        }
        match entry.step() {
            Some(_) => self.schedule(&task.id, at),
            None => {
                entry.wanted = Wanted::AsItIs;
                self.forget_if_idle(&task.id);
            }
        }
    }

    /// When the next task falls due.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        self.due.first().map(|(due, _)| *due)
    }

    /// Records that wait to be written.
    pub(crate) fn waiting(&self) -> usize {
        self.due.len()
    }

    /// Nothing is held back any more: CloudCore is about to end.
    pub(crate) fn hurry(&mut self, now: Duration) {
        let ids: Vec<RecordId> = self.due.iter().map(|(_, id)| id.clone()).collect();
        for id in ids {
            self.schedule(&id, now);
        }
    }

    /// At `at`, or sooner when it is due sooner.
    fn schedule(&mut self, id: &RecordId, at: Duration) {
        let Some(entry) = self.find(id) else { return };
        match entry.state {
            // Whoever is done looks again.
            State::Busy => return,
            State::Due(due) if due <= at => return,
            State::Due(due) => {
                entry.state = State::Due(at);
                self.due.remove(&(due, id.clone()));
            }
            State::Idle => entry.state = State::Due(at),
        }
        self.due.insert((at, id.clone()));
    }

    fn entry(&mut self, id: &RecordId) -> &mut Entry {
        let entries = self.nodes.entry(id.node.clone()).or_default();
        entries.entry((id.namespace.clone(), id.uid.clone())).or_default()
    }

    fn find(&mut self, id: &RecordId) -> Option<&mut Entry> {
        self.nodes.get_mut(&id.node)?.get_mut(&(id.namespace.clone(), id.uid.clone()))
    }

    /// Nothing exists and nothing is wanted.
    fn forget_if_idle(&mut self, id: &RecordId) {
        let Some(entries) = self.nodes.get_mut(&id.node) else { return };
        let key = (id.namespace.clone(), id.uid.clone());
        let is_over = entries.get(&key).is_some_and(|entry| {
            entry.state == State::Idle && entry.record.is_none() && entry.wanted == Wanted::AsItIs
        });
        if is_over {
            entries.remove(&key);
        }
        if entries.is_empty() {
            self.nodes.remove(&id.node);
        }
    }
}

// === impl RecordId ===

impl RecordId {
    /// The record's name in the API.
    #[must_use]
    pub fn name(&self) -> String {
        RecordName { node: self.node.as_str().to_owned(), uid: self.uid.clone() }.to_string()
    }
}

#[cfg(test)]
mod tests;
