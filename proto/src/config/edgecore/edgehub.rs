//! `modules.edgeHub` and `modules.edgeStream`: what dials the cloud.

use serde::{Deserialize, Serialize};

use crate::config::Sensitive;
use crate::config::check::{Check, Validate};
use crate::config::section::section;

/// A way to the cloud.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// QUIC (RFC 9000).
    Quic,
    /// WebSocket (RFC 6455).
    WebSocket,
}

section! {
    /// The link to the cloud.
    pub struct EdgeHub {
        /// On or off.
        enable: bool = true,
        /// Seconds between signs of life.
        heartbeat: i32 = 15,
        /// Messages a second to the cloud; 0: no limit.
        #[serde(rename = "messageQPS")]
        message_qps: i32 = 30,
        /// Messages that may go at once before that rate counts.
        message_burst: i32 = 60,
        /// Path of the WebSocket; clouds ignore it.
        #[serde(rename = "projectID")]
        project_id: String = "e632aba927ea4ac2b575ec1603d56f10".to_owned(),
        /// CA certificate, fetched when the node joins.
        tls_ca_file: String = "/etc/kubeedge/ca/rootCA.crt".to_owned(),
        /// Certificate of the node.
        tls_cert_file: String = "/etc/kubeedge/certs/server.crt".to_owned(),
        /// Its key.
        tls_private_key_file: String = "/etc/kubeedge/certs/server.key".to_owned(),
        /// Join token; emptied once the node has its certificate.
        token: Sensitive = Sensitive::default(),
        /// Where certificates come from, `https://host:port`. Empty: port 10002 of this machine.
        http_server: String = String::new(),
        /// Renew the node's certificate before it ends.
        rotate_certificates: bool = true,
        /// QUIC to the cloud.
        quic: Quic = Quic::default(),
        /// WebSocket to the cloud.
        websocket: WebSocket = WebSocket::default(),
        /// Which of the two is tried first, of those that are enabled. Not a key of stock KubeEdge, where only one can be
        /// enabled.
        preference: Vec<Transport> = vec![Transport::Quic, Transport::WebSocket],
    }
}

section! {
    /// QUIC to the cloud. Spoken with Skerry's CloudCore only: stock's QUIC is a dialect that died.
    pub struct Quic {
        /// On or off.
        enable: bool = false,
        /// Seconds.
        handshake_timeout: u32 = 30,
        /// Seconds; stock never applies it.
        read_deadline: u32 = 15,
        /// `host:port`. Empty, and no `servers`: port 10001 of this machine.
        server: String = String::new(),
        /// More of them, each `host:port` (ours), in the order of those of `websocket`.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        servers: Vec<String> = Vec::new(),
        /// Seconds.
        write_deadline: u32 = 15,
    }
}

section! {
    /// WebSocket to the cloud.
    pub struct WebSocket {
        /// On or off.
        enable: bool = true,
        /// Seconds.
        handshake_timeout: u32 = 30,
        /// Seconds; stock never applies it, and the cloud may be silent for longer.
        read_deadline: u32 = 15,
        /// `host:port`. Empty, and no `servers`: port 10000 of this machine.
        server: String = String::new(),
        /// More of them, each `host:port` (ours). The one that was good last is tried first, then the others.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        servers: Vec<String> = Vec::new(),
        /// Seconds.
        write_deadline: u32 = 15,
    }
}

section! {
    /// Logs, exec and metrics.
    pub struct EdgeStream {
        /// On or off.
        enable: bool = false,
        /// Seconds.
        handshake_timeout: u32 = 30,
        /// Seconds.
        read_deadline: u32 = 15,
        /// `host:port` of the cloud's tunnel.
        server: String = "127.0.0.1:10004".to_owned(),
        /// CA certificate.
        #[serde(rename = "tlsTunnelCAFile")]
        tls_tunnel_ca_file: String = "/etc/kubeedge/ca/rootCA.crt".to_owned(),
        /// Certificate of the node.
        tls_tunnel_cert_file: String = "/etc/kubeedge/certs/server.crt".to_owned(),
        /// Its key.
        tls_tunnel_private_key_file: String = "/etc/kubeedge/certs/server.key".to_owned(),
        /// Seconds.
        write_deadline: u32 = 15,
    }
}

impl Validate for EdgeHub {
    fn validate(&self, check: &mut Check) {
        check.positive("heartbeat", self.heartbeat);
        check.require("messageQPS", self.message_qps >= 0, "must not be negative");
        check.require("messageBurst", self.message_burst >= 0, "must not be negative");
        check.pair(("tlsCertFile", &self.tls_cert_file), ("tlsPrivateKeyFile", &self.tls_private_key_file));
        check.require(
            "websocket.enable",
            self.websocket.enable || self.quic.enable,
            "websocket or quic must be enabled",
        );
        let named = |transport| self.preference.iter().filter(|named| **named == transport).count();
        for (transport, enabled) in
            [(Transport::Quic, self.quic.enable), (Transport::WebSocket, self.websocket.enable)]
        {
            let holds = named(transport) == 1 || named(transport) == 0 && !enabled;
            check.require("preference", holds, "must name each transport that is enabled, once");
        }
        if !self.http_server.is_empty() {
            let holds = self.http_server.starts_with("https://");
            check.require(
                "httpServer",
                holds,
                format_args!("expected https://host:port, found {:?}", self.http_server),
            );
        }
        check.section("websocket", &self.websocket);
        check.section("quic", &self.quic);
    }
}

impl WebSocket {
    /// `server`, where it is not in the list, and `servers`.
    #[must_use]
    pub fn all_servers(&self) -> Vec<&str> {
        all_servers(&self.server, &self.servers)
    }
}

impl Quic {
    /// `server`, where it is not in the list, and `servers`.
    #[must_use]
    pub fn all_servers(&self) -> Vec<&str> {
        all_servers(&self.server, &self.servers)
    }
}

fn all_servers<'a>(first: &'a str, others: &'a [String]) -> Vec<&'a str> {
    let first = Some(first).filter(|first| !first.is_empty() && others.iter().all(|other| other != first));
    first.into_iter().chain(others.iter().map(String::as_str)).collect()
}

impl Validate for WebSocket {
    fn validate(&self, check: &mut Check) {
        if self.enable {
            check_servers(check, &self.server, &self.servers);
        }
        check.positive("handshakeTimeout", self.handshake_timeout);
        check.positive("writeDeadline", self.write_deadline);
    }
}

/// A list that is longer is one of something else.
const MOST_SERVERS: usize = 64;

fn check_servers(check: &mut Check, server: &str, servers: &[String]) {
    if !server.is_empty() {
        check.host_and_port("server", server);
    }
    for server in servers {
        check.host_and_port("servers", server);
    }
    check.require("servers", servers.len() <= MOST_SERVERS, format_args!("at most {MOST_SERVERS}"));
}

impl Validate for Quic {
    fn validate(&self, check: &mut Check) {
        if self.enable {
            check_servers(check, &self.server, &self.servers);
        }
        check.positive("handshakeTimeout", self.handshake_timeout);
        check.positive("writeDeadline", self.write_deadline);
    }
}

impl Validate for EdgeStream {
    fn validate(&self, check: &mut Check) {
        if self.enable {
            check.host_and_port("server", &self.server);
        }
    }
}
