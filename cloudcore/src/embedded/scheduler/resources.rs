//! What a node has left and what a pod asks for
//! (<https://kubernetes.io/docs/concepts/configuration/manage-resources-containers/>).

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{Node, Pod, PodSpec};
use proto::placement::{Amounts, amounts};
use proto::quantity::Amount;

use super::Refusal;

/// Free room of one node.
#[derive(Debug, Clone)]
pub(super) struct Room {
    allocatable: Amounts,
    taken: Amounts,
    ports: BTreeSet<(String, i32)>,
}

impl Room {
    /// The whole node.
    pub(super) fn of(node: &Node) -> Self {
        let allocatable = node.status.as_ref().and_then(|status| status.allocatable.as_ref());
        Self { allocatable: amounts(allocatable), taken: Amounts::new(), ports: BTreeSet::new() }
    }

    /// Gives room to a pod.
    pub(super) fn take(&mut self, pod: &Pod) {
        for (resource, amount) in requests(pod) {
            let taken = self.taken.entry(resource).or_default();
            *taken = taken.plus(amount);
        }
        self.ports.extend(host_ports(pod));
    }

    /// Whether the pod fits; the score is the mean of the free shares of CPU and memory afterwards.
    pub(super) fn fits(&self, pod: &Pod) -> Result<f64, Refusal> {
        if host_ports(pod).any(|port| self.ports.contains(&port)) {
            return Err(Refusal::Ports);
        }
        let wanted = requests(pod);
        for (resource, amount) in &wanted {
            if amount.is_positive() && self.taken(resource).plus(*amount) > self.total(resource) {
                return Err(Refusal::Insufficient(resource.clone()));
            }
        }
        let share = |resource: &str| {
            let wanted = wanted.get(resource).copied().unwrap_or_default();
            let total = self.total(resource).milli_value();
            let free = self.total(resource).minus_at_most(self.taken(resource).plus(wanted)).milli_value();
            if total == 0 { 0.0 } else { free as f64 / total as f64 }
        };
        Ok(f64::midpoint(share("cpu"), share("memory")))
    }

    fn total(&self, resource: &str) -> Amount {
        self.allocatable.get(resource).copied().unwrap_or_default()
    }

    fn taken(&self, resource: &str) -> Amount {
        self.taken.get(resource).copied().unwrap_or_default()
    }
}

fn requests(pod: &Pod) -> Amounts {
    proto::placement::requests(pod.spec.as_ref().unwrap_or(&PodSpec::default()))
}

fn host_ports(pod: &Pod) -> impl Iterator<Item = (String, i32)> {
    let ports = pod.spec.iter().flat_map(proto::placement::host_ports);
    ports.map(|(protocol, port)| (protocol.to_owned(), port))
}
