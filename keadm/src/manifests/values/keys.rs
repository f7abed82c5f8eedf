//! The keys.

use std::collections::BTreeMap;

use chassis::config::Problem;
use k8s_openapi::api::apps::v1::DeploymentStrategy;
use k8s_openapi::api::core::v1::{
    Affinity, LocalObjectReference, PodSecurityContext, ResourceRequirements, SecurityContext, Toleration,
};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::TAG;

/// All values.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Values {
    /// CloudCore.
    pub cloud_core: CloudCore,
    /// Rules for devices, asked by the API server.
    pub admission: Admission,
    /// Of KubeEdge's chart; without effect.
    pub app_version: String,
    /// Of KubeEdge's chart; without effect.
    pub iptables_manager: Map<String, Value>,
    /// Of KubeEdge's chart; without effect.
    pub controller_manager: Map<String, Value>,
    /// Of KubeEdge's chart; without effect.
    pub mosquitto: Map<String, Value>,
}

/// `cloudCore`
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct CloudCore {
    /// Pods.
    pub replica_count: i32,
    /// Whether they have the network of their machine.
    pub host_net_work: bool,
    /// The image.
    pub image: Image,
    /// Who the pods run as.
    pub pod_security_context: PodSecurityContext,
    /// What the container may.
    pub security_context: SecurityContext,
    /// Of all objects; the pods are known by them.
    pub labels: BTreeMap<String, String>,
    /// Of the Deployment.
    pub annotations: BTreeMap<String, String>,
    /// Where the pods may run.
    pub affinity: Affinity,
    /// The same.
    pub tolerations: Vec<Toleration>,
    /// The same.
    pub node_selector: BTreeMap<String, String>,
    /// Empty: none.
    pub priority_class_name: String,
    /// CPU and memory.
    pub resources: ResourceRequirements,
    /// How a new version takes the place of the old one.
    pub strategy: DeploymentStrategy,
    /// How many pods may be taken away at once.
    pub pod_disruption_budget: PodDisruptionBudget,
    /// `featureGates` of cloudcore.yaml.
    pub feature_gates: Map<String, Value>,
    /// `logging` of cloudcore.yaml.
    pub logging: Map<String, Value>,
    /// `modules` of cloudcore.yaml.
    pub modules: Map<String, Value>,
    /// How it is reached from outside the cluster.
    pub service: Service,
}

/// `cloudCore.image`
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Image {
    /// Registry and name.
    pub repository: String,
    /// Version; empty: that of this keadm.
    pub tag: String,
    /// `Always`, `IfNotPresent` or `Never`.
    pub pull_policy: String,
    /// Secrets with the registry's credentials.
    pub pull_secrets: Vec<LocalObjectReference>,
}

/// `cloudCore.podDisruptionBudget`
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct PodDisruptionBudget {
    /// Whether there is one.
    pub enable: bool,
    /// A number or a percentage.
    pub max_unavailable: Option<IntOrString>,
}

/// `cloudCore.service`. Ports of what Skerry does not have yet are taken and have no effect.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Service {
    /// Whether there is one.
    pub enable: bool,
    /// `NodePort`, `LoadBalancer` or `ClusterIP`.
    #[serde(rename = "type")]
    pub kind: String,
    /// For who provides load balancers.
    pub annotations: BTreeMap<String, String>,
    /// WebSocket.
    pub cloudhub_node_port: i32,
    /// QUIC.
    pub cloudhub_quic_node_port: i32,
    /// HTTPS.
    pub cloudhub_https_node_port: i32,
    /// Of KubeEdge's chart.
    pub cloudstream_node_port: Value,
    /// Of KubeEdge's chart.
    pub tunnel_node_port: Value,
}

/// `admission`. What else KubeEdge's chart has here is about a Deployment that Skerry does not need.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Admission {
    /// Whether the API server asks CloudCore.
    pub enable: bool,
    /// PEM in base64; empty: not known yet.
    pub ca_bundle: String,
}

// === impl Image ===

impl Image {
    /// As a runtime takes it.
    #[must_use]
    pub fn reference(&self) -> String {
        let tag = if self.tag.is_empty() { TAG } else { &self.tag };
        format!("{}:{tag}", self.repository)
    }
}

// === impl Service ===

/// What a Service that is reached from outside may be.
const KINDS: [&str; 3] = ["NodePort", "LoadBalancer", "ClusterIP"];

impl Service {
    /// Whether every machine of the cluster listens.
    #[must_use]
    pub fn is_node_port(&self) -> bool {
        self.kind == "NodePort"
    }
}

// === impl Values ===

impl Values {
    /// Values that no cluster would take.
    pub(super) fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut wrong = |path: &str, message: String| {
            problems.push(Problem { path: path.to_owned(), message });
        };
        let core = &self.cloud_core;
        if core.replica_count < 1 {
            wrong("cloudCore.replicaCount", format!("{} is less than 1", core.replica_count));
        }
        if core.image.repository.is_empty() {
            wrong("cloudCore.image.repository", "it is empty".to_owned());
        }
        if core.labels.is_empty() {
            wrong("cloudCore.labels", "it is empty: the Deployment knows its pods by them".to_owned());
        }
        if !KINDS.contains(&core.service.kind.as_str()) {
            let kinds = KINDS.join(", ");
            wrong("cloudCore.service.type", format!("{:?} is none of {kinds}", core.service.kind));
        }
        problems
    }

    /// Sections that are given and have no effect.
    #[must_use]
    pub fn without_effect(&self) -> Vec<&'static str> {
        let sections = [
            ("iptablesManager", &self.iptables_manager),
            ("controllerManager", &self.controller_manager),
            ("mosquitto", &self.mosquitto),
        ];
        sections.into_iter().filter(|(_, section)| !section.is_empty()).map(|(name, _)| name).collect()
    }
}
