//! Takes QUIC links.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use quinn::crypto::rustls::QuicServerConfig;
use quinn::{Connection, Endpoint, EndpointConfig, Incoming, ServerConfig, TokioRuntime, VarInt};
use quinn_proto::HashedConnectionIdGenerator;
use ring::hmac;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::ending::{not_greeted, not_written, over};
use super::{LANES, QuicLimits, ResetKey, Streams, alpn, link, peer, socket};
use crate::link::{Acceptor, AcceptorMetrics, CloseReason, Link, LinkError, Peer, in_time};
use crate::task;

/// Attempts that wait for a place, for each place there is: with 256 places as many as the kernel's backlog holds on TCP,
/// at 1.5 KiB each. For the rest their own repetitions wait (RFC 9002 section 6.2.1: later each time).
const WAITING_PER_PLACE: usize = 16;
/// What is kept of packets that follow the first of a waiting attempt, in bytes: those are its repetitions.
const ATTEMPT_BUFFER: u64 = 4 * 1024;
/// The same for all attempts together. Doubled, strangers take twice as much; without it repetitions are lost, which come again.
const ATTEMPT_BUFFERS: u64 = 4 * 1024 * 1024;

/// Listens on one UDP address. Whoever fails the handshake (no certificate, lanes that are not opened, too slow) is
/// logged and dropped.
///
/// Once half of the places for handshakes are taken, a client must first show that it receives at the address it
/// sends from (Retry, RFC 9000 section 8.1.2), which costs this side no memory. Once all are, those who have shown it
/// wait, 16 for each place, no longer than [`QuicLimits::patience`]. Others are not heard, and find a place with one of their
/// repetitions: to be refused would send each of them into its back-off, and cost a handshake more when it comes again.
#[derive(Debug)]
pub struct QuicAcceptor {
    endpoint: Endpoint,
    limits: QuicLimits,
    metrics: AcceptorMetrics,
    waiting: VecDeque<(Instant, Incoming)>,
    handshakes: JoinSet<Result<Link, LinkError>>,
}

impl QuicAcceptor {
    /// Opens the socket. Port 0 takes a free one. `tls` must ask for client certificates; a connection without one
    /// is refused. Must be called within a tokio runtime.
    ///
    /// Whoever is at this address after a crash tells the peers of lost connections so at once, if its `reset_key` is the
    /// same (stateless reset, RFC 9000 section 10.3); otherwise they wait for their idle timeout. It is a secret.
    ///
    /// # Errors
    /// When the address cannot be listened on, or `tls` has no TLS 1.3.
    pub fn bind(
        address: SocketAddr,
        tls: Arc<rustls::ServerConfig>,
        reset_key: &ResetKey,
        limits: QuicLimits,
    ) -> io::Result<Self> {
        let endpoint = Endpoint::new(
            endpoint_config(reset_key),
            Some(config(&tls, &limits)?),
            socket::open(address)?,
            Arc::new(TokioRuntime),
        )?;
        Ok(Self {
            endpoint,
            limits,
            metrics: AcceptorMetrics::default(),
            waiting: VecDeque::new(),
            handshakes: JoinSet::new(),
        })
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
        self.endpoint.local_addr()
    }

    async fn next(&mut self) -> Result<Link, LinkError> {
        loop {
            self.begin_waiting();
            tokio::select! {
                incoming = self.endpoint.accept() => match incoming {
                    Some(incoming) => self.admit(incoming),
                    None => return Err(LinkError::Closed),
                },
                Some(done) = self.handshakes.join_next() => match done {
                    Ok(Ok(link)) => {
                        self.metrics.opened();
                        return Ok(link);
                    }
                    // Logged where it happened, inside the handshake's span.
                    Ok(Err(error)) => self.metrics.refused(&error),
                    Err(broken) => tracing::error!("handshake: {broken}"),
                },
            }
        }
    }

    fn admit(&mut self, incoming: Incoming) {
        let is_busy = self.handshakes.len() >= places(&self.limits).div_ceil(2);
        if is_busy && !incoming.remote_address_validated() {
            if let Err(error) = incoming.retry() {
                error.into_incoming().ignore();
            }
        } else if self.waiting.len() < places(&self.limits).saturating_mul(WAITING_PER_PLACE) {
            self.waiting.push_back((Instant::now(), incoming));
        } else {
            self.metrics.unheard();
            incoming.ignore();
        }
    }

    /// Gives the free places to those who have waited longest.
    fn begin_waiting(&mut self) {
        while self.handshakes.len() < places(&self.limits) {
            match self.waiting.pop_front() {
                Some((since, incoming)) if since.elapsed() < self.limits.patience => self.begin(incoming),
                // Whoever sent it has given up by now.
                Some((_, incoming)) => incoming.ignore(),
                None => return,
            }
        }
    }

