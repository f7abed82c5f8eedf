//! What is to be written into DeviceStatus objects, as a pure state: reports go in, at most one write per device and
//! [`WRITE_EVERY`] comes out, with everything that was reported until then; newest wins.
//!
//! Whoever reported is answered when what it said has been written, so that an answer means "the cluster has it".

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proto::api::device::{DeviceSpec, DeviceStatus, DeviceStatusStatus, Twin, TwinProperty};
use proto::twin::{CALL_EXTENSION, DeviceReport, MsgTwin, TwinDoc, TwinValue};
use tokio::time::Instant;

use super::desired::Key;

/// A device that reports more often than this is written less often than it reports: a person looking at it sees no
/// difference, and the API server does (kk#2286: patches of devices took three cores of it).
pub(super) const WRITE_EVERY: Duration = Duration::from_secs(1);
/// Longest wait before a write that failed is tried again.
const RETRY_MAX: Duration = Duration::from_secs(60);
/// Reports of one device that wait for their answer at most; who is not answered says it again.
const MAX_WAITING: usize = 16;

/// Who waits for which write.
#[derive(Debug)]
pub(super) struct Statuses<W> {
    entries: BTreeMap<Key, Entry<W>>,
    due: BTreeSet<(Instant, Key)>,
}

#[derive(Debug)]
struct Entry<W> {
    /// As the cluster has it; `None` where there is no such object.
    held: Option<DeviceStatusStatus>,
    /// The device that owns the object.
    owner: String,
    /// The version that `held` is of; what the watch brings may be older than what was written.
    version: u64,
    twins: TwinDoc,
    state: Option<DeviceReport>,
    waiting: Vec<W>,
    under_way: bool,
    due: Option<Instant>,
    not_before: Instant,
    failures: u32,
}

/// Something to write.
#[derive(Debug)]
pub(super) struct Write<W> {
    /// Which device.
    pub(super) key: Key,
    /// The device that has to own the object.
    pub(super) uid: String,
    /// Whether the object has to be made.
    pub(super) create: bool,
    /// Whether the owner has to be written.
    pub(super) adopt: bool,
    /// Whether the status is another one.
    is_news: bool,
    version: u64,
    /// All of the status.
    pub(super) status: DeviceStatusStatus,
    /// Whether the state is another one.
    pub(super) is_new_state: bool,
    answers: Vec<W>,
    twins: TwinDoc,
    state: Option<DeviceReport>,
}

/// What became of a write.
#[derive(Debug)]
pub(super) enum Written {
    /// It is there, as this version.
    Done(u64),
    /// The object is there already, or is not there any more.
    Exists(bool),
    /// To be tried again.
    Failed,
    /// It is another CloudCore's to write.
    NotOurs,
}

impl<W> Default for Statuses<W> {
    fn default() -> Self {
        Self { entries: BTreeMap::new(), due: BTreeSet::new() }
    }
}

impl<W> Statuses<W> {
    /// There is such a device: it gets its object.
    pub(super) fn expect(&mut self, key: &Key, uid: &str, now: Instant) {
        let entry = self.entry(key, now);
        if entry.held.is_none() || entry.owner != uid {
            self.schedule(key, now);
        }
    }

    /// There is no such device any more; its object goes with it.
    pub(super) fn forget(&mut self, key: &Key) {
        if let Some(due) = self.entries.remove(key).and_then(|entry| entry.due) {
            self.due.remove(&(due, key.clone()));
        }
    }

    /// The object as the cluster has it.
    pub(super) fn seen(&mut self, key: &Key, object: DeviceStatus, now: Instant) {
        let version = version(&object);
        let entry = self.entry(key, now);
        if version < entry.version {
            return;
        }
        entry.version = version;
        let owners = object.metadata.owner_references.unwrap_or_default();
        entry.owner = owners
            .into_iter()
            .find(|owner| owner.kind == "Device")
            .map(|owner| owner.uid)
            .unwrap_or_default();
        entry.held = Some(object.status);
    }

    /// There is no such object any more.
    pub(super) fn unseen(&mut self, key: &Key) {
        if let Some(entry) = self.entries.get_mut(key) {
            entry.held = None;
            entry.version = 0;
        }
    }

    /// There are objects for these only.
    pub(super) fn only(&mut self, keys: &BTreeSet<Key>) {
        let lost: Vec<Key> = self.entries.keys().filter(|key| !keys.contains(key)).cloned().collect();
        lost.iter().for_each(|key| self.unseen(key));
    }

