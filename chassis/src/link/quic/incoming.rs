//! What is received: three streams, merged where the caller waits.

use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use quinn::{Connection, ReadError, RecvStream};

use super::LANES;
use super::ending::{goodbye, is_going_away, lost};
use crate::link::{Frame, FrameSource, LinkError};

/// How much of one lane is taken before the more urgent lanes are looked at again, in bytes. A buffer grows by no
/// more than it has received.
const CHUNK: usize = 64 * 1024;
/// How many chunks are taken before other tasks get their turn: less than a millisecond's work.
const CHUNKS_PER_TURN: usize = 16;
/// A frame begins with its length.
const HEAD: usize = size_of::<u32>();

/// The receiving half of a link.
pub(super) struct Source {
    connection: Connection,
    /// The most urgent first.
    lanes: [Inlet; LANES],
    max_message: usize,
}

/// One lane, with what has arrived of its next frame.
struct Inlet {
    stream: RecvStream,
    head: [u8; HEAD],
    head_len: usize,
    body: BytesMut,
    ended: bool,
}

enum Step {
    Frame(Bytes),
    /// Something arrived, and the frame lacks more.
    Chunk,
    Ended,
}

// === impl Source ===

impl Source {
    pub(super) fn new(connection: Connection, lanes: [RecvStream; LANES], max_message: usize) -> Self {
        Self { connection, lanes: lanes.map(Inlet::new), max_message }
    }

    /// How many bytes of memory frames that are not complete take.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.lanes.iter().map(|lane| lane.body.capacity()).sum()
    }

    /// The next frame of the most urgent lane that has one; `None` when all lanes have ended. What has arrived of
    /// other frames stays where it is.
    fn poll_lanes(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Bytes>, LinkError>> {
        for _ in 0..CHUNKS_PER_TURN {
            let (mut ended, mut arrived) = (0, false);
            for lane in &mut self.lanes {
                match lane.poll_step(context, self.max_message) {
                    Poll::Ready(Ok(Step::Frame(frame))) => return Poll::Ready(Ok(Some(frame))),
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                    Poll::Ready(Ok(Step::Ended)) => ended += 1,
                    Poll::Ready(Ok(Step::Chunk)) => {
                        arrived = true;
                        break;
                    }
                    Poll::Pending => {}
                }
            }
            if ended == LANES {
                return Poll::Ready(Ok(None));
            }
            if !arrived {
                return Poll::Pending;
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

impl FrameSource for Source {
    fn recv(&mut self) -> BoxFuture<'_, Result<Option<Frame>, LinkError>> {
        async move {
            if let Some(frame) = poll_fn(|context| self.poll_lanes(context)).await? {
                return Ok(Some(Frame::Binary(frame)));
            }
            // Streams end before the goodbye is said, and they also do when only the peer's sending halves are gone.
            goodbye(self.connection.closed().await).map(|()| None)
        }
        .boxed()
    }

    fn is_going_away(&self) -> bool {
        self.connection.close_reason().is_some_and(|reason| is_going_away(&reason))
    }
}

// === impl Inlet ===

impl Inlet {
    fn new(stream: RecvStream) -> Self {
        Self { stream, head: [0; HEAD], head_len: 0, body: BytesMut::new(), ended: false }
    }

    fn poll_step(&mut self, context: &mut Context<'_>, max_message: usize) -> Poll<Result<Step, LinkError>> {
        while !self.ended {
            if self.head_len < HEAD {
                let missing = HEAD - self.head_len;
                if let Some(bytes) = ready!(self.poll_bytes(context, missing))? {
                    let end = self.head_len + bytes.len();
                    self.head[self.head_len..end].copy_from_slice(&bytes);
                    self.head_len = end;
                }
                continue;
            }
            // Where usize is narrower the frame is refused either way.
            let length = usize::try_from(u32::from_be_bytes(self.head)).unwrap_or(usize::MAX);
            if length > max_message {
                return Poll::Ready(Err(LinkError::TooLarge { limit: max_message }));
            }
            let missing = length - self.body.len();
            if missing == 0 {
                self.head_len = 0;
                return Poll::Ready(Ok(Step::Frame(std::mem::take(&mut self.body).freeze())));
            }
            if let Some(bytes) = ready!(self.poll_bytes(context, missing.min(CHUNK)))? {
                self.body.extend_from_slice(&bytes);
                if bytes.len() < missing {
                    return Poll::Ready(Ok(Step::Chunk));
                }
            }
        }
        Poll::Ready(Ok(Step::Ended))
    }

    /// At most `limit` bytes of the stream; `None` when it has ended.
    fn poll_bytes(
        &mut self,
        context: &mut Context<'_>,
        limit: usize,
    ) -> Poll<Result<Option<Bytes>, LinkError>> {
        let read = ready!(pin!(self.stream.read_chunk(limit, true)).poll(context));
        Poll::Ready(match read {
            Ok(Some(chunk)) => Ok(Some(chunk.bytes)),
            Ok(None) if self.head_len > 0 => {
                Err(lost(io::ErrorKind::UnexpectedEof, "a lane ended within a frame"))
            }
            // How the connection ended is told when the other lanes have given what they have.
            Ok(None) | Err(ReadError::ConnectionLost(_)) => {
                self.ended = true;
                Ok(None)
            }
            Err(error) => Err(lost(io::ErrorKind::ConnectionReset, error)),
        })
    }
}
