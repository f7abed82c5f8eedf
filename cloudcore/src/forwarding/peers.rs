//! The ways to other CloudCores: one connection to each that is asked, made when it is needed, for all requests at once.

mod link;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use chassis::backoff::{Backoff, BackoffPolicy};
use chassis::rng::Rng;
use chassis::task;
use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared};
use proto::{Message, codec};
use tokio::time::{Instant, timeout_at};

pub(super) use self::link::Dial;
#[cfg(test)]
pub(super) use self::link::Io;
use self::link::Tls;
use self::link::{Broken, Link};
use super::certificate::Credentials;
use super::metrics::{Direction, Metrics};
use super::wire;
use crate::flow::{Forward, NodeName, NotForwarded, Replica, Unreached, Wants};

/// Time to connect, TLS and the first word of the other end included: replicas are near.
const CONNECT: Duration = Duration::from_secs(5);
/// A peer that cannot be reached is tried again as soon as somebody wants it, and not sooner than this.
const AGAIN: BackoffPolicy = BackoffPolicy {
    initial: Duration::from_millis(200),
    max: Duration::from_secs(5),
    factor: 2.0,
    jitter: 0.3,
};
/// Past so many peers those that are not connected are forgotten: their addresses are those of pods, which come and go.
const KEPT: usize = 64;
/// The part of a request's time that is left for the way back: the peer should be the one who says that it is over, for it knows what
/// became of the message.
const WAY_BACK: u32 = 20;
/// At most.
const LONGEST_WAY_BACK: Duration = Duration::from_millis(500);
/// A connection may end in the moment in which it is chosen; the next one is new.
const CHOICES: usize = 3;

/// All of them. Cheap to clone; clones share the connections.
#[derive(Clone)]
pub struct Peers {
    shared: Arc<Inner>,
}

struct Inner {
    dial: Arc<dyn Dial>,
    rng: Rng,
    metrics: Metrics,
    /// By address. Leaf data, never locked across an await.
    peers: Mutex<HashMap<Arc<str>, Peer>>,
}

type Connecting = Shared<BoxFuture<'static, Result<Arc<Link>, Arc<str>>>>;

struct Peer {
    state: State,
    backoff: Backoff,
    /// Counts the attempts, so that what came of one is noted for no other.
    attempt: u64,
}

enum State {
    Connecting(Connecting),
    Up(Arc<Link>),
    /// Not before then.
    Down(Instant, Arc<str>),
}

impl Peers {
    /// With no connection yet.
    #[must_use]
    pub fn new(credentials: Credentials, rng: Rng, metrics: Metrics) -> Self {
        Self::with(Arc::new(Tls::new(credentials)), rng, metrics)
    }

    pub(super) fn with(dial: Arc<dyn Dial>, rng: Rng, metrics: Metrics) -> Self {
        Self { shared: Arc::new(Inner { dial, rng, metrics, peers: Mutex::default() }) }
    }

    async fn ask(
        &self,
        replica: &Replica,
        (node, message): (&NodeName, &Bytes),
        wants: Wants,
        limit: Duration,
    ) -> Result<Option<Message>, NotForwarded> {
        let until = Instant::now() + limit;
        let mut last = None;
        for _ in 0..CHOICES {
            let link = match timeout_at(until, self.link(&replica.forwarding)).await {
                Ok(link) => link?,
                Err(_) => return Err(refused(&format!("no connection within {limit:?}"), Duration::ZERO)),
            };
            let Ok(_place) = timeout_at(until, link.place()).await else {
                return Err(Unreached::Busy(limit).into());
            };
            let left = until.saturating_duration_since(Instant::now());
            let told = left.saturating_sub((left / WAY_BACK).min(LONGEST_WAY_BACK));
            let request = wire::request(replica, node, message, wants, told)
                .map_err(|error| refused(&format!("{}: {error}", replica.forwarding), limit))?;
            match timeout_at(until, link.ask(request)).await {
                Err(_) => return Err(Unreached::TimedOut(limit).into()),
                Ok(Ok(answer)) => return answer,
                Ok(Err(Broken::Sent(why))) => {
                    tracing::warn!(replica = %replica.name, "broke off while it was asked: {why}");
                    return Err(Unreached::Lost.into());
                }
                // Not by this connection.
                Ok(Err(Broken::NotSent(why))) => {
                    link.retire();
                    last = Some(why);
                }
            }
        }
        Err(refused(&last.unwrap_or_default(), AGAIN.initial))
    }

