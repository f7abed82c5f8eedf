//! Lets drivers in that name the socket's path as the host they talk to.
//!
//! grpc-go, and so every stock driver, dials EdgeCore's socket by its path and sends that path as `:authority`. It is no authority
//! (RFC 3986 section 3.2), and our HTTP library answers PROTOCOL_ERROR before anybody could be lenient. So it is replaced on the way
//! in: in each header block (RFC 7541 section 6) the value of a literal `:authority` becomes [`HOST`]. Nothing is decoded: a
//! literal says how long it is. What goes into the tables of both ends differs only in this value, which is shorter, so that no
//! entry that the driver still refers to is missing here.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What stands in place of what drivers send.
const HOST: &[u8] = b"dmi";
/// The connection preface (RFC 9113 section 3.4).
const PREFACE: usize = 24;
const FRAME_HEAD: usize = 9;
/// Largest frame that we let clients send (RFC 9113 section 6.5.2, the default); longer ones are refused further in.
const MAX_FRAME: usize = 16_384;
const HEADERS: u8 = 1;
const END_HEADERS: u8 = 0x4;
const PADDED: u8 = 0x8;
const PRIORITY: u8 = 0x20;
/// `:authority` in the static table.
const AUTHORITY: usize = 1;

/// A connection of a driver.
#[derive(Debug)]
pub(super) struct Lenient<S> {
    stream: S,
    filter: Filter,
    /// What has passed the filter and was not read yet.
    passed: Vec<u8>,
    read: usize,
}

/// The bytes of a connection, as they come, in pieces of any size.
#[derive(Debug)]
struct Filter {
    state: Step,
}

#[derive(Debug)]
enum Step {
    /// So many bytes are none of ours.
    Pass(usize),
    /// The head of a frame.
    Head(Vec<u8>),
    /// A frame with headers, as long as its head says.
    Hold(Vec<u8>, usize),
}

