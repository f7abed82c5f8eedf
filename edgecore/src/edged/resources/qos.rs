//! Quality of service classes: <https://kubernetes.io/docs/concepts/workloads/pods/pod-qos/>.

use std::fmt;

use k8s_openapi::api::core::v1::{Container, Pod, PodSpec};

use super::{Amount, ResourceError, limit, request};

/// How the node treats a pod under pressure. Only `cpu` and `memory` count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum QosClass {
    /// Every container has limits for CPU and memory, and requests that equal them: removed last.
    Guaranteed,
    /// Something is requested or limited.
    Burstable,
    /// Nothing is requested: removed first.
    BestEffort,
}

impl QosClass {
    /// The class of a pod, computed from its containers and init containers.
    pub fn of(pod: &Pod) -> Result<Self, ResourceError> {
        pod.spec.as_ref().map_or(Ok(Self::BestEffort), Self::of_spec)
    }

    fn of_spec(spec: &PodSpec) -> Result<Self, ResourceError> {
        let mut anything = false;
        let mut guaranteed = true;
        for container in containers(spec) {
            for resource in ["cpu", "memory"] {
                let (request, limit) = (request(container, resource)?, limit(container, resource)?);
                let set = |amount: Option<Amount>| amount.is_some_and(Amount::is_positive);
                anything |= set(request) || set(limit);
                guaranteed &= set(limit) && request == limit;
            }
        }
        Ok(match (anything, guaranteed) {
            (false, _) => Self::BestEffort,
            (true, true) => Self::Guaranteed,
            (true, false) => Self::Burstable,
        })
    }

    /// As in `status.qosClass`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Guaranteed => "Guaranteed",
            Self::Burstable => "Burstable",
            Self::BestEffort => "BestEffort",
        }
    }
}

impl fmt::Display for QosClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Containers and init containers of a pod.
fn containers(spec: &PodSpec) -> impl Iterator<Item = &Container> {
    spec.containers.iter().chain(spec.init_containers.iter().flatten())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edged::resources::tests::{pod, with_resources};

    type Pairs<'a> = &'a [(&'a str, &'a str)];

    fn class(containers: &[(Pairs<'_>, Pairs<'_>)]) -> QosClass {
        QosClass::of(&pod(containers.iter().map(|(r, l)| with_resources(r, l)).collect())).unwrap()
    }

    #[test]
    fn nothing_asked_is_best_effort() {
        assert_eq!(class(&[(&[], &[])]), QosClass::BestEffort);
        assert_eq!(class(&[(&[("cpu", "0")], &[])]), QosClass::BestEffort);
        assert_eq!(class(&[(&[("ephemeral-storage", "1Gi")], &[])]), QosClass::BestEffort);
    }

    #[test]
    fn equal_limits_and_requests_are_guaranteed() {
        let full = [("cpu", "100m"), ("memory", "64Mi")];
        assert_eq!(class(&[(&full, &full)]), QosClass::Guaranteed);
        assert_eq!(class(&[(&[], &full)]), QosClass::Guaranteed, "a missing request is the limit");
        assert_eq!(class(&[(&[("cpu", "0.1"), ("memory", "65536Ki")], &full)]), QosClass::Guaranteed);
    }

    #[test]
    fn anything_between_is_burstable() {
        let full: &[_] = &[("cpu", "100m"), ("memory", "64Mi")];
        assert_eq!(class(&[(full, full), (&[], &[])]), QosClass::Burstable);
        assert_eq!(class(&[(full, &[])]), QosClass::Burstable);
        assert_eq!(class(&[(&[("cpu", "50m")], full)]), QosClass::Burstable);
        assert_eq!(class(&[(&[], &[("memory", "64Mi")])]), QosClass::Burstable);
    }

    #[test]
    fn a_bad_quantity_is_named() {
        let error = QosClass::of(&pod(vec![with_resources(&[("cpu", "lots")], &[])])).unwrap_err();
        assert_eq!(
            error.to_string(),
            "container \"c\": requests.cpu: \"lots\" is not a quantity: unknown unit"
        );
    }
}
