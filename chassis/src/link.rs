//! A two-way connection that carries whole messages between cloud and edge, whatever it runs over.
//!
//! Hubs know [`Dialer`], [`Acceptor`] and [`Link`] only. [`websocket`] and [`quic`] are what goes over the network;
//! `memory` (feature `testing`) joins cloud and edges inside one process, on tokio's paused clock.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use tokio::time::timeout;

pub use error::LinkError;
pub use metrics::AcceptorMetrics;
pub use peer::Peer;
pub use pulse::Pulse;
pub use several::Several;
pub use validity::{Bound, OutOfTime, is_refused_for_time};

#[cfg(test)]
mod authority;
mod error;
#[cfg(any(test, feature = "testing"))]
pub mod memory;
mod metrics;
mod peer;
mod pulse;
pub mod quic;
mod several;
mod validity;
pub mod websocket;

/// A control frame of WebSocket holds 125 bytes, of which two are the close code (RFC 6455 section 5.5). Whatever is
/// said over one transport can be said over each.
const MAX_CLOSE_TEXT: usize = 123;

/// One message, as the peer framed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// A text message; its bytes are UTF-8 when they come from a peer.
    Text(Bytes),
    /// A binary message.
    Binary(Bytes),
}

/// Why a link is closed, as told to the peer (RFC 6455 section 7.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloseReason {
    /// Close code.
    pub code: u16,
    /// A few words for the peer's log: at most 123 bytes are sent.
    pub text: String,
}

/// What both ends of a link speak, agreed while it was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// KubeEdge's: JSON text messages.
    #[default]
    Stock,
    /// Skerry's own: binary frames, begun by a hello.
    Native,
}

/// An open connection. Its halves live independently; the connection ends when all are dropped.
#[derive(Debug)]
pub struct Link {
    /// Who is at the other end.
    pub peer: Peer,
    /// The sending half; where there are side lanes, that of the control lane.
    pub tx: LinkSender,
    /// Sending halves for the other lanes, where the transport has lanes.
    pub side: Option<SideLanes>,
    /// The receiving half, for all lanes: what arrived on the control lane comes first.
    pub rx: LinkReceiver,
}

/// The sending halves beside [`Link::tx`], of a transport whose lanes cannot block each other.
#[derive(Debug)]
pub struct SideLanes {
    /// For what a node should have and how it is.
    pub state: LinkSender,
    /// For what is large or can wait.
    pub bulk: LinkSender,
}

/// The sending half of a [`Link`].
pub struct LinkSender(Box<dyn FrameSink>);

/// The receiving half of a [`Link`].
pub struct LinkReceiver(Box<dyn FrameSource>);

/// What a transport gives to make a [`LinkSender`] of.
pub trait FrameSink: Send {
    /// See [`LinkSender::send`].
    fn send(&mut self, frame: Frame) -> BoxFuture<'_, Result<(), LinkError>>;
    /// See [`LinkSender::close`].
    fn close(&mut self, reason: CloseReason) -> BoxFuture<'_, Result<(), LinkError>>;
    /// See [`LinkSender::probe`].
    fn probe(&mut self) -> BoxFuture<'_, Result<bool, LinkError>> {
        std::future::ready(Ok(false)).boxed()
    }
}

/// What a transport gives to make a [`LinkReceiver`] of.
pub trait FrameSource: Send {
    /// See [`LinkReceiver::recv`].
    fn recv(&mut self) -> BoxFuture<'_, Result<Option<Frame>, LinkError>>;
    /// See [`LinkReceiver::pulse`].
    fn pulse(&self) -> Option<Pulse> {
        None
    }
    /// See [`LinkReceiver::is_going_away`].
    fn is_going_away(&self) -> bool {
        false
    }
}

/// Name of [`Dialect::Native`] where links are opened: the WebSocket subprotocol and the ALPN protocol of QUIC. The number
/// is of the framing; everything else is versioned in the hello.
pub const NATIVE_PROTOCOL: &str = "skerry.v1";

/// Opens links to one peer.
pub trait Dialer: Send + Sync + 'static {
    /// Opens a new link. Takes no longer than the dialer's own timeout.
    ///
    /// # Errors
    /// Why there is no link; [`LinkError::is_transient`] says whether trying again can help.
    fn dial(&self) -> BoxFuture<'_, Result<Link, LinkError>>;
}

/// Says whether a peer that has proven who it is may have a link. Asked before the link is open, and must not block.
pub type Gate = Arc<dyn Fn(&Peer) -> Result<(), Rejection> + Send + Sync>;

