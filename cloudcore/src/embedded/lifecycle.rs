//! Node health (<https://kubernetes.io/docs/reference/node/node-status/#heartbeats>).
//!
//! A node is alive while its lease changes, or the time of its last report: either is enough, as in Kubernetes. A stock
//! edge that has just lost its link may wait a minute for the answer to a lease, and reports its status meanwhile. How
//! long ago something changed is measured here, by when we saw it change: the node's clock may be wrong.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Node, NodeCondition, Taint};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use tokio::time::Instant;

use super::action::Action;
use super::view::Snapshot;

/// Kubernetes' node monitor grace period: four missed renewals of a lease that is renewed every ten seconds.
pub(super) const GRACE: Duration = Duration::from_secs(40);

/// Conditions that are no longer known when the node is silent.
const CONDITIONS: [&str; 4] = ["Ready", "MemoryPressure", "DiskPressure", "PIDPressure"];

/// Taint of a node that is silent.
const UNREACHABLE: &str = "node.kubernetes.io/unreachable";
/// Taint of a node that says that it is not ready.
const NOT_READY: &str = "node.kubernetes.io/not-ready";
/// Conditions that keep new pods away while they are true, and the taints that do it:
/// <https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/#taint-nodes-by-condition>.
const PRESSURES: [(&str, &str); 3] = [
    ("MemoryPressure", MEMORY_PRESSURE),
    ("DiskPressure", "node.kubernetes.io/disk-pressure"),
    ("PIDPressure", "node.kubernetes.io/pid-pressure"),
];
/// The one that only keeps away pods that ask for nothing.
pub(super) const MEMORY_PRESSURE: &str = "node.kubernetes.io/memory-pressure";
/// New pods are kept away, running ones are left alone: an edge node that is cut off goes on by itself (DESIGN
/// rule 5).
const EFFECT: &str = "NoSchedule";

/// When each node was last seen to give a sign of life.
#[derive(Debug, Default)]
pub(super) struct Heartbeats {
    seen: HashMap<String, Heartbeat>,
    /// No lease could be seen to change before this, and so every node's silence counts from here.
    unseen_until: Option<Instant>,
}

#[derive(Debug)]
struct Heartbeat {
    sign: Sign,
    at: Instant,
}

/// What a node that is alive changes, by its own clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Sign {
    /// When it renewed its lease.
    renewed: Option<Timestamp>,
    /// When it last reported whether it is ready.
    reported: Option<Timestamp>,
}

impl Heartbeats {
    /// What to do about nodes, and when to look again.
    pub(super) fn plan(
        &mut self,
        snapshot: &Snapshot,
        now: Instant,
        wall: Timestamp,
    ) -> (Vec<Action>, Option<Instant>) {
        let leases: HashMap<&str, &Lease> = snapshot
            .leases
            .iter()
            .filter_map(|lease| Some((lease.metadata.name.as_deref()?, lease.as_ref())))
            .collect();
        let mut actions = Vec::new();
        let mut next = None;
        let mut names = HashSet::with_capacity(snapshot.nodes.len());
        for node in &snapshot.nodes {
            let Some(name) = node.metadata.name.as_deref() else { continue };
            names.insert(name);
            let changed_at = self.observe(name, Sign::of(node, leases.get(name).copied()), now);
            let stale_at = self.unseen_until.map_or(changed_at, |until| until.max(changed_at)) + GRACE;
            if now >= stale_at {
                actions.extend(mark_unknown(name, node));
            } else {
                next = Some(next.map_or(stale_at, |next: Instant| next.min(stale_at)));
            }
            actions.extend(correct_taints(name, node, now >= stale_at, wall));
        }
        self.seen.retain(|name, _| names.contains(name.as_str()));
        (actions, next)
    }

    /// Leases cannot be watched; they will be again by `until`. That nothing is heard of a node tells nothing of the node.
    pub(super) fn unseen(&mut self, until: Instant) {
        self.unseen_until = Some(until);
    }

    /// Notes a sign of life; gives when the last one came. A node that is new to us counts from now.
    fn observe(&mut self, name: &str, sign: Sign, now: Instant) -> Instant {
        match self.seen.get(name) {
            Some(heartbeat) if heartbeat.sign == sign => heartbeat.at,
            _ => {
                self.seen.insert(name.to_owned(), Heartbeat { sign, at: now });
                now
            }
        }
    }
}

// === impl Sign ===

impl Sign {
    fn of(node: &Node, lease: Option<&Lease>) -> Self {
        let spec = lease.and_then(|lease| lease.spec.as_ref());
        Self {
            renewed: spec.and_then(|spec| spec.renew_time.as_ref()).map(|time| time.0),
            reported: condition(node, "Ready")
                .and_then(|ready| ready.last_heartbeat_time.as_ref())
                .map(|time| time.0),
        }
    }
}

