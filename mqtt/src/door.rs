//! Listening, again and again where the address cannot be had: a port that another broker has, or an address that comes up later, must
//! not keep the rest of EdgeCore from its work.

use std::net::SocketAddr;
use std::time::Duration;

use chassis::backoff::{Backoff, BackoffPolicy};
use chassis::rng::Rng;
use chassis::shutdown::Shutdown;
use tokio::net::TcpListener;

use crate::metrics::Metrics;
use crate::settings::Door;

/// Between attempts. Whoever frees the port does not wait for long, and the log is not full of it.
const RETRY: BackoffPolicy =
    BackoffPolicy { initial: Duration::from_secs(1), max: Duration::from_secs(60), factor: 2.0, jitter: 0.5 };

/// A door, open or not.
#[derive(Debug)]
pub(crate) struct Gate {
    /// `plain` or `tls`, for metrics.
    name: &'static str,
    door: Door,
    listener: Option<TcpListener>,
    metrics: Metrics,
}

impl Gate {
    /// Opens it, if that can be done now.
    pub(crate) async fn open(name: &'static str, door: Door, metrics: Metrics) -> Self {
        let mut gate = Self { name, door, listener: None, metrics };
        gate.attempt().await;
        gate
    }

    /// Where it is, if it is open.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        self.listener.as_ref().and_then(|listener| listener.local_addr().ok())
    }

    /// Waits until it is open; none when `shutdown` comes before.
    pub(crate) async fn opened(mut self, rng: Rng, shutdown: &Shutdown) -> Option<TcpListener> {
        let mut backoff = Backoff::new(RETRY, rng);
        loop {
            if let Some(listener) = self.listener.take() {
                return Some(listener);
            }
            tokio::select! {
                () = tokio::time::sleep(backoff.next_delay()) => self.attempt().await,
                () = shutdown.requested() => return None,
            }
        }
    }

    async fn attempt(&mut self) {
        let Door { address, setting } = &self.door;
        let bound = TcpListener::bind(address).await;
        self.metrics.listening(self.name, bound.is_ok());
        match bound {
            Ok(listener) => {
                tracing::info!(address, "the MQTT broker listens ({setting})");
                self.listener = Some(listener);
            }
            Err(error) => tracing::error!(
                address,
                "no MQTT client can come in: {error}. Set {setting} to another address, or end what has this one; it is tried again"
            ),
        }
    }
}
