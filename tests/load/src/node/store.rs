//! What a node was given: only names and versions, since nobody looks at the rest.

/// The objects of one node. A list, because a node has few and a map costs more than it finds.
#[derive(Debug, Default)]
pub(super) struct Store {
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    path: Box<str>,
    uid: Box<str>,
    version: u64,
}

/// What a delivered object is to the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It had none of this name, or another incarnation of it.
    New,
    /// A later version of what it has.
    Newer,
    /// What it has already: delivered twice.
    Same,
    /// An earlier version of what it has: the order was lost.
    Older,
}

impl Store {
    pub(super) fn has(&self, path: &str) -> bool {
        self.entries.iter().any(|entry| &*entry.path == path)
    }

    pub(super) fn put(&mut self, path: &str, uid: &str, version: u64) -> Verdict {
        let Some(entry) = self.entries.iter_mut().find(|entry| &*entry.path == path) else {
            self.entries.push(Entry { path: path.into(), uid: uid.into(), version });
            return Verdict::New;
        };
        if &*entry.uid != uid {
            *entry = Entry { path: path.into(), uid: uid.into(), version };
            return Verdict::New;
        }
        match version.cmp(&entry.version) {
            std::cmp::Ordering::Greater => {
                entry.version = version;
                Verdict::Newer
            }
            std::cmp::Ordering::Equal => Verdict::Same,
            std::cmp::Ordering::Less => Verdict::Older,
        }
    }

    /// Whether there was such an object.
    pub(super) fn remove(&mut self, path: &str) -> bool {
        let before = self.entries.len();
        self.entries.retain(|entry| &*entry.path != path);
        self.entries.len() < before
    }
}
