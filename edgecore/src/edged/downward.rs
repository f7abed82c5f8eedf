//! The downward API: what a container may learn about its own pod, in environment variables and in files.
//!
//! Field paths and formats: <https://kubernetes.io/docs/concepts/workloads/pods/downward-api/>.

use std::collections::BTreeMap;
use std::net::IpAddr;

use k8s_openapi::api::core::v1::{Container, ObjectFieldSelector, Pod, ResourceFieldSelector};

use super::resources::{Amount, NodeResources, ResourceError, limit, request};

/// What is true of a pod on this node, besides its own text.
#[derive(Debug, Clone, Default)]
pub struct PodFacts {
    /// Addresses of the node, the primary one first.
    pub host_ips: Vec<IpAddr>,
    /// Addresses of the pod, the primary one first; empty until its sandbox has a network.
    pub pod_ips: Vec<IpAddr>,
    /// What the node allots to pods: the default of limits that are not set.
    pub node: NodeResources,
}

/// A reference of the downward API that leads nowhere. A mistake in the pod: it cannot mend itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DownwardError {
    /// A field path that does not exist, or not in this place.
    #[error("unsupported fieldPath: {0}")]
    Field(String),
    /// A resource that the downward API does not offer.
    #[error("unsupported container resource: {0}")]
    Resource(String),
    /// A container name that the pod does not have.
    #[error("container {0} not found")]
    Container(String),
    /// A quantity that cannot be read.
    #[error(transparent)]
    Quantity(#[from] ResourceError),
}

/// Where a field is used: some make sense only in one of the two places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Fixed when the container starts; node and pod addresses are known by then.
    Environment,
    /// Kept up to date; may hold whole maps.
    File,
}

/// The text of a `fieldRef`.
pub fn field(
    selector: &ObjectFieldSelector,
    pod: &Pod,
    facts: &PodFacts,
    place: Place,
) -> Result<String, DownwardError> {
    let path = selector.field_path.as_str();
    let metadata = &pod.metadata;
    if let Some((map, key)) = path.strip_suffix("']").and_then(|path| path.split_once("['")) {
        let map = match map {
            "metadata.labels" => &metadata.labels,
            "metadata.annotations" => &metadata.annotations,
            _ => return Err(DownwardError::Field(path.to_owned())),
        };
        return Ok(map.as_ref().and_then(|map| map.get(key)).cloned().unwrap_or_default());
    }
    let spec = pod.spec.as_ref();
    let text = |value: Option<&String>| Ok(value.cloned().unwrap_or_default());
    match (path, place) {
        ("metadata.name", _) => text(metadata.name.as_ref()),
        ("metadata.namespace", _) => text(metadata.namespace.as_ref()),
        ("metadata.uid", _) => text(metadata.uid.as_ref()),
        ("metadata.labels", Place::File) => Ok(lines(metadata.labels.as_ref())),
        ("metadata.annotations", Place::File) => Ok(lines(metadata.annotations.as_ref())),
        ("spec.nodeName", Place::Environment) => text(spec.and_then(|spec| spec.node_name.as_ref())),
        ("spec.serviceAccountName", Place::Environment) => {
            text(spec.and_then(|spec| spec.service_account_name.as_ref()))
        }
        ("status.hostIP", Place::Environment) => Ok(first(&facts.host_ips)),
        ("status.hostIPs", Place::Environment) => Ok(joined(&facts.host_ips)),
        ("status.podIP", Place::Environment) => Ok(first(&facts.pod_ips)),
        ("status.podIPs", Place::Environment) => Ok(joined(&facts.pod_ips)),
        _ => Err(DownwardError::Field(path.to_owned())),
    }
}

/// The number of a `resourceFieldRef`, in units of its divisor and rounded up. `default_container` is meant when
/// the selector names none, as in environment variables.
pub fn resource(
    selector: &ResourceFieldSelector,
    pod: &Pod,
    default_container: Option<&Container>,
    facts: &PodFacts,
) -> Result<String, DownwardError> {
    let container = match selector.container_name.as_deref().filter(|name| !name.is_empty()) {
        Some(name) => find_container(pod, name).ok_or_else(|| DownwardError::Container(name.to_owned()))?,
        None => default_container.ok_or_else(|| DownwardError::Container(String::new()))?,
    };
    let unsupported = || DownwardError::Resource(selector.resource.clone());
    let (group, name) = selector.resource.split_once('.').ok_or_else(unsupported)?;
    let of_node = match name {
        "cpu" => facts.node.cpu,
        "memory" => facts.node.memory,
        "ephemeral-storage" => facts.node.ephemeral_storage,
        name if name.starts_with("hugepages-") => Amount::ZERO,
        _ => return Err(unsupported()),
    };
    let amount = match group {
        "limits" => limit(container, name)?.filter(|limit| limit.is_positive()).unwrap_or(of_node),
        "requests" => request(container, name)?.unwrap_or_default(),
        _ => return Err(unsupported()),
    };
    let divisor = match &selector.divisor {
        Some(divisor) => Amount::try_from(divisor).map_err(|_| unsupported())?,
        None => Amount::ZERO,
    };
    Ok(amount.divided_by(divisor).to_string())
}

