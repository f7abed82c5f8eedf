//! HTTPS on port 10002: the CA certificate for everybody, and certificates for nodes (spec cloud-and-wire 2.8).
//!
//! Nodes connect to it before they have a certificate, so anybody can: connections, their time and their bodies are bounded.
//! It signs with the hub's CA, persists nothing, and stops taking connections when shutdown is requested.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use chassis::accept;
use chassis::link::OutOfTime;
use chassis::module::Module;
use chassis::places::Places;
use chassis::shutdown::Shutdown;
use chassis::task;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt as _;
use tracing::Instrument as _;

mod edge_crt;
mod routes;

pub use edge_crt::{Issuer, Lifetimes};
pub use routes::router;

/// Connections at once. A join takes two short requests, so this serves hundreds of joins a second; each connection costs about
/// 25 KiB, so strangers can hold 6 MiB at most. More connections wait in the kernel's queue.
const MAX_CONNECTIONS: usize = 256;
/// A connection that takes longer gives its place to one who waits, when all are taken: a join takes five round trips. Strangers
/// who say nothing keep nodes out no longer than this.
const PATIENCE: Duration = Duration::from_secs(5);
/// Time for the TLS handshake. Edges on bad links need seconds; a stranger who sends nothing must not hold a place for longer.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Time for a request to arrive, and for the next one on a connection that is kept open.
const HEADER_TIMEOUT: Duration = Duration::from_secs(15);
/// Time for one connection in all: even a body that trickles in byte by byte ends then. Stock edges wait 30 s for an answer.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(60);
/// Time for the present request once shutdown was requested; shorter than the grace of the whole process.
const GOODBYE: Duration = Duration::from_secs(5);

/// Who is at the other end of a request's connection.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Address and port.
    pub address: SocketAddr,
    /// The client certificate, verified against the CA.
    pub certificate: Option<rustls_pki_types::CertificateDer<'static>>,
}

/// The server with its socket open.
#[derive(Debug)]
pub struct HttpServer {
    listener: TcpListener,
    tls: Arc<ServerConfig>,
    routes: Router,
}

impl HttpServer {
    /// Opens the socket. Port 0 takes any free one.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub async fn bind(address: SocketAddr, tls: Arc<ServerConfig>, routes: Router) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(address).await.with_context(|| format!("listen on {address}"))?;
        Ok(Self { listener, tls, routes })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// When the operating system does not say.
    pub fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves one connection as a task of its own.
    fn begin(
        &self,
        (stream, address): (TcpStream, SocketAddr),
        places: &mut Places,
        connections: &mut JoinSet<()>,
        shutdown: &Shutdown,
    ) {
        let now = Instant::now();
        if let Some(after) = places.make_room(now) {
            tracing::warn!(?after, "all places were taken: a slow connection gave its place to another");
        }
        let connection = Connection {
            stream,
            address,
            tls: TlsAcceptor::from(Arc::clone(&self.tls)),
            routes: self.routes.clone(),
            shutdown: shutdown.clone(),
        };
        let span = tracing::info_span!("https", peer = %address);
        let task = task::spawn_in(connections, span, connection.serve());
        places.enter(address.ip(), task, now);
    }
}

impl Module for HttpServer {
    const NAME: &'static str = "httpserver";

    async fn run(self, shutdown: Shutdown) -> anyhow::Result<()> {
        let mut places = Places::new(MAX_CONNECTIONS, PATIENCE);
        let mut connections = JoinSet::new();
        loop {
            let full_until = places.free_at(Instant::now());
            tokio::select! {
                () = shutdown.requested() => break,
                Some(ended) = connections.join_next_with_id() => {
                    places.leave(ended.map_or_else(|error| error.id(), |(id, ())| id));
                }
                () = task::until(full_until), if full_until.is_some() => {}
                accepted = accept::next(&self.listener), if full_until.is_none() => {
                    self.begin(accepted, &mut places, &mut connections, &shutdown);
                }
            }
        }
        drop(self.listener);
        while connections.join_next().await.is_some() {}
        Ok(())
    }
}

/// One accepted connection.
struct Connection {
    stream: TcpStream,
    address: SocketAddr,
    tls: TlsAcceptor,
    routes: Router,
    shutdown: Shutdown,
}

impl Connection {
    /// Until the peer closes, or time is over: its own, or what is left after shutdown was requested.
    async fn serve(self) {
        let shutdown = self.shutdown.clone();
        let goodbye = async {
            shutdown.requested().await;
            tokio::time::sleep(GOODBYE).await;
        };
        let ended = tokio::select! {
            ended = tokio::time::timeout(CONNECTION_TIMEOUT, self.serve_requests()) => ended,
            () = goodbye => return,
        };
        match ended {
            Ok(Ok(())) => {}
            Ok(Err(error)) => match OutOfTime::cause_of(error.as_ref()) {
                Some(fault) => tracing::warn!("a node's certificate was refused: it is {fault}"),
                None => tracing::debug!(error = %format_args!("{error:#}"), "connection failed"),
            },
            Err(_) => tracing::debug!(after = ?CONNECTION_TIMEOUT, "connection took too long"),
        }
    }

    async fn serve_requests(self) -> anyhow::Result<()> {
        // Small answers to small requests: waiting for more to send only adds a round trip.
        self.stream.set_nodelay(true)?;
        let stream = tokio::time::timeout(HANDSHAKE_TIMEOUT, self.tls.accept(self.stream))
            .await
            .context("TLS handshake took too long")?
            .context("TLS handshake")?;
        let certificate = stream.get_ref().1.peer_certificates().and_then(<[_]>::first).cloned();
        let peer = Peer { address: self.address, certificate: certificate.map(|it| it.into_owned()) };
        let routes = self.routes;
        let answer = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(peer.clone());
            routes.clone().oneshot(request).in_current_span()
        });
        let mut connection = std::pin::pin!(
            http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEADER_TIMEOUT)
                .serve_connection(TokioIo::new(stream), answer)
        );
        tokio::select! {
            ended = connection.as_mut() => return Ok(ended?),
            () = self.shutdown.requested() => connection.as_mut().graceful_shutdown(),
        }
        Ok(connection.await?)
    }
}

#[cfg(test)]
mod tests;
