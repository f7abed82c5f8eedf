//! Splits large frames into fragments while they arrive (RFC 6455 section 5.4).
//!
//! tungstenite takes memory for the length that a frame announces before its payload is there. A peer may send its
//! messages as one frame of any size, so a limit would not do: here every frame becomes fragments of [`PIECE`] bytes,
//! and what is announced and never sent costs that much at most. A message is the same in one piece and in many.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Payload of a fragment, in bytes: a multiple of four, so that each begins where the mask does (section 5.3). Smaller
/// would cost time for large messages, larger memory for those that only announce some.
const PIECE: u64 = 16 * 1024;

/// Section 5.2: two bytes, eight of extended length, four of the mask.
const MAX_HEAD: usize = 14;
const FIN: u8 = 0x80;
const CONTROL: u8 = 0x08;
const MASKED: u8 = 0x80;
const LENGTH: u8 = 0x7f;
const LENGTH_16: u8 = 126;
const LENGTH_64: u8 = 127;

/// A connection whose incoming frames are small.
#[derive(Debug)]
pub(super) struct Split<S> {
    inner: S,
    /// The largest frame that is split: whoever reads refuses larger ones by their head.
    max_frame: u64,
    /// Before the upgrade there are no frames.
    is_upgraded: bool,
    /// What was read from `inner` before.
    early: Vec<u8>,
    /// What has arrived of a frame's head.
    head: Bytes,
    /// A head that is to be passed on.
    out: Bytes,
    passed_on: usize,
    /// Bytes of payload of the present fragment that are still to come.
    piece: u64,
    /// What follows it in the same frame.
    rest: Rest,
}

/// The part of a frame that has no head yet.
#[derive(Debug, Default)]
struct Rest {
    bytes: u64,
    /// Whether it ends the message.
    fin: u8,
    mask: Option<[u8; 4]>,
}

/// A few bytes.
#[derive(Debug, Default)]
struct Bytes {
    bytes: [u8; MAX_HEAD],
    len: usize,
}

impl<S> Split<S> {
    /// For a connection on which HTTP is spoken first.
    pub(super) fn before_upgrade(inner: S, max_frame: usize) -> Self {
        Self {
            inner,
            max_frame: max_frame as u64,
            is_upgraded: false,
            early: Vec::new(),
            head: Bytes::default(),
            out: Bytes::default(),
            passed_on: 0,
            piece: 0,
            rest: Rest::default(),
        }
    }

    /// For a connection on which frames come, the first of them perhaps in `early`.
    pub(super) fn upgraded(inner: S, early: Vec<u8>, max_frame: usize) -> Self {
        Self { is_upgraded: true, early, ..Self::before_upgrade(inner, max_frame) }
    }

    /// From now on frames come.
    pub(super) fn upgrade(&mut self) {
        self.is_upgraded = true;
    }

    /// The head of the next fragment of the present frame.
    fn begin_piece(&mut self) {
        self.piece = self.rest.bytes.min(PIECE);
        self.rest.bytes -= self.piece;
        let fin = if self.rest.bytes == 0 { self.rest.fin } else { 0 };
        self.pass_on(fin, self.rest.mask);
    }

    /// A head with this first byte for the present fragment.
    fn pass_on(&mut self, first: u8, mask: Option<[u8; 4]>) {
        let masked = if mask.is_some() { MASKED } else { 0 };
        self.out = Bytes::default();
        self.out.push(&[first]);
        match u16::try_from(self.piece) {
            Ok(length) if length < u16::from(LENGTH_16) => self.out.push(&[masked | length.to_be_bytes()[1]]),
            Ok(length) => {
                self.out.push(&[masked | LENGTH_16]);
                self.out.push(&length.to_be_bytes());
            }
            Err(_) => {
                self.out.push(&[masked | LENGTH_64]);
                self.out.push(&self.piece.to_be_bytes());
            }
        }
        self.out.push(mask.as_ref().map_or(&[], <[u8; 4]>::as_slice));
        self.passed_on = 0;
    }

