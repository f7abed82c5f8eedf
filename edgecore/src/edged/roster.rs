//! The pods of this node, for whoever looks at all of them: whose images are needed, who may be evicted, and what the
//! local server shows.
//!
//! [`super::pods::Pods`] keeps it, the pods' actors add what only they know. As large as the number of pods.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use k8s_openapi::api::core::v1::{Pod, PodStatus};
use tokio::sync::watch;

/// Which pods there are. Cheap to clone; all clones are one.
#[derive(Debug, Clone, Default)]
pub struct Roster {
    entries: Arc<Mutex<Entries>>,
    /// What the store holds is in.
    restored: watch::Sender<bool>,
    /// Counts pods that were over or left.
    ends: watch::Sender<u64>,
    /// How many pods there are.
    count: watch::Sender<usize>,
}

/// One pod.
#[derive(Debug, Clone)]
pub struct Listed {
    /// The pod as the cloud has it.
    pub pod: Arc<Pod>,
    /// It has done all that it will ever do, nothing of it runs, and its volumes were given back.
    pub is_over: bool,
    /// As it was last reported; `None` before the first report.
    pub status: Option<Arc<PodStatus>>,
}

#[derive(Debug, Default)]
struct Entries {
    /// Counts pods that came or changed.
    version: u64,
    /// By UID.
    pods: BTreeMap<String, Listed>,
    /// UIDs under which the API knows static pods, and their own.
    mirrors: BTreeMap<String, String>,
}

// === impl Roster ===

impl Roster {
    /// A pod is there, or has changed.
    pub fn enter(&self, uid: &str, pod: Arc<Pod>) {
        let mut entries = self.entries();
        entries.version += 1;
        match entries.pods.get_mut(uid) {
            Some(listed) => listed.pod = pod,
            None => {
                entries.pods.insert(uid.to_owned(), Listed { pod, is_over: false, status: None });
                self.count.send_replace(entries.pods.len());
            }
        }
    }

    /// How many pods there are, as they come and leave.
    pub fn count(&self) -> watch::Receiver<usize> {
        self.count.subscribe()
    }

    /// These mirrors (by UID) show these static pods.
    pub fn show(&self, mirrors: BTreeMap<String, String>) {
        self.entries().mirrors = mirrors;
    }

    /// The pod's status is this now.
    pub fn report(&self, uid: &str, status: Arc<PodStatus>) {
        if let Some(listed) = self.entries().pods.get_mut(uid) {
            listed.status = Some(status);
        }
    }

    /// The pod will never run again, nothing of it runs, and its volumes were given back.
    pub fn over(&self, uid: &str) {
        let is_news = match self.entries().pods.get_mut(uid) {
            Some(listed) => !std::mem::replace(&mut listed.is_over, true),
            None => false,
        };
        if is_news {
            self.ends.send_modify(|count| *count += 1);
        }
    }

    /// Waits until nothing of the pod runs or takes room any more, or it is not here.
    pub async fn until_over(&self, uid: &str) {
        let is_over = |_: &u64| self.entries().pods.get(uid).is_none_or(|listed| listed.is_over);
        // The sender is here, so there is no other end to it.
        self.ends.subscribe().wait_for(is_over).await.ok();
    }

    /// Nothing is left of the pod.
    pub fn leave(&self, uid: &str) {
        let mut entries = self.entries();
        entries.pods.remove(uid);
        self.count.send_replace(entries.pods.len());
        drop(entries);
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

    /// The pods that are known by now, by UID.
    pub fn known(&self) -> Vec<Listed> {
        self.entries().pods.values().cloned().collect()
    }

    /// The pod with this name, and with this UID, or that of its mirror, where one is given. While a pod is on its way out and another one has
    /// its name already, it is the newer one.
    pub fn find(&self, namespace: &str, name: &str, uid: Option<&str>) -> Option<Listed> {
        let entries = self.entries();
        let uid = uid.map(|uid| entries.mirrors.get(uid).map_or(uid, String::as_str));
        let fits = |(key, listed): &(&String, &Listed)| {
            let metadata = &listed.pod.metadata;
            metadata.namespace.as_deref() == Some(namespace)
                && metadata.name.as_deref() == Some(name)
                && uid.is_none_or(|uid| *key == uid)
        };
        let created = |(_, listed): &(&String, &Listed)| {
            listed.pod.metadata.creation_timestamp.as_ref().map(|time| time.0)
        };
        entries.pods.iter().filter(fits).max_by_key(created).map(|(_, listed)| listed.clone())
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

    #[test]
    fn of_two_pods_of_one_name_the_newer_one_is_found() {
        let roster = Roster::default();
        for (uid, created) in [("a", "2026-01-02T00:00:00Z"), ("b", "2026-01-01T00:00:00Z")] {
            let metadata = serde_json::json!({
                "namespace": "shop", "name": "web", "uid": uid, "creationTimestamp": created,
            });
            let pod = serde_json::json!({ "metadata": metadata });
            roster.enter(uid, Arc::new(serde_json::from_value(pod).unwrap()));
        }
        let found = |namespace, uid| roster.find(namespace, "web", uid)?.pod.metadata.uid.clone();
        assert_eq!(found("shop", None).as_deref(), Some("a"));
        assert_eq!(found("shop", Some("b")).as_deref(), Some("b"));
        assert_eq!((found("shop", Some("c")), found("other", None)), (None, None));
    }

    #[test]
    fn a_static_pod_is_found_by_the_uid_of_its_mirror() {
        let roster = Roster::default();
        let metadata = serde_json::json!({"metadata": {"namespace": "shop", "name": "web", "uid": "own"}});
        roster.enter("own", Arc::new(serde_json::from_value(metadata).unwrap()));
        let found = |uid| roster.find("shop", "web", Some(uid)).is_some();
        assert!(found("own") && !found("mirror"));
        roster.show([("mirror".to_owned(), "own".to_owned())].into());
        assert!(found("own") && found("mirror") && !found("other"));
        roster.show(BTreeMap::new());
        assert!(!found("mirror"));
    }

    #[test]
    fn a_pod_keeps_its_status_when_it_changes() {
        let roster = Roster::default();
        roster.report("a", Arc::default());
        roster.enter("a", Arc::default());
        assert!(roster.known()[0].status.is_none(), "it was not there");
        roster.report("a", Arc::default());
        roster.enter("a", Arc::default());
        assert!(roster.known()[0].status.is_some());
    }
}
