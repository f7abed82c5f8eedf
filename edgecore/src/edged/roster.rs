//! The pods of this node, for whoever looks after the node as a whole: whose images are needed, who may be evicted.
//!
//! [`super::pods::Pods`] keeps it, the pods' actors add what only they know. As large as the number of pods.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use k8s_openapi::api::core::v1::Pod;
use tokio::sync::watch;

/// Which pods there are. Cheap to clone; all clones are one.
#[derive(Debug, Clone, Default)]
pub struct Roster {
    entries: Arc<Mutex<Entries>>,
    /// What the store holds is in.
    restored: watch::Sender<bool>,
    /// Counts pods that were over or left.
    ends: watch::Sender<u64>,
}

/// One pod.
#[derive(Debug, Clone)]
pub struct Listed {
    /// The pod as the cloud has it.
    pub pod: Arc<Pod>,
    /// It has done all that it will ever do, and nothing of it runs.
    pub is_over: bool,
}

#[derive(Debug, Default)]
struct Entries {
    /// Counts pods that came or changed.
    version: u64,
    /// By UID.
    pods: BTreeMap<String, Listed>,
}

// === impl Roster ===

impl Roster {
    /// A pod is there, or has changed.
    pub fn enter(&self, uid: &str, pod: Arc<Pod>) {
        let mut entries = self.entries();
        entries.version += 1;
        match entries.pods.get_mut(uid) {
            Some(listed) => listed.pod = pod,
            None => drop(entries.pods.insert(uid.to_owned(), Listed { pod, is_over: false })),
        }
    }

    /// The pod will never run again, and nothing of it runs.
    pub fn over(&self, uid: &str) {
        let is_news = match self.entries().pods.get_mut(uid) {
            Some(listed) => !std::mem::replace(&mut listed.is_over, true),
            None => false,
        };
        if is_news {
            self.ends.send_modify(|count| *count += 1);
        }
    }

    /// Waits until nothing of the pod runs any more, or it is not here.
    pub async fn until_over(&self, uid: &str) {
        let is_over = |_: &u64| self.entries().pods.get(uid).is_none_or(|listed| listed.is_over);
        // The sender is here, so there is no other end to it.
        self.ends.subscribe().wait_for(is_over).await.ok();
    }

    /// Nothing is left of the pod.
    pub fn leave(&self, uid: &str) {
        self.entries().pods.remove(uid);
        self.ends.send_modify(|count| *count += 1);
    }

    /// Everything that the store holds was entered.
    pub fn restored(&self) {
        self.restored.send_replace(true);
    }

    /// Waits until it was.
    pub async fn until_restored(&self) {
        // The sender is here, so there is no other end to it.
        self.restored.subscribe().wait_for(|restored| *restored).await.ok();
    }

    /// All pods by UID, and the version of the list; `None` while the store was not read yet. That there is no pod
    /// here says nothing about the runtime: its containers may outlive a store.
    pub fn pods(&self) -> Option<(BTreeMap<String, Listed>, u64)> {
        let is_restored = *self.restored.borrow();
        let entries = self.entries();
        is_restored.then(|| (entries.pods.clone(), entries.version))
    }

    /// Whether a pod came or changed since `version`.
    pub fn has_changed_since(&self, version: u64) -> bool {
        self.entries().version != version
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_known_before_the_store_is_read() {
        let roster = Roster::default();
        roster.enter("a", Arc::default());
        assert!(roster.pods().is_none());
        roster.restored();
        let (pods, version) = roster.pods().unwrap();
        assert_eq!(pods.len(), 1);
        assert!(!roster.has_changed_since(version));
        roster.over("a");
        roster.enter("a", Arc::default());
        assert!(roster.has_changed_since(version));
        assert!(roster.pods().unwrap().0["a"].is_over, "a change of the object does not bring it back");
        roster.leave("a");
        assert!(roster.pods().unwrap().0.is_empty());
    }
}
