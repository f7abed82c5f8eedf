//! What is sent: three streams, and the goodbye that ends them all.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt as _;
use futures::future::{BoxFuture, try_join_all};
use quinn::{Connection, SendStream, VarInt};
use tokio::sync::Mutex;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::LANES;
use super::Lane;
use super::ending::{not_acknowledged, not_written, over};
use crate::link::{CloseReason, Frame, FrameSink, LinkError, in_time};

/// The sending side of a link, which its three senders share.
pub(super) struct Outgoing {
    connection: Connection,
    /// Locked by their own sender, and by the goodbye when no sender is at work any more.
    lanes: [Mutex<Outlet>; LANES],
    /// From now on nothing is sent but the goodbye.
    closing: CancellationToken,
    limit: Duration,
}

/// One lane, with what its stream has not taken yet.
struct Outlet {
    stream: SendStream,
    /// Head and body of a frame. They outlive a `send` that is dropped, or the peer would read half a frame.
    rest: [Bytes; 2],
}

/// The sender of one lane.
pub(super) struct Sink {
    out: Arc<Outgoing>,
    lane: Lane,
}

/// Closes the connection, also when the goodbye is dropped while it waits.
struct Farewell<'a> {
    connection: &'a Connection,
    reason: CloseReason,
}

// === impl Outgoing ===

impl Outgoing {
    pub(super) fn new(connection: Connection, lanes: [SendStream; LANES], limit: Duration) -> Arc<Self> {
        let lanes = lanes.map(|stream| Mutex::new(Outlet { stream, rest: [Bytes::new(), Bytes::new()] }));
        Arc::new(Self { connection, lanes, closing: CancellationToken::new(), limit })
    }

    pub(super) fn sink(self: &Arc<Self>, lane: Lane) -> Sink {
        Sink { out: self.clone(), lane }
    }

    async fn send(&self, lane: Lane, frame: Frame) -> Result<(), LinkError> {
        let Frame::Binary(body) = frame else {
            return Err(LinkError::Protocol("text cannot be sent over QUIC, only binary frames".into()));
        };
        let length =
            u32::try_from(body.len()).map_err(|_| LinkError::TooLarge { limit: u32::MAX as usize })?;
        let write = async {
            let mut outlet = self.lanes[lane as usize].lock().await;
            outlet.flush(self.limit).await?;
            outlet.rest = [Bytes::copy_from_slice(&length.to_be_bytes()), body];
            outlet.flush(self.limit).await
        };
        tokio::select! {
            biased;
            () = self.closing.cancelled() => Err(LinkError::Closed),
            written = write => written,
        }
    }

    async fn close(&self, reason: CloseReason) -> Result<(), LinkError> {
        if self.closing.is_cancelled() {
            return Err(LinkError::Closed);
        }
        self.closing.cancel();
        if let Some(error) = self.connection.close_reason() {
            return Err(over(error));
        }
        let farewell = Farewell { connection: &self.connection, reason };
        let finished = try_join_all(self.lanes.iter().map(|lane| self.finish(lane)));
        let finished = in_time("closing", self.limit, finished).await;
        drop(farewell);
        // Lets quinn's task send it, should the process end now.
        tokio::task::yield_now().await;
        finished.map(|_| ())
    }

    /// Ends when the peer has all that was sent on `lane`, and that it was all.
    async fn finish(&self, lane: &Mutex<Outlet>) -> Result<(), LinkError> {
        let mut outlet = lane.lock().await;
        outlet.flush(self.limit).await?;
        outlet.stream.finish().map_err(|_| LinkError::Closed)?;
        outlet.stream.stopped().await.map_or_else(not_acknowledged, |_| Ok(()))
    }
}

// === impl Outlet ===

impl Outlet {
    /// Writes what is left. Each byte that the stream takes gives it another `limit`.
    async fn flush(&mut self, limit: Duration) -> Result<(), LinkError> {
        while let Some(next) = self.rest.iter().position(|part| !part.is_empty()) {
            let writing = self.stream.write_chunks(&mut self.rest[next..]);
            let late = LinkError::TimedOut { step: "sending", limit };
            timeout(limit, writing).await.map_err(|_| late)?.map_err(not_written)?;
        }
        Ok(())
    }
}

// === impl Sink ===

impl FrameSink for Sink {
    fn send(&mut self, frame: Frame) -> BoxFuture<'_, Result<(), LinkError>> {
        self.out.send(self.lane, frame).boxed()
    }

    /// Ends all lanes, whichever sender says it. Waits for the acknowledgement of what was sent, for no longer than a
    /// peer may take nothing.
    fn close(&mut self, reason: CloseReason) -> BoxFuture<'_, Result<(), LinkError>> {
        self.out.close(reason).boxed()
    }
}

// === impl Farewell ===

impl Drop for Farewell<'_> {
    fn drop(&mut self) {
        let code = VarInt::from_u32(u32::from(self.reason.code));
        self.connection.close(code, self.reason.words().as_bytes());
    }
}
