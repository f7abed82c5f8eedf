//! The module: its sockets, and its clients' connections.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use chassis::accept;
use chassis::module::Module;
use chassis::rng::Rng;
use chassis::shutdown::Shutdown;
use chassis::task::until;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsAcceptor;
use tracing::Instrument as _;

use crate::connection::{self, Hub};
use crate::door::Gate;
use crate::local::{self, Inbox, Local};
use crate::metrics::Metrics;
use crate::settings::{Settings, Tls};

/// Connections beyond the number of clients, which are let in far enough to be told that there is no room. Further ones wait.
const SPARE: usize = 16;
/// Time for a TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// The broker.
///
/// What it keeps (sessions, retained messages) is in memory, as in stock's: when EdgeCore starts again, clients that kept their
/// session are told that there is none (`session present` is 0), and publishers retain again.
#[derive(Debug)]
pub struct Broker {
    plain: Gate,
    tls: Option<(Gate, Tls)>,
    hub: Arc<Hub>,
    rng: Rng,
}

impl Broker {
    /// Opens the sockets. One that cannot be had now is opened later, and said in the log and in `mqtt_listening` meanwhile.
    pub async fn open(settings: Settings, metrics: Metrics, rng: Rng) -> Self {
        let Settings { plain, tls, limits } = settings;
        let plain = Gate::open("plain", plain, metrics.clone()).await;
        let tls = match tls {
            Some((door, tls)) => Some((Gate::open("tls", door, metrics.clone()).await, tls)),
            None => None,
        };
        Self { plain, tls, hub: Arc::new(Hub::new(limits, metrics)), rng }
    }

    /// A way in without a socket.
    #[must_use]
    pub fn local(&self) -> (Local, Inbox) {
        local::connect(&self.hub)
    }

    /// Where it listens for plain TCP, if it does by now.
    #[must_use]
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.plain.address()
    }

    /// Where it listens for TLS, if it does by now.
    #[must_use]
    pub fn tls_addr(&self) -> Option<SocketAddr> {
        self.tls.as_ref().and_then(|(gate, _)| gate.address())
    }
}

impl Module for Broker {
    const NAME: &'static str = "mqtt";

    async fn run(self, shutdown: Shutdown) -> anyhow::Result<()> {
        let Self { plain, tls, hub, rng } = self;
        let most = hub.limits.clients + SPARE;
        let by_tcp = async {
            let Some(listener) = plain.opened(rng.clone(), &shutdown).await else { return };
            accept::serve(listener, most, &shutdown, |stream| {
                let span = span(&stream);
                by_tcp(stream, Arc::clone(&hub), shutdown.clone()).instrument(span)
            })
            .await;
        };
        let by_tls = async {
            let Some((gate, tls)) = tls else { return };
            let Some(listener) = gate.opened(rng.clone(), &shutdown).await else { return };
            accept::serve(listener, most, &shutdown, |stream| {
                let span = span(&stream);
                by_tls(tls.clone(), stream, Arc::clone(&hub), shutdown.clone()).instrument(span)
            })
            .await;
        };
        tokio::join!(by_tcp, by_tls, forget(&hub, &shutdown));
        Ok(())
    }
}

fn span(stream: &TcpStream) -> tracing::Span {
    let peer = stream.peer_addr().map(|peer| peer.to_string()).unwrap_or_default();
    tracing::info_span!("client", peer)
}

async fn by_tcp(stream: TcpStream, hub: Arc<Hub>, shutdown: Shutdown) {
    stream.set_nodelay(true).ok();
    connection::serve(stream, &hub, &shutdown).await;
}

async fn by_tls(tls: Tls, stream: TcpStream, hub: Arc<Hub>, shutdown: Shutdown) {
    stream.set_nodelay(true).ok();
    let acceptor = match tls.config() {
        Ok(config) => TlsAcceptor::from(config),
        Err(error) => {
            hub.metrics.ended("tls");
            return tracing::error!("an MQTT client was turned away: {error:#}");
        }
    };
    let shaken = tokio::select! {
        shaken = timeout(HANDSHAKE, acceptor.accept(stream)) => shaken,
        () = shutdown.requested() => return,
    };
    let why = match shaken {
        Ok(Ok(stream)) => return connection::serve(stream, &hub, &shutdown).await,
        Ok(Err(error)) => error.to_string(),
        Err(_) => "it took too long".to_owned(),
    };
    hub.metrics.ended("tls");
    tracing::warn!("an MQTT client's TLS handshake failed: {why}");
}

/// Forgets sessions when their time is over.
async fn forget(hub: &Hub, shutdown: &Shutdown) {
    loop {
        let next = hub.core().expire(Instant::now());
        tokio::select! {
            () = until(next) => {}
            () = hub.left.notified() => {}
            () = shutdown.requested() => return,
        }
    }
}
