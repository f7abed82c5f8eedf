//! `modules.edged`: kubelet's flags, as KubeEdge keeps them in the file.

use std::collections::BTreeMap;

use super::kubelet::{KubeletConfig, Taint};
use crate::config::GoDuration;
use crate::config::check::{Check, Validate};
use crate::config::section::section;

/// Longest DNS subdomain (RFC 1123).
const MAX_NODE_NAME: usize = 253;

section! {
    /// Pods.
    pub struct Edged {
        /// On or off.
        enable: bool = true,
        /// Whether events go to the cloud. Stock has `false`; without events a pod that waits does not say why.
        report_event: bool = true,
        /// Network interface whose address is the node's; empty: none in particular.
        #[serde(skip_serializing_if = "String::is_empty")]
        custom_interface_name: String = String::new(),
        /// Namespace in the paths of what is said about the node.
        register_node_namespace: String = "default".to_owned(),
        /// Name of the node. Empty: the name of the machine.
        hostname_override: String = String::new(),
        /// Address of the node; empty: found out.
        #[serde(rename = "nodeIP", skip_serializing_if = "String::is_empty")]
        node_ip: String = String::new(),
        /// Where volumes and pods' files are.
        root_directory: String = "/var/lib/kubelet".to_owned(),
        /// Pause image; containerd's own configuration decides which one is used.
        pod_sandbox_image: String = "kubeedge/pause:3.6".to_owned(),
        /// Control group of the container runtime.
        #[serde(skip_serializing_if = "String::is_empty")]
        runtime_cgroups: String = String::new(),
        /// Dead containers that are kept in all; negative: no limit.
        max_container_count: i32 = -1,
        /// Dead containers that are kept for each container of a pod.
        max_per_pod_container_count: i32 = 1,
        /// Dead containers younger than this are kept.
        #[serde(rename = "minimumGCAge")]
        minimum_gc_age: GoDuration = GoDuration::from_secs(0),
        /// Labels that the node registers with.
        node_labels: BTreeMap<String, String> = BTreeMap::new(),
        /// Taints that the node registers with.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        register_with_taints: Vec<Taint> = Vec::new(),
        /// Whether pods may be scheduled to the node from the start.
        register_schedulable: bool = true,
        /// Accepted and without effect: the flag form of `tailoredKubeletConfig.seccompDefault`.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        seccomp_default: bool = false,
        /// Accepted and without effect.
        #[serde(skip_serializing_if = "String::is_empty")]
        experimental_mounter_path: String = String::new(),
        /// Accepted and without effect.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        experimental_node_allocatable_ignore_eviction_threshold: bool = false,
        /// Accepted and without effect: Windows.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        windows_service: bool = false,
        /// Accepted and without effect: Windows.
        #[serde(skip_serializing_if = "String::is_empty")]
        windows_priority_class: String = String::new(),
        /// kubelet's configuration.
        tailored_kubelet_config: KubeletConfig = KubeletConfig::default(),
    }
}

impl Validate for Edged {
    fn validate(&self, check: &mut Check) {
        // Empty is allowed here: the name of the machine takes its place.
        let name = &self.hostname_override;
        check.require(
            "hostnameOverride",
            name.is_empty() || is_node_name(name),
            format_args!("{name:?} cannot be the name of a node: lower-case letters, digits, '-' and '.', {MAX_NODE_NAME} at most"),
        );
        if !self.node_ip.is_empty() {
            check.ip("nodeIP", &self.node_ip);
        }
        check.require("rootDirectory", self.root_directory.starts_with('/'), "must be an absolute path");
        check.section("tailoredKubeletConfig", &self.tailored_kubelet_config);
    }
}

/// A DNS subdomain as in RFC 1123, which is what Kubernetes allows for names of nodes.
fn is_node_name(name: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let is_label = |label: &str| {
        !label.is_empty() && label.bytes().all(inner) && !label.starts_with('-') && !label.ends_with('-')
    };
    name.len() <= MAX_NODE_NAME && name.split('.').all(is_label)
}
