//! The module: its sockets, and its clients' connections.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use chassis::accept;
use chassis::module::Module;
use chassis::shutdown::Shutdown;
use chassis::task::until;
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsAcceptor;
use tracing::Instrument as _;

use crate::connection::{self, Hub};
use crate::metrics::Metrics;
use crate::settings::Settings;

/// Connections beyond the number of clients, which are let in far enough to be told that there is no room. Further ones wait.
const SPARE: usize = 16;
/// Time for a TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// The broker, with its sockets open.
///
/// What it keeps (sessions, retained messages) is in memory, as in stock's: when EdgeCore starts again, clients that kept their
/// session are told that there is none (`session present` is 0), and publishers retain again.
#[derive(Debug)]
pub struct Broker {
    listener: TcpListener,
    tls: Option<(TcpListener, Arc<ServerConfig>)>,
    hub: Arc<Hub>,
}

impl Broker {
    /// Opens the sockets.
    ///
    /// # Errors
    /// When an address cannot be listened on.
    pub async fn bind(settings: Settings, metrics: Metrics) -> anyhow::Result<Self> {
        let Settings { address, tls, limits } = settings;
        let listener = listen(&address).await?;
        let tls = match tls {
            Some((address, config)) => Some((listen(&address).await?, config)),
            None => None,
        };
        Ok(Self { listener, tls, hub: Arc::new(Hub::new(limits, metrics)) })
    }

    /// Where it listens for plain TCP.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn local_addr(&self) -> anyhow::Result<SocketAddr> {
        Ok(self.listener.local_addr()?)
    }

    /// Where it listens for TLS, if it does.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn tls_addr(&self) -> anyhow::Result<Option<SocketAddr>> {
        Ok(self.tls.as_ref().map(|(listener, _)| listener.local_addr()).transpose()?)
    }
}

async fn listen(address: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("listen on {address} for MQTT"))
}

impl Module for Broker {
    const NAME: &'static str = "mqtt";

    async fn run(self, shutdown: Shutdown) -> anyhow::Result<()> {
        let Self { listener, tls, hub } = self;
        let most = hub.limits.clients + SPARE;
        let plain = accept::serve(listener, most, &shutdown, |stream| {
            let span = span(&stream);
            plain(stream, Arc::clone(&hub), shutdown.clone()).instrument(span)
        });
        let secured = async {
            let Some((listener, config)) = tls else { return };
            let acceptor = TlsAcceptor::from(config);
            accept::serve(listener, most, &shutdown, |stream| {
                let span = span(&stream);
                secured(acceptor.clone(), stream, Arc::clone(&hub), shutdown.clone()).instrument(span)
            })
            .await;
        };
        tokio::join!(plain, secured, forget(&hub, &shutdown));
        Ok(())
    }
}

fn span(stream: &TcpStream) -> tracing::Span {
    let peer = stream.peer_addr().map(|peer| peer.to_string()).unwrap_or_default();
    tracing::info_span!("client", peer)
}

async fn plain(stream: TcpStream, hub: Arc<Hub>, shutdown: Shutdown) {
    stream.set_nodelay(true).ok();
    connection::serve(stream, &hub, &shutdown).await;
}

async fn secured(acceptor: TlsAcceptor, stream: TcpStream, hub: Arc<Hub>, shutdown: Shutdown) {
    stream.set_nodelay(true).ok();
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
