//! The listener for other CloudCores, on port 10006. It sends to nodes that are connected here, and to no other.
//!
//! It ends when no node is connected here any more: while they leave, others find them here still.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use certs::replica::replica_of;
use chassis::accept;
use chassis::body::{Refused, Room};
use chassis::module::Module;
use chassis::places::Places as Strangers;
use chassis::shutdown::Shutdown;
use chassis::task;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use proto::codec::{self, MAX_MESSAGE_BYTES};
use proto::{Group, Message, Source};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tracing::Span;

use super::certificate::Credentials;
use super::metrics::{Direction, Metrics};
use super::wire::{self, Asked, Refusal};
use crate::flow::{Holders, Reach, Served};

/// Connections of replicas at once. A site has a handful of them.
const CONNECTIONS: usize = 128;
/// Those at once that have shown nothing yet: strangers take no places of replicas.
const HANDSHAKES: usize = 64;
/// One of them gives its place to another that waits, after this: a handshake of replicas takes milliseconds.
const PATIENCE: Duration = Duration::from_millis(250);
/// Of one replica: one, and those that follow it while what is under way on it ends.
const OF_ONE_PEER: usize = 4;
/// Requests of one connection at once. A peer that has more waits with them: it knows the limit.
pub(super) const STREAMS: u32 = 1024;
/// Time for the TLS handshake: replicas are near.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// After so long a connection ends with what is under way on it, so that a certificate is looked at again.
const LIFE: Duration = Duration::from_secs(3600);
/// How long that may take: no wait of a request is longer.
const LAST: Duration = Duration::from_secs(600);
/// Time for what is being answered once no node is connected here any more: nothing of it waits for a node then.
const GOODBYE: Duration = Duration::from_secs(2);
/// A connection on which nothing comes is asked this often whether its other end is there.
const PING: Duration = Duration::from_secs(20);
/// Time for its answer.
const PONG: Duration = Duration::from_secs(10);
/// Headers of a request: a name of a node, and some words.
const HEADER_BYTES: u32 = 16 << 10;
/// What a peer may send before it is told that more is taken: a message of common size at once, on each connection some.
pub(super) const STREAM_WINDOW: u32 = 256 << 10;
pub(super) const CONNECTION_WINDOW: u32 = 4 << 20;

/// The module, with its socket open.
#[derive(Debug)]
pub struct ForwardingServer {
    listener: TcpListener,
    credentials: Credentials,
    office: Arc<Office>,
    served: Served,
}

/// Everything that answering takes.
pub(super) struct Office {
    reach: Arc<dyn Reach>,
    holders: Holders,
    room: Room,
    places: Places,
    metrics: Metrics,
}

/// How many connections each peer has. The lock is a leaf.
#[derive(Debug, Clone, Default)]
struct Places(Arc<Mutex<HashMap<String, usize>>>);

/// One of them.
#[derive(Debug)]
struct Place {
    places: Places,
    peer: String,
}

impl ForwardingServer {
    /// Listens, until `served` says that no node is left. `reach` sends to nodes that are connected to this CloudCore, and must send
    /// to no other.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub async fn bind(
        address: SocketAddr,
        credentials: Credentials,
        reach: Arc<dyn Reach>,
        holders: Holders,
        served: Served,
        metrics: Metrics,
    ) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(address).await;
        let listener = listener
            .with_context(|| format!("listen on {address} (modules.cloudHub.forwarding.address and port)"))?;
        Ok(Self { listener, credentials, office: Arc::new(Office::new(reach, holders, metrics)), served })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// When the system cannot tell.
    pub fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

impl Module for ForwardingServer {
    const NAME: &'static str = "forwarding";

    async fn run(self, _shutdown: Shutdown) -> anyhow::Result<()> {
        let Self { listener, credentials, office, served: mut nodes } = self;
        let (closing, shutdown) = Shutdown::new();
        let mut places = Strangers::new(HANDSHAKES, PATIENCE);
        let (mut strangers, mut served) = (JoinSet::new(), JoinSet::new());
        loop {
            let full_until = places.free_at(Instant::now());
            tokio::select! {
                () = nodes.over() => break,
                (stream, address) = accept::next(&listener), if full_until.is_none() => {
                    if places.make_room(Instant::now()).is_some() {
                        office.metrics.refused("displaced");
                    }
                    let shown = handshake(stream, credentials.clone(), office.metrics.clone());
                    let task = task::spawn_in(&mut strangers, Span::current(), shown);
                    places.enter(address.ip(), task, Instant::now());
                }
                () = task::until(full_until), if full_until.is_some() => {}
                Some(shown) = strangers.join_next_with_id() => {
                    places.leave(shown.as_ref().map_or_else(JoinError::id, |(id, _)| *id));
                    match shown {
                        Ok((_, Some((stream, peer)))) if served.len() < CONNECTIONS => {
                            let (office, shutdown) = (Arc::clone(&office), shutdown.clone());
                            let serve = async move { office.serve(stream, &peer, &shutdown).await };
                            task::spawn_in(&mut served, Span::current(), serve);
                        }
                        Ok((_, Some(_))) => office.metrics.refused("too_many"),
                        Ok((_, None)) => {}
                        Err(ended) => note(&ended),
                    }
                }
                Some(ended) = served.join_next() => ended.unwrap_or_else(|ended| note(&ended)),
            }
        }
        drop((listener, strangers));
        closing.request();
        while let Some(ended) = served.join_next().await {
            ended.unwrap_or_else(|ended| note(&ended));
        }
        Ok(())
    }
}

fn note(ended: &JoinError) {
    // Displaced.
    if !ended.is_cancelled() {
        tracing::error!("a connection of another CloudCore: {ended}");
    }
}

