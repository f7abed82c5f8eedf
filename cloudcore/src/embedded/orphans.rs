//! Pods whose node is gone (<https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-garbage-collection>).

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use tokio::time::Instant;

use super::action::{Action, PodRef};
use super::view::Snapshot;

/// A node that is deleted and registers again within this time keeps its pods.
pub(super) const QUARANTINE: Duration = Duration::from_secs(40);

/// Since when each missing node is missing.
#[derive(Debug, Default)]
pub(super) struct Missing {
    since: HashMap<String, Instant>,
}

impl Missing {
    /// Pods to remove now, and when to look again.
    pub(super) fn plan(&mut self, snapshot: &Snapshot, now: Instant) -> (Vec<Action>, Option<Instant>) {
        let nodes: HashSet<&str> =
            snapshot.nodes.iter().filter_map(|node| node.metadata.name.as_deref()).collect();
        let bound = |pod: &k8s_openapi::api::core::v1::Pod| {
            pod.spec
                .as_ref()
                .and_then(|spec| spec.node_name.clone())
                .filter(|node| !nodes.contains(node.as_str()))
        };
        let orphans: Vec<(PodRef, String)> =
            snapshot.pods.iter().filter_map(|pod| Some((PodRef::of(pod), bound(pod)?))).collect();
        let missing: HashSet<&str> = orphans.iter().map(|(_, node)| node.as_str()).collect();
        self.since.retain(|node, _| missing.contains(node.as_str()));
        for node in missing {
            self.since.entry(node.to_owned()).or_insert(now);
        }
        let due = |node: &String| self.since.get(node).is_some_and(|since| now >= *since + QUARANTINE);
        let next = self.since.values().map(|since| *since + QUARANTINE).filter(|due| *due > now).min();
        let actions = orphans
            .into_iter()
            .filter(|(_, node)| due(node))
            .map(|(pod, _)| Action::RemovePod { pod })
            .collect();
        (actions, next)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::embedded::testing::{bound, node, pod};

    #[test]
    fn pods_of_a_missing_node_go_after_the_quarantine() {
        let mut missing = Missing::default();
        let start = Instant::now();
        let snapshot = Snapshot {
            nodes: vec![Arc::new(node("edge-1"))],
            pods: vec![
                Arc::new(bound(pod("kept"), "edge-1")),
                Arc::new(bound(pod("lost"), "edge-2")),
                Arc::new(pod("pending")),
            ],
            ..Snapshot::default()
        };
        assert_eq!(missing.plan(&snapshot, start), (vec![], Some(start + QUARANTINE)));
        let (actions, _) = missing.plan(&snapshot, start + QUARANTINE);
        assert_eq!(actions, [Action::RemovePod { pod: PodRef::of(&pod("lost")) }]);
    }

    #[test]
    fn a_node_that_comes_back_starts_the_count_anew() {
        let mut missing = Missing::default();
        let start = Instant::now();
        let without = Snapshot { pods: vec![Arc::new(bound(pod("web"), "edge-1"))], ..Snapshot::default() };
        let with = Snapshot { nodes: vec![Arc::new(node("edge-1"))], ..without.clone() };
        missing.plan(&without, start);
        missing.plan(&with, start + QUARANTINE / 2);
        let (actions, next) = missing.plan(&without, start + QUARANTINE);
        assert_eq!((actions, next), (vec![], Some(start + QUARANTINE * 2)));
    }
}
