//! Takes WebSocket links.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use http::header::{CONTENT_LENGTH, RETRY_AFTER, SEC_WEBSOCKET_PROTOCOL};
use http::{HeaderValue, StatusCode};
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::accept_hdr_async_with_config;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};

use super::metered::Metered;
use super::split::Split;
use super::{WebSocketLimits, link};
use crate::link::{
    Acceptor, AcceptorMetrics, Dialect, Gate, Link, LinkError, NATIVE_PROTOCOL, Peer, Rejection, in_time,
};
use crate::places::Places;
use crate::task;

/// After the system could give no connection (most often: no file descriptor is free), it is asked again this much
/// later. Asking at once would only burn the CPU that others need to close theirs.
const RETRY_ACCEPT: Duration = Duration::from_millis(500);

/// Connections that wait in the kernel for their handshake; it allows no more than `net.core.somaxconn`, 4,096 where nobody
/// has set it. Who finds no room is not told so: it repeats its first packet after 1, 3, 7 and 15 seconds. Of 10,000 nodes
/// that came at once to the usual 1,024 most did that more than once, and the hub had nothing to do meanwhile.
const BACKLOG: u32 = 16 * 1024;

/// Listens on one address. Whoever fails the handshake (no certificate, no WebSocket, too slow) is logged and dropped.
pub struct WebSocketAcceptor {
    listener: TcpListener,
    tls: Arc<ServerConfig>,
    limits: WebSocketLimits,
    metrics: AcceptorMetrics,
    gate: Option<Gate>,
    places: Places,
    handshakes: JoinSet<Result<Link, LinkError>>,
}

impl fmt::Debug for WebSocketAcceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSocketAcceptor").field("listener", &self.listener).finish_non_exhaustive()
    }
}

impl WebSocketAcceptor {
    /// Opens the listening socket. Port 0 takes a free one. Whether clients need a certificate is for `tls` to say.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    #[expect(clippy::unused_async, reason = "it needs a runtime, and so has one")]
    pub async fn bind(
        address: SocketAddr,
        tls: Arc<ServerConfig>,
        limits: WebSocketLimits,
    ) -> io::Result<Self> {
        let listener = listen(address)?;
        let metrics = AcceptorMetrics::default();
        let places = Places::new(limits.max_handshakes, limits.patience);
        Ok(Self { listener, tls, limits, metrics, gate: None, places, handshakes: JoinSet::new() })
    }

    /// Counts in `metrics` from now on.
    #[must_use]
    pub fn with_metrics(mut self, metrics: AcceptorMetrics) -> Self {
        self.metrics = metrics;
        self
    }

    /// Lets in only whom `gate` admits; others get its answer in place of the upgrade.
    #[must_use]
    pub fn with_gate(mut self, gate: Gate) -> Self {
        self.gate = Some(gate);
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
            let full_until = self.places.free_at(Instant::now());
            tokio::select! {
                accepted = self.listener.accept(), if full_until.is_none() => match accepted {
                    Ok((stream, address)) => self.begin(stream, address),
                    Err(error) => {
                        tracing::warn!("cannot accept a connection: {error}");
                        tokio::time::sleep(RETRY_ACCEPT).await;
                    }
                },
                () = task::until(full_until), if full_until.is_some() => {}
                Some(done) = self.handshakes.join_next_with_id() => {
                    if let Some(link) = self.ended(done) {
                        return link;
                    }
                }
            }
        }
    }

    /// The link that a handshake has led to.
    fn ended(&mut self, done: Result<(Id, Result<Link, LinkError>), JoinError>) -> Option<Link> {
        self.places.leave(done.as_ref().map_or_else(JoinError::id, |(id, _)| *id));
        match done {
            Ok((_, Ok(link))) => {
                self.metrics.opened();
                return Some(link);
            }
            // Logged where it happened, inside the handshake's span.
            Ok((_, Err(error))) => self.metrics.refused(&error),
            Err(displaced) if displaced.is_cancelled() => {}
            Err(broken) => tracing::error!("handshake: {broken}"),
        }
        None
    }

    fn begin(&mut self, stream: TcpStream, address: SocketAddr) {
        let (tls, limits) = (TlsAcceptor::from(self.tls.clone()), self.limits);
        let gate = self.gate.clone();
        let now = Instant::now();
        if let Some(after) = self.places.make_room(now) {
            let displaced = LinkError::Displaced { after };
            tracing::warn!(kind = displaced.kind(), "all places were taken: one that {displaced}");
            self.metrics.refused(&displaced);
        }
        let pending = self.metrics.begun();
        let span = tracing::info_span!("handshake", peer = %address);
        let handshake = task::spawn_in(&mut self.handshakes, span, async move {
            let _pending = pending;
            let opened =
                in_time("the handshake", limits.handshake, open(stream, address, tls, limits, gate)).await;
            if let Err(error) = &opened {
                let cause = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
                tracing::warn!(kind = error.kind(), cause, "refused a connection: {error}");
            }
            opened
        });
        self.places.enter(address.ip(), handshake, now);
    }
}

/// Must be called within a tokio runtime.
fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // A hub that starts again finds its port though connections of the one before are still being forgotten.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
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
    gate: Option<Gate>,
) -> Result<Link, LinkError> {
    stream.set_nodelay(true).map_err(LinkError::from_io)?;
    let (stream, meter) = Metered::new(stream);
    let stream = tls.accept(stream).await.map_err(LinkError::from_io)?;
    let mut peer = Peer::proven(address.to_string(), stream.get_ref().1.peer_certificates());
    #[expect(clippy::result_large_err, reason = "the shape of the callback is tungstenite's")]
    let answer = |request: &Request, mut response: Response| -> Result<Response, ErrorResponse> {
        peer.headers = request.headers().clone();
        if offers_native(&peer) {
            peer.dialect = Dialect::Native;
            response.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(NATIVE_PROTOCOL));
        }
        match &gate {
            Some(gate) => gate(&peer).map(|()| response).map_err(|rejection| refusal(&rejection)),
            None => Ok(response),
        }
    };
    let stream = Split::before_upgrade(stream, limits.max_message);
    let mut stream = accept_hdr_async_with_config(stream, answer, Some(limits.protocol())).await?;
    stream.get_mut().upgrade();
    Ok(link(stream, peer, meter, &limits))
}

/// RFC 6455 section 4.1: the client lists what it speaks, in one header or several, separated by commas.
fn offers_native(peer: &Peer) -> bool {
    let offers = peer.headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter().filter_map(|value| value.to_str().ok());
    offers.flat_map(|value| value.split(',')).any(|offer| offer.trim() == NATIVE_PROTOCOL)
}

fn refusal(rejection: &Rejection) -> ErrorResponse {
    let mut response = ErrorResponse::new(Some(rejection.reason.clone()));
    *response.status_mut() =
        StatusCode::from_u16(rejection.status).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
    response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(rejection.reason.len()));
    if let Some(wait) = rejection.retry_after {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(wait.as_secs()));
    }
    response
}
