//! Messages of nodes on their way to servers: a lane for each node and rule, in which one message at a time is under way, so that the
//! order stays. A message may be for several rules; its node is told what became of it when all have settled. Pure.
//!
//! A node repeats what it was not told of, so a message that is known here is not taken twice. A node that had to be refused (too much
//! waits) says again what was refused, and until then nothing else of it is taken: else its order would be lost.

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use bytes::Bytes;
use proto::Message;
use tokio::time::Instant;

use super::rules::Key;
use crate::flow::NodeName;

/// Messages of one node that wait or are under way. A Skerry node has 32 under way at most and keeps the rest; of a stock node, which keeps
/// nothing, what is more is lost.
const WAITING: usize = 512;
/// Bytes of those of all nodes.
const WAITING_BYTES: usize = 256 << 20;
/// The last messages of a node that have settled and whose id is known: as many as a node has under way.
const RECENT: usize = 32;

/// A message of a user on a node.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) node: NodeName,
    /// As it came, without what it says.
    pub(super) message: Message,
    pub(super) topic: String,
    pub(super) payload: Bytes,
    /// When it came here.
    pub(super) arrived: Instant,
}

/// What becomes of a message that has come.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// It waits for its turn, now or since it came the first time.
    Waits,
    /// It has settled before.
    Settled,
    /// Too much waits.
    Refused,
}

/// What a rule's target made of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It has it.
    Taken,
    /// It never will have it, and why.
    Failed(String),
}

/// A message whose turn it is.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) lane: LaneKey,
    pub(super) said: Arc<Said>,
}

/// A message of which all rules have made something.
#[derive(Debug)]
pub(super) struct Settled {
    pub(super) said: Arc<Said>,
    /// Why no rule has taken it; none where one has.
    pub(super) failure: Option<String>,
}

/// Node and rule.
pub(super) type LaneKey = (NodeName, Key);

#[derive(Debug, Default)]
struct Lane {
    waiting: VecDeque<Arc<Said>>,
    /// The first is under way.
    is_busy: bool,
}

#[derive(Debug)]
struct Pending {
    said: Arc<Said>,
    /// Rules that have not said yet what becomes of it.
    open: usize,
    is_taken: bool,
    failure: Option<String>,
}

/// What is known of a node that has said something.
#[derive(Debug, Default)]
struct Node {
    pending: HashMap<String, Pending>,
    recent: VecDeque<u64>,
    /// The first message that was refused and has not come again.
    refused: Option<String>,
}

/// See the module's documentation.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    lanes: HashMap<LaneKey, Lane>,
    nodes: HashMap<NodeName, Node>,
    /// Lanes with a message whose turn it is.
    ready: VecDeque<LaneKey>,
    bytes: usize,
}

// === impl Lanes ===

impl Lanes {
    /// A message has come that these rules want: one at least.
    pub(super) fn take(&mut self, said: Said, rules: &[Key]) -> Taken {
        let id = said.message.header.id.clone();
        let size = said.payload.len();
        let node = self.nodes.entry(said.node.clone()).or_default();
        if node.pending.contains_key(&id) {
            return Taken::Waits;
        }
        if node.recent.contains(&digest(&id)) {
            return Taken::Settled;
        }
        if node.refused.as_ref().is_some_and(|refused| *refused != id) {
            return Taken::Refused;
        }
        if node.pending.len() >= WAITING || self.bytes + size > WAITING_BYTES {
            node.refused = Some(id);
            return Taken::Refused;
        }
        node.refused = None;
        let said = Arc::new(said);
        let rules: HashSet<&Key> = rules.iter().collect();
        let pending = Pending { said: Arc::clone(&said), open: rules.len(), is_taken: false, failure: None };
        node.pending.insert(id, pending);
        self.bytes += size;
        for rule in rules {
            let key = (said.node.clone(), rule.clone());
            let lane = self.lanes.entry(key.clone()).or_default();
            lane.waiting.push_back(Arc::clone(&said));
            if lane.waiting.len() == 1 {
                self.ready.push_back(key);
            }
        }
        Taken::Waits
    }

