//! Who owns whom: an index of all objects by uid. Pure; what has to be done comes out as [`Task`]s.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use serde::Deserialize;

use crate::kinds::definition::{self, CLEANUP_FINALIZER};
use crate::store::{Change, Entry, Event, Place};
use crate::verbs::delete::{FOREGROUND_FINALIZER, ORPHAN_FINALIZER};

/// Which object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key {
    pub(super) resource: Arc<str>,
    pub(super) place: Arc<Place>,
}

/// Something to do about an object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Task {
    /// An owner of it is gone.
    Settle(Key),
    /// It goes, and what it owns stays.
    Orphan(Key),
    /// It goes after what it owns.
    Foreground(Key),
    /// It defines a kind and goes after the objects of that kind.
    Empty(Key),
}

/// The index.
#[derive(Debug, Default)]
pub(super) struct Owners {
    /// All objects that exist.
    live: HashMap<Box<str>, Key>,
    /// Objects that name an owner, by the owner's uid.
    dependents: HashMap<Box<str>, HashSet<Key>>,
    /// The owners that each of those names.
    references: HashMap<Key, Vec<Box<str>>>,
    /// Owners that wait for what they own.
    waiting: HashMap<Box<str>, Key>,
    /// Definitions that wait for the objects of their kind, by where those are stored.
    emptying: HashMap<Box<str>, Key>,
}

/// The parts of an object that count here.
#[derive(Debug, Deserialize)]
struct Head {
    metadata: Metadata,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Metadata {
    uid: Box<str>,
    deletion_timestamp: Option<String>,
    finalizers: Vec<String>,
    owner_references: Vec<Reference>,
}

#[derive(Debug, Deserialize)]
struct Reference {
    uid: Box<str>,
}

impl Owners {
    /// Takes in one change and tells what has to be done about it.
    pub(super) fn apply(&mut self, event: &Event) -> Vec<Task> {
        match event.change {
            Change::Added => {
                let mut tasks = self.put(&event.entry);
                tasks.extend(self.settle_if_ownerless(&Key::of(&event.entry)));
                tasks
            }
            Change::Modified => self.put(&event.entry),
            Change::Deleted => self.remove(&event.entry),
        }
    }

    /// Takes in an object as it is now.
    pub(super) fn put(&mut self, entry: &Entry) -> Vec<Task> {
        let Some(metadata) = Metadata::of(entry) else { return Vec::new() };
        let key = Key::of(entry);
        self.refer(&key, metadata.owner_references.into_iter().map(|reference| reference.uid).collect());
        self.live.insert(metadata.uid.clone(), key.clone());
        if metadata.deletion_timestamp.is_none() {
            return Vec::new();
        }
        let mut tasks = Vec::new();
        for finalizer in &metadata.finalizers {
            match finalizer.as_str() {
                ORPHAN_FINALIZER => tasks.push(Task::Orphan(key.clone())),
                FOREGROUND_FINALIZER => {
                    self.waiting.insert(metadata.uid.clone(), key.clone());
                    tasks.push(Task::Foreground(key.clone()));
                }
                CLEANUP_FINALIZER if *key.resource == *definition::STORAGE => {
                    self.emptying.insert(key.place.name.clone(), key.clone());
                    tasks.push(Task::Empty(key.clone()));
                }
                _ => {}
            }
        }
        tasks
    }

    fn remove(&mut self, entry: &Entry) -> Vec<Task> {
        let Some(metadata) = Metadata::of(entry) else { return Vec::new() };
        let key = Key::of(entry);
        self.live.remove(&metadata.uid);
        self.waiting.remove(&metadata.uid);
        self.emptying.retain(|_, definition| *definition != key);
        let owners = self.references.get(&key).cloned().unwrap_or_default();
        self.refer(&key, Vec::new());
        let dependents = self.dependents(&metadata.uid).into_iter().map(Task::Settle);
        let waiting =
            owners.iter().filter_map(|owner| self.waiting.get(owner)).cloned().map(Task::Foreground);
        let emptying = self.emptying.get(&*key.resource).cloned().map(Task::Empty);
        dependents.chain(waiting).chain(emptying).collect()
    }

