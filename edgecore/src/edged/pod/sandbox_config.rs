//! From a pod to the configuration of its sandbox, as kubelet would write it.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use jiff::Timestamp;
use k8s_cri::v1::{
    DnsConfig, Int64Value, LinuxPodSandboxConfig, LinuxSandboxSecurityContext, PodSandboxConfig,
    PodSandboxMetadata, PortMapping, Protocol,
};
use k8s_openapi::api::core::v1::{ContainerPort, Pod, PodSpec};

use super::security;
use super::state::uses_host_network;
use crate::edged::labels;
use crate::flow::PodKey;

/// Longest host name that a pod has (RFC 1123's label).
const MAX_HOST_NAME: usize = 63;
/// Longest host name that the kernel takes (`HOST_NAME_MAX`, sethostname(2)).
const MAX_FULL_NAME: usize = 64;

/// Everything about a sandbox that is not in the pod.
#[derive(Debug, Clone)]
pub struct SandboxInput<'a> {
    /// The pod.
    pub pod: &'a Pod,
    /// Its identity.
    pub key: &'a PodKey,
    /// Counts its sandboxes.
    pub attempt: u32,
    /// Where its containers' logs go.
    pub log_directory: &'a Path,
    /// `/kubepods/<class>/pod<uid>`, or a slice.
    pub cgroup_parent: String,
    /// How it resolves names.
    pub dns: DnsConfig,
    /// `clusterDomain`, for its full name.
    pub cluster_domain: &'a str,
    /// When edged first saw the pod.
    pub seen: Timestamp,
    /// The first id of its users, where it has its own.
    pub users: Option<u32>,
}

/// The directory of a pod's logs under `root` (`podLogsDir`).
pub fn log_directory(root: &Path, key: &PodKey) -> std::path::PathBuf {
    root.join(format!("{}_{}_{}", key.namespace, key.name, key.uid))
}

/// Puts together the configuration of a sandbox.
pub fn sandbox_config(input: SandboxInput<'_>) -> PodSandboxConfig {
    let empty = PodSpec::default();
    let spec = input.pod.spec.as_ref().unwrap_or(&empty);
    PodSandboxConfig {
        metadata: Some(PodSandboxMetadata {
            name: input.key.name.clone(),
            uid: input.key.uid.clone(),
            namespace: input.key.namespace.clone(),
            attempt: input.attempt,
        }),
        hostname: kernel_host_name(spec, input.key, input.cluster_domain).unwrap_or_default(),
        log_directory: input.log_directory.to_string_lossy().into_owned(),
        dns_config: Some(input.dns),
        port_mappings: port_mappings(spec),
        labels: pod_labels(input.pod, input.key),
        annotations: annotations(input.pod, input.seen),
        linux: Some(LinuxPodSandboxConfig {
            cgroup_parent: input.cgroup_parent,
            security_context: Some(security_context(spec, input.users)),
            sysctls: sysctls(spec),
            ..LinuxPodSandboxConfig::default()
        }),
        windows: None,
    }
}

/// The pod's own host name: its `hostname`, else its name, cut to what the kernel takes.
pub fn host_name(spec: &PodSpec, pod_name: &str) -> String {
    let name = spec.hostname.as_deref().filter(|name| !name.is_empty()).unwrap_or(pod_name);
    let cut: String = name.chars().take(MAX_HOST_NAME).collect();
    cut.trim_end_matches(['-', '.']).to_owned()
}

/// The domain of a pod that has a subdomain:
/// <https://kubernetes.io/docs/concepts/services-networking/dns-pod-service/#pod-s-hostname-and-subdomain-fields>.
pub fn pod_domain(spec: &PodSpec, namespace: &str, cluster_domain: &str) -> Option<String> {
    let subdomain = spec.subdomain.as_deref().filter(|subdomain| !subdomain.is_empty())?;
    Some(format!("{subdomain}.{namespace}.svc.{cluster_domain}"))
}

