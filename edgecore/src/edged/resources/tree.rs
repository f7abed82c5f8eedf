//! The cgroups above those of pods: what all pods together may take, and what those of a class weigh
//! (<https://kubernetes.io/docs/tasks/administer-cluster/reserve-compute-resources/#node-allocatable>).

use k8s_openapi::api::core::v1::Pod;
use proto::placement::requests;

use super::linux::shares;
use super::{Amount, NodeResources, QosClass};

/// Limits of the cgroup of all pods, and the weight of one of its parts. Where a pod is guaranteed its cgroup is itself such a part.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TreeLimits {
    /// Weight of all pods against the rest of the node; `None`: as it is.
    pub cpu_shares: Option<i64>,
    /// Bytes that all pods may have together; `None`: not limited.
    pub memory: Option<i64>,
    /// Weight of all burstable pods together: they have asked for that much.
    pub burstable_shares: i64,
}

impl TreeLimits {
    /// With these pods on the node. `enforced`: what pods may take together; `None`: the node's owner does not want that enforced.
    pub fn of<'a>(pods: impl Iterator<Item = &'a Pod>, enforced: Option<NodeResources>) -> Self {
        let burstable = pods.filter(|pod| QosClass::of(pod) == Ok(QosClass::Burstable));
        let asked = burstable.filter_map(|pod| requests(pod.spec.as_ref()?).get("cpu").copied());
        let enforced = enforced.as_ref();
        Self {
            cpu_shares: enforced.map(|resources| shares(Some(resources.cpu))),
            memory: enforced.map(|resources| resources.memory.value()).filter(|memory| *memory > 0),
            burstable_shares: shares(Some(asked.fold(Amount::ZERO, Amount::plus))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edged::resources::tests::{pod, with_resources};

    #[test]
    fn burstable_pods_weigh_together_what_they_ask_for() {
        let asking = |cpu: &str| pod(vec![with_resources(&[("cpu", cpu)], &[])]);
        let guaranteed = pod(vec![with_resources(&[], &[("cpu", "4"), ("memory", "1Gi")])]);
        let pods = [asking("1500m"), asking("500m"), guaranteed, pod(vec![with_resources(&[], &[])])];
        let of = |enforced| TreeLimits::of(pods.iter(), enforced);
        let none = TreeLimits { cpu_shares: None, memory: None, burstable_shares: 2048 };
        assert_eq!(of(None), none);
        let two_gib = Amount::whole(2 << 30);
        let half = NodeResources { cpu: Amount::whole(2), memory: two_gib, ..NodeResources::default() };
        let limited = TreeLimits { cpu_shares: Some(2048), memory: Some(2 << 30), ..none };
        assert_eq!(of(Some(half)), limited);
        assert_eq!(TreeLimits::of([].iter(), None).burstable_shares, 2, "the least that the kernel takes");
    }
}
