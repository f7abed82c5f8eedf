//! `modules.cloudHub`

use super::DEFAULT_NODE_LIMIT;
use crate::config::check::{Check, Validate};
use crate::config::section::section;

section! {
    /// Connections of the edge nodes.
    pub struct CloudHub {
        /// On or off.
        enable: bool = true,
        /// A node that sends no keepalive for this many seconds is cut off.
        keepalive_interval: u32 = 30,
        /// Nodes that may be connected at once.
        node_limit: u32 = DEFAULT_NODE_LIMIT,
        /// A node that takes no data for this many seconds is cut off (stock has the key and does not use it).
        write_timeout: u32 = 30,
        /// CA certificate that node certificates come from.
        #[serde(rename = "tlsCAFile")]
        tls_ca_file: String = "/etc/kubeedge/ca/rootCA.crt".to_owned(),
        /// Its key.
        #[serde(rename = "tlsCAKeyFile")]
        tls_ca_key_file: String = "/etc/kubeedge/ca/rootCA.key".to_owned(),
        /// Server certificate.
        tls_cert_file: String = "/etc/kubeedge/certs/server.crt".to_owned(),
        /// Its key.
        tls_private_key_file: String = "/etc/kubeedge/certs/server.key".to_owned(),
        /// Addresses under which nodes reach this CloudCore; they go into the server certificate. Empty: found
        /// out from the machine.
        advertise_address: Vec<String> = Vec::new(),
        /// Names for the server certificate; empty ones are ignored.
        #[serde(rename = "dnsNames")]
        dns_names: Vec<String> = vec![String::new()],
        /// Lifetime of node certificates in days.
        edge_cert_signing_duration: u32 = 365,
        /// A new join token this often, in hours.
        token_refresh_duration: u32 = 12,
        /// QUIC listener.
        quic: Quic = Quic::default(),
        /// Local socket of the CSI driver.
        unixsocket: UnixSocket = UnixSocket::default(),
        /// WebSocket listener.
        websocket: WebSocket = WebSocket::default(),
        /// Certificates for nodes that join.
        https: Https = Https::default(),
        /// Listener for other CloudCores, which pass on what is for nodes that are connected here (ours).
        forwarding: Forwarding = Forwarding::default(),
        /// What nodes may do.
        authorization: Authorization = Authorization::default(),
        /// Name of this CloudCore among its replicas, each of which has another one (ours). Empty: that of its pod, else the
        /// machine's with the port of `websocket`.
        #[serde(skip_serializing_if = "String::is_empty")]
        replica_name: String = String::new(),
        /// When it ends and there are other replicas, nodes are asked to connect to those one after the other, all within so many
        /// seconds (ours). 0: at once.
        drain_seconds: u32 = 10,
    }
}

/// Longer than this it cannot take: CloudCore ends within 20 s, and what was asked before has to be answered then.
const LONGEST_DRAIN: u32 = 10;
/// `cloudcore-` and this are a name of an object (RFC 1123).
const LONGEST_REPLICA_NAME: usize = 253 - "cloudcore-".len();
/// The Lease of who leads is called so.
const NO_REPLICA_NAME: &str = "leader";

/// Whether a replica can be called so: as a part of the name of its Lease.
#[must_use]
pub fn is_replica_name(name: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let is_label = |label: &str| {
        label.bytes().next().is_some_and(is_inner)
            && label.bytes().last().is_some_and(is_inner)
            && label.bytes().all(|byte| is_inner(byte) || byte == b'-')
    };
    name != NO_REPLICA_NAME && name.len() <= LONGEST_REPLICA_NAME && name.split('.').all(is_label)
}

section! {
    /// QUIC listener. Stock's is a dialect that died; ours is for Skerry nodes.
    pub struct Quic {
        /// On or off.
        enable: bool = false,
        /// IP address to listen on.
        address: String = "0.0.0.0".to_owned(),
        /// UDP port.
        port: u16 = 10001,
        /// Streams that one node may have open.
        max_incoming_streams: i32 = 10000,
    }
}

section! {
    /// Local socket of the CSI driver.
    pub struct UnixSocket {
        /// On or off.
        enable: bool = true,
        /// `unix://` and a path.
        address: String = "unix:///var/lib/kubeedge/kubeedge.sock".to_owned(),
    }
}

section! {
    /// WebSocket listener.
    pub struct WebSocket {
        /// On or off.
        enable: bool = true,
        /// IP address to listen on.
        address: String = "0.0.0.0".to_owned(),
        /// TCP port.
        port: u16 = 10000,
    }
}

section! {
    /// Listener for nodes that join.
    pub struct Https {
        /// Accepted and without effect, as in stock: nodes could not join without it.
        enable: bool = true,
        /// IP address to listen on.
        address: String = "0.0.0.0".to_owned(),
        /// TCP port.
        port: u16 = 10002,
    }
}

section! {
    /// Listener for other CloudCores (ours).
    pub struct Forwarding {
        /// On or off. Off, a request reaches only nodes that are connected to the CloudCore that gets it.
        enable: bool = true,
        /// IP address to listen on.
        address: String = "0.0.0.0".to_owned(),
        /// TCP port.
        port: u16 = 10006,
    }
}

section! {
    /// What nodes may do. That a node is who it says it is (certificate against `node_id`) is always checked,
    /// whatever stands here; these switches are for the finer rules.
    pub struct Authorization {
        /// On or off.
        enable: bool = false,
        /// Log what would be refused, and let it pass.
        debug: bool = true,
        /// Rules in force.
        modes: Vec<AuthorizationMode> = vec![AuthorizationMode::default()],
    }
}

section! {
    /// One entry of `authorization.modes`.
    pub struct AuthorizationMode {
        /// A node sees and changes only what belongs to it.
        node: NodeAuthorization = NodeAuthorization::default(),
    }
}

section! {
    /// Node rules.
    pub struct NodeAuthorization {
        /// On or off.
        enable: bool = true,
    }
}

impl Validate for CloudHub {
    fn validate(&self, check: &mut Check) {
        check.positive("keepaliveInterval", self.keepalive_interval);
        check.positive("nodeLimit", self.node_limit);
        check.positive("writeTimeout", self.write_timeout);
        check.positive("edgeCertSigningDuration", self.edge_cert_signing_duration);
        check.positive("tokenRefreshDuration", self.token_refresh_duration);
        check.require(
            "replicaName",
            self.replica_name.is_empty() || is_replica_name(&self.replica_name),
            format_args!(
                "expected lower-case letters, digits, '-' and '.', and not {NO_REPLICA_NAME:?}, found {:?}",
                self.replica_name
            ),
        );
        check.require(
            "drainSeconds",
            self.drain_seconds <= LONGEST_DRAIN,
            format_args!("must be at most {LONGEST_DRAIN}: CloudCore ends within 20 s"),
        );
        check.pair(("tlsCAFile", &self.tls_ca_file), ("tlsCAKeyFile", &self.tls_ca_key_file));
        check.pair(("tlsCertFile", &self.tls_cert_file), ("tlsPrivateKeyFile", &self.tls_private_key_file));
        for address in self.advertise_address.iter().filter(|address| !address.is_empty()) {
            check.ip("advertiseAddress", address);
        }
        if self.unixsocket.enable {
            check.unix_socket("unixsocket.address", &self.unixsocket.address);
        }
        check.ip("quic.address", &self.quic.address);
        check.ip("websocket.address", &self.websocket.address);
        check.ip("https.address", &self.https.address);
        check.ip("forwarding.address", &self.forwarding.address);
    }
}