    fn begin(&mut self, incoming: Incoming) {
        let limits = self.limits;
        let address = incoming.remote_address();
        let pending = self.metrics.begun();
        let span = tracing::info_span!("handshake", peer = %address);
        task::spawn_in(&mut self.handshakes, span, async move {
            let _pending = pending;
            let opened = in_time("the handshake", limits.handshake, open(incoming, address, limits)).await;
            if let Err(error) = &opened {
                let cause = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
                tracing::warn!(kind = error.kind(), cause, "refused a connection: {error}");
            }
            opened
        });
    }
}

impl Acceptor for QuicAcceptor {
    fn accept(&mut self) -> BoxFuture<'_, Result<Link, LinkError>> {
        self.next().boxed()
    }
}

impl Drop for QuicAcceptor {
    /// The socket stays open for the links that there are. Nobody else comes in.
    fn drop(&mut self) {
        self.endpoint.set_server_config(None);
    }
}

/// Connection ids carry a mark of `reset_key` as well: datagrams with others are dropped without an answer.
fn endpoint_config(reset_key: &ResetKey) -> EndpointConfig {
    let key = hmac::Key::new(hmac::HMAC_SHA256, reset_key);
    // Everybody sees the mark, and its hash is no strong one: it says nothing about the key.
    let mark = hmac::sign(&key, b"connection ids")
        .as_ref()
        .iter()
        .take(8)
        .fold(0, |mark, byte| mark << 8 | u64::from(*byte));
    let mut config = EndpointConfig::new(Arc::new(key));
    config.cid_generator(move || Box::new(HashedConnectionIdGenerator::from_key(mark)));
    config
}

/// The TLS configuration as QUIC needs it. Sessions are not resumed: each link proves the certificate that the node
/// has now.
pub(super) fn config(tls: &rustls::ServerConfig, limits: &QuicLimits) -> io::Result<ServerConfig> {
    let mut tls = tls.clone();
    tls.alpn_protocols = alpn();
    tls.max_early_data_size = 0;
    tls.send_tls13_tickets = 0;
    let tls = QuicServerConfig::try_from(tls).map_err(io::Error::other)?;
    let mut config = ServerConfig::with_crypto(Arc::new(tls));
    // One share more, for those that this side has not looked at yet.
    let attempts = places(limits).saturating_mul(WAITING_PER_PLACE + 1);
    config
        .transport_config(limits.transport(LANES as u32))
        .max_incoming(attempts)
        .incoming_buffer_size(ATTEMPT_BUFFER)
        .incoming_buffer_size_total(ATTEMPT_BUFFERS);
    Ok(config)
}

fn places(limits: &QuicLimits) -> usize {
    limits.max_handshakes.max(1)
}

async fn open(incoming: Incoming, address: SocketAddr, limits: QuicLimits) -> Result<Link, LinkError> {
    let connection = incoming.await.map_err(over)?;
    let peer = peer(&connection, address.to_string());
    let lanes = accept_lanes(&connection, &peer).await.inspect_err(|error| turn_away(&connection, error))?;
    link(connection, lanes, peer, &limits)
}

async fn accept_lanes(connection: &Connection, peer: &Peer) -> Result<[Streams; LANES], LinkError> {
    if peer.certificate.is_none() {
        return Err(LinkError::Tls(io::Error::other("the client has no certificate")));
    }
    let (control, state, bulk) = (
        accept_lane(connection, 0).await?,
        accept_lane(connection, 1).await?,
        accept_lane(connection, 2).await?,
    );
    let mut lanes = [control, state, bulk];
    for (number, (tx, _)) in (0..).zip(&mut lanes) {
        tx.write_all(&[number]).await.map_err(not_written)?;
    }
    Ok(lanes)
}

/// Streams are accepted in the order in which they were opened, however they arrive (RFC 9000 section 2.1).
async fn accept_lane(connection: &Connection, number: u8) -> Result<Streams, LinkError> {
    let (tx, mut rx) = connection.accept_bi().await.map_err(over)?;
    let mut greeting = [0];
    rx.read_exact(&mut greeting).await.map_err(not_greeted)?;
    if greeting == [number] {
        Ok((tx, rx))
    } else {
        Err(LinkError::Protocol(format!("lane {number} was opened as {greeting:?}").into()))
    }
}

/// Says why; without this the client would only see that it was dropped.
fn turn_away(connection: &Connection, error: &LinkError) {
    let code = match error {
        LinkError::Tls(_) => CloseReason::POLICY,
        _ => CloseReason::PROTOCOL,
    };
    connection.close(VarInt::from_u32(u32::from(code)), error.explained().as_bytes());
}