fn condition<'a>(node: &'a Node, kind: &str) -> Option<&'a NodeCondition> {
    node.status.as_ref()?.conditions.as_ref()?.iter().find(|found| found.type_ == kind)
}

fn status_of<'a>(node: &'a Node, kind: &str) -> Option<&'a str> {
    condition(node, kind).map(|found| found.status.as_str())
}

fn mark_unknown(name: &str, node: &Node) -> Option<Action> {
    let conditions: Vec<&'static str> =
        CONDITIONS.into_iter().filter(|condition| status_of(node, condition) != Some("Unknown")).collect();
    (!conditions.is_empty()).then(|| Action::MarkUnknown { node: name.to_owned(), conditions })
}

/// The taints that the node's state asks for, in place of the ones of ours that it does not.
fn correct_taints(name: &str, node: &Node, stale: bool, wall: Timestamp) -> Option<Action> {
    let readiness = match status_of(node, "Ready") {
        _ if stale => Some(UNREACHABLE),
        Some("True") => None,
        Some("Unknown") => Some(UNREACHABLE),
        _ => Some(NOT_READY),
    };
    // What is unknown of a silent node is no pressure.
    let pressures = PRESSURES.into_iter().filter(|(condition, _)| status_of(node, condition) == Some("True"));
    let wanted: Vec<&str> = readiness.into_iter().chain(pressures.map(|(_, key)| key)).collect();
    let has: &[Taint] = node.spec.as_ref().and_then(|spec| spec.taints.as_deref()).unwrap_or_default();
    let is_ours = |taint: &Taint| {
        let key = taint.key.as_str();
        [UNREACHABLE, NOT_READY].contains(&key) || PRESSURES.iter().any(|(_, pressure)| *pressure == key)
    };
    let ours: Vec<&str> = has.iter().filter(|taint| is_ours(taint)).map(|taint| taint.key.as_str()).collect();
    if ours.len() == wanted.len() && wanted.iter().all(|key| ours.contains(key)) {
        return None;
    }
    // Those that stay keep the time since when they are there.
    let mut taints: Vec<Taint> =
        has.iter().filter(|taint| !is_ours(taint) || wanted.contains(&taint.key.as_str())).cloned().collect();
    taints.extend(wanted.iter().filter(|key| !ours.contains(key)).map(|key| Taint {
        key: (*key).to_owned(),
        effect: EFFECT.to_owned(),
        time_added: Some(Time(wall)),
        value: None,
    }));
    let version = node.metadata.resource_version.clone().unwrap_or_default();
    Some(Action::SetTaints { node: name.to_owned(), version, taints })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::embedded::testing::{lease, node, ready, tainted, wall};

    fn snapshot(node: Node, renewed: &str) -> Snapshot {
        let lease = lease(node.metadata.name.as_deref().unwrap(), renewed);
        Snapshot { nodes: vec![Arc::new(node)], leases: vec![Arc::new(lease)], ..Snapshot::default() }
    }

    #[test]
    fn a_lease_that_changes_keeps_the_node_alive() {
        let mut beats = Heartbeats::default();
        let start = Instant::now();
        let first = snapshot(ready(node("edge-1"), "True"), "2026-01-01T00:00:00Z");
        assert_eq!(beats.plan(&first, start, wall()), (vec![], Some(start + GRACE)));
        let renewed = snapshot(ready(node("edge-1"), "True"), "2026-01-01T00:00:10Z");
        let later = start + GRACE - Duration::from_secs(1);
        assert_eq!(beats.plan(&renewed, later, wall()), (vec![], Some(later + GRACE)));
    }

    #[test]
    fn a_lease_that_stands_still_makes_the_node_unknown_and_unreachable() {
        let mut beats = Heartbeats::default();
        let start = Instant::now();
        let same = snapshot(ready(node("edge-1"), "True"), "2026-01-01T00:00:00Z");
        beats.plan(&same, start, wall());
        let (actions, next) = beats.plan(&same, start + GRACE, wall());
        assert_eq!(next, None);
        let [Action::MarkUnknown { conditions, .. }, Action::SetTaints { taints, .. }] = actions.as_slice()
        else {
            panic!("{actions:?}");
        };
        assert_eq!(conditions.as_slice(), CONDITIONS);
        assert_eq!(
            (taints.len(), taints[0].key.as_str(), taints[0].effect.as_str()),
            (1, UNREACHABLE, EFFECT)
        );
    }

    #[test]
    fn a_node_that_reports_is_alive_whatever_its_lease_says() {
        let reported = |at: &str| {
            let mut node = ready(node("edge-1"), "True");
            let conditions = node.status.as_mut().and_then(|status| status.conditions.as_mut()).unwrap();
            conditions[0].last_heartbeat_time = Some(Time(at.parse().unwrap()));
            snapshot(node, "2026-01-01T00:00:00Z")
        };
        let (mut beats, start) = (Heartbeats::default(), Instant::now());
        let first = reported("2026-01-01T00:00:00Z");
        beats.plan(&first, start, wall());
        let again = start + GRACE;
        let next = beats.plan(&reported("2026-01-01T00:00:10Z"), again, wall());
        assert_eq!(next, (vec![], Some(again + GRACE)));
        let (actions, _) = beats.plan(&reported("2026-01-01T00:00:10Z"), again + GRACE, wall());
        assert!(matches!(actions.first(), Some(Action::MarkUnknown { .. })), "{actions:?}");
    }

    #[test]
    fn what_could_not_be_seen_is_not_held_against_a_node() {
        let mut beats = Heartbeats::default();
        let start = Instant::now();
        let same = snapshot(ready(node("edge-1"), "True"), "2026-01-01T00:00:00Z");
        beats.plan(&same, start, wall());
        let seeing = start + GRACE + Duration::from_secs(30);
        beats.unseen(seeing);
        assert_eq!(beats.plan(&same, seeing, wall()), (vec![], Some(seeing + GRACE)));
        let (actions, _) = beats.plan(&same, seeing + GRACE, wall());
        assert!(matches!(actions.first(), Some(Action::MarkUnknown { .. })), "{actions:?}");
    }

    #[test]
    fn a_node_with_a_clock_in_the_past_is_alive_all_the_same() {
        let mut beats = Heartbeats::default();
        let start = Instant::now();
        beats.plan(&snapshot(ready(node("edge-1"), "True"), "1970-01-01T00:00:00Z"), start, wall());
        let (actions, _) = beats.plan(
            &snapshot(ready(node("edge-1"), "True"), "1970-01-01T00:00:10Z"),
            start + GRACE,
            wall(),
        );
        assert_eq!(actions, []);
    }

    #[test]
    fn a_node_that_recovers_loses_our_taint_and_keeps_the_users() {
        let mut beats = Heartbeats::default();
        let mut recovered = ready(node("edge-1"), "True");
        recovered = tainted(tainted(recovered, UNREACHABLE), "shop/only");
        let (actions, _) = beats.plan(&snapshot(recovered, "2026-01-01T00:00:00Z"), Instant::now(), wall());
        let [Action::SetTaints { taints, .. }] = actions.as_slice() else { panic!("{actions:?}") };
        assert_eq!(taints.iter().map(|taint| taint.key.as_str()).collect::<Vec<_>>(), ["shop/only"]);
    }

    #[test]
    fn a_node_that_says_it_is_not_ready_is_tainted_so() {
        let mut beats = Heartbeats::default();
        let sick = snapshot(ready(node("edge-1"), "False"), "2026-01-01T00:00:00Z");
        let (actions, _) = beats.plan(&sick, Instant::now(), wall());
        let [Action::SetTaints { taints, .. }] = actions.as_slice() else { panic!("{actions:?}") };
        assert_eq!(taints[0].key, NOT_READY);
    }

    #[test]
    fn a_node_under_pressure_is_tainted_until_it_is_not() {
        let mut beats = Heartbeats::default();
        let pressed = |mut node: Node, kind: &str, status: &str| {
            let conditions = node.status.get_or_insert_default().conditions.get_or_insert_default();
            let condition = serde_json::from_value(serde_json::json!({"type": kind, "status": status}));
            conditions.push(condition.unwrap());
            node
        };
        let mut keys = |node: Node| match beats
            .plan(&snapshot(node, "2026-01-01T00:00:00Z"), Instant::now(), wall())
            .0
            .as_slice()
        {
            [] => None,
            [Action::SetTaints { taints, .. }] => {
                Some(taints.iter().map(|taint| taint.key.clone()).collect::<Vec<_>>())
            }
            other => panic!("{other:?}"),
        };
        let under = || {
            pressed(pressed(ready(node("edge-1"), "True"), "MemoryPressure", "True"), "DiskPressure", "True")
        };
        let disk = "node.kubernetes.io/disk-pressure";
        assert_eq!(keys(tainted(under(), "shop/only")).unwrap(), ["shop/only", MEMORY_PRESSURE, disk]);
        assert_eq!(keys(tainted(tainted(under(), disk), MEMORY_PRESSURE)), None, "whatever their order");
        let relieved = pressed(ready(node("edge-1"), "True"), "DiskPressure", "False");
        assert_eq!(keys(tainted(relieved, disk)).unwrap(), [""; 0]);
        let unknown = pressed(ready(node("edge-1"), "True"), "DiskPressure", "Unknown");
        assert_eq!(keys(unknown), None);
    }
}
