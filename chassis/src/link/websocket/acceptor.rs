//! Takes WebSocket links.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::accept_hdr_async_with_config;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};

use super::metered::Metered;
use super::{WebSocketLimits, in_time, link};
use crate::link::{Acceptor, AcceptorMetrics, Link, LinkError, Peer};
use crate::task;

/// After the system could give no connection (most often: no file descriptor is free), it is asked again this much
/// later. Asking at once would only burn the CPU that others need to close theirs.
const RETRY_ACCEPT: Duration = Duration::from_millis(500);

/// Listens on one address. Whoever fails the handshake (no certificate, no WebSocket, too slow) is logged and dropped.
#[derive(Debug)]
pub struct WebSocketAcceptor {
    listener: TcpListener,
    tls: Arc<ServerConfig>,
    limits: WebSocketLimits,
    metrics: AcceptorMetrics,
    handshakes: JoinSet<Result<Link, LinkError>>,
}

impl WebSocketAcceptor {
    /// Opens the listening socket. Port 0 takes a free one. Whether clients need a certificate is for `tls` to say.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub async fn bind(
        address: SocketAddr,
        tls: Arc<ServerConfig>,
        limits: WebSocketLimits,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        Ok(Self { listener, tls, limits, metrics: AcceptorMetrics::default(), handshakes: JoinSet::new() })
    }

    /// Counts in `metrics` from now on.
    #[must_use]
    pub fn with_metrics(mut self, metrics: AcceptorMetrics) -> Self {
        self.metrics = metrics;
        self
    }

    /// The address that is listened on, with the real port.
    ///
    /// # Errors
    /// When the system cannot tell.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    async fn next(&mut self) -> Link {
        loop {
            let room = self.handshakes.len() < self.limits.max_handshakes.max(1);
            tokio::select! {
                accepted = self.listener.accept(), if room => match accepted {
                    Ok((stream, address)) => self.begin(stream, address),
                    Err(error) => {
                        tracing::warn!("cannot accept a connection: {error}");
                        tokio::time::sleep(RETRY_ACCEPT).await;
                    }
                },
                Some(done) = self.handshakes.join_next() => match done {
                    Ok(Ok(link)) => {
                        self.metrics.opened();
                        return link;
                    }
                    // Logged where it happened, inside the handshake's span.
                    Ok(Err(error)) => self.metrics.refused(&error),
                    Err(broken) => tracing::error!("handshake: {broken}"),
                },
            }
        }
    }

    fn begin(&mut self, stream: TcpStream, address: SocketAddr) {
        let (tls, limits) = (TlsAcceptor::from(self.tls.clone()), self.limits);
        let span = tracing::info_span!("handshake", peer = %address);
        task::spawn_in(&mut self.handshakes, span, async move {
            let opened = in_time("the handshake", limits.handshake, open(stream, address, tls, limits)).await;
            if let Err(error) = &opened {
                let cause = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
                tracing::warn!(kind = error.kind(), cause, "refused a connection: {error}");
            }
            opened
        });
    }
}

impl Acceptor for WebSocketAcceptor {
    fn accept(&mut self) -> BoxFuture<'_, Result<Link, LinkError>> {
        self.next().map(Ok).boxed()
    }
}

async fn open(
    stream: TcpStream,
    address: SocketAddr,
    tls: TlsAcceptor,
    limits: WebSocketLimits,
) -> Result<Link, LinkError> {
    stream.set_nodelay(true).map_err(LinkError::from_io)?;
    let (stream, written) = Metered::new(stream);
    let stream = tls.accept(stream).await.map_err(LinkError::from_io)?;
    let mut peer = Peer::proven(address.to_string(), stream.get_ref().1.peer_certificates());
    #[expect(clippy::result_large_err, reason = "the shape of the callback is tungstenite's")]
    let keep_headers = |request: &Request, response: Response| -> Result<Response, ErrorResponse> {
        peer.headers = request.headers().clone();
        Ok(response)
    };
    let stream = accept_hdr_async_with_config(stream, keep_headers, Some(limits.protocol())).await?;
    Ok(link(stream, peer, written, &limits))
}
