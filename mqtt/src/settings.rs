//! What a broker is told when it starts.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;

/// Where a broker listens, and its limits.
#[derive(Debug, Clone)]
pub struct Settings {
    /// For plain TCP. Whoever can connect may publish and subscribe to everything, as with stock's broker: keep it on the loopback
    /// address, and let others come by TLS.
    pub plain: Door,
    /// For TLS, and what is shown there.
    pub tls: Option<(Door, Tls)>,
    /// Limits.
    pub limits: Limits,
}

/// Where clients come in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Door {
    /// `host:port`
    pub address: String,
    /// What the setting is called that says so: who reads that the address cannot be had reads what to change.
    pub setting: &'static str,
}

/// Gives the configuration for a TLS handshake, which also says whether clients need certificates. It is asked for each one, so that
/// certificates can be renewed, and those that are missing can come later.
#[derive(Clone)]
pub struct Tls(Arc<dyn Fn() -> anyhow::Result<Arc<ServerConfig>> + Send + Sync>);

impl Tls {
    /// What `config` gives. It must not wait for long.
    pub fn new(config: impl Fn() -> anyhow::Result<Arc<ServerConfig>> + Send + Sync + 'static) -> Self {
        Self(Arc::new(config))
    }

    /// The configuration as it is now.
    ///
    /// # Errors
    /// When there is none, and why.
    pub fn config(&self) -> anyhow::Result<Arc<ServerConfig>> {
        (self.0)()
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

/// What is bounded. All of it is in memory.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Clients at a time. Further ones are told that the broker is not available (code 3).
    pub clients: usize,
    /// Sessions, those of clients that are away included. When there are more, the one that has been away longest is forgotten.
    pub sessions: usize,
    /// How long a session is kept for a client that is away.
    pub session_expiry: Duration,
    /// Messages of QoS 0 that wait for a client; the oldest is dropped.
    pub queue: usize,
    /// Messages of QoS 1 and 2 that wait for a client, there or away; the oldest is dropped.
    pub queue_acknowledged: usize,
    /// Bytes of all that waits for a client; the oldest is dropped.
    pub queue_bytes: usize,
    /// Bytes of all that waits for all clients; the oldest of those of whoever has most is dropped.
    pub total_bytes: usize,
    /// Messages of QoS 1 and 2 that a client has been sent and has not acknowledged; the next one waits.
    pub inflight: usize,
    /// Bytes of these, beside the first one.
    pub inflight_bytes: usize,
    /// Messages of QoS 2 that a client has sent and not released. One more ends its connection.
    pub unreleased: usize,
    /// Messages of a client that [`crate::Local`] has yet to acknowledge, so that they are not answered. With more, the client is read
    /// no further.
    pub unanswered: usize,
    /// Bytes of these.
    pub unanswered_bytes: usize,
    /// Largest packet of a client, bytes. A larger one ends its connection.
    pub packet_bytes: usize,
    /// Messages that are retained. A new one that does not fit is delivered but not retained.
    pub retained: usize,
    /// Bytes of these.
    pub retained_bytes: usize,
    /// Subscriptions of a client; a further one is refused (code 128).
    pub subscriptions: usize,
    /// Subscriptions of all clients.
    pub total_subscriptions: usize,
    /// Time from connecting to having said `CONNECT`.
    pub connect_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        const KIB: usize = 1 << 10;
        const MIB: usize = 1 << 20;
        Self {
            clients: 1000,
            sessions: 2000,
            session_expiry: Duration::from_secs(7 * 24 * 3600),
            // As stock.
            queue: 100,
            queue_acknowledged: 100_000,
            queue_bytes: 8 * MIB,
            total_bytes: 64 * MIB,
            inflight: 100,
            inflight_bytes: MIB,
            unreleased: 8192,
            // As many as a client may be sent; most clients have fewer under way (mosquitto's 20).
            unanswered: 100,
            unanswered_bytes: MIB,
            // A payload of 1 MiB with the longest topic.
            packet_bytes: MIB + 64 * KIB,
            retained: 10_000,
            retained_bytes: 16 * MIB,
            subscriptions: 10_000,
            total_subscriptions: 50_000,
            connect_timeout: Duration::from_secs(10),
        }
    }
}
