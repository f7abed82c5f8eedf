//! Mirror pods: what the API shows of static pods. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;

use crate::edged::labels::{CONFIG_HASH, CONFIG_MIRROR};
use crate::flow::PodKey;

/// Namespace and name, which a static pod and its mirror share.
type Name = (String, String);

/// Something to be done in the API.
#[derive(Debug, Clone, PartialEq)]
pub enum Errand {
    /// Make this mirror pod.
    Create(Box<Pod>),
    /// Remove this mirror pod.
    Delete(PodKey),
}

/// The mirror pods that there are.
#[derive(Debug, Default)]
pub struct Mirrors(BTreeMap<Name, Mirror>);

#[derive(Debug)]
struct Mirror {
    key: PodKey,
    /// UID of the static pod that it shows.
    of: String,
    is_leaving: bool,
}

// === impl Mirrors ===

impl Mirrors {
    /// Takes note of a pod from the cloud, if it is a mirror pod.
    pub fn applied(&mut self, pod: &Pod, key: &PodKey) -> bool {
        let Some(of) = pod.metadata.annotations.as_ref().and_then(|all| all.get(CONFIG_MIRROR)) else {
            return false;
        };
        let is_leaving = pod.metadata.deletion_timestamp.is_some();
        let mirror = Mirror { key: key.clone(), of: of.clone(), is_leaving };
        self.0.insert((key.namespace.clone(), key.name.clone()), mirror);
        true
    }

    /// Takes note of a pod that is gone from the API, if it is a mirror pod.
    pub fn deleted(&mut self, key: &PodKey) -> bool {
        let name = (key.namespace.clone(), key.name.clone());
        let is_known = self.0.get(&name).is_some_and(|mirror| mirror.key.uid == key.uid);
        if is_known {
            self.0.remove(&name);
        }
        is_known
    }

    /// The mirror pod of the static pod `key`: what its status is reported as.
    pub fn of(&self, key: &PodKey) -> Option<&PodKey> {
        let mirror = self.0.get(&(key.namespace.clone(), key.name.clone()))?;
        (mirror.of == key.uid && !mirror.is_leaving).then_some(&mirror.key)
    }

    /// UIDs of the mirrors, and of the pods that they show.
    pub fn shown(&self) -> BTreeMap<String, String> {
        self.0.values().map(|mirror| (mirror.key.uid.clone(), mirror.of.clone())).collect()
    }

    /// The static pods that mirrors show and that no file describes any more.
    pub fn orphans(&self, pods: &[Arc<Pod>]) -> Vec<PodKey> {
        let is_there = |mirror: &Mirror| pods.iter().any(|pod| pod.metadata.uid.as_ref() == Some(&mirror.of));
        let orphans = self.0.values().filter(|mirror| !is_there(mirror));
        orphans.map(|mirror| PodKey { uid: mirror.of.clone(), ..mirror.key.clone() }).collect()
    }

    /// What has to be done, so that there is one mirror for each of these pods and no other.
    pub fn errands(&self, pods: &[Arc<Pod>]) -> Vec<Errand> {
        let is_right = |mirror: &Mirror| {
            !mirror.is_leaving && pods.iter().any(|pod| pod.metadata.uid.as_ref() == Some(&mirror.of))
        };
        let wrong = self.0.values().filter(|mirror| !is_right(mirror));
        let deletions = wrong.map(|mirror| Errand::Delete(mirror.key.clone()));
        let missing = pods.iter().filter(|pod| {
            let name = |text: &Option<String>| text.clone().unwrap_or_default();
            !self.0.contains_key(&(name(&pod.metadata.namespace), name(&pod.metadata.name)))
        });
        deletions.chain(missing.map(|pod| Errand::Create(Box::new(mirror_of(pod))))).collect()
    }
}

fn mirror_of(pod: &Pod) -> Pod {
    let mut mirror = pod.clone();
    mirror.metadata.uid = None;
    let annotations = mirror.metadata.annotations.get_or_insert_default();
    let hash = annotations.get(CONFIG_HASH).cloned().unwrap_or_default();
    annotations.insert(CONFIG_MIRROR.to_owned(), hash);
    mirror
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn static_pod(uid: &str) -> Arc<Pod> {
        let annotations = json!({"kubernetes.io/config.hash": uid});
        let metadata = json!({"name": "web", "namespace": "default", "uid": uid, "annotations": annotations});
        Arc::new(serde_json::from_value(json!({"metadata": metadata})).unwrap())
    }

    fn key(uid: &str) -> PodKey {
        PodKey { namespace: "default".to_owned(), name: "web".to_owned(), uid: uid.to_owned() }
    }

    fn mirror(of: &str, is_leaving: bool) -> Pod {
        let mut metadata = json!({"annotations": {"kubernetes.io/config.mirror": of}});
        if is_leaving {
            metadata["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        }
        serde_json::from_value(json!({ "metadata": metadata })).unwrap()
    }

    #[test]
    fn what_is_missing_is_made_and_shows_its_pod() {
        let mut mirrors = Mirrors::default();
        let errands = mirrors.errands(&[static_pod("s1")]);
        let [Errand::Create(made)] = errands.as_slice() else { panic!("{errands:?}") };
        assert_eq!(made.metadata.uid, None);
        assert_eq!(made.metadata.annotations.as_ref().unwrap()[CONFIG_MIRROR], "s1");
        assert!(mirrors.applied(made, &key("m1")));
        assert_eq!(mirrors.errands(&[static_pod("s1")]), []);
        assert_eq!(mirrors.of(&key("s1")), Some(&key("m1")));
        assert!(!mirrors.applied(&static_pod("s1"), &key("x")), "that is none");
    }

    #[test]
    fn one_of_another_pod_or_none_goes() {
        let mut mirrors = Mirrors::default();
        mirrors.applied(&mirror("old", false), &key("m1"));
        assert_eq!(mirrors.errands(&[static_pod("new")]), [Errand::Delete(key("m1"))]);
        assert_eq!(mirrors.of(&key("new")), None);
        assert_eq!(mirrors.orphans(&[]), [key("old")]);
        assert!(mirrors.deleted(&key("m1")) && !mirrors.deleted(&key("m1")));
        assert!(matches!(mirrors.errands(&[static_pod("new")]).as_slice(), [Errand::Create(_)]));
    }

    #[test]
    fn one_that_a_user_deletes_is_let_go() {
        let mut mirrors = Mirrors::default();
        mirrors.applied(&mirror("s1", true), &key("m1"));
        assert_eq!(mirrors.errands(&[static_pod("s1")]), [Errand::Delete(key("m1"))]);
    }
}
