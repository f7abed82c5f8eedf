//! `edgecore.yaml` (spec edge 6). Keys that are accepted and have no effect say so.

mod buses;
mod edged;
mod edgehub;
mod kubelet;
mod metamanager;

pub use buses::{
    BrokerAddress, DeviceTwin, EventBus, EventBusTls, InternalTls, MqttMode, ServiceBus, UploadPolicy,
};
pub use edged::Edged;
pub use edgehub::{EdgeHub, EdgeStream, Quic, Transport, WebSocket};
pub use kubelet::{
    KubeletConfig, KubeletLogOptions, KubeletLogTextOptions, KubeletLogging, MemoryReservation, MemorySwap,
    ShutdownGracePeriod, Taint,
};
pub use metamanager::{MetaManager, MetaServer};

use super::check::{Check, Problem, Validate};
use super::common::{FeatureGates, Logging};
use super::section::section;

section! {
    /// The whole file.
    pub struct EdgeCore {
        /// Not looked at.
        api_version: String = "edgecore.config.kubeedge.io/v1alpha2".to_owned(),
        /// Not looked at.
        kind: String = "EdgeCore".to_owned(),
        /// Version that wrote the file; kept by `keadm`.
        edgecore_version: String = String::new(),
        /// Switches of features that are not settled.
        feature_gates: FeatureGates = FeatureGates::default(),
        /// What concerns the whole process (ours).
        common_config: CommonConfig = CommonConfig::default(),
        /// Log lines (ours).
        logging: Logging = Logging::default(),
        /// The local store.
        database: Database = Database::default(),
        /// One section for each module.
        modules: Modules = Modules::default(),
    }
}

section! {
    /// `commonConfig` (ours, after cloudcore.yaml's).
    pub struct CommonConfig {
        /// Admin HTTP.
        monitor_server: MonitorServer = MonitorServer::default(),
    }
}

section! {
    /// `monitorServer`: health, readiness, metrics and debug state.
    pub struct MonitorServer {
        /// Where it listens, `address:port`. Local only by default: it has no authentication.
        bind_address: String = "127.0.0.1:10352".to_owned(),
    }
}

section! {
    /// `database`
    pub struct Database {
        /// Always `sqlite3`.
        driver_name: String = "sqlite3".to_owned(),
        /// Accepted and without effect: a name inside stock's database library.
        alias_name: String = "default".to_owned(),
        /// Path of the file.
        data_source: String = "/var/lib/kubeedge/edgecore.db".to_owned(),
    }
}

section! {
    /// `modules`
    pub struct Modules {
        /// Stock's debugging aid; refused here.
        db_test: DbTest = DbTest::default(),
        /// Twins of devices.
        device_twin: DeviceTwin = DeviceTwin::default(),
        /// The link to the cloud.
        edge_hub: EdgeHub = EdgeHub::default(),
        /// Logs, exec and metrics.
        edge_stream: EdgeStream = EdgeStream::default(),
        /// MQTT.
        event_bus: EventBus = EventBus::default(),
        /// The local store and the API over it.
        meta_manager: MetaManager = MetaManager::default(),
        /// HTTP services on the node that the cloud can call.
        service_bus: ServiceBus = ServiceBus::default(),
        /// Tasks.
        task_manager: TaskManager = TaskManager::default(),
        /// Pods.
        edged: Edged = Edged::default(),
    }
}

section! {
    /// `modules.dbTest`
    pub struct DbTest {
        /// On or off.
        enable: bool = false,
    }
}

section! {
    /// `modules.taskManager`
    pub struct TaskManager {
        /// On or off.
        enable: bool = false,
    }
}

// === impl EdgeCore ===

impl EdgeCore {
    /// What `--minconfig` prints: the keys that people really set.
    pub const MINIMAL_YAML: &str = include_str!("edgecore/minimal.yaml");

    /// Every value that makes no sense, each with its place in the file.
    pub fn validate(&self) -> Vec<Problem> {
        Check::all(self)
    }

    /// Fills what stock finds out from the machine: the name of the node, and (as a cloud on the same machine)
    /// where the cloud is.
    pub fn fill_from_host(&mut self, host_name: &str, local_ip: &str) {
        let fill = |text: &mut String, value: String| {
            if text.is_empty() {
                *text = value;
            }
        };
        fill(&mut self.modules.edged.hostname_override, host_name.to_lowercase());
        let hub = &mut self.modules.edge_hub;
        fill(&mut hub.http_server, format!("https://{local_ip}:10002"));
        if hub.websocket.servers.is_empty() {
            fill(&mut hub.websocket.server, format!("{local_ip}:10000"));
        }
        if hub.quic.servers.is_empty() {
            fill(&mut hub.quic.server, format!("{local_ip}:10001"));
        }
    }
}

impl Validate for EdgeCore {
    fn validate(&self, check: &mut Check) {
        check.section("commonConfig.monitorServer", &self.common_config.monitor_server);
        check.section("logging", &self.logging);
        check.section("database", &self.database);
        check.section("modules.dbTest", &self.modules.db_test);
        check.section("modules.edgeHub", &self.modules.edge_hub);
        check.section("modules.edgeStream", &self.modules.edge_stream);
        check.section("modules.eventBus", &self.modules.event_bus);
        check.section("modules.metaManager", &self.modules.meta_manager);
        check.section("modules.serviceBus", &self.modules.service_bus);
        check.section("modules.edged", &self.modules.edged);
    }
}

impl Validate for MonitorServer {
    fn validate(&self, check: &mut Check) {
        check.socket_address("bindAddress", &self.bind_address);
    }
}

impl Validate for Database {
    fn validate(&self, check: &mut Check) {
        check.one_of("driverName", &self.driver_name, &["sqlite3"]);
        check.require("dataSource", self.data_source.starts_with('/'), "must be an absolute path");
    }
}

impl Validate for DbTest {
    fn validate(&self, check: &mut Check) {
        check.require("enable", !self.enable, "is stock KubeEdge's debugging aid and does not exist here");
    }
}

#[cfg(test)]
mod tests;