impl<S> Lenient<S> {
    pub(super) fn new(stream: S) -> Self {
        let filter = Filter { state: Step::Pass(PREFACE) };
        Self { stream, filter, passed: Vec::new(), read: 0 }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Lenient<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        while this.read == this.passed.len() {
            this.passed.clear();
            this.read = 0;
            let mut bytes = [0; 8192];
            let mut piece = ReadBuf::new(&mut bytes);
            ready!(Pin::new(&mut this.stream).poll_read(context, &mut piece))?;
            if piece.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
            this.filter.feed(piece.filled(), &mut this.passed);
        }
        let rest = this.passed.get(this.read..).unwrap_or_default();
        let piece = rest.get(..rest.len().min(buffer.remaining())).unwrap_or_default();
        buffer.put_slice(piece);
        this.read += piece.len();
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Lenient<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

impl Filter {
    fn feed(&mut self, mut input: &[u8], passed: &mut Vec<u8>) {
        loop {
            match &mut self.state {
                Step::Pass(0) => self.state = Step::Head(Vec::with_capacity(FRAME_HEAD)),
                _ if input.is_empty() => return,
                Step::Pass(left) => {
                    let (piece, rest) = input.split_at((*left).min(input.len()));
                    passed.extend_from_slice(piece);
                    *left -= piece.len();
                    input = rest;
                }
                Step::Head(head) => {
                    let (piece, rest) = input.split_at((FRAME_HEAD - head.len()).min(input.len()));
                    head.extend_from_slice(piece);
                    input = rest;
                    if head.len() == FRAME_HEAD {
                        let length =
                            usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
                        let is_held = head[3] == HEADERS && head[4] & END_HEADERS != 0 && length <= MAX_FRAME;
                        let head = std::mem::take(head);
                        self.state = if is_held {
                            Step::Hold(head, FRAME_HEAD + length)
                        } else {
                            passed.extend_from_slice(&head);
                            Step::Pass(length)
                        };
                        self.release(passed);
                    }
                }
                Step::Hold(frame, whole) => {
                    let (piece, rest) = input.split_at((*whole - frame.len()).min(input.len()));
                    frame.extend_from_slice(piece);
                    input = rest;
                    self.release(passed);
                }
            }
        }
    }

    /// Lets a frame go that is complete.
    fn release(&mut self, passed: &mut Vec<u8>) {
        if let Step::Hold(frame, whole) = &self.state
            && frame.len() == *whole
        {
            passed.extend(rewritten(frame).as_deref().unwrap_or(frame));
            self.state = Step::Pass(0);
        }
    }
}

/// The frame with another host; `None` where there is none to replace, or the frame makes no sense.
fn rewritten(frame: &[u8]) -> Option<Vec<u8>> {
    let (head, payload) = frame.split_at_checked(FRAME_HEAD)?;
    let flags = head[4];
    let padding = if flags & PADDED == 0 { 0 } else { usize::from(*payload.first()?) };
    let before = usize::from(flags & PADDED != 0) + if flags & PRIORITY == 0 { 0 } else { 5 };
    let block = payload.get(before..payload.len().checked_sub(padding)?)?;
    let value = authority(block)?;
    let mut made = head.to_vec();
    made.extend_from_slice(&payload[..before]);
    made.extend_from_slice(&block[..value.start]);
    made.push(u8::try_from(HOST.len()).ok()?);
    made.extend_from_slice(HOST);
    made.extend_from_slice(&block[value.end..]);
    made.extend_from_slice(&payload[before + block.len()..]);
    let length = u32::try_from(made.len() - FRAME_HEAD).ok()?.to_be_bytes();
    made[..3].copy_from_slice(&length[1..]);
    Some(made)
}

/// Where the value of a literal `:authority` is, with its length in front.
fn authority(block: &[u8]) -> Option<std::ops::Range<usize>> {
    let mut at = 0;
    while let Some(first) = block.get(at) {
        // Which of the representations it is, by its first bits.
        let name_bits = match first {
            0x80.. => {
                (_, at) = number(block, at, 7)?;
                continue;
            }
            0x40.. => 6,
            0x20.. => {
                (_, at) = number(block, at, 5)?;
                continue;
            }
            _ => 4,
        };
        let (name, mut value) = number(block, at, name_bits)?;
        if name == 0 {
            value = text(block, value)?;
        }
        at = text(block, value)?;
        if name == AUTHORITY {
            return Some(value..at);
        }
    }
    None
}

/// The end of a text that begins here with its length.
fn text(block: &[u8], at: usize) -> Option<usize> {
    let (length, start) = number(block, at, 7)?;
    start.checked_add(length).filter(|end| *end <= block.len())
}

/// A number whose first byte has so many bits of it (RFC 7541 section 5.1), and where it ends.
fn number(block: &[u8], at: usize, bits: u32) -> Option<(usize, usize)> {
    let most = (1_usize << bits) - 1;
    let mut value = usize::from(*block.get(at)?) & most;
    let mut at = at + 1;
    if value < most {
        return Some((value, at));
    }
    for shift in [0, 7, 14] {
        let byte = *block.get(at)?;
        at += 1;
        value += usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some((value, at));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PATH: &[u8] = b"/etc/kubeedge/dmi.sock";

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&length[1..], &[kind, flags, 0, 0, 0, 1], payload].concat()
    }

    /// As grpc-go (1.65) begins a block: method, scheme, a path, the authority, and a header of its own.
    fn block(host: &[u8]) -> Vec<u8> {
        let length = u8::try_from(host.len()).unwrap();
        [&[0x83, 0x86, 0x44, 3, b'/', b'a', b'b', 0x41, length], host, &[0x40, 1, b'x', 1, b'y']].concat()
    }

    fn passed(pieces: &[&[u8]]) -> Vec<u8> {
        let mut filter = Filter { state: Step::Pass(PREFACE) };
        let mut passed = Vec::new();
        pieces.iter().for_each(|piece| filter.feed(piece, &mut passed));
        passed
    }

    fn connection(host: &[u8]) -> Vec<u8> {
        let padded = [&[2, 0, 0, 0, 0, 7], &block(host)[..], &[0, 0]].concat();
        [
            vec![b'P'; PREFACE],
            frame(4, 0, &[0, 3, 0, 0, 0, 9]),
            frame(HEADERS, END_HEADERS, &block(host)),
            frame(0, 1, b"data that looks like \x41\x03"),
            frame(HEADERS, END_HEADERS | PADDED | PRIORITY, &padded),
            // The second time it is in the table.
            frame(HEADERS, END_HEADERS, &[0x83, 0x86, 0xbf, 0xbe]),
            frame(HEADERS, END_HEADERS, &[]),
        ]
        .concat()
    }

    #[test]
    fn the_path_of_a_socket_becomes_a_host_and_all_else_stays() {
        assert_eq!(passed(&[&connection(PATH)]), connection(HOST));
        assert_eq!(passed(&[&connection(b"%2Fetc%2Fkubeedge%2Fdmi.sock")]), connection(HOST));
    }

    #[test]
    fn it_does_not_matter_how_the_bytes_come() {
        let all = connection(PATH);
        for size in [1, 2, 3, 7, 64] {
            assert_eq!(passed(&all.chunks(size).collect::<Vec<_>>()), connection(HOST), "{size}");
        }
    }

    #[test]
    fn what_is_broken_is_left_to_who_knows_about_it() {
        for payload in [&[0x41][..], &[0x41, 0x7f], &[0x41, 0x7f, 0xff, 0xff, 0xff, 0xff], &[0x00, 5, 1]] {
            let broken = frame(HEADERS, END_HEADERS, payload);
            assert_eq!(rewritten(&broken), None);
        }
        assert_eq!(rewritten(&frame(HEADERS, END_HEADERS | PADDED, &[9, 0])), None);
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_nothing_panics(bytes in proptest::collection::vec(any::<u8>(), 0..400), size in 1..50_usize) {
            let all = passed(&[&bytes]);
            prop_assert_eq!(&passed(&bytes.chunks(size).collect::<Vec<_>>()), &all);
            prop_assert!(all.len() <= bytes.len() + 4 * (bytes.len() / FRAME_HEAD + 1));
            drop(rewritten(&bytes));
        }
    }
}
