//! What a node has left and what a pod asks for
//! (<https://kubernetes.io/docs/concepts/configuration/manage-resources-containers/>).

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{Container, Node, Pod, PodSpec};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use proto::quantity::Amount;

use super::Refusal;

/// Free room of one node.
#[derive(Debug, Clone)]
pub(super) struct Room {
    allocatable: BTreeMap<String, Amount>,
    taken: BTreeMap<String, Amount>,
    ports: BTreeSet<(String, i32)>,
}

impl Room {
    /// The whole node.
    pub(super) fn of(node: &Node) -> Self {
        let allocatable = node.status.as_ref().and_then(|status| status.allocatable.as_ref());
        Self { allocatable: amounts(allocatable), taken: BTreeMap::new(), ports: BTreeSet::new() }
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

/// What the pod asks for as a whole: its containers together, or its largest init container where that is more, and
/// its overhead. One pod is one `pods`.
fn requests(pod: &Pod) -> BTreeMap<String, Amount> {
    let mut total = BTreeMap::from([("pods".to_owned(), Amount::whole(1))]);
    let Some(spec) = &pod.spec else { return total };
    for container in &spec.containers {
        for (resource, amount) in of_container(container) {
            let sum = total.entry(resource).or_default();
            *sum = sum.plus(amount);
        }
    }
    for container in spec.init_containers.iter().flatten() {
        for (resource, amount) in of_container(container) {
            let most = total.entry(resource).or_default();
            *most = (*most).max(amount);
        }
    }
    for (resource, amount) in amounts(spec.overhead.as_ref()) {
        let sum = total.entry(resource).or_default();
        *sum = sum.plus(amount);
    }
    total
}

fn of_container(container: &Container) -> BTreeMap<String, Amount> {
    let resources = container.resources.as_ref();
    // A limit without a request is a request.
    let mut wanted = amounts(resources.and_then(|resources| resources.limits.as_ref()));
    wanted.extend(amounts(resources.and_then(|resources| resources.requests.as_ref())));
    wanted
}

/// A quantity that cannot be read counts as nothing: the API has refused it long before.
fn amounts(quantities: Option<&BTreeMap<String, Quantity>>) -> BTreeMap<String, Amount> {
    let read =
        |(name, quantity): (&String, &Quantity)| Some((name.clone(), Amount::parse(&quantity.0).ok()?));
    quantities.into_iter().flatten().filter_map(read).collect()
}

fn host_ports(pod: &Pod) -> impl Iterator<Item = (String, i32)> {
    let containers = |spec: &PodSpec| spec.containers.clone();
    let host_network = pod.spec.as_ref().is_some_and(|spec| spec.host_network == Some(true));
    pod.spec.as_ref().map(containers).unwrap_or_default().into_iter().flat_map(move |container| {
        container.ports.unwrap_or_default().into_iter().filter_map(move |port| {
            let number =
                port.host_port.filter(|port| *port > 0).or(host_network.then_some(port.container_port))?;
            Some((port.protocol.unwrap_or_else(|| "TCP".to_owned()), number))
        })
    })
}
