//! Which node a pending pod goes to (<https://kubernetes.io/docs/concepts/scheduling-eviction/kube-scheduler/>).
//!
//! A pod goes to a node that passes every filter; of several, the one with the largest share of memory and CPU free.
//! [`Scheduler`] remembers what it has bound until the watch shows it, so that two pods are not given the same room.

mod resources;
mod taints;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Node, Pod, PodSpec};

use self::resources::Room;
use super::action::{Action, PodRef};
use super::view::Snapshot;

/// The scheduler that pods name when they name none; pods of another one are left alone.
const NAME: &str = "default-scheduler";

/// What was bound and is not seen yet: UID of the pod, name of the node. Bounded by the pods that are pending.
#[derive(Debug, Default)]
pub(super) struct Scheduler {
    assumed: HashMap<String, String>,
}

/// Why a node does not take a pod. The texts are the ones that `kubectl describe` readers know.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Refusal {
    /// Of this resource there is not enough left.
    Insufficient(String),
    /// Label selector or affinity.
    Affinity,
    /// This taint is not tolerated.
    Taint { key: String, value: String },
    /// Somebody else has the host port.
    Ports,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Insufficient(resource) if resource == "pods" => f.write_str("Too many pods"),
            Self::Insufficient(resource) => write!(f, "Insufficient {resource}"),
            Self::Affinity => f.write_str("node(s) didn't match Pod's node affinity/selector"),
            Self::Taint { key, value } => write!(f, "node(s) had untolerated taint {{{key}: {value}}}"),
            Self::Ports => f.write_str("node(s) didn't have free ports for the requested pod ports"),
        }
    }
}

impl Scheduler {
    /// Decides for every pending pod, oldest first.
    pub(super) fn plan(&mut self, snapshot: &Snapshot) -> Vec<Action> {
        let mut waiting: Vec<&Arc<Pod>> = snapshot.pods.iter().filter(|pod| is_pending(pod)).collect();
        let pending: HashSet<&str> = waiting.iter().filter_map(|pod| pod.metadata.uid.as_deref()).collect();
        self.assumed.retain(|uid, _| pending.contains(uid.as_str()));
        waiting.retain(|pod| !self.assumed.contains_key(pod.metadata.uid.as_deref().unwrap_or_default()));
        // What is left on ten thousand nodes is not worth knowing when nobody waits for it.
        if waiting.is_empty() {
            return Vec::new();
        }
        let mut rooms = self.rooms(snapshot);
        waiting.sort_by_key(|pod| (pod.metadata.creation_timestamp.clone(), pod.metadata.name.clone()));
        waiting.into_iter().filter_map(|pod| self.decide(pod, &mut rooms)).collect()
    }

    fn decide(&mut self, pod: &Pod, rooms: &mut [(&Node, Room)]) -> Option<Action> {
        let reference = PodRef::of(pod);
        let mut refusals: BTreeMap<Refusal, usize> = BTreeMap::new();
        let mut best: Option<(usize, f64)> = None;
        for (index, (node, room)) in rooms.iter().enumerate() {
            match judge(pod, node, room) {
                Ok(score) if best.is_none_or(|(_, most)| score > most) => best = Some((index, score)),
                Ok(_) => {}
                Err(refusal) => *refusals.entry(refusal).or_default() += 1,
            }
        }
        if let Some((index, _)) = best {
            let (node, room) = &mut rooms[index];
            let node = node.metadata.name.clone()?;
            room.take(pod);
            self.assumed.insert(reference.uid.clone(), node.clone());
            return Some(Action::Bind { pod: reference, node });
        }
        let message = explain(rooms.len(), &refusals);
        (unschedulable_message(pod) != Some(message.as_str()))
            .then_some(Action::Unschedulable { pod: reference, message })
    }

    /// What is left on each node, with what we have given away already.
    fn rooms<'a>(&self, snapshot: &'a Snapshot) -> Vec<(&'a Node, Room)> {
        let on = |pod: &Pod| {
            let bound = pod.spec.as_ref().and_then(|spec| spec.node_name.clone());
            bound.or_else(|| self.assumed.get(pod.metadata.uid.as_deref()?).cloned())
        };
        let mut rooms: Vec<(&Node, Room)> =
            snapshot.nodes.iter().map(|node| (node.as_ref(), Room::of(node))).collect();
        rooms.sort_by(|(a, _), (b, _)| a.metadata.name.cmp(&b.metadata.name));
        for pod in snapshot.pods.iter().filter(|pod| !is_finished(pod)) {
            let Some(name) = on(pod) else { continue };
            let found = rooms.binary_search_by(|(node, _)| node.metadata.name.as_deref().cmp(&Some(&name)));
            if let Ok(index) = found {
                rooms[index].1.take(pod);
            }
        }
        rooms
    }

    /// A binding that failed is not assumed any more.
    pub(super) fn forget(&mut self, pod: &PodRef) {
        self.assumed.remove(&pod.uid);
    }
}

/// Every filter, then the score.
fn judge(pod: &Pod, node: &Node, room: &Room) -> Result<f64, Refusal> {
    let spec = pod.spec.as_ref();
    taints::tolerated(spec, node)?;
    if !spec.is_none_or(|spec| proto::placement::is_selected(spec, node)) {
        return Err(Refusal::Affinity);
    }
    room.fits(pod)
}

fn is_pending(pod: &Pod) -> bool {
    let wants_us = |spec: &PodSpec| {
        spec.node_name.is_none()
            && spec.scheduler_name.as_deref().unwrap_or(NAME) == NAME
            && spec.scheduling_gates.as_ref().is_none_or(Vec::is_empty)
    };
    pod.metadata.deletion_timestamp.is_none() && !is_finished(pod) && pod.spec.as_ref().is_some_and(wants_us)
}

fn is_finished(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    matches!(phase, Some("Succeeded" | "Failed"))
}

fn explain(nodes: usize, refusals: &BTreeMap<Refusal, usize>) -> String {
    if nodes == 0 {
        return "no nodes available to schedule pods".to_owned();
    }
    let reasons: Vec<String> = refusals.iter().map(|(refusal, count)| format!("{count} {refusal}")).collect();
    format!("0/{nodes} nodes are available: {}.", reasons.join(", "))
}

fn unschedulable_message(pod: &Pod) -> Option<&str> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    let condition = conditions.iter().find(|condition| condition.type_ == "PodScheduled")?;
    condition.message.as_deref().filter(|_| condition.status == "False")
}

#[cfg(test)]
mod tests;
