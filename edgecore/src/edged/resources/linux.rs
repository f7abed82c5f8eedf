//! CPU shares, CFS quota, memory limit and OOM score of containers and pods.
//!
//! Sources: <https://kubernetes.io/docs/concepts/configuration/manage-resources-containers/#how-pods-with-resource-limits-are-run>
//! and <https://kubernetes.io/docs/concepts/scheduling-eviction/node-pressure-eviction/#node-out-of-memory-behavior>.

use std::collections::BTreeMap;

use k8s_cri::v1::LinuxContainerResources;
use k8s_openapi::api::core::v1::{Container, Pod, PodSpec};
use proto::placement::{amounts, is_sidecar, requests};

use super::hugepages;
use super::{Amount, QosClass, ResourceError, limit, request};

/// Weight of one whole core in `cpu.shares`; the kernel's default for a group.
const SHARES_PER_CORE: i64 = 1024;
/// The kernel accepts no less; also what a container gets that asks for nothing.
const MIN_SHARES: i64 = 2;
/// The kernel accepts no more.
const MAX_SHARES: i64 = 262_144;
/// The kernel accepts no quota under a millisecond.
const MIN_QUOTA_MICROS: i64 = 1000;

/// Guaranteed and node-critical pods: killed after everything but the node's own daemons.
const GUARANTEED_OOM_SCORE: i64 = -997;
/// Best-effort pods: killed first.
const BEST_EFFORT_OOM_SCORE: i64 = 1000;
/// Priority of the class `system-node-critical`; pods from here on are protected like guaranteed ones.
const NODE_CRITICAL_PRIORITY: i32 = 2_000_001_000;

/// What CRI is told about the resources of `container`.
///
/// `node_memory` is the node's capacity; `quota_period` (microseconds) is `cpuCFSQuotaPeriod`, or `None` when
/// `cpuCFSQuota` is off.
pub fn container_resources(
    pod: &Pod,
    container: &Container,
    node_memory: Amount,
    quota_period: Option<i64>,
) -> Result<LinuxContainerResources, ResourceError> {
    let cpu_limit = limit(container, "cpu")?;
    let (period, quota) = cfs(cpu_limit, quota_period);
    Ok(LinuxContainerResources {
        cpu_shares: shares(request(container, "cpu")?),
        cpu_period: period,
        cpu_quota: quota,
        memory_limit_in_bytes: limit(container, "memory")?.map_or(0, Amount::value),
        oom_score_adj: oom_score(pod, container, node_memory)?,
        ..LinuxContainerResources::default()
    })
}

/// Limits of a pod's own cgroup, the parent of its containers' cgroups. 0 or `None`: not limited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodLimits {
    /// Weight against the other pods of the same class.
    pub cpu_shares: i64,
    /// CFS period and quota, both in microseconds.
    pub cpu_quota: Option<(i64, i64)>,
    /// Bytes.
    pub memory: Option<i64>,
    /// Bytes of huge pages by size, `2MB`; of other sizes the pod may use none.
    pub hugepages: BTreeMap<String, i64>,
    /// Processes and threads: the node's owner says how many (`podPidsLimit`), no pod does.
    pub pids: Option<i64>,
}

/// The limits of the pod as a whole: sums, and a limit only where every container has one.
///
/// Init containers run one after the other, so the largest of them counts against the sum of the others.
pub fn pod_limits(pod: &Pod, quota_period: Option<i64>) -> Result<PodLimits, ResourceError> {
    let class = QosClass::of(pod)?;
    let own = pod.spec.as_ref().and_then(|spec| spec.resources.as_ref());
    let own_limits = amounts(own.and_then(|own| own.limits.as_ref()));
    // What the runtime itself needs to run the pod (RuntimeClass) is in the pod's cgroup, too.
    let overhead = amounts(pod.spec.as_ref().and_then(|spec| spec.overhead.as_ref()));
    let whole = |resource: &str, sum: Option<Amount>| {
        let limit = own_limits.get(resource).copied().or(sum).filter(|limit| limit.is_positive());
        limit.map(|limit| limit.plus(overhead.get(resource).copied().unwrap_or_default()))
    };
    let requested = requests(pod.spec.as_ref().unwrap_or(&PodSpec::default()));
    let cpu = total(pod, |container| limit(container, "cpu"))?;
    let memory = total(pod, |container| limit(container, "memory"))?;
    let (period, quota) = cfs(whole("cpu", cpu.complete()), quota_period);
    Ok(PodLimits {
        cpu_shares: match class {
            QosClass::BestEffort => MIN_SHARES,
            _ => shares(requested.get("cpu").copied()),
        },
        cpu_quota: (quota > 0).then_some((period, quota)),
        memory: whole("memory", memory.complete()).map(Amount::value),
        hugepages: hugepages::pod_limits(pod.spec.as_ref().unwrap_or(&PodSpec::default())),
        pids: None,
    })
}

