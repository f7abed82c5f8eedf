//! What a node was given: only names and versions, since nobody looks at the rest.

use proto::hello::Held;

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
    digest: u64,
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

    /// `digest` is what the cloud gave the object, 0 if it gave it none.
    pub(super) fn put(&mut self, path: &str, uid: &str, version: u64, digest: u64) -> Verdict {
        let new = || Entry { path: path.into(), uid: uid.into(), version, digest };
        let Some(entry) = self.entries.iter_mut().find(|entry| &*entry.path == path) else {
            self.entries.push(new());
            return Verdict::New;
        };
        if &*entry.uid != uid {
            *entry = new();
            return Verdict::New;
        }
        match version.cmp(&entry.version) {
            std::cmp::Ordering::Greater => {
                (entry.version, entry.digest) = (version, digest);
                Verdict::Newer
            }
            std::cmp::Ordering::Equal => {
                entry.digest = digest;
                Verdict::Same
            }
            std::cmp::Ordering::Less => Verdict::Older,
        }
    }

    /// Whether there was such an object.
    pub(super) fn remove(&mut self, path: &str) -> bool {
        self.remove_if(path, |_| true)
    }

    /// Whether there was such an incarnation of the object.
    pub(super) fn remove_incarnation(&mut self, path: &str, uid: &str) -> bool {
        self.remove_if(path, |entry| uid.is_empty() || &*entry.uid == uid)
    }

    /// Everything, as a hello says it.
    pub(super) fn held(&self) -> Vec<Held> {
        let held = self.entries.iter().map(|entry| Held {
            path: entry.path.to_string(),
            uid: entry.uid.to_string(),
            version: entry.version.to_string(),
            digest: entry.digest,
        });
        held.collect()
    }

    fn remove_if(&mut self, path: &str, wanted: impl Fn(&Entry) -> bool) -> bool {
        let before = self.entries.len();
        self.entries.retain(|entry| &*entry.path != path || !wanted(entry));
        self.entries.len() < before
    }
}