    /// A report of twins.
    pub(super) fn report(&mut self, key: &Key, twins: TwinDoc, waiter: W, now: Instant) {
        let entry = self.entry(key, now);
        for (name, twin) in twins {
            overlay(entry.twins.entry(name).or_default(), twin);
        }
        self.wait(key, waiter, now);
    }

    /// A report of a state.
    pub(super) fn report_state(&mut self, key: &Key, state: DeviceReport, waiter: W, now: Instant) {
        let entry = self.entry(key, now);
        // A stock edge says when a device was last online only as long as it is.
        let DeviceReport { last_online_time: older_time, call: older_call, .. } =
            entry.state.take().unwrap_or_default();
        let is_told = !state.last_online_time.is_empty();
        let last_online_time = if is_told { state.last_online_time.clone() } else { older_time };
        let call = state.call.clone().or(older_call);
        entry.state = Some(DeviceReport { last_online_time, call, ..state });
        self.wait(key, waiter, now);
    }

    /// When there is something to write.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.due.first().map(|(due, _)| *due)
    }

    /// How many devices have something to be written.
    pub(super) fn len(&self) -> usize {
        self.due.len()
    }

    /// The next write that is due. `spec` says what a device has, and which incarnation it is.
    pub(super) fn next<'a>(
        &mut self,
        now: Instant,
        spec: impl Fn(&Key) -> Option<(&'a DeviceSpec, &'a str)>,
    ) -> Option<Write<W>> {
        let (key, spec, uid) = loop {
            let (_, key) = self.due.first().filter(|(due, _)| *due <= now).cloned()?;
            self.due.pop_first();
            if let Some(entry) = self.entries.get_mut(&key) {
                entry.due = None;
            }
            if let Some((spec, uid)) = spec(&key) {
                break (key, spec, uid);
            }
        };
        let entry = self.entries.get_mut(&key)?;
        entry.under_way = true;
        let status = merged(entry.held.as_ref(), &entry.twins, entry.state.as_ref(), spec);
        let before = entry.held.as_ref().map_or("", |held| held.state.as_str());
        Some(Write {
            uid: uid.to_owned(),
            create: entry.held.is_none(),
            adopt: entry.owner != uid,
            is_news: entry.held.as_ref() != Some(&status),
            version: entry.version,
            is_new_state: before != status.state,
            status,
            answers: std::mem::take(&mut entry.waiting),
            twins: std::mem::take(&mut entry.twins),
            state: entry.state.take(),
            key,
        })
    }

    /// What became of a write. Gives back who is to be told that it is done.
    pub(super) fn done(&mut self, write: Write<W>, written: &Written, now: Instant) -> Vec<W> {
        let Some(entry) = self.entries.get_mut(&write.key) else { return Vec::new() };
        entry.under_way = false;
        entry.not_before = now + WRITE_EVERY;
        if let Written::Done(version) = written {
            entry.failures = 0;
            if *version >= entry.version {
                entry.version = *version;
                entry.owner = write.uid;
                entry.held = Some(write.status);
            }
            let again = entry.is_dirty();
            let at = entry.not_before;
            if again {
                self.schedule(&write.key, at);
            }
            return write.answers;
        }
        if matches!(written, Written::NotOurs) {
            // Who said it says it again, there.
            let (again, at) = (entry.is_dirty(), entry.not_before);
            if again {
                self.schedule(&write.key, at);
            }
            return Vec::new();
        }
        let Write { key, answers, twins, state, .. } = write;
        // What came meanwhile is newer than what could not be written.
        let newer = std::mem::replace(&mut entry.twins, twins);
        for (name, twin) in newer {
            overlay(entry.twins.entry(name).or_default(), twin);
        }
        entry.state = entry.state.take().or(state);
        entry.waiting.splice(0..0, answers);
        entry.trim();
        match written {
            Written::Exists(true) => entry.held = Some(DeviceStatusStatus::default()),
            Written::Exists(false) => entry.held = None,
            _ => {
                entry.failures = entry.failures.saturating_add(1);
                let wait = WRITE_EVERY * 2_u32.saturating_pow(entry.failures.min(6));
                entry.not_before = now + wait.min(RETRY_MAX);
            }
        }
        let at = entry.not_before;
        self.schedule(&key, at);
        Vec::new()
    }

    fn entry(&mut self, key: &Key, now: Instant) -> &mut Entry<W> {
        self.entries.entry(key.clone()).or_insert_with(|| Entry {
            held: None,
            owner: String::new(),
            version: 0,
            twins: TwinDoc::new(),
            state: None,
            waiting: Vec::new(),
            under_way: false,
            due: None,
            not_before: now,
            failures: 0,
        })
    }

    fn wait(&mut self, key: &Key, waiter: W, now: Instant) {
        let entry = self.entry(key, now);
        entry.waiting.push(waiter);
        entry.trim();
        self.schedule(key, now);
    }

    /// To be written as soon as it may, from `now` on. What is under way is looked at again when it is done.
    fn schedule(&mut self, key: &Key, now: Instant) {
        let Some(entry) = self.entries.get_mut(key) else { return };
        if entry.due.is_some() || entry.under_way {
            return;
        }
        let due = entry.not_before.max(now);
        entry.due = Some(due);
        self.due.insert((due, key.clone()));
    }
}