/// What the pod's kernel says its name is: the short name, or with `setHostnameAsFQDN` the full one; empty on the node's
/// network, where the node's own name is left alone.
///
/// # Errors
/// The full name is longer than the kernel takes; the message is for the pod's event.
pub fn kernel_host_name(spec: &PodSpec, key: &PodKey, cluster_domain: &str) -> Result<String, String> {
    if uses_host_network(spec) {
        return Ok(String::new());
    }
    let short = host_name(spec, &key.name);
    let domain = pod_domain(spec, &key.namespace, cluster_domain);
    let Some(domain) = domain.filter(|_| spec.set_hostname_as_fqdn == Some(true)) else { return Ok(short) };
    let full = format!("{short}.{domain}");
    if full.len() > MAX_FULL_NAME {
        return Err(format!(
            "Failed to construct FQDN from Pod hostname and cluster domain, FQDN {full} is too long ({MAX_FULL_NAME} \
             characters is the max, {} characters requested)",
            full.len()
        ));
    }
    Ok(full)
}

fn pod_labels(pod: &Pod, key: &PodKey) -> HashMap<String, String> {
    let mut all: HashMap<String, String> =
        pod.metadata.labels.clone().unwrap_or_default().into_iter().collect();
    all.insert(labels::POD_NAME.to_owned(), key.name.clone());
    all.insert(labels::POD_NAMESPACE.to_owned(), key.namespace.clone());
    all.insert(labels::POD_UID.to_owned(), key.uid.clone());
    all
}

fn annotations(pod: &Pod, seen: Timestamp) -> HashMap<String, String> {
    let own: BTreeMap<String, String> = pod.metadata.annotations.clone().unwrap_or_default();
    let mut all: HashMap<String, String> = own.into_iter().collect();
    all.entry(labels::CONFIG_SOURCE.to_owned()).or_insert_with(|| "api".to_owned());
    all.insert(labels::CONFIG_SEEN.to_owned(), seen.to_string());
    all
}

/// Only ports that the node itself offers: the runtime has nothing to do for the others.
fn port_mappings(spec: &PodSpec) -> Vec<PortMapping> {
    if uses_host_network(spec) {
        return Vec::new();
    }
    let sidecars = spec.init_containers.iter().flatten().filter(|init| super::containers::is_sidecar(init));
    let containers = sidecars.chain(&spec.containers);
    containers.flat_map(|container| container.ports.iter().flatten()).filter_map(port_mapping).collect()
}

fn port_mapping(port: &ContainerPort) -> Option<PortMapping> {
    let protocol = match port.protocol.as_deref() {
        Some("UDP") => Protocol::Udp,
        Some("SCTP") => Protocol::Sctp,
        _ => Protocol::Tcp,
    };
    Some(PortMapping {
        protocol: protocol.into(),
        container_port: port.container_port,
        host_port: port.host_port.filter(|port| *port > 0)?,
        host_ip: port.host_ip.clone().unwrap_or_default(),
    })
}

fn security_context(spec: &PodSpec, users: Option<u32>) -> LinuxSandboxSecurityContext {
    let context = spec.security_context.clone().unwrap_or_default();
    let id = |value: Option<i64>| value.map(|value| Int64Value { value });
    LinuxSandboxSecurityContext {
        namespace_options: Some(security::namespaces(spec, users)),
        run_as_user: id(context.run_as_user),
        run_as_group: id(context.run_as_group),
        supplemental_groups: security::supplemental_groups(spec),
        supplemental_groups_policy: security::groups_policy(spec).into(),
        privileged: spec
            .containers
            .iter()
            .chain(spec.init_containers.iter().flatten())
            .any(security::is_privileged),
        // The sandbox's own process needs nothing, whatever the containers get.
        seccomp: Some(security::runtime_default()),
        ..LinuxSandboxSecurityContext::default()
    }
}