struct Total {
    sum: Amount,
    every_container_has_one: bool,
}

impl Total {
    fn complete(&self) -> Option<Amount> {
        self.every_container_has_one.then_some(self.sum)
    }
}

fn total(
    pod: &Pod,
    amount: impl Fn(&Container) -> Result<Option<Amount>, ResourceError>,
) -> Result<Total, ResourceError> {
    let mut sum = Total { sum: Amount::ZERO, every_container_has_one: true };
    let mut largest_init = Amount::ZERO;
    let Some(spec) = &pod.spec else { return Ok(Total { every_container_has_one: false, ..sum }) };
    let take = |container: &Container, sum: &mut Total| -> Result<Amount, ResourceError> {
        let amount = amount(container)?;
        sum.every_container_has_one &= amount.is_some_and(Amount::is_positive);
        Ok(amount.unwrap_or_default())
    };
    for init in spec.init_containers.iter().flatten() {
        let with_earlier_sidecars = take(init, &mut sum)?.plus(sum.sum);
        // A restartable init container (a sidecar) keeps running beside those that come after it.
        if is_sidecar(init) {
            sum.sum = with_earlier_sidecars;
        } else {
            largest_init = largest_init.max(with_earlier_sidecars);
        }
    }
    for container in &spec.containers {
        sum.sum = take(container, &mut sum)?.plus(sum.sum);
    }
    Ok(Total { sum: sum.sum.max(largest_init), ..sum })
}

/// The weight of so much of the processors.
pub(super) fn shares(cpu: Option<Amount>) -> i64 {
    let milli = cpu.unwrap_or_default().milli_value();
    (milli.saturating_mul(SHARES_PER_CORE) / 1000).clamp(MIN_SHARES, MAX_SHARES)
}

/// Period and quota; zeros when there is no limit.
fn cfs(cpu_limit: Option<Amount>, period: Option<i64>) -> (i64, i64) {
    match (cpu_limit.filter(|limit| limit.is_positive()), period) {
        (Some(limit), Some(period)) => {
            (period, (limit.milli_value().saturating_mul(period) / 1000).max(MIN_QUOTA_MICROS))
        }
        _ => (0, 0),
    }
}