    /// A message that is to be refused without a look at it, because of what it is too early for. Those after it are refused as well,
    /// until it comes again.
    pub(super) fn refuse(&mut self, node: &NodeName, id: &str) {
        let node = self.nodes.entry(node.clone()).or_default();
        node.refused.get_or_insert_with(|| id.to_owned());
    }

    /// The node has connected: it begins with what it was not told of.
    pub(super) fn connected(&mut self, node: &NodeName) {
        if let Some(node) = self.nodes.get_mut(node) {
            node.refused = None;
        }
    }

    /// The next message whose turn it is, if one is there.
    pub(super) fn next(&mut self) -> Option<Job> {
        while let Some(key) = self.ready.pop_front() {
            let Some(lane) = self.lanes.get_mut(&key).filter(|lane| !lane.is_busy) else { continue };
            let Some(said) = lane.waiting.front() else { continue };
            let job = Job { said: Arc::clone(said), lane: key };
            lane.is_busy = true;
            return Some(job);
        }
        None
    }

    /// What became of the message that was under way in a lane.
    pub(super) fn done(&mut self, key: &LaneKey, verdict: Verdict) -> Option<Settled> {
        let lane = self.lanes.get_mut(key).filter(|lane| lane.is_busy)?;
        lane.is_busy = false;
        let said = lane.waiting.pop_front()?;
        if lane.waiting.is_empty() {
            self.lanes.remove(key);
        } else {
            self.ready.push_back(key.clone());
        }
        self.note(&said, verdict)
    }

    /// The message under way in a lane begins anew.
    pub(super) fn again(&mut self, key: &LaneKey) {
        if let Some(lane) = self.lanes.get_mut(key).filter(|lane| lane.is_busy) {
            lane.is_busy = false;
            self.ready.push_back(key.clone());
        }
    }

    /// A rule is gone, and with it its lanes. Gives back which, and what has settled by it.
    pub(super) fn drop_rule(&mut self, rule: &Key) -> (Vec<LaneKey>, Vec<Settled>) {
        let gone: Vec<LaneKey> = self.lanes.keys().filter(|(_, key)| key == rule).cloned().collect();
        let mut settled = Vec::new();
        for key in &gone {
            let Some(lane) = self.lanes.remove(key) else { continue };
            for said in lane.waiting {
                settled.extend(self.note(&said, Verdict::Failed("the rule was deleted".to_owned())));
            }
        }
        (gone, settled)
    }

    /// Rules that have lanes.
    pub(super) fn rules(&self) -> HashSet<Key> {
        self.lanes.keys().map(|(_, key)| key.clone()).collect()
    }

    /// Lanes of a rule.
    pub(super) fn of_rule(&self, rule: &Key) -> Vec<LaneKey> {
        self.lanes.keys().filter(|(_, key)| key == rule).cloned().collect()
    }

    /// Messages that wait or are under way.
    pub(super) fn len(&self) -> usize {
        self.nodes.values().map(|node| node.pending.len()).sum()
    }

    fn note(&mut self, said: &Arc<Said>, verdict: Verdict) -> Option<Settled> {
        let node = self.nodes.get_mut(&said.node)?;
        let id = &said.message.header.id;
        let pending = node.pending.get_mut(id)?;
        pending.open = pending.open.saturating_sub(1);
        match verdict {
            Verdict::Taken => pending.is_taken = true,
            Verdict::Failed(why) => pending.failure = Some(why),
        }
        if pending.open > 0 {
            return None;
        }
        let Pending { said, is_taken, failure, .. } = node.pending.remove(id)?;
        if node.recent.len() == RECENT {
            node.recent.pop_front();
        }
        node.recent.push_back(digest(id));
        self.bytes = self.bytes.saturating_sub(said.payload.len());
        Some(Settled { said, failure: failure.filter(|_| !is_taken) })
    }
}

/// A node that makes two ids look the same harms itself.
fn digest(id: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    id.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
pub(super) mod tests;
