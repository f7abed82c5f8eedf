//! The smaller sections of `modules`.

use serde::{Deserialize, Serialize};

use crate::config::check::{Check, Validate};
use crate::config::section::section;

section! {
    /// Devices.
    pub struct DeviceController {
        /// On or off.
        enable: bool = true,
        /// Accepted and without effect.
        buffer: DeviceControllerBuffer = DeviceControllerBuffer::default(),
        /// Accepted and without effect.
        load: DeviceControllerLoad = DeviceControllerLoad::default(),
    }
}

section! {
    /// Lengths of stock's queues.
    pub struct DeviceControllerBuffer {
        /// Twin reports.
        update_device_twins: u32 = 1024,
        /// State reports.
        update_device_status: u32 = 1024,
        /// Device watch.
        device_event: u32 = 1,
        /// Model watch.
        device_model_event: u32 = 1,
        /// Status watch.
        device_status_event: u32 = 0,
    }
}

section! {
    /// Sizes of stock's worker pools.
    pub struct DeviceControllerLoad {
        /// State reports.
        update_device_status_workers: u32 = 1,
    }
}

section! {
    /// Tasks on nodes.
    pub struct TaskManager {
        /// On or off.
        enable: bool = false,
        /// Accepted and without effect.
        buffer: TaskManagerBuffer = TaskManagerBuffer::default(),
        /// Accepted and without effect.
        load: TaskManagerLoad = TaskManagerLoad::default(),
    }
}

section! {
    /// Lengths of stock's queues.
    pub struct TaskManagerBuffer {
        /// Reports.
        task_status: u32 = 1024,
        /// Task watch.
        task_event: u32 = 1,
    }
}

section! {
    /// Sizes of stock's worker pools.
    pub struct TaskManagerLoad {
        /// Tasks.
        task_workers: u32 = 1,
    }
}

section! {
    /// Repair of what nodes miss.
    pub struct SyncController {
        /// On or off.
        enable: bool = true,
    }
}

section! {
    /// The Kubernetes API at the edge.
    pub struct DynamicController {
        /// On or off.
        enable: bool = false,
    }
}

section! {
    /// Logs, exec and metrics of edge pods.
    pub struct CloudStream {
        /// On or off.
        enable: bool = false,
        /// CA of the tunnel's clients.
        #[serde(rename = "tlsTunnelCAFile")]
        tls_tunnel_ca_file: String = "/etc/kubeedge/ca/rootCA.crt".to_owned(),
        /// Certificate of the tunnel.
        tls_tunnel_cert_file: String = "/etc/kubeedge/certs/server.crt".to_owned(),
        /// Its key.
        tls_tunnel_private_key_file: String = "/etc/kubeedge/certs/server.key".to_owned(),
        /// TCP port that nodes dial.
        tunnel_port: u16 = 10004,
        /// CA of the API server's client certificates.
        #[serde(rename = "tlsStreamCAFile")]
        tls_stream_ca_file: String = "/etc/kubeedge/ca/streamCA.crt".to_owned(),
        /// Certificate shown to the API server.
        tls_stream_cert_file: String = "/etc/kubeedge/certs/stream.crt".to_owned(),
        /// Its key.
        tls_stream_private_key_file: String = "/etc/kubeedge/certs/stream.key".to_owned(),
        /// TCP port that the API server dials.
        stream_port: u16 = 10003,
    }
}

section! {
    /// Users' messages.
    pub struct Router {
        /// On or off.
        enable: bool = false,
        /// IP address to listen on.
        address: String = "0.0.0.0".to_owned(),
        /// TCP port.
        port: u16 = 9443,
        /// A node must answer within this many seconds.
        rest_timeout: u32 = 60,
    }
}

/// Who sets the redirections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IptablesMode {
    /// CloudCore itself.
    #[default]
    Internal,
    /// A program beside it.
    External,
}

section! {
    /// Where the stream port of a node is redirected to.
    pub struct IptablesManager {
        /// On or off.
        enable: bool = true,
        /// Who does it.
        mode: IptablesMode = IptablesMode::Internal,
    }
}

section! {
    /// A Kubernetes API inside CloudCore, for machines without a cluster (ours).
    pub struct Embedded {
        /// On or off. When on, `kubeAPIConfig` is not looked at.
        enable: bool = false,
        /// Database, keys and kubeconfig.
        data_dir: String = "/var/lib/kubeedge/embedded".to_owned(),
        /// IP address to listen on.
        address: String = "127.0.0.1".to_owned(),
        /// TCP port.
        port: u16 = 6443,
        /// Address for pods and `kubectl` elsewhere; empty: `address`.
        advertise_address: String = String::new(),
    }
}

section! {
    /// Rules for devices and their models, as a webhook for the API server of a cluster (ours: stock has a component of its own,
    /// `admission`, that is not configured by this file). The embedded API has them without it.
    pub struct Admission {
        /// On or off.
        enable: bool = false,
        /// IP address to listen on.
        address: String = "0.0.0.0".to_owned(),
        /// TCP port.
        port: u16 = 10005,
    }
}

impl Validate for Admission {
    fn validate(&self, check: &mut Check) {
        check.ip("address", &self.address);
    }
}

impl Validate for CloudStream {
    fn validate(&self, check: &mut Check) {
        let tunnel_pair = (
            ("tlsTunnelCertFile", self.tls_tunnel_cert_file.as_str()),
            ("tlsTunnelPrivateKeyFile", self.tls_tunnel_private_key_file.as_str()),
        );
        check.pair(tunnel_pair.0, tunnel_pair.1);
        let stream_pair = (
            ("tlsStreamCertFile", self.tls_stream_cert_file.as_str()),
            ("tlsStreamPrivateKeyFile", self.tls_stream_private_key_file.as_str()),
        );
        check.pair(stream_pair.0, stream_pair.1);
        check.require("streamPort", self.stream_port != self.tunnel_port, "must differ from tunnelPort");
    }
}

impl Validate for Router {
    fn validate(&self, check: &mut Check) {
        check.ip("address", &self.address);
        check.positive("restTimeout", self.rest_timeout);
    }
}

impl Validate for Embedded {
    fn validate(&self, check: &mut Check) {
        if !self.enable {
            return;
        }
        check.require("dataDir", self.data_dir.starts_with('/'), "must be an absolute path");
        check.ip("address", &self.address);
        if !self.advertise_address.is_empty() {
            check.ip("advertiseAddress", &self.advertise_address);
        }
    }
}
