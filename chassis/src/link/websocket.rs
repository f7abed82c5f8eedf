//! Links over WebSocket (RFC 6455) and TLS, as stock KubeEdge speaks them: no compression, the path means nothing,
//! identity is in the certificate and the headers. Two Skerry peers find each other by a subprotocol.

use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::{SplitSink, SplitStream};
use futures::{FutureExt as _, SinkExt as _, StreamExt as _};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Bytes, Message, Utf8Bytes};

pub use acceptor::WebSocketAcceptor;
pub use dialer::{ClientTls, WebSocketDialer};

use self::metered::{Meter, Written};
use super::{
    CloseReason, Frame, FrameSink, FrameSource, Link, LinkError, LinkReceiver, LinkSender, Peer, Pulse,
};

mod acceptor;
mod dialer;
mod metered;
mod split;
#[cfg(test)]
mod tests;
mod upgrade;

/// What KubeEdge's own packer allows (it is unchecked on its WebSockets), so no stock peer sends more. An object of
/// a Kubernetes API is at most 1.5 MiB.
const MAX_MESSAGE: usize = 32 * 1024 * 1024;
/// The stock edge's value: long enough for two slow round trips and a loaded single-core peer.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(30);
/// The stock edge's value for a whole message; here any byte taken starts it again, so that a large message can cross
/// a slow link. A peer that takes nothing for this long is lost.
const WRITE_TIMEOUT: Duration = Duration::from_secs(15);
/// Handshakes in progress at a time. Each costs about a millisecond of CPU at both ends: a fleet that returns at once
/// waits in the kernel's backlog rather than all timing out together. One that waits for its peer holds some 25 KiB.
const MAX_HANDSHAKES: usize = 256;
/// A handshake that takes longer gives its place to one who waits, when all are taken: three round trips by satellite,
/// and what 256 handshakes cost on a slow core. Strangers who say nothing keep others out no longer than this.
const PATIENCE: Duration = Duration::from_secs(5);
/// Every connection keeps this much for as long as it lives (tungstenite's default is 128 KiB). Most messages fit; a larger
/// one is copied out of the TLS records in pieces of this size.
const READ_BUFFER: usize = 1024;
/// Below this many bytes messages are gathered before they are written. Every send flushes, so more would only cost.
const WRITE_BUFFER: usize = 4 * 1024;

/// What a WebSocket link may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WebSocketLimits {
    /// Largest message that is received, in bytes.
    pub max_message: usize,
    /// How long it may take until a link is open.
    pub handshake: Duration,
    /// How long a peer may take no byte while there are some for it. One that stops is noticed within twice this.
    pub write: Duration,
    /// How many handshakes an acceptor has in progress at a time.
    pub max_handshakes: usize,
    /// How long a handshake keeps its place when all are taken and somebody waits.
    pub patience: Duration,
}

impl Default for WebSocketLimits {
    fn default() -> Self {
        Self {
            max_message: MAX_MESSAGE,
            handshake: HANDSHAKE_TIMEOUT,
            write: WRITE_TIMEOUT,
            max_handshakes: MAX_HANDSHAKES,
            patience: PATIENCE,
        }
    }
}

impl WebSocketLimits {
    /// The limits in tungstenite's terms. It checks a frame's announced length before it reads the payload, and the
    /// sum of a message's fragments with each one. What it takes memory for are fragments of [`split`].
    fn protocol(&self) -> WebSocketConfig {
        WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER)
            .write_buffer_size(WRITE_BUFFER)
            .max_message_size(Some(self.max_message))
            .max_frame_size(Some(self.max_message))
    }
}

/// The link over an upgraded connection, whose bytes `meter` counts.
fn link<S>(stream: WebSocketStream<S>, peer: Peer, meter: Meter, limits: &WebSocketLimits) -> Link
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sink, source) = stream.split();
    let Meter { written, pulse } = meter;
    Link {
        peer,
        side: None,
        tx: LinkSender::new(Sink { inner: sink, written, limit: limits.write }),
        rx: LinkReceiver::new(Source { inner: source, pulse, is_going_away: false }),
    }
}

struct Sink<S> {
    inner: SplitSink<WebSocketStream<S>, Message>,
    written: Written,
    limit: Duration,
}

struct Source<S> {
    inner: SplitStream<WebSocketStream<S>>,
    pulse: Pulse,
    is_going_away: bool,
}

// === impl Sink ===

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Sink<S> {
    async fn write(&mut self, message: Message) -> Result<(), LinkError> {
        let mut sending = self.inner.send(message);
        let mut before = self.written.bytes();
        loop {
            if let Ok(sent) = timeout(self.limit, &mut sending).await {
                return Ok(sent?);
            }
            let now = self.written.bytes();
            if now == before {
                return Err(LinkError::TimedOut { step: "sending", limit: self.limit });
            }
            before = now;
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> FrameSink for Sink<S> {
    fn send(&mut self, frame: Frame) -> BoxFuture<'_, Result<(), LinkError>> {
        async move {
            let message = match frame {
                Frame::Text(data) => Message::Text(text(data)?),
                Frame::Binary(data) => Message::Binary(data),
            };
            self.write(message).await
        }
        .boxed()
    }

    fn close(&mut self, reason: CloseReason) -> BoxFuture<'_, Result<(), LinkError>> {
        let frame = CloseFrame { code: CloseCode::from(reason.code), reason: reason.words().into() };
        async move { self.write(Message::Close(Some(frame))).await }.boxed()
    }

    /// RFC 6455 section 5.5.2: whoever gets a ping answers it, whatever it speaks.
    fn probe(&mut self) -> BoxFuture<'_, Result<bool, LinkError>> {
        async move { self.write(Message::Ping(Bytes::new())).await.map(|()| true) }.boxed()
    }
}

/// Whether a close code says that something is wrong, rather than that all is done (RFC 6455 section 7.4.1).
fn is_complaint(code: CloseCode) -> bool {
    !matches!(code, CloseCode::Normal | CloseCode::Away | CloseCode::Status)
}

/// The bytes of a text message, checked: RFC 6455 section 8.1 allows nothing but UTF-8.
fn text(data: Bytes) -> Result<Utf8Bytes, LinkError> {
    Utf8Bytes::try_from(data).map_err(|error| LinkError::Protocol(Box::new(error)))
}

// === impl Source ===

impl<S: AsyncRead + AsyncWrite + Unpin + Send> FrameSource for Source<S> {
    fn recv(&mut self) -> BoxFuture<'_, Result<Option<Frame>, LinkError>> {
        async move {
            loop {
                match self.inner.next().await {
                    Some(Ok(Message::Text(text))) => return Ok(Some(Frame::Text(text.into()))),
                    Some(Ok(Message::Binary(data))) => return Ok(Some(Frame::Binary(data))),
                    Some(Ok(Message::Close(Some(close)))) if is_complaint(close.code) => {
                        let reason = close.reason.as_str().to_owned();
                        return Err(LinkError::TurnedAway { code: close.code.into(), reason });
                    }
                    Some(Ok(Message::Close(close))) => {
                        self.is_going_away = close.is_some_and(|close| close.code == CloseCode::Away);
                        return Ok(None);
                    }
                    None => return Ok(None),
                    // tungstenite answers pings itself; raw frames are never received.
                    Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                    Some(Err(error)) => match LinkError::from(error) {
                        LinkError::Closed => return Ok(None),
                        error => return Err(error),
                    },
                }
            }
        }
        .boxed()
    }

    fn pulse(&self) -> Option<Pulse> {
        Some(self.pulse.clone())
    }

    fn is_going_away(&self) -> bool {
        self.is_going_away
    }
}