impl<W> Entry<W> {
    fn is_dirty(&self) -> bool {
        !self.twins.is_empty() || self.state.is_some() || !self.waiting.is_empty()
    }

    fn trim(&mut self) {
        let excess = self.waiting.len().saturating_sub(MAX_WAITING);
        self.waiting.drain(..excess);
    }
}

/// A number to order versions by. That they are numbers is not promised; where they are none, what came last counts.
fn version(object: &DeviceStatus) -> u64 {
    let text = object.metadata.resource_version.as_deref().unwrap_or_default();
    text.parse().unwrap_or(u64::MAX)
}

/// What came later counts, as far as it says something.
fn overlay(slot: &mut MsgTwin, newer: MsgTwin) {
    let MsgTwin { expected, actual, optional, metadata, expected_version, actual_version } = newer;
    slot.expected = expected.or(slot.expected.take());
    slot.actual = actual.or(slot.actual.take());
    slot.optional = optional.or(slot.optional);
    slot.metadata = metadata.or(slot.metadata.take());
    slot.expected_version = expected_version.or(slot.expected_version);
    slot.actual_version = actual_version.or(slot.actual_version);
}

/// The status with what was reported, of the properties that the device has.
fn merged(
    held: Option<&DeviceStatusStatus>,
    twins: &TwinDoc,
    state: Option<&DeviceReport>,
    spec: &DeviceSpec,
) -> DeviceStatusStatus {
    let mut status = held.cloned().unwrap_or_default();
    status.twins = spec.properties.iter().filter_map(|property| twin(held, twins, &property.name)).collect();
    if let Some(state) = state {
        if !state.state.is_empty() {
            status.state = state.state.to_ascii_lowercase();
        }
        if let Some(call) = state.call.as_ref().and_then(|call| serde_json::to_value(call).ok()) {
            status.extensions.get_or_insert_default().insert(CALL_EXTENSION.to_owned(), call);
        }
        if !state.last_online_time.is_empty() {
            status.last_online_time.clone_from(&state.last_online_time);
        }
    }
    status
}

fn twin(held: Option<&DeviceStatusStatus>, twins: &TwinDoc, name: &str) -> Option<Twin> {
    let before = held.and_then(|held| held.twins.iter().find(|twin| twin.property_name == name));
    let Some(report) = twins.get(name) else { return before.cloned() };
    let data_type = report.metadata.as_ref().map(|metadata| metadata.data_type.as_str());
    let mut twin = before.cloned().unwrap_or_default();
    name.clone_into(&mut twin.property_name);
    twin.reported = property(report.actual.as_ref(), data_type).or(twin.reported);
    twin.observed_desired = property(report.expected.as_ref(), data_type).or(twin.observed_desired);
    Some(twin)
}

fn property(value: Option<&TwinValue>, data_type: Option<&str>) -> Option<TwinProperty> {
    let value = value?;
    let mut property = TwinProperty::new(value.value.clone()?);
    property.metadata.insert("timestamp".to_owned(), value.seen().to_string());
    property.metadata.extend(data_type.map(|data_type| ("type".to_owned(), data_type.to_owned())));
    Some(property)
}

// === impl Write ===

impl<W> Write<W> {
    /// Whether a node has said something of it.
    pub(super) fn is_report(&self) -> bool {
        !self.answers.is_empty() || !self.twins.is_empty() || self.state.is_some()
    }

    /// What it comes to when there is nothing to be written.
    pub(super) fn is_void(&self) -> Option<Written> {
        (!self.create && !self.adopt && !self.is_news).then_some(Written::Done(self.version))
    }
}

#[cfg(test)]
mod tests;
