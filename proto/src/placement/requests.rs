//! What a pod asks for (<https://kubernetes.io/docs/concepts/configuration/manage-resources-containers/>).

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, PodSpec, ResourceRequirements};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use crate::quantity::Amount;

/// Amounts by the name of the resource.
pub type Amounts = BTreeMap<String, Amount>;

/// What the pod asks for as a whole, with its overhead. One pod is one `pods`.
///
/// Its containers and sidecars together, or an init container with the sidecars before it where that is more
/// (<https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/#resource-sharing-within-containers>). What it asks for as a
/// pod takes the place of that sum.
pub fn requests(spec: &PodSpec) -> Amounts {
    let mut sum = Amounts::new();
    let mut largest_init = Amounts::new();
    for container in spec.init_containers.iter().flatten() {
        let own = of(container.resources.as_ref());
        if is_sidecar(container) {
            add(&mut sum, own);
        } else {
            let mut with_sidecars = sum.clone();
            add(&mut with_sidecars, own);
            for (resource, amount) in with_sidecars {
                let largest = largest_init.entry(resource).or_default();
                *largest = amount.max(*largest);
            }
        }
    }
    for container in &spec.containers {
        add(&mut sum, of(container.resources.as_ref()));
    }
    for (resource, amount) in largest_init {
        let total = sum.entry(resource).or_default();
        *total = amount.max(*total);
    }
    sum.extend(of(spec.resources.as_ref()));
    add(&mut sum, amounts(spec.overhead.as_ref()));
    sum.insert("pods".to_owned(), Amount::whole(1));
    sum
}

/// Protocol and number of the ports that the pod takes of the node. On the node's own network it takes all that it names.
pub fn host_ports(spec: &PodSpec) -> impl Iterator<Item = (&str, i32)> {
    let host_network = spec.host_network == Some(true);
    let sidecars = spec.init_containers.iter().flatten().filter(|container| is_sidecar(container));
    let ports = sidecars.chain(&spec.containers).flat_map(|container| container.ports.iter().flatten());
    ports.filter_map(move |port| {
        let number =
            port.host_port.filter(|port| *port > 0).or(host_network.then_some(port.container_port))?;
        Some((port.protocol.as_deref().unwrap_or("TCP"), number))
    })
}

/// A quantity that cannot be read counts as nothing: the API has refused it long before.
pub fn amounts(quantities: Option<&BTreeMap<String, Quantity>>) -> Amounts {
    let read =
        |(name, quantity): (&String, &Quantity)| Some((name.clone(), Amount::parse(&quantity.0).ok()?));
    quantities.into_iter().flatten().filter_map(read).collect()
}

/// A limit without a request is a request.
fn of(resources: Option<&ResourceRequirements>) -> Amounts {
    let mut wanted = amounts(resources.and_then(|resources| resources.limits.as_ref()));
    wanted.extend(amounts(resources.and_then(|resources| resources.requests.as_ref())));
    wanted
}

fn add(sum: &mut Amounts, more: Amounts) {
    for (resource, amount) in more {
        let total = sum.entry(resource).or_default();
        *total = total.plus(amount);
    }
}

/// An init container that keeps running beside the others:
/// <https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/>.
pub fn is_sidecar(container: &Container) -> bool {
    container.restart_policy.as_deref() == Some("Always")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn cpu(spec: Value) -> i64 {
        requests(&serde_json::from_value(spec).unwrap())["cpu"].milli_value()
    }

    fn asking(cpu: &str) -> Value {
        json!({"name": cpu, "resources": {"requests": {"cpu": cpu}}})
    }

    #[test]
    fn containers_are_added_and_the_largest_init_container_counts_where_it_is_more() {
        assert_eq!(cpu(json!({"containers": [asking("1"), asking("500m")]})), 1500);
        assert_eq!(
            cpu(json!({"initContainers": [asking("2"), asking("1")], "containers": [asking("1")]})),
            2000
        );
        let limit = json!({"name": "l", "resources": {"limits": {"cpu": "3"}}});
        assert_eq!(cpu(json!({"containers": [limit]})), 3000, "a limit is a request");
    }

    #[test]
    fn sidecars_run_beside_what_follows_them() {
        let mut side = asking("300m");
        side["restartPolicy"] = json!("Always");
        assert_eq!(cpu(json!({"initContainers": [side], "containers": [asking("1")]})), 1300);
        let spec = json!({"initContainers": [side, asking("2")], "containers": [asking("1")]});
        assert_eq!(cpu(spec), 2300, "the init container needs its sidecar");
    }

    #[test]
    fn the_pods_own_request_and_its_overhead() {
        let spec = json!({
            "containers": [asking("1")], "overhead": {"cpu": "250m"}, "resources": {"requests": {"cpu": "3"}},
        });
        assert_eq!(cpu(spec), 3250);
    }

    #[test]
    fn ports_of_the_node() {
        let spec = |host_network: bool| -> PodSpec {
            serde_json::from_value(
                json!({"hostNetwork": host_network, "containers": [{"name": "c", "ports": [
                {"containerPort": 80, "hostPort": 8080}, {"containerPort": 53, "protocol": "UDP"}]}]}),
            )
            .unwrap()
        };
        assert_eq!(host_ports(&spec(false)).collect::<Vec<_>>(), [("TCP", 8080)]);
        assert_eq!(host_ports(&spec(true)).collect::<Vec<_>>(), [("TCP", 8080), ("UDP", 53)]);
    }
}