/// Why a peer may not have a link, as an HTTP answer (RFC 9110 section 15).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// HTTP status, 4xx or 5xx.
    pub status: u16,
    /// When it may try again (`Retry-After`).
    pub retry_after: Option<Duration>,
    /// A few words for its log.
    pub reason: String,
}

/// Takes links that peers open.
pub trait Acceptor: Send + 'static {
    /// The next link that is ready for use. Slow and failing handshakes are dealt with inside and hold up no other.
    /// Dropped while waiting, it loses nothing.
    ///
    /// # Errors
    /// When no link will ever come again.
    fn accept(&mut self) -> BoxFuture<'_, Result<Link, LinkError>>;
}

/// Runs one step of opening a link for no longer than it may take.
async fn in_time<T>(
    step: &'static str,
    limit: Duration,
    work: impl Future<Output = Result<T, LinkError>>,
) -> Result<T, LinkError> {
    timeout(limit, work).await.unwrap_or(Err(LinkError::TimedOut { step, limit }))
}

// === impl CloseReason ===

impl CloseReason {
    /// 1000: the purpose is fulfilled.
    pub const NORMAL: u16 = 1000;
    /// 1001: this side is shutting down.
    pub const GOING_AWAY: u16 = 1001;
    /// 1002: the peer broke the protocol.
    pub const PROTOCOL: u16 = 1002;
    /// 1008: the peer may not do what it tried.
    pub const POLICY: u16 = 1008;
    /// 1009: the peer's message is too large.
    pub const TOO_LARGE: u16 = 1009;

    /// A close code with a few words.
    #[must_use]
    pub fn new(code: u16, text: impl Into<String>) -> Self {
        Self { code, text: text.into() }
    }

    /// As much of the text as is sent.
    fn words(&self) -> &str {
        let mut end = self.text.len().min(MAX_CLOSE_TEXT);
        while !self.text.is_char_boundary(end) {
            end -= 1;
        }
        &self.text[..end]
    }
}

// === impl LinkSender ===

impl LinkSender {
    /// Wraps a transport's sending half.
    #[must_use]
    pub fn new(sink: impl FrameSink + 'static) -> Self {
        Self(Box::new(sink))
    }

    /// Hands one message to the transport. Dropped while it waits, the message may or may not arrive.
    ///
    /// # Errors
    /// When the link is closed or lost, or the peer takes nothing for too long. The link is of no more use then.
    pub async fn send(&mut self, frame: Frame) -> Result<(), LinkError> {
        self.0.send(frame).await
    }

    /// Says goodbye; nothing can be sent afterwards. What the peer has sent before it heard so can be received, over QUIC
    /// as far as it has arrived.
    ///
    /// # Errors
    /// When the link was lost already.
    pub async fn close(&mut self, reason: CloseReason) -> Result<(), LinkError> {
        self.0.close(reason).await
    }

    /// Asks the transport at the other end for a sign of life, which shows in [`LinkReceiver::pulse`] while somebody
    /// receives there. False when this transport has no such thing.
    ///
    /// # Errors
    /// As [`LinkSender::send`].
    pub async fn probe(&mut self) -> Result<bool, LinkError> {
        self.0.probe().await
    }
}

impl fmt::Debug for LinkSender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LinkSender")
    }
}

// === impl LinkReceiver ===

impl LinkReceiver {
    /// Wraps a transport's receiving half.
    #[must_use]
    pub fn new(source: impl FrameSource + 'static) -> Self {
        Self(Box::new(source))
    }

    /// The next message; `None` when the peer has said goodbye. Dropped while it waits, it takes nothing.
    ///
    /// # Errors
    /// When the link was lost, or the peer broke the protocol or the size limit (noticed while the bytes arrive).
    /// The link is of no more use then.
    pub async fn recv(&mut self) -> Result<Option<Frame>, LinkError> {
        self.0.recv().await
    }

    /// When something of the peer was last read, be it a part of a message; `None` when this transport does not say.
    #[must_use]
    pub fn pulse(&self) -> Option<Pulse> {
        self.0.pulse()
    }

    /// Whether the peer said goodbye because it ends ([`CloseReason::GOING_AWAY`]).
    #[must_use]
    pub fn is_going_away(&self) -> bool {
        self.0.is_going_away()
    }
}

impl fmt::Debug for LinkReceiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LinkReceiver")
    }
}

// === impl Frame ===

impl Frame {
    /// The message's bytes, however they were framed.
    #[must_use]
    pub fn data(&self) -> &Bytes {
        match self {
            Self::Text(data) | Self::Binary(data) => data,
        }
    }
}
