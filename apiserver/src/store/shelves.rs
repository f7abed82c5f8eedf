//! What is in memory: one shelf of objects per kind, and the window of recent changes.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Bound;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use bytes::Bytes;
use tokio::sync::watch;

use super::database::Content;
use super::window::Window;
use super::{Change, Entry, Event, Limits, Place, Range, Snapshot, StoreError};

/// All objects. Written by the writer task only; read by everyone.
#[derive(Debug)]
pub(super) struct Shelves {
    // A leaf lock: held for a look-up or for cloning handles, never across I/O or an await.
    inner: RwLock<Inner>,
}

#[derive(Debug)]
struct Inner {
    revision: u64,
    /// Revision at start: what was deleted before it is not known.
    floor: u64,
    shelves: HashMap<Arc<str>, Shelf>,
    window: Window,
    /// Newest change that fell out of the window.
    evicted: u64,
    changed: watch::Sender<u64>,
}

#[derive(Debug)]
struct Shelf {
    objects: BTreeMap<Arc<Place>, Entry>,
    /// Newest change of this kind that fell out of the window: a watch of a quiet kind stays valid however many
    /// changes other kinds have seen.
    evicted: u64,
    changed: watch::Sender<u64>,
}

impl Shelves {
    pub(super) fn new(content: Content, limits: Limits) -> Self {
        let mut inner = Inner {
            revision: content.revision,
            floor: content.revision,
            shelves: HashMap::new(),
            window: Window::new(limits),
            evicted: content.revision,
            changed: watch::Sender::new(content.revision),
        };
        for entry in content.entries {
            inner.shelf(&Arc::clone(&entry.resource)).objects.insert(Arc::clone(&entry.place), entry);
        }
        Self { inner: RwLock::new(inner) }
    }

    pub(super) fn revision(&self) -> u64 {
        self.read().revision
    }

    pub(super) fn get(&self, resource: &str, place: &Place) -> Option<Entry> {
        self.read().shelves.get(resource)?.objects.get(place).cloned()
    }

    pub(super) fn list(&self, range: Range<'_>) -> Result<Snapshot, StoreError> {
        let inner = self.read();
        let mut entries = inner.present(range);
        let revision = match range.at {
            Some(at) if at < inner.revision => {
                inner.check(Some(range.resource), at)?;
                inner.rewind(range, at, &mut entries);
                at
            }
            _ => inner.revision,
        };
        Ok(Snapshot { revision, entries: entries.into_values().collect() })
    }

    pub(super) fn everything(&self) -> Snapshot {
        let inner = self.read();
        let entries = inner.shelves.values().flat_map(|shelf| shelf.objects.values().cloned()).collect();
        Snapshot { revision: inner.revision, entries }
    }

    /// A receiver that sees a new revision whenever `resource` (`None`: anything) has changed.
    pub(super) fn subscribe(&self, resource: Option<&str>) -> watch::Receiver<u64> {
        match resource {
            Some(resource) => self.write().shelf(&Arc::from(resource)).changed.subscribe(),
            None => self.read().changed.subscribe(),
        }
    }

    /// Up to `most` changes after `after`, and the revision up to which there are no others.
    pub(super) fn changes(
        &self,
        resource: Option<&str>,
        namespace: Option<&str>,
        after: u64,
        most: usize,
    ) -> Result<(Vec<Event>, u64), StoreError> {
        let inner = self.read();
        inner.check(resource, after)?;
        let mut events = Vec::new();
        for event in inner.window.after(after) {
            let wanted = resource.is_none_or(|resource| *event.entry.resource == *resource)
                && namespace.is_none_or(|namespace| *event.entry.place.namespace == *namespace);
            if !wanted {
                continue;
            }
            events.push(event.clone());
            if events.len() == most {
                return Ok((events, event.entry.revision));
            }
        }
        Ok((events, inner.revision))
    }

    /// Makes durable changes visible and wakes whoever watches.
    pub(super) fn publish(&self, events: Vec<Event>) {
        let mut guard = self.write();
        let inner = &mut *guard;
        for event in events {
            inner.revision = event.entry.revision;
            let resource = Arc::clone(&event.entry.resource);
            let shelf = inner.shelf(&resource);
            if event.change == Change::Deleted {
                shelf.objects.remove(&event.entry.place);
            } else {
                shelf.objects.insert(Arc::clone(&event.entry.place), event.entry.clone());
            }
            shelf.changed.send_replace(event.entry.revision);
            for gone in inner.window.push(event) {
                inner.evicted = gone.entry.revision;
                if let Some(shelf) = inner.shelves.get_mut(&gone.entry.resource) {
                    shelf.evicted = gone.entry.revision;
                }
            }
        }
        inner.changed.send_replace(inner.revision);
    }

    // A poisoned lock means that a writer panicked between two map operations; the maps themselves are sound, and the
    // writer's task is gone, so nothing will write any more. Reading on is better than taking every reader down.
    fn read(&self) -> RwLockReadGuard<'_, Inner> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Inner> {
        self.inner.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn shelf(&mut self, resource: &Arc<str>) -> &mut Shelf {
        let floor = self.floor;
        self.shelves.entry(Arc::clone(resource)).or_insert_with(|| Shelf {
            objects: BTreeMap::new(),
            evicted: floor,
            changed: watch::Sender::new(floor),
        })
    }

    fn check(&self, resource: Option<&str>, after: u64) -> Result<(), StoreError> {
        let oldest = match resource {
            Some(resource) => self.shelves.get(resource).map_or(self.floor, |shelf| shelf.evicted),
            None => self.evicted,
        };
        if after < oldest { Err(StoreError::Expired { requested: after, oldest }) } else { Ok(()) }
    }

    fn present(&self, range: Range<'_>) -> BTreeMap<Arc<Place>, Entry> {
        let Some(shelf) = self.shelves.get(range.resource) else { return BTreeMap::new() };
        let first = range.namespace.map(|namespace| Place::new(namespace, ""));
        let from = match (&first, range.after) {
            (Some(first), Some(after)) => Bound::Excluded(first.max(after)),
            (Some(first), None) => Bound::Included(first),
            (None, Some(after)) => Bound::Excluded(after),
            (None, None) => Bound::Unbounded,
        };
        shelf
            .objects
            .range::<Place, _>((from, Bound::Unbounded))
            .take_while(|(place, _)| range.namespace.is_none_or(|namespace| *place.namespace == *namespace))
            .map(|(place, entry)| (Arc::clone(place), entry.clone()))
            .collect()
    }

    /// Takes back what has changed since `at`. The first change of an object after `at` says what it was then.
    fn rewind(&self, range: Range<'_>, at: u64, entries: &mut BTreeMap<Arc<Place>, Entry>) {
        let mut seen: HashSet<&Place> = HashSet::new();
        for Event { entry, previous, .. } in self.window.after(at) {
            let wanted = *entry.resource == *range.resource
                && range.namespace.is_none_or(|namespace| *entry.place.namespace == *namespace)
                && range.after.is_none_or(|after| *entry.place > *after);
            if !wanted || !seen.insert(&entry.place) {
                continue;
            }
            match previous {
                Some(object) => entries.insert(Arc::clone(&entry.place), old_entry(entry, object)),
                None => entries.remove(&entry.place),
            };
        }
    }
}

fn old_entry(entry: &Entry, object: &Bytes) -> Entry {
    // The revision of the old version is in its bytes; nobody who lists the past asks for the number.
    Entry { object: object.clone(), revision: 0, ..entry.clone() }
}