    /// The connection to a peer: the one that there is, or a new one.
    async fn link(&self, address: &Arc<str>) -> Result<Arc<Link>, NotForwarded> {
        let connecting = match self.choose(address)? {
            Choice::Link(link) => return Ok(link),
            Choice::Connecting(connecting) => connecting,
        };
        connecting.await.map_err(|why| refused(&why, AGAIN.initial))
    }

    fn choose(&self, address: &Arc<str>) -> Result<Choice, NotForwarded> {
        let now = Instant::now();
        let mut peers = self.lock();
        if peers.len() >= KEPT && !peers.contains_key(address) {
            peers.retain(|_, peer| match &peer.state {
                State::Up(link) => link.is_usable(),
                State::Connecting(_) => true,
                State::Down(until, _) => now < *until,
            });
        }
        let peer = peers.entry(Arc::clone(address)).or_insert_with(|| Peer {
            state: State::Down(now, Arc::from("")),
            backoff: Backoff::new(AGAIN, self.shared.rng.clone()),
            attempt: 0,
        });
        match &peer.state {
            State::Up(link) if link.is_usable() => return Ok(Choice::Link(Arc::clone(link))),
            State::Connecting(connecting) => {
                return Ok(Choice::Connecting(connecting.clone()));
            }
            State::Down(until, why) if now < *until => return Err(refused(why, *until - now)),
            State::Up(_) | State::Down(..) => {}
        }
        peer.attempt += 1;
        let connecting = self.connect(Arc::clone(address), peer.attempt);
        peer.state = State::Connecting(connecting.clone());
        Ok(Choice::Connecting(connecting))
    }

    /// Connects in a task of its own, which notes what has come of it: whoever wants it may give up, and others want it too.
    fn connect(&self, address: Arc<str>, attempt: u64) -> Connecting {
        let (dial, metrics) = (Arc::clone(&self.shared.dial), self.shared.metrics.clone());
        let noted = Noted { peers: Arc::downgrade(&self.shared), address: Arc::clone(&address), attempt };
        let span = tracing::info_span!("peer", %address);
        let task = task::spawn(span.clone(), async move {
            let until = Instant::now() + CONNECT;
            let connected = timeout_at(until, async {
                let stream = dial.dial(&address).await?;
                Link::open(stream, metrics.connection(Direction::Out), span).await
            });
            let connected = match connected.await {
                Ok(Ok(link)) => Ok(Arc::new(link)),
                Ok(Err(error)) => Err(Arc::from(format!("{error:#}"))),
                Err(_) => Err(Arc::from(format!("no connection within {CONNECT:?}"))),
            };
            noted.note(&connected);
            connected
        });
        let connecting = async { task.await.unwrap_or_else(|error| Err(Arc::from(error.to_string()))) };
        connecting.boxed().shared()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, Peer>> {
        self.shared.lock()
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, Peer>> {
        self.peers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Noted {
    fn note(&self, connected: &Result<Arc<Link>, Arc<str>>) {
        let Some(inner) = self.peers.upgrade() else { return };
        let (mut peers, address) = (inner.lock(), &self.address);
        let Some(peer) = peers.get_mut(address).filter(|peer| peer.attempt == self.attempt) else { return };
        peer.state = match connected {
            Ok(link) => {
                peer.backoff.reset();
                State::Up(Arc::clone(link))
            }
            Err(why) => {
                tracing::warn!(%address, "no connection to another CloudCore: {why}");
                State::Down(Instant::now() + peer.backoff.next_delay(), Arc::clone(why))
            }
        };
    }
}

enum Choice {
    Link(Arc<Link>),
    Connecting(Connecting),
}

/// Where the result of an attempt goes.
struct Noted {
    peers: Weak<Inner>,
    address: Arc<str>,
    attempt: u64,
}

impl Forward for Peers {
    fn forward<'a>(
        &'a self,
        replica: &'a Replica,
        node: &'a NodeName,
        message: &'a Message,
        wants: Wants,
        limit: Duration,
    ) -> BoxFuture<'a, Result<Option<Message>, NotForwarded>> {
        Box::pin(async move {
            let begun = Instant::now();
            let encoded = codec::encode(message);
            let answer = self.ask(replica, (node, &encoded), wants, limit).await;
            self.shared.metrics.asked(answer.as_ref().map(drop), begun.elapsed());
            answer
        })
    }
}

fn refused(why: &str, after: Duration) -> NotForwarded {
    NotForwarded::Refused { why: why.to_owned(), after }
}

impl std::fmt::Debug for Peers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Peers").finish_non_exhaustive()
    }
}