fn sysctls(spec: &PodSpec) -> HashMap<String, String> {
    let context = spec.security_context.as_ref();
    let sysctls = context.and_then(|context| context.sysctls.as_ref());
    sysctls.into_iter().flatten().map(|sysctl| (sysctl.name.clone(), sysctl.value.clone())).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn config(spec: serde_json::Value) -> PodSandboxConfig {
        let pod = json!({"metadata": {"labels": {"app": "web"}, "annotations": {"note": "x"}}, "spec": spec});
        let key = PodKey { namespace: "shop".into(), name: "web-0".into(), uid: "u-1".into() };
        sandbox_config(SandboxInput {
            pod: &serde_json::from_value(pod).unwrap(),
            key: &key,
            attempt: 3,
            log_directory: &log_directory(Path::new("/var/log/pods"), &key),
            cgroup_parent: "/kubepods/besteffort/podu-1".to_owned(),
            dns: DnsConfig::default(),
            cluster_domain: "cluster.local",
            seen: Timestamp::UNIX_EPOCH,
            users: None,
        })
    }

    #[test]
    fn names_and_labels_are_kubelets() {
        let config = config(json!({"containers": []}));
        let metadata = config.metadata.unwrap();
        assert_eq!((metadata.name.as_str(), metadata.attempt), ("web-0", 3));
        assert_eq!(config.log_directory, "/var/log/pods/shop_web-0_u-1");
        assert_eq!(config.hostname, "web-0");
        assert_eq!(config.labels["app"], "web");
        assert_eq!(labels::pod_key(&config.labels).unwrap().uid, "u-1");
        assert_eq!(config.annotations["note"], "x");
        assert_eq!(config.annotations[labels::CONFIG_SOURCE], "api");
        assert_eq!(config.linux.unwrap().cgroup_parent, "/kubepods/besteffort/podu-1");
    }

    #[test]
    fn ports_of_the_node_are_mapped() {
        let ports = json!([{"containerPort": 80, "hostPort": 8080, "hostIP": "127.0.0.1"},
                           {"containerPort": 53, "hostPort": 53, "protocol": "UDP"}, {"containerPort": 90}]);
        let mapped = config(json!({"containers": [{"name": "c", "ports": ports}]})).port_mappings;
        let short: Vec<_> =
            mapped.iter().map(|port| (port.container_port, port.host_port, port.protocol())).collect();
        assert_eq!(short, [(80, 8080, Protocol::Tcp), (53, 53, Protocol::Udp)]);
        assert_eq!(mapped[0].host_ip, "127.0.0.1");
    }

    #[test]
    fn the_nodes_network_needs_neither_name_nor_ports() {
        let ports = json!([{"containerPort": 80, "hostPort": 80}]);
        let config = config(json!({"hostNetwork": true, "containers": [{"name": "c", "ports": ports}]}));
        assert!(config.hostname.is_empty() && config.port_mappings.is_empty());
    }

    #[test]
    fn a_full_name_is_the_kernels_only_when_it_is_asked_for() {
        let spec = |json| serde_json::from_value::<PodSpec>(json).unwrap();
        let key = PodKey { namespace: "shop".into(), name: "web-0".into(), uid: "u-1".into() };
        let name = |json| kernel_host_name(&spec(json), &key, "cluster.local");
        assert_eq!(name(json!({"containers": [], "subdomain": "db"})).unwrap(), "web-0");
        let asked = json!({"containers": [], "subdomain": "db", "setHostnameAsFQDN": true});
        assert_eq!(name(asked).unwrap(), "web-0.db.shop.svc.cluster.local");
        assert_eq!(name(json!({"containers": [], "setHostnameAsFQDN": true})).unwrap(), "web-0");
        let long = json!({"containers": [], "hostname": "h".repeat(40), "subdomain": "db", "setHostnameAsFQDN": true});
        assert!(
            name(long)
                .unwrap_err()
                .contains("is too long (64 characters is the max, 66 characters requested)")
        );
    }

    #[test]
    fn long_host_names_are_cut() {
        let name = format!("{}-tail", "a".repeat(62));
        assert_eq!(host_name(&PodSpec::default(), &name), "a".repeat(62));
    }
}