/// The name of the replica that has connected, with the connection.
async fn handshake(
    stream: TcpStream,
    credentials: Credentials,
    metrics: Metrics,
) -> Option<(TlsStream<TcpStream>, String)> {
    // Small answers to small requests.
    stream.set_nodelay(true).ok();
    let accepted = timeout(HANDSHAKE, TlsAcceptor::from(credentials.server()).accept(stream)).await;
    let stream = match accepted {
        Ok(Ok(stream)) => stream,
        // Anybody can bring this about.
        Ok(Err(error)) => {
            tracing::debug!(%error, "a connection to the port for CloudCores was refused");
            metrics.refused("no_replica");
            return None;
        }
        Err(_) => {
            metrics.refused("slow_handshake");
            return None;
        }
    };
    let peer = stream.get_ref().1.peer_certificates().and_then(<[_]>::first).and_then(replica_of);
    // TLS lets nobody in who is none.
    let Some(peer) = peer else {
        metrics.refused("no_replica");
        return None;
    };
    Some((stream, peer))
}

impl Office {
    pub(super) fn new(reach: Arc<dyn Reach>, holders: Holders, metrics: Metrics) -> Self {
        let room = Room::new(MAX_MESSAGE_BYTES);
        Self { reach, holders, room, places: Places::default(), metrics }
    }

    /// Serves one connection of a peer whose certificate has been looked at.
    pub(super) async fn serve<S>(self: Arc<Self>, stream: S, peer: &str, shutdown: &Shutdown)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Some(_place) = self.places.enter(peer) else {
            tracing::warn!(peer, "has {OF_ONE_PEER} connections already: one more was refused");
            return self.metrics.refused("too_many");
        };
        let _counted = self.metrics.connection(Direction::In);
        let service = service_fn(|request| {
            let office = Arc::clone(&self);
            async move { Ok::<_, Infallible>(office.answer(request).await) }
        });
        let mut server = http2::Builder::new(TokioExecutor::new());
        server
            .timer(TokioTimer::new())
            .max_concurrent_streams(STREAMS)
            .max_header_list_size(HEADER_BYTES)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .keep_alive_interval(PING)
            .keep_alive_timeout(PONG);
        let connection = server.serve_connection(TokioIo::new(stream), service);
        let mut connection = std::pin::pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            last = last(shutdown) => {
                connection.as_mut().graceful_shutdown();
                let goodbye = async {
                    shutdown.requested().await;
                    tokio::time::sleep(GOODBYE).await;
                };
                tokio::select! {
                    ended = timeout(last, connection) => ended.unwrap_or(Ok(())),
                    () = goodbye => Ok(()),
                }
            }
        };
        if let Err(error) = ended {
            tracing::debug!(peer, "the connection broke: {error}");
        }
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (head, body) = request.into_parts();
        let begun = Instant::now();
        match self.ask(&head, body, begun).await {
            Ok(answer) => {
                self.metrics.served("answered");
                answer
            }
            Err((status, refusal)) => {
                self.metrics.served(refusal.word());
                tracing::debug!(path = head.uri.path(), ?refusal, "refused");
                refusal.into_response(status)
            }
        }
    }

    async fn ask(
        &self,
        head: &http::request::Parts,
        body: Incoming,
        begun: Instant,
    ) -> Result<Response<Full<Bytes>>, (StatusCode, Refusal)> {
        let Asked { node, wants, limit } = wire::read(head)?;
        let invalid = |status, why: String| (status, Refusal::Invalid { why });
        let body = self.room.take(body, limit).await.map_err(|refused| match refused {
            Refused::TooLarge(_) => invalid(StatusCode::PAYLOAD_TOO_LARGE, refused.to_string()),
            Refused::NoRoom | Refused::TooSlow(_) => (StatusCode::SERVICE_UNAVAILABLE, Refusal::Crowded),
            Refused::Broken(_) => invalid(StatusCode::BAD_REQUEST, refused.to_string()),
        })?;
        let message = codec::decode(&body.bytes)
            .map_err(|error| invalid(StatusCode::BAD_REQUEST, error.to_string()))?;
        if !is_users(&message) {
            let why = "only users' messages of the router are passed on".to_owned();
            return Err(invalid(StatusCode::BAD_REQUEST, why));
        }
        let limit = limit.saturating_sub(begun.elapsed());
        let answer = self.reach.send(&node, message, wants, limit).await.map_err(|unreached| {
            let refusal = Refusal::of(unreached, self.holders.of(&node));
            (refusal.status(), refusal)
        })?;
        Ok(wire::answer(answer.as_ref()))
    }
}

/// All that replicas forward. Whatever else a node may be told, who holds it tells it by itself: a peer's certificate is no right to
/// give a node pods or secrets.
fn is_users(message: &Message) -> bool {
    message.route.group == Group::User
        && matches!(message.route.source, Source::RouterEventBus | Source::RouterServiceBus)
}

/// When no more requests are taken, and how long those that are under way may then take.
async fn last(shutdown: &Shutdown) -> Duration {
    tokio::select! {
        () = shutdown.requested() => GOODBYE,
        () = tokio::time::sleep(LIFE) => LAST,
    }
}

impl std::fmt::Debug for Office {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Office").field("places", &self.places).finish_non_exhaustive()
    }
}

// === impl Places ===

impl Places {
    fn enter(&self, peer: &str) -> Option<Place> {
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = places.entry(peer.to_owned()).or_insert(0);
        if *taken >= OF_ONE_PEER {
            return None;
        }
        *taken += 1;
        Some(Place { places: self.clone(), peer: peer.to_owned() })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut places = self.places.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(taken) = places.get_mut(&self.peer) {
            *taken -= 1;
            if *taken == 0 {
                places.remove(&self.peer);
            }
        }
    }
}