fn find_container<'a>(pod: &'a Pod, name: &str) -> Option<&'a Container> {
    let spec = pod.spec.as_ref()?;
    spec.containers
        .iter()
        .chain(spec.init_containers.iter().flatten())
        .find(|container| container.name == name)
}

/// `key="value"` lines, sorted by key, the value escaped so that it stays on its line.
fn lines(map: Option<&BTreeMap<String, String>>) -> String {
    let lines: Vec<String> =
        map.into_iter().flatten().map(|(key, value)| format!("{key}=\"{}\"", escaped(value))).collect();
    lines.join("\n")
}

/// Go's `strconv.Quote`, which is what readers of these files undo.
fn escaped(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for c in value.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{b}' => out.push_str("\\v"),
            '\u{c}' => out.push_str("\\f"),
            c if (c as u32) < 0x20 || c as u32 == 0x7f => out.push_str(&format!("\\x{:02x}", c as u32)),
            c => out.push(c),
        }
    }
    out
}

fn first(addresses: &[IpAddr]) -> String {
    addresses.first().map(ToString::to_string).unwrap_or_default()
}

fn joined(addresses: &[IpAddr]) -> String {
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

    use super::*;
    use crate::edged::resources::tests::with_resources;

    fn pod() -> Pod {
        let mut pod = crate::edged::resources::tests::pod(vec![with_resources(
            &[("cpu", "250m")],
            &[("memory", "64Mi")],
        )]);
        pod.metadata = ObjectMeta {
            name: Some("web".to_owned()),
            namespace: Some("default".to_owned()),
            uid: Some("u1".to_owned()),
            labels: Some([("app".to_owned(), "web".to_owned()), ("a/b".to_owned(), "x".to_owned())].into()),
            annotations: Some([("note".to_owned(), "two\n\"lines\"\\".to_owned())].into()),
            ..ObjectMeta::default()
        };
        let spec = pod.spec.as_mut().unwrap();
        spec.node_name = Some("edge-1".to_owned());
        spec.service_account_name = Some("robot".to_owned());
        pod
    }

    fn facts() -> PodFacts {
        PodFacts {
            host_ips: vec!["10.0.0.1".parse().unwrap()],
            pod_ips: vec!["10.1.0.2".parse().unwrap(), "fd00::2".parse().unwrap()],
            node: NodeResources {
                cpu: Amount::whole(2),
                memory: Amount::whole(1 << 30),
                ..NodeResources::default()
            },
        }
    }

    fn get(path: &str, place: Place) -> Result<String, DownwardError> {
        let selector = ObjectFieldSelector { field_path: path.to_owned(), api_version: None };
        field(&selector, &pod(), &facts(), place)
    }

    #[test]
    fn fields_of_the_environment() {
        for (path, value) in [
            ("metadata.name", "web"),
            ("metadata.namespace", "default"),
            ("metadata.uid", "u1"),
            ("metadata.labels['app']", "web"),
            ("metadata.labels['a/b']", "x"),
            ("metadata.labels['none']", ""),
            ("spec.nodeName", "edge-1"),
            ("spec.serviceAccountName", "robot"),
            ("status.hostIP", "10.0.0.1"),
            ("status.podIP", "10.1.0.2"),
            ("status.podIPs", "10.1.0.2,fd00::2"),
        ] {
            assert_eq!(get(path, Place::Environment).unwrap(), value, "{path}");
        }
    }

    #[test]
    fn maps_are_quoted_line_by_line() {
        assert_eq!(get("metadata.labels", Place::File).unwrap(), "a/b=\"x\"\napp=\"web\"");
        assert_eq!(get("metadata.annotations", Place::File).unwrap(), r#"note="two\n\"lines\"\\""#);
    }

    #[test]
    fn fields_out_of_place_are_refused() {
        for path in ["metadata.labels", "metadata.owner['x']", "status.phase", "", "metadata.labels['x"] {
            let error = get(path, Place::Environment).unwrap_err();
            assert_eq!(error.to_string(), format!("unsupported fieldPath: {path}"));
        }
        assert!(get("status.podIP", Place::File).is_err());
    }

    fn resource_text(name: &str, divisor: Option<&str>) -> Result<String, DownwardError> {
        let selector = ResourceFieldSelector {
            container_name: Some("c".to_owned()),
            resource: name.to_owned(),
            divisor: divisor.map(|text| Quantity(text.to_owned())),
        };
        resource(&selector, &pod(), None, &facts())
    }

    #[test]
    fn resources_are_divided_and_rounded_up() {
        assert_eq!(resource_text("requests.cpu", None).unwrap(), "1");
        assert_eq!(resource_text("requests.cpu", Some("1m")).unwrap(), "250");
        assert_eq!(resource_text("limits.memory", Some("1Mi")).unwrap(), "64");
        assert_eq!(resource_text("limits.cpu", Some("0")).unwrap(), "2", "no limit: what the node has");
        assert!(resource_text("limits.gpu", None).is_err());
        assert!(resource_text("cpu", None).is_err());
    }
}
