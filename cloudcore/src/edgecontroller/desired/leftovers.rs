//! What a stock edge holds, by its records, and should not have any more.

use std::sync::Arc;

use proto::api::reliablesync::ObjectSyncSpec;
use proto::{ObjectPath, ResourceKind};

use super::{Desired, shape};
use crate::flow::{Change, NodeName, RecordId};

/// What has to be done about the records of a node that has connected.
#[derive(Debug, Default)]
pub(crate) struct Leftovers {
    /// The node has to remove these. Their records go when it says that it has.
    pub(crate) removals: Vec<Arc<Change>>,
    /// Records that are about nothing that the node could have.
    pub(crate) void: Vec<RecordId>,
}

/// What to do about one record.
enum Verdict {
    /// The node should have the object, or it is of a kind that others care for.
    Fine,
    Remove(Arc<Change>),
    Void,
}

impl Desired {
    /// Goes through what the node holds by its records.
    pub(crate) fn leftovers(&self, node: &NodeName, held: &[(RecordId, ObjectSyncSpec)]) -> Leftovers {
        let mut leftovers = Leftovers::default();
        for (id, object) in held {
            match self.verdict(node, id, object) {
                Verdict::Fine => {}
                Verdict::Remove(change) => leftovers.removals.push(change),
                Verdict::Void => leftovers.void.push(id.clone()),
            }
        }
        leftovers
    }

    fn verdict(&self, node: &NodeName, id: &RecordId, object: &ObjectSyncSpec) -> Verdict {
        let name = object.object_name.as_str();
        let Some(namespace) = id.namespace.as_deref() else {
            return self.verdict_on_cluster(node, id, object);
        };
        match object.object_kind.as_str() {
            "Pod" => match self.pod_on(node, namespace, name) {
                Some(pod) if pod.uid == id.uid => Verdict::Fine,
                // A pod of the same name is another pod: the old one has to end. It is removed before the new one is put.
                _ => remove(shape::removal_of_pod(namespace, name, &id.uid)),
            },
            "ConfigMap" => self.verdict_on_config(node, id, ResourceKind::ConfigMap, name, namespace),
            "Secret" => self.verdict_on_config(node, id, ResourceKind::Secret, name, namespace),
            // Half written: nobody can say what it is about. What it was written for is written again when it is acknowledged.
            "" if !self.is_wanted(node, &id.uid) => Verdict::Void,
            _ => Verdict::Fine,
        }
    }

    fn verdict_on_config(
        &self,
        node: &NodeName,
        id: &RecordId,
        kind: ResourceKind,
        name: &str,
        namespace: &str,
    ) -> Verdict {
        let is_map = kind == ResourceKind::ConfigMap;
        let path = ObjectPath { namespace: Some(namespace.to_owned()), kind, name: Some(name.to_owned()) };
        let wanted = self.configs.get(&path).filter(|_| self.uses(node, &path));
        match wanted {
            Some(config) if config.uid == id.uid => Verdict::Fine,
            // The one that is there now takes its place: removing it would take that one away (kk#3445).
            Some(_) => Verdict::Void,
            None if is_map => remove(shape::removal_of_config_map(namespace, name, &id.uid)),
            None => remove(shape::removal_of_secret(namespace, name, &id.uid)),
        }
    }

    fn verdict_on_cluster(&self, node: &NodeName, id: &RecordId, object: &ObjectSyncSpec) -> Verdict {
        let is_own = self.nodes.get(node).is_some_and(|own| own.uid == id.uid);
        match object.object_kind.as_str() {
            // The Node that was here before, or another one.
            "Node" | "" if !is_own => Verdict::Void,
            _ => Verdict::Fine,
        }
    }

    fn is_wanted(&self, node: &NodeName, uid: &str) -> bool {
        self.snapshot(node).iter().any(|change| change.uid == uid)
    }
}

fn remove(change: Option<Change>) -> Verdict {
    change.map_or(Verdict::Void, |change| Verdict::Remove(Arc::new(change)))
}

#[cfg(test)]
mod tests;
