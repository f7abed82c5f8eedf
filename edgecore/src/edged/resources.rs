//! From the resources that a pod asks for to what the kernel is told.
//!
//! Pure arithmetic, except for [`cgroup`], which makes the pods' parent cgroups. The rules are Kubernetes' own:
//! <https://kubernetes.io/docs/concepts/configuration/manage-resources-containers/>.

pub mod cgroup;
pub mod hugepages;
mod linux;
mod qos;
mod slices;
mod tree;

use k8s_openapi::api::core::v1::Container;

pub use linux::{PodLimits, container_resources, pod_limits};
pub use proto::quantity::{Amount, QuantityError};
pub use qos::QosClass;
pub use tree::TreeLimits;

/// A resource field of a pod that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("container {container:?}: {field}: {source}")]
pub struct ResourceError {
    container: String,
    field: String,
    source: QuantityError,
}

/// What the node has to give: the default of limits in the downward API, and the base of memory requests' share.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NodeResources {
    /// Cores of the node.
    pub cpu: Amount,
    /// Memory of the node, bytes.
    pub memory: Amount,
    /// Storage for writable layers, logs and emptyDir volumes, bytes.
    pub ephemeral_storage: Amount,
}

/// The limit that `container` sets for `resource`.
pub fn limit(container: &Container, resource: &str) -> Result<Option<Amount>, ResourceError> {
    let limits = container.resources.as_ref().and_then(|resources| resources.limits.as_ref());
    amount(container, "limits", resource, limits)
}

/// The request of `container` for `resource`; a container with a limit and no request requests its limit.
pub fn request(container: &Container, resource: &str) -> Result<Option<Amount>, ResourceError> {
    let requests = container.resources.as_ref().and_then(|resources| resources.requests.as_ref());
    match amount(container, "requests", resource, requests)? {
        Some(request) => Ok(Some(request)),
        None => limit(container, resource),
    }
}

type Quantities = std::collections::BTreeMap<String, k8s_openapi::apimachinery::pkg::api::resource::Quantity>;

fn amount(
    container: &Container,
    group: &str,
    resource: &str,
    quantities: Option<&Quantities>,
) -> Result<Option<Amount>, ResourceError> {
    let Some(quantity) = quantities.and_then(|quantities| quantities.get(resource)) else { return Ok(None) };
    Amount::try_from(quantity).map(Some).map_err(|source| ResourceError {
        container: container.name.clone(),
        field: format!("{group}.{resource}"),
        source,
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use k8s_openapi::api::core::v1::{Container, Pod, PodSpec, ResourceRequirements};

    use super::*;

    /// A container `c` with these requests and limits.
    pub(crate) fn with_resources(requests: &[(&str, &str)], limits: &[(&str, &str)]) -> Container {
        let quantities = |pairs: &[(&str, &str)]| -> Quantities {
            pairs
                .iter()
                .map(|(name, text)| {
                    (
                        (*name).to_owned(),
                        k8s_openapi::apimachinery::pkg::api::resource::Quantity((*text).to_owned()),
                    )
                })
                .collect()
        };
        Container {
            name: "c".to_owned(),
            resources: Some(ResourceRequirements {
                requests: Some(quantities(requests)),
                limits: Some(quantities(limits)),
                ..ResourceRequirements::default()
            }),
            ..Container::default()
        }
    }

    /// A pod of these containers.
    pub(crate) fn pod(containers: Vec<Container>) -> Pod {
        Pod { spec: Some(PodSpec { containers, ..PodSpec::default() }), ..Pod::default() }
    }

    #[test]
    fn a_missing_request_is_the_limit() {
        let container = with_resources(&[], &[("cpu", "2")]);
        assert_eq!(request(&container, "cpu").unwrap(), Some(Amount::whole(2)));
        assert_eq!(request(&container, "memory").unwrap(), None);
    }
}