    /// A frame's head is complete.
    fn begin_frame(&mut self) {
        let head = std::mem::take(&mut self.head);
        let (first, length) = (head.bytes[0], head.announced());
        if first & CONTROL != 0 || length <= PIECE || length > self.max_frame {
            (self.out, self.passed_on, self.piece) = (head, 0, length);
            return;
        }
        self.piece = PIECE;
        self.rest = Rest { bytes: length - PIECE, fin: first & FIN, mask: head.mask() };
        self.pass_on(first & !FIN, self.rest.mask);
    }
}

// === impl Bytes ===

impl Bytes {
    fn push(&mut self, bytes: &[u8]) {
        self.bytes[self.len..self.len + bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
    }

    /// How long the head is that begins so.
    fn expected(&self) -> usize {
        if self.len < 2 {
            return 2;
        }
        let extended = match self.bytes[1] & LENGTH {
            LENGTH_16 => 2,
            LENGTH_64 => 8,
            _ => 0,
        };
        2 + extended + if self.bytes[1] & MASKED == 0 { 0 } else { 4 }
    }

    fn announced(&self) -> u64 {
        let extended = match self.bytes[1] & LENGTH {
            LENGTH_16 => 2..4,
            LENGTH_64 => 2..10,
            short => return short.into(),
        };
        self.bytes[extended].iter().fold(0, |length, byte| length << 8 | u64::from(*byte))
    }

    fn mask(&self) -> Option<[u8; 4]> {
        let is_masked = self.bytes[1] & MASKED != 0;
        is_masked.then(|| self.bytes[self.len - 4..self.len].try_into().unwrap_or_default())
    }
}

// === reading and writing ===

impl<S: AsyncRead + Unpin> Split<S> {
    /// At most `limit` bytes of the connection; none at its end.
    fn poll_bytes(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
        limit: usize,
    ) -> Poll<io::Result<usize>> {
        let limit = limit.min(buffer.remaining());
        if !self.early.is_empty() {
            let count = limit.min(self.early.len());
            buffer.put_slice(&self.early[..count]);
            self.early.drain(..count);
            return Poll::Ready(Ok(count));
        }
        let mut limited = ReadBuf::new(buffer.initialize_unfilled_to(limit));
        ready!(Pin::new(&mut self.inner).poll_read(context, &mut limited))?;
        let count = limited.filled().len();
        buffer.advance(count);
        Poll::Ready(Ok(count))
    }

    /// More of the head of a frame. False at the end of the connection.
    fn poll_head(&mut self, context: &mut Context<'_>) -> Poll<io::Result<bool>> {
        while self.head.len < self.head.expected() {
            let mut more = [0; MAX_HEAD];
            let mut buffer = ReadBuf::new(&mut more);
            let missing = self.head.expected() - self.head.len;
            if ready!(self.poll_bytes(context, &mut buffer, missing))? == 0 {
                return Poll::Ready(Ok(false));
            }
            self.head.push(buffer.filled());
        }
        Poll::Ready(Ok(true))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Split<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.is_upgraded {
            return Pin::new(&mut self.inner).poll_read(context, buffer);
        }
        loop {
            let Self { out, passed_on, .. } = &mut *self;
            if *passed_on < out.len {
                let count = buffer.remaining().min(out.len - *passed_on);
                buffer.put_slice(&out.bytes[*passed_on..*passed_on + count]);
                *passed_on += count;
                return Poll::Ready(Ok(()));
            }
            if self.piece > 0 {
                let limit = usize::try_from(self.piece).unwrap_or(usize::MAX);
                let count = ready!(self.poll_bytes(context, buffer, limit))?;
                self.piece -= count as u64;
                return Poll::Ready(Ok(()));
            }
            if self.rest.bytes > 0 {
                self.begin_piece();
            } else if ready!(self.poll_head(context))? {
                self.begin_frame();
            } else if self.head.len > 0 {
                // The connection ends within a head: whoever reads shall see that much of it.
                (self.out, self.passed_on) = (std::mem::take(&mut self.head), 0);
            } else {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Split<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests;
