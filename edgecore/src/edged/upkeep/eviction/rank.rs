//! Who goes first
//! (<https://kubernetes.io/docs/concepts/scheduling-eviction/node-pressure-eviction/#pod-selection-for-kubelet-eviction>).
//! Pure.

use std::cmp::Reverse;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;
use proto::placement::requests;

use super::thresholds::Signal;
use super::usage::Usage;
use crate::edged::labels::{CONFIG_MIRROR, CONFIG_SOURCE};

/// Priority of the class `system-cluster-critical`, the lowest that is critical.
const CRITICAL: i32 = 2_000_000_000;

/// A pod that could be evicted.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// Its UID.
    pub uid: String,
    /// The pod.
    pub pod: Arc<Pod>,
    /// What it uses.
    pub usage: Usage,
}

/// Pods without which the node or the cluster does not work, and static ones, which would come back at once: never
/// evicted.
pub fn is_critical(pod: &Pod) -> bool {
    let annotations = pod.metadata.annotations.as_ref();
    let annotation = |key: &str| annotations.and_then(|all| all.get(key)).map(String::as_str);
    let is_static = annotation(CONFIG_SOURCE).is_some_and(|source| source != "api");
    is_static || annotation(CONFIG_MIRROR).is_some() || priority(pod) >= CRITICAL
}

/// How important the pod is.
pub fn priority(pod: &Pod) -> i32 {
    let Some(spec) = &pod.spec else { return 0 };
    match (spec.priority, spec.priority_class_name.as_deref()) {
        (Some(priority), _) => priority,
        // The API server fills the number in; where it could not, the name says the same.
        (None, Some("system-node-critical" | "system-cluster-critical")) => CRITICAL,
        (None, _) => 0,
    }
}

/// Puts the first to go first: those that use more than they asked for, of these the least important, of these the
/// one that is furthest over what it asked for. Processes cannot be asked for, so there only the last two count.
/// `is_shared`: images are on the file system of everything else.
pub fn rank(candidates: &mut [Candidate], signal: Signal, is_shared: bool) {
    candidates.sort_by_cached_key(|candidate| {
        let usage = candidate.usage.of(signal, is_shared);
        let request = request(&candidate.pod, signal);
        let is_over = request.is_none_or(|request| usage > request);
        let over = i128::from(usage) - i128::from(request.unwrap_or_default());
        // The last for a certain order.
        (Reverse(is_over), priority(&candidate.pod), Reverse(over), candidate.uid.clone())
    });
}

/// `None`: this cannot be asked for.
fn request(pod: &Pod, signal: Signal) -> Option<u64> {
    let resource = match signal {
        Signal::Memory => "memory",
        Signal::Nodefs | Signal::Imagefs => "ephemeral-storage",
        Signal::NodefsInodes | Signal::ImagefsInodes => return Some(0),
        Signal::Pids => return None,
    };
    let request =
        pod.spec.as_ref().and_then(|spec| requests(spec).get(resource).copied()).unwrap_or_default();
    Some(u64::try_from(request.value()).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn candidate(name: &str, priority: i32, request: u64, usage: u64) -> Candidate {
        let resources = json!({"requests": {"memory": request.to_string()}});
        let pod = serde_json::from_value(json!({"metadata": {"name": name},
            "spec": {"priority": priority, "containers": [{"name": "c", "resources": resources}]}}));
        let usage = Usage { memory: usage, processes: usage, ..Usage::default() };
        Candidate { uid: name.to_owned(), pod: Arc::new(pod.unwrap()), usage }
    }

    fn order(mut candidates: Vec<Candidate>, signal: Signal) -> Vec<String> {
        rank(&mut candidates, signal, true);
        candidates.into_iter().map(|candidate| candidate.uid).collect()
    }

    #[test]
    fn usage_over_requests_then_priority_then_how_much_over() {
        let pods = vec![
            candidate("within", 0, 500, 400),
            candidate("important", 10, 100, 900),
            candidate("little", 0, 100, 150),
            candidate("much", 0, 100, 300),
            candidate("within-unimportant", -1, 500, 500),
        ];
        assert_eq!(
            order(pods.clone(), Signal::Memory),
            ["much", "little", "important", "within-unimportant", "within"]
        );
        assert_eq!(
            order(pods, Signal::Pids),
            ["within-unimportant", "within", "much", "little", "important"]
        );
    }

    #[test]
    fn what_the_node_needs_is_critical() {
        let pod = |json| serde_json::from_value::<Pod>(json).unwrap();
        assert!(is_critical(&pod(json!({"spec": {"containers": [], "priority": 2_000_001_000}}))));
        assert!(is_critical(&pod(
            json!({"spec": {"containers": [], "priorityClassName": "system-node-critical"}})
        )));
        assert!(is_critical(&pod(
            json!({"metadata": {"annotations": {"kubernetes.io/config.source": "file"}}})
        )));
        assert!(is_critical(&pod(
            json!({"metadata": {"annotations": {"kubernetes.io/config.mirror": "x"}}})
        )));
        assert!(!is_critical(&pod(
            json!({"metadata": {"annotations": {"kubernetes.io/config.source": "api"}}})
        )));
        assert!(!is_critical(&pod(json!({"spec": {"containers": [], "priority": 1_999_999_999}}))));
    }

    proptest! {
        #[test]
        fn no_pod_within_its_request_goes_before_one_that_is_not(
            pods in proptest::collection::vec((-3i32..3, 0u64..100, 0u64..100), 0..12),
        ) {
            let all: Vec<Candidate> = pods.iter().enumerate()
                .map(|(index, (priority, request, usage))| candidate(&format!("p{index:02}"), *priority, *request, *usage))
                .collect();
            let ordered = order(all, Signal::Memory);
            let of = |uid: &String| pods[uid[1..].parse::<usize>().unwrap()];
            for pair in ordered.windows(2) {
                let ((first_priority, first_request, first_usage), (priority, request, usage)) = (of(&pair[0]), of(&pair[1]));
                let (first_over, over) = (first_usage > first_request, usage > request);
                prop_assert!(first_over || !over);
                if first_over == over {
                    prop_assert!(first_priority <= priority);
                    if first_priority == priority {
                        prop_assert!(first_usage as i64 - first_request as i64 >= usage as i64 - request as i64);
                    }
                }
            }
        }
    }
}
