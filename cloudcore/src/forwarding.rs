//! Messages for nodes between CloudCores: HTTP/2 over mutual TLS on port 10006, between replicas only ([`certs::replica`]).
//!
//! ```text
//!   router ── Forward ──► peers ══ one connection to each ══► server ── Reach ──► nodes that are connected there
//!   certificate ── Credentials (state) ──► peers, server
//! ```
//!
//! Started by `app`, where a module sends to nodes. What is forwarded: what is sent to one node by its name from a place that is not its own
//! session, which is what the router is asked at its port (messages to MQTT, calls of services). Logs, exec and tasks will be.
//!
//! What needs none, because each replica watches everything and serves the nodes that are connected to it: pods, config maps, secrets,
//! devices, rules and whatever else a node should have; bans; what a rule wants the node to listen to (each replica tells its own nodes);
//! what nodes ask and report, which goes from their replica to the Kubernetes API, or to the server that a rule names, and back by the
//! same connection. A node that is to be closed because it is elsewhere now is closed by the replica that sees so in its claim.
//!
//! A replica sends only to nodes that are connected to itself, and never forwards what was forwarded: it says who holds the node, as far as
//! it knows, and the asker follows. Bounded: connections, and of each peer; requests of each connection; bodies, each and together; the
//! time of everything. Nothing is sent twice: what may have been sent is not tried again, and the asker learns which it was.

mod certificate;
mod metrics;
mod peers;
mod server;
#[cfg(test)]
mod tests;
mod wire;

pub use self::certificate::{Credentials, Renewal};
pub use self::metrics::Metrics;
pub use self::peers::Peers;
pub use self::server::ForwardingServer;
