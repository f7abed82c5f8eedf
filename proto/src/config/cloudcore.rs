//! `cloudcore.yaml` (spec cloud-and-wire 6.11). Keys that are accepted and have no effect say so.

mod cloudhub;
mod edgecontroller;
mod modules;

pub use cloudhub::{
    Authorization, AuthorizationMode, CloudHub, Forwarding, Https, NodeAuthorization, Quic, UnixSocket,
    WebSocket, is_replica_name,
};
pub use edgecontroller::{EdgeController, EdgeControllerBuffer, EdgeControllerLoad};
pub use modules::{
    Admission, CloudStream, DeviceController, DeviceControllerBuffer, DeviceControllerLoad,
    DynamicController, Embedded, IptablesManager, IptablesMode, Router, SyncController, TaskManager,
    TaskManagerBuffer, TaskManagerLoad,
};

use super::check::{Check, Problem, Validate};
use super::common::{FeatureGates, Logging};
use super::section::section;

/// Nodes that one CloudCore takes unless told otherwise; sizes of several defaults follow from it.
pub const DEFAULT_NODE_LIMIT: u32 = 500;

section! {
    /// The whole file.
    pub struct CloudCore {
        /// Not looked at: Helm writes `v1alpha2`, CloudCore itself `v1alpha1`.
        api_version: String = "cloudcore.config.kubeedge.io/v1alpha1".to_owned(),
        /// Not looked at.
        kind: String = "CloudCore".to_owned(),
        /// What concerns the whole process.
        common_config: CommonConfig = CommonConfig::default(),
        /// How the Kubernetes API is reached.
        #[serde(rename = "kubeAPIConfig")]
        kube_api_config: KubeApiConfig = KubeApiConfig::default(),
        /// Switches of features that are not settled.
        feature_gates: FeatureGates = FeatureGates::default(),
        /// Log lines (ours).
        logging: Logging = Logging::default(),
        /// One section for each module.
        modules: Modules = Modules::default(),
    }
}

section! {
    /// `commonConfig`
    pub struct CommonConfig {
        /// Port of the kubelet API that nodes announce. Stock negotiates it between replicas and writes it here.
        tunnel_port: u16 = 10350,
        /// Admin HTTP.
        monitor_server: MonitorServer = MonitorServer::default(),
    }
}

section! {
    /// `monitorServer`: health, readiness, metrics and debug state.
    pub struct MonitorServer {
        /// Where it listens, `address:port`. Local only by default: it has no authentication.
        bind_address: String = "127.0.0.1:9091".to_owned(),
        /// Accepted and without effect: Go profiles are Go's.
        enable_profiling: bool = false,
    }
}

section! {
    /// `kubeAPIConfig`. With neither `master` nor `kubeConfig` the in-cluster configuration is used.
    pub struct KubeApiConfig {
        /// URL of the API server; overrides the one in `kubeConfig`.
        master: String = String::new(),
        /// Accepted and without effect: we speak JSON.
        content_type: String = "application/vnd.kubernetes.protobuf".to_owned(),
        /// Accepted and without effect, as in stock, where 5 times `nodeLimit` always wins.
        qps: i32 = 5 * DEFAULT_NODE_LIMIT as i32,
        /// Accepted and without effect, as in stock, where 10 times `nodeLimit` always wins.
        burst: i32 = 10 * DEFAULT_NODE_LIMIT as i32,
        /// Path of a kubeconfig file.
        kube_config: String = String::new(),
    }
}

section! {
    /// `modules`
    pub struct Modules {
        /// Connections of the edge nodes.
        cloud_hub: CloudHub = CloudHub::default(),
        /// Pods, nodes, config maps, secrets.
        edge_controller: EdgeController = EdgeController::default(),
        /// Devices.
        device_controller: DeviceController = DeviceController::default(),
        /// Tasks on nodes.
        task_manager: TaskManager = TaskManager::default(),
        /// Repair of what nodes miss.
        sync_controller: SyncController = SyncController::default(),
        /// The Kubernetes API at the edge.
        dynamic_controller: DynamicController = DynamicController::default(),
        /// Logs, exec and metrics of edge pods.
        cloud_stream: CloudStream = CloudStream::default(),
        /// Users' messages.
        router: Router = Router::default(),
        /// Where the stream port of a node is redirected to.
        iptables_manager: IptablesManager = IptablesManager::default(),
        /// Rules for devices, for the API server to ask (ours).
        admission: Admission = Admission::default(),
        /// A Kubernetes API inside CloudCore (ours).
        embedded: Embedded = Embedded::default(),
    }
}

// === impl CloudCore ===

impl CloudCore {
    /// What `--minconfig` prints: the keys that people really set.
    pub const MINIMAL_YAML: &str = include_str!("cloudcore/minimal.yaml");

    /// Every value that makes no sense, each with its place in the file.
    pub fn validate(&self) -> Vec<Problem> {
        Check::all(self)
    }

    /// Fills what stock finds out from the machine: the address that nodes are told to reach it at.
    pub fn fill_from_host(&mut self, local_ip: &str) {
        let addresses = &mut self.modules.cloud_hub.advertise_address;
        if addresses.iter().all(String::is_empty) {
            *addresses = vec![local_ip.to_owned()];
        }
    }
}

impl Validate for CloudCore {
    fn validate(&self, check: &mut Check) {
        check.section("commonConfig.monitorServer", &self.common_config.monitor_server);
        check.section("logging", &self.logging);
        check.section("modules.cloudHub", &self.modules.cloud_hub);
        check.section("modules.edgeController", &self.modules.edge_controller);
        check.section("modules.cloudStream", &self.modules.cloud_stream);
        check.section("modules.router", &self.modules.router);
        check.section("modules.admission", &self.modules.admission);
        check.section("modules.embedded", &self.modules.embedded);
    }
}

impl Validate for MonitorServer {
    fn validate(&self, check: &mut Check) {
        check.socket_address("bindAddress", &self.bind_address);
    }
}

#[cfg(test)]
mod tests;
