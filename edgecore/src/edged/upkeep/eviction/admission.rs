//! Pods that a node under pressure does not take on
//! (<https://kubernetes.io/docs/concepts/scheduling-eviction/node-pressure-eviction/#node-conditions>). Pure.

use k8s_openapi::api::core::v1::{Pod, Taint};
use proto::placement::tolerates;

use super::decide::Pressures;
use super::message::EVICTED;
use super::rank::is_critical;
use crate::edged::pod::state::Ending;
use crate::edged::resources::QosClass;

/// The taint of a node under memory pressure.
const MEMORY_TAINT: &str = "node.kubernetes.io/memory-pressure";

/// Why a pod that has not run here yet cannot be taken on now; `None`: it can. Pods that the node needs always can.
/// Memory alone keeps out only those that ask for nothing and do not say that they bear it; disk and processes keep
/// out all.
pub fn refusal(pod: &Pod, pressures: Pressures) -> Option<Ending> {
    let Pressures { memory, disk, pids } = pressures;
    let conditions = [(memory, "MemoryPressure"), (disk, "DiskPressure"), (pids, "PIDPressure")];
    let under: Vec<&str> =
        conditions.iter().filter(|(is_under, _)| *is_under).map(|(_, name)| *name).collect();
    if under.is_empty() || is_critical(pod) {
        return None;
    }
    let is_best_effort = QosClass::of(pod).is_ok_and(|class| class == QosClass::BestEffort);
    if under == ["MemoryPressure"] && (!is_best_effort || tolerates_memory_pressure(pod)) {
        return None;
    }
    let message = format!("The node had condition: [{}]. ", under.join(" "));
    Some(Ending::rejected(EVICTED, message))
}

fn tolerates_memory_pressure(pod: &Pod) -> bool {
    let taint = Taint { key: MEMORY_TAINT.to_owned(), effect: "NoSchedule".to_owned(), ..Taint::default() };
    let mut tolerations = pod.spec.iter().flat_map(|spec| spec.tolerations.iter().flatten());
    tolerations.any(|toleration| tolerates(toleration, &taint))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const MEMORY: Pressures = Pressures { memory: true, disk: false, pids: false };
    const DISK: Pressures = Pressures { memory: false, disk: true, pids: false };

    fn pod(spec: Value) -> Pod {
        serde_json::from_value(json!({ "spec": spec })).unwrap()
    }

    #[test]
    fn best_effort_pods_are_refused_under_memory_pressure() {
        let nothing = pod(json!({"containers": [{"name": "c"}]}));
        let asks = pod(json!({"containers": [{"name": "c", "resources": {"requests": {"memory": "1Mi"}}}]}));
        let bears = pod(json!({"containers": [{"name": "c"}], "tolerations": [
            {"key": "node.kubernetes.io/memory-pressure", "operator": "Exists", "effect": "NoSchedule"}]}));
        let critical =
            pod(json!({"containers": [{"name": "c"}], "priorityClassName": "system-node-critical"}));
        let ending = refusal(&nothing, MEMORY).unwrap();
        assert_eq!(ending.message, "The node had condition: [MemoryPressure]. ");
        for pod in [&asks, &bears, &critical] {
            assert_eq!(refusal(pod, MEMORY), None);
        }
        assert_eq!(refusal(&nothing, Pressures::default()), None);
        for pod in [&nothing, &asks, &bears] {
            assert!(refusal(pod, DISK).is_some());
        }
        assert_eq!(refusal(&critical, DISK), None);
    }
}
