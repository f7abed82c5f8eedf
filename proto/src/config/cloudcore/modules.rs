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

/// What one request or its answer may carry: what stock takes.
const ROUTER_BODY: u32 = 12 << 20;
/// With base64 around it, it must fit into one message of the channel.
const LARGEST_ROUTER_BODY: u32 = 20 << 20;

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
        /// Plain HTTP for everybody who reaches the port, as in stock (ours). Without it there is TLS, and who asks shows a token.
        insecure: bool = false,
        /// Certificates (PEM, with their chain) of the listener; empty: one of CloudHub's CA (ours).
        #[serde(skip_serializing_if = "String::is_empty")]
        tls_cert_file: String = String::new(),
        /// Their key (ours).
        #[serde(skip_serializing_if = "String::is_empty")]
        tls_private_key_file: String = String::new(),
        /// Who may ask, a line each: `token,name` or `token,name,namespace` (ours). Empty: tokens of the Kubernetes API, for the
        /// audience `router.kubeedge.io`.
        #[serde(skip_serializing_if = "String::is_empty")]
        token_file: String = String::new(),
        /// Certificates (PEM) of the CAs of the targets of rules; empty: those of the system (ours).
        #[serde(rename = "targetCAFile", skip_serializing_if = "String::is_empty")]
        target_ca_file: String = String::new(),
        /// Bytes that a request, a message and an answer may have at most (ours).
        max_body_bytes: u32 = ROUTER_BODY,
        /// Requests that each rule takes in a second (ours).
        requests_per_second: u32 = 500,
        /// Requests of each rule that are under way at once (ours).
        concurrent_requests: u32 = 128,
        /// Seconds for which a message of a node is tried again that its target does not take (ours).
        retry_seconds: u32 = 300,
        /// Whether a request for a node that a CloudCore of KubeEdge holds is sent on to that one, at the same port, as KubeEdge does it:
        /// over plain HTTP, with nothing that says who asks (ours).
        stock_replicas: bool = false,
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
        check.positive("requestsPerSecond", self.requests_per_second);
        check.positive("concurrentRequests", self.concurrent_requests);
        check.pair(("tlsCertFile", &self.tls_cert_file), ("tlsPrivateKeyFile", &self.tls_private_key_file));
        check.require(
            "maxBodyBytes",
            (1..=LARGEST_ROUTER_BODY).contains(&self.max_body_bytes),
            format_args!("must be from 1 to {LARGEST_ROUTER_BODY}: it goes in one message of the channel"),
        );
        check.require(
            "insecure",
            !self.insecure || (self.tls_cert_file.is_empty() && self.token_file.is_empty()),
            "there is neither TLS nor a token then: leave tlsCertFile and tokenFile out",
        );
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