fn oom_score(pod: &Pod, container: &Container, node_memory: Amount) -> Result<i64, ResourceError> {
    let priority = pod.spec.as_ref().and_then(|spec| spec.priority).unwrap_or_default();
    if priority >= NODE_CRITICAL_PRIORITY {
        return Ok(GUARANTEED_OOM_SCORE);
    }
    Ok(match QosClass::of(pod)? {
        QosClass::Guaranteed => GUARANTEED_OOM_SCORE,
        QosClass::BestEffort => BEST_EFFORT_OOM_SCORE,
        QosClass::Burstable => {
            let memory = request(container, "memory")?.unwrap_or_default().value();
            let share = i128::from(memory) * 1000 / i128::from(node_memory.value().max(1));
            // Always between the two fixed classes, whatever is asked for.
            (1000 - share).clamp((1000 + GUARANTEED_OOM_SCORE).into(), (BEST_EFFORT_OOM_SCORE - 1).into())
                as i64
        }
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::edged::resources::tests::{pod, with_resources};

    const PERIOD: Option<i64> = Some(100_000);
    const NODE: Amount = Amount::whole(4 << 30);

    fn resources(requests: &[(&str, &str)], limits: &[(&str, &str)]) -> LinuxContainerResources {
        let container = with_resources(requests, limits);
        container_resources(&pod(vec![container.clone()]), &container, NODE, PERIOD).unwrap()
    }

    /// <https://kubernetes.io/docs/concepts/scheduling-eviction/pod-overhead/> and
    /// <https://kubernetes.io/docs/tasks/configure-pod-container/assign-pod-level-resources/>
    #[test]
    fn a_pod_has_its_overhead_and_may_have_limits_of_its_own() {
        let limited = with_resources(&[], &[("cpu", "1"), ("memory", "1Gi")]);
        let mut pod = pod(vec![limited]);
        let spec = pod.spec.as_mut().unwrap();
        spec.overhead = serde_json::from_value(serde_json::json!({"cpu": "500m", "memory": "64Mi"})).unwrap();
        let limits = pod_limits(&pod, PERIOD).unwrap();
        assert_eq!(limits.cpu_shares, 1536);
        assert_eq!((limits.cpu_quota, limits.memory), (Some((100_000, 150_000)), Some(1088 << 20)));
        let spec = pod.spec.as_mut().unwrap();
        spec.resources = serde_json::from_value(serde_json::json!({"limits": {"memory": "2Gi"}})).unwrap();
        assert_eq!(pod_limits(&pod, PERIOD).unwrap().memory, Some(2112 << 20));
    }

    #[test]
    fn best_effort_gets_the_least() {
        let resources = resources(&[], &[]);
        assert_eq!(resources.cpu_shares, 2);
        assert_eq!((resources.cpu_period, resources.cpu_quota), (0, 0));
        assert_eq!((resources.memory_limit_in_bytes, resources.oom_score_adj), (0, 1000));
    }

    #[test]
    fn burstable_is_weighed_by_its_request() {
        let resources = resources(&[("cpu", "250m"), ("memory", "1Gi")], &[("cpu", "1500m")]);
        assert_eq!(resources.cpu_shares, 256);
        assert_eq!((resources.cpu_period, resources.cpu_quota), (100_000, 150_000));
        assert_eq!(resources.oom_score_adj, 750, "a quarter of the node's memory");
    }

    #[test]
    fn guaranteed_is_protected() {
        let resources = resources(&[], &[("cpu", "1"), ("memory", "64Mi")]);
        assert_eq!(resources.cpu_shares, 1024);
        assert_eq!(resources.memory_limit_in_bytes, 64 << 20);
        assert_eq!(resources.oom_score_adj, -997);
    }

    #[test]
    fn tiny_limits_are_raised_to_what_the_kernel_accepts() {
        assert_eq!(resources(&[], &[("cpu", "1m")]).cpu_quota, 1000);
        assert_eq!(resources(&[("cpu", "1m")], &[]).cpu_shares, 2);
        assert_eq!(resources(&[("cpu", "1000")], &[]).cpu_shares, 262_144);
    }

    #[test]
    fn burstable_scores_stay_between_the_classes() {
        assert_eq!(resources(&[("memory", "1")], &[]).oom_score_adj, 999);
        assert_eq!(resources(&[("memory", "4Gi")], &[]).oom_score_adj, 3);
    }

    #[test]
    fn node_critical_pods_are_protected() {
        let container = with_resources(&[], &[]);
        let mut pod = pod(vec![container.clone()]);
        pod.spec.as_mut().unwrap().priority = Some(NODE_CRITICAL_PRIORITY);
        assert_eq!(container_resources(&pod, &container, NODE, PERIOD).unwrap().oom_score_adj, -997);
    }

    #[test]
    fn a_pod_is_limited_only_when_all_its_containers_are() {
        let limited = with_resources(&[], &[("cpu", "1"), ("memory", "64Mi")]);
        let open = with_resources(&[("cpu", "500m")], &[]);
        let both = pod_limits(&pod(vec![limited.clone(), limited.clone()]), PERIOD).unwrap();
        assert_eq!(both.cpu_quota, Some((100_000, 200_000)));
        assert_eq!(both.memory, Some(128 << 20));
        let one = pod_limits(&pod(vec![limited, open]), PERIOD).unwrap();
        assert_eq!((one.cpu_quota, one.memory), (None, None));
        assert_eq!(one.cpu_shares, 1536);
    }

    #[test]
    fn init_containers_count_when_they_are_the_largest() {
        let mut init = with_resources(&[("cpu", "3")], &[]);
        init.name = "init".to_owned();
        let mut pod = pod(vec![with_resources(&[("cpu", "1")], &[])]);
        pod.spec.as_mut().unwrap().init_containers = Some(vec![init]);
        assert_eq!(pod_limits(&pod, PERIOD).unwrap().cpu_shares, 3072);
        let sidecar = &mut pod.spec.as_mut().unwrap().init_containers.as_mut().unwrap()[0];
        sidecar.restart_policy = Some("Always".to_owned());
        assert_eq!(pod_limits(&pod, PERIOD).unwrap().cpu_shares, 4096);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn the_kernel_accepts_whatever_comes_out(cpu in 0i64..10_000_000, memory in 0i64..i64::MAX) {
            let (cpu, memory) = (format!("{cpu}m"), memory.to_string());
            let resources = resources(&[("cpu", &cpu), ("memory", &memory)], &[("cpu", &cpu)]);
            prop_assert!((MIN_SHARES..=MAX_SHARES).contains(&resources.cpu_shares));
            prop_assert!(resources.cpu_quota == 0 || resources.cpu_quota >= MIN_QUOTA_MICROS);
            prop_assert!((-997..=1000).contains(&resources.oom_score_adj));
        }
    }
}
