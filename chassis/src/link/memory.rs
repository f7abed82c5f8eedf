//! Links inside one process, for tests that run a cloud and its edges on tokio's paused clock.
//!
//! Each node has a [`Wire`], which the test makes worse and better: see its verbs. The frames of a link arrive in
//! order unless the wire reorders them, and a sender waits when too many are under way, as on a real connection.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until, timeout};

pub use self::wire::Side;
use self::wire::{Held, Received, Sent, WireState};
use super::{
    Acceptor, CloseReason, Dialer, Frame, FrameSink, FrameSource, Link, LinkError, LinkReceiver, LinkSender,
    Peer,
};
use crate::rng::Rng;

#[cfg(test)]
mod tests;
mod wire;

/// As a real dialer's, so that a held wire looks to an edge as a silent network does.
const DIAL_TIMEOUT: Duration = Duration::from_secs(30);
/// Links that were dialled and not yet accepted, as a listening socket's backlog. A dialer waits for room.
const BACKLOG: usize = 128;

/// A network of one cloud and any number of nodes. Cheap to clone.
#[derive(Debug, Clone)]
pub struct MemoryNet {
    rng: Rng,
    wires: Arc<Mutex<Vec<Wire>>>,
    listener: watch::Sender<Option<mpsc::Sender<Link>>>,
}

/// What lies between one node and the cloud. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Wire {
    node: Arc<str>,
    state: Arc<Mutex<WireState>>,
    /// Told of every change, so that whoever waits looks again.
    changed: watch::Sender<()>,
}

/// Dials the cloud from one node.
#[derive(Debug)]
pub struct MemoryDialer {
    net: MemoryNet,
    wire: Wire,
    peer: Peer,
}

/// The cloud's side of a [`MemoryNet`]. While there is none, dialers are refused.
#[derive(Debug)]
pub struct MemoryAcceptor {
    links: mpsc::Receiver<Link>,
}

// === impl MemoryNet ===

impl MemoryNet {
    /// A network with no one on it. The same `rng` seed gives the same reorderings and duplicates.
    #[must_use]
    pub fn new(rng: Rng) -> Self {
        Self { rng, wires: Arc::default(), listener: watch::Sender::new(None) }
    }

    /// The cloud's acceptor. It takes the place of an earlier one, whose open links live on.
    #[must_use]
    pub fn listen(&self) -> MemoryAcceptor {
        let (tx, links) = mpsc::channel(BACKLOG);
        self.listener.send_replace(Some(tx));
        MemoryAcceptor { links }
    }

    /// A dialer on `node`'s wire; `peer` is what the acceptor is told of it, and its dialect is what both ends speak.
    #[must_use]
    pub fn dialer(&self, node: &str, peer: Peer) -> MemoryDialer {
        MemoryDialer { net: self.clone(), wire: self.wire(node), peer }
    }

    /// `node`'s wire, made on first use.
    #[must_use]
    pub fn wire(&self, node: &str) -> Wire {
        let mut wires = self.wires.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(wire) = wires.iter().find(|wire| &*wire.node == node) {
            return wire.clone();
        }
        let state = Arc::new(Mutex::new(WireState::new(self.rng.clone())));
        let wire = Wire { node: node.into(), state, changed: watch::Sender::new(()) };
        wires.push(wire.clone());
        wire
    }
}

// === impl Wire ===

impl Wire {
    /// Breaks the node's links, losing what is under way; both ends notice at once. New dials fail.
    pub fn cut(&self) {
        self.change(WireState::cut);
    }

    /// Lets the node dial again after [`Wire::cut`].
    pub fn heal(&self) {
        self.change(|state| state.weather.cut = false);
    }

    /// Holds back everything that is under way or sent from now on, dials and goodbyes included. Nobody is told:
    /// this is a network that has gone silent.
    pub fn hold(&self) {
        self.change(|state| state.weather.held = Held::BOTH);
    }

    /// The same, in one direction: a network that is half open. Dials need both.
    pub fn hold_towards(&self, side: Side) {
        self.change(|state| state.weather.held = Held::only_towards(side));
    }

    /// Delivers what was held back.
    pub fn release(&self) {
        self.change(|state| state.weather.held = Held::default());
    }

    /// Everything sent from now on takes `delay` in each direction, dials included.
    pub fn delay(&self, delay: Duration) {
        self.change(|state| state.weather.delay = delay);
    }

    /// Whether the next frame to arrive is any of those that wait to be received, instead of the oldest.
    pub fn reorder(&self, on: bool) {
        self.change(|state| state.weather.reorder = on);
    }

    /// The share of the frames, 0 to 1, that arrive twice.
    pub fn duplicate(&self, share: f64) {
        self.change(|state| state.weather.duplicate = share);
    }