    /// Objects all of whose owners were gone before this index began.
    pub(super) fn without_owner(&self) -> Vec<Task> {
        self.references.keys().filter_map(|key| self.settle_if_ownerless(key)).collect()
    }

    fn settle_if_ownerless(&self, key: &Key) -> Option<Task> {
        let owners = self.references.get(key)?;
        let ownerless = owners.iter().any(|owner| !self.is_live(owner));
        ownerless.then(|| Task::Settle(key.clone()))
    }

    /// Whether an object with this uid exists.
    pub(super) fn is_live(&self, uid: &str) -> bool {
        self.live.contains_key(uid)
    }

    /// What the object with this uid owns, in order.
    pub(super) fn dependents(&self, uid: &str) -> BTreeSet<Key> {
        self.dependents.get(uid).into_iter().flatten().cloned().collect()
    }

    fn refer(&mut self, key: &Key, owners: Vec<Box<str>>) {
        for owner in self.references.remove(key).unwrap_or_default() {
            if let Some(dependents) = self.dependents.get_mut(&owner) {
                dependents.remove(key);
                if dependents.is_empty() {
                    self.dependents.remove(&owner);
                }
            }
        }
        for owner in &owners {
            self.dependents.entry(owner.clone()).or_default().insert(key.clone());
        }
        if !owners.is_empty() {
            self.references.insert(key.clone(), owners);
        }
    }
}

impl Key {
    fn of(entry: &Entry) -> Self {
        Self { resource: Arc::clone(&entry.resource), place: Arc::clone(&entry.place) }
    }
}

impl Metadata {
    fn of(entry: &Entry) -> Option<Self> {
        serde_json::from_slice::<Head>(&entry.object).ok().map(|head| head.metadata)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use serde_json::{Value, json};

    use super::*;

    fn event(change: Change, name: &str, metadata: &Value) -> Event {
        let mut object = json!({"metadata": {"name": name, "uid": format!("uid-{name}")}});
        for (key, value) in metadata.as_object().into_iter().flatten() {
            object["metadata"][key] = value.clone();
        }
        let entry = Entry {
            resource: Arc::from("things"),
            place: Arc::new(Place::new("default", name)),
            revision: 1,
            object: Bytes::from(object.to_string()),
        };
        Event { change, entry, previous: None }
    }

    fn key(name: &str) -> Key {
        Key::of(&event(Change::Added, name, &json!({})).entry)
    }

    fn owned_by(owners: &[&str]) -> Value {
        let references: Vec<Value> =
            owners.iter().map(|owner| json!({"uid": format!("uid-{owner}")})).collect();
        json!({"ownerReferences": references})
    }

    #[test]
    fn what_a_removed_object_owned_is_settled() {
        let mut owners = Owners::default();
        assert!(owners.apply(&event(Change::Added, "owner", &json!({}))).is_empty());
        assert!(owners.apply(&event(Change::Added, "child", &owned_by(&["owner"]))).is_empty());
        let tasks = owners.apply(&event(Change::Deleted, "owner", &json!({})));
        assert_eq!(tasks, [Task::Settle(key("child"))]);
        assert!(!owners.is_live("uid-owner"));
    }

    #[test]
    fn an_object_of_an_owner_that_never_was_is_settled() {
        let mut owners = Owners::default();
        let tasks = owners.apply(&event(Change::Added, "child", &owned_by(&["nobody"])));
        assert_eq!(tasks, [Task::Settle(key("child"))]);
    }

    #[test]
    fn a_waiting_owner_is_looked_at_again_when_a_dependent_goes() {
        let mut owners = Owners::default();
        owners.apply(&event(Change::Added, "owner", &json!({})));
        owners.apply(&event(Change::Added, "child", &owned_by(&["owner"])));
        let ending =
            json!({"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["foregroundDeletion"]});
        assert_eq!(
            owners.apply(&event(Change::Modified, "owner", &ending)),
            [Task::Foreground(key("owner"))]
        );
        let tasks = owners.apply(&event(Change::Deleted, "child", &owned_by(&["owner"])));
        assert_eq!(tasks, [Task::Foreground(key("owner"))]);
        assert!(owners.dependents("uid-owner").is_empty());
    }
}