    /// A leaf lock: `WireState` neither calls out nor awaits.
    fn lock(&self) -> MutexGuard<'_, WireState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T>(&self, act: impl FnOnce(&mut WireState) -> T) -> T {
        let result = act(&mut self.lock());
        self.changed.send_replace(());
        result
    }

    /// Asks `look` again after every change until it has an answer. It may name a time to be asked at.
    async fn until<T>(&self, mut look: impl FnMut(&mut WireState) -> Result<T, Option<Instant>>) -> T {
        let mut changes = self.changed.subscribe();
        loop {
            changes.mark_unchanged();
            let looked = look(&mut self.lock());
            match looked {
                Ok(answer) => return answer,
                Err(again) => {
                    let changed = async {
                        let result = changes.changed().await;
                        debug_assert!(result.is_ok(), "self holds the sender");
                    };
                    match again {
                        Some(at) => tokio::select! { () = sleep_until(at) => {}, () = changed => {} },
                        None => changed.await,
                    }
                }
            }
        }
    }
}

// === impl MemoryDialer ===

impl MemoryDialer {
    async fn open(&self) -> Result<Link, LinkError> {
        let refused =
            |kind: io::ErrorKind| LinkError::Unreachable { address: "memory".into(), source: kind.into() };
        let dialled = Instant::now();
        let open = self.wire.until(|state| match state.weather {
            weather if weather.held.any() => Err(None),
            weather if weather.cut => Ok(false),
            weather if Instant::now() < dialled + weather.delay => Err(Some(dialled + weather.delay)),
            _ => Ok(true),
        });
        if !open.await {
            return Err(refused(io::ErrorKind::NetworkUnreachable));
        }
        let listener = self.net.listener.borrow().clone();
        let Some(listener) = listener else { return Err(refused(io::ErrorKind::ConnectionRefused)) };
        let Ok(room) = listener.reserve().await else {
            return Err(refused(io::ErrorKind::ConnectionRefused));
        };

        let connection = self.wire.change(WireState::open);
        let end = |side| Arc::new(End { wire: self.wire.clone(), connection, side });
        room.send(link(self.peer.clone(), end(Side::Cloud)));
        let cloud = Peer { address: "memory".into(), dialect: self.peer.dialect, ..Peer::default() };
        Ok(link(cloud, end(Side::Edge)))
    }
}

impl Dialer for MemoryDialer {
    fn dial(&self) -> BoxFuture<'_, Result<Link, LinkError>> {
        let timed_out = LinkError::TimedOut { step: "opening the connection", limit: DIAL_TIMEOUT };
        async move { timeout(DIAL_TIMEOUT, self.open()).await.unwrap_or(Err(timed_out)) }.boxed()
    }
}

// === impl MemoryAcceptor ===

impl Acceptor for MemoryAcceptor {
    fn accept(&mut self) -> BoxFuture<'_, Result<Link, LinkError>> {
        async move { self.links.recv().await.ok_or(LinkError::Closed) }.boxed()
    }
}

/// One end of a connection. Both halves of its link hold it; the other end is told when the last one is dropped.
#[derive(Debug)]
struct End {
    wire: Wire,
    connection: u64,
    side: Side,
}

struct Sink(Arc<End>);
struct Source {
    end: Arc<End>,
    is_going_away: bool,
}

fn link(peer: Peer, end: Arc<End>) -> Link {
    Link {
        peer,
        side: None,
        tx: LinkSender::new(Sink(end.clone())),
        rx: LinkReceiver::new(Source { end, is_going_away: false }),
    }
}

impl Drop for End {
    fn drop(&mut self) {
        self.wire.change(|state| state.drop_end(Instant::now(), self.connection, self.side));
    }
}

impl FrameSink for Sink {
    fn send(&mut self, frame: Frame) -> BoxFuture<'_, Result<(), LinkError>> {
        let end = &self.0;
        async move {
            let sent =
                end.wire.until(|state| match state.send(Instant::now(), end.connection, end.side, &frame) {
                    Sent::Full => Err(None),
                    Sent::Done => Ok(Ok(())),
                    Sent::Closed => Ok(Err(LinkError::Closed)),
                    Sent::Lost => Ok(Err(LinkError::Lost(None))),
                });
            let result = sent.await;
            end.wire.changed.send_replace(());
            result
        }
        .boxed()
    }

    fn close(&mut self, reason: CloseReason) -> BoxFuture<'_, Result<(), LinkError>> {
        let end = &self.0;
        let closed =
            end.wire.change(|state| state.close(Instant::now(), end.connection, end.side, reason.code));
        std::future::ready(if closed { Ok(()) } else { Err(LinkError::Lost(None)) }).boxed()
    }
}

impl FrameSource for Source {
    fn recv(&mut self) -> BoxFuture<'_, Result<Option<Frame>, LinkError>> {
        let Self { end, is_going_away } = self;
        async move {
            let received =
                end.wire.until(|state| match state.receive(Instant::now(), end.connection, end.side) {
                    Received::Nothing(again) => Err(again),
                    Received::Frame(frame) => Ok(Ok(Some(frame))),
                    Received::Closed(code) => {
                        *is_going_away = code == CloseReason::GOING_AWAY;
                        Ok(Ok(None))
                    }
                    Received::Lost => Ok(Err(LinkError::Lost(None))),
                });
            let result = received.await;
            // There is room again for a sender that waits.
            end.wire.changed.send_replace(());
            result
        }
        .boxed()
    }

    fn is_going_away(&self) -> bool {
        self.is_going_away
    }
}
