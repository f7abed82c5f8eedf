//! As much of D-Bus as it takes to talk to systemd and systemd-logind: <https://dbus.freedesktop.org/doc/dbus-specification.html>.
//!
//! Ours, because no crate does so little: those that speak D-Bus bring an object server, a code generator and a second executor, in all
//! more than a tenth of this daemon. Little-endian messages, the types that these two use, one call at a time.

pub(in crate::edged) mod body;
#[cfg(test)]
pub(in crate::edged) mod testing;

use std::collections::VecDeque;
use std::io::{self, IoSliceMut};
use std::os::fd::{AsRawFd, RawFd};
use std::path::Path;

use nix::sys::socket::{ControlMessageOwned, MsgFlags, UnixAddr, recvmsg};
use tokio::io::{AsyncWriteExt, Interest};
use tokio::net::UnixStream;

use self::body::{align, put_text};

/// Largest message that is read: logind's are of a few hundred bytes, and nobody else is listened to.
const MAX_MESSAGE: usize = 64 << 10;
/// Signals that wait while an answer is waited for. Of more, the oldest go.
const MAX_SIGNALS: usize = 16;
/// Descriptors in one message.
const MAX_FDS: usize = 4;
/// The fixed part of every message.
const HEADER: usize = 16;

/// The bus itself.
const BUS: Destination = Destination {
    name: "org.freedesktop.DBus",
    path: "/org/freedesktop/DBus",
    interface: "org.freedesktop.DBus",
};

/// Whom a call is for.
#[derive(Debug, Clone, Copy)]
pub(in crate::edged) struct Destination {
    pub(in crate::edged) name: &'static str,
    pub(in crate::edged) path: &'static str,
    pub(in crate::edged) interface: &'static str,
}

/// A descriptor that came over the bus. It is closed when it is dropped.
#[derive(Debug)]
pub(in crate::edged) struct Descriptor(RawFd);

impl Drop for Descriptor {
    fn drop(&mut self) {
        // It was open, and nobody else has it.
        nix::unistd::close(self.0).ok();
    }
}

/// What has arrived.
#[derive(Debug, Default)]
pub(in crate::edged) struct Message {
    kind: u8,
    reply_to: Option<u32>,
    member: String,
    interface: String,
    sender: String,
    error: String,
    body: Vec<u8>,
    fds: Vec<Descriptor>,
    fd_count: usize,
}

/// A connection to a bus.
#[derive(Debug)]
pub(in crate::edged) struct Bus {
    stream: UnixStream,
    read: Vec<u8>,
    fds: Vec<Descriptor>,
    serial: u32,
    signals: VecDeque<Message>,
    is_bus: bool,
}

// === impl Bus ===

impl Bus {
    /// Connects, says who we are, and learns whether the bus passes descriptors.
    pub(in crate::edged) async fn connect(socket: &Path) -> io::Result<Self> {
        let mut bus = Self::connect_peer(socket).await?;
        bus.call(BUS, "Hello", "", Vec::new()).await?;
        bus.is_bus = true;
        Ok(bus)
    }

    /// The same to somebody who is no bus, but the one who is talked to.
    pub(in crate::edged) async fn connect_peer(socket: &Path) -> io::Result<Self> {
        let mut stream = UnixStream::connect(socket).await?;
        let user: String =
            nix::unistd::geteuid().to_string().bytes().map(|byte| format!("{byte:02x}")).collect();
        stream
            .write_all(format!("\0AUTH EXTERNAL {user}\r\nNEGOTIATE_UNIX_FD\r\nBEGIN\r\n").as_bytes())
            .await?;
        let (read, fds, signals) = (Vec::new(), Vec::new(), VecDeque::new());
        let mut bus = Self { stream, read, fds, serial: 0, signals, is_bus: false };
        for wanted in ["OK ", "AGREE_UNIX_FD"] {
            let line = bus.line().await?;
            if !line.starts_with(wanted) {
                return Err(broken(format!("the bus says {line:?}")));
            }
        }
        Ok(bus)
    }

    /// Hears of a signal from now on. `rule` is as in the specification. A peer says all that it has to say anyway.
    pub(in crate::edged) async fn listen(&mut self, rule: &str) -> io::Result<()> {
        if !self.is_bus {
            return Ok(());
        }
        let mut body = Vec::new();
        put_text(&mut body, rule);
        self.call(BUS, "AddMatch", "s", body).await.map(drop)
    }

    /// Calls a method and waits for its answer. `signature` is that of `body`.
    pub(in crate::edged) async fn call(
        &mut self,
        to: Destination,
        method: &str,
        signature: &str,
        body: Vec<u8>,
    ) -> io::Result<Message> {
        self.serial += 1;
        let serial = self.serial;
        self.stream.write_all(&call(serial, to, method, signature, &body)).await?;
        loop {
            let message = self.message().await?;
            match message.kind {
                2 if message.reply_to == Some(serial) => return Ok(message),
                3 if message.reply_to == Some(serial) => {
                    let text = message.text(0).unwrap_or_default();
                    return Err(io::Error::other(format!("{method}: {}: {text}", message.error)));
                }
                4 => {
                    if self.signals.len() == MAX_SIGNALS {
                        self.signals.pop_front();
                    }
                    self.signals.push_back(message);
                }
                _ => {}
            }
        }
    }

    /// The next signal.
    pub(in crate::edged) async fn signal(&mut self) -> io::Result<Message> {
        if let Some(signal) = self.signals.pop_front() {
            return Ok(signal);
        }
        loop {
            let message = self.message().await?;
            if message.kind == 4 {
                return Ok(message);
            }
        }
    }

    async fn line(&mut self) -> io::Result<String> {
        loop {
            if let Some(end) = self.read.windows(2).position(|pair| pair == b"\r\n") {
                let line: Vec<u8> = self.read.drain(..end + 2).collect();
                return Ok(String::from_utf8_lossy(&line).trim_end().to_owned());
            }
            self.fill().await?;
        }
    }

    /// Nothing is lost when this is dropped: what was read stays.
    async fn message(&mut self) -> io::Result<Message> {
        loop {
            if let Some(length) = length(&self.read)?
                && self.read.len() >= length
            {
                let bytes: Vec<u8> = self.read.drain(..length).collect();
                let mut message =
                    parse(&bytes).ok_or_else(|| broken("a message makes no sense".to_owned()))?;
                let count = message.fd_count.min(self.fds.len());
                message.fds = self.fds.drain(..count).collect();
                return Ok(message);
            }
            self.fill().await?;
        }
    }

    async fn fill(&mut self) -> io::Result<()> {
        let mut chunk = [0; 4096];
        let (read, fds) =
            self.stream.async_io(Interest::READABLE, || receive(&self.stream, &mut chunk)).await?;
        self.fds.extend(fds);
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.read.extend_from_slice(&chunk[..read]);
        Ok(())
    }
}

fn receive(stream: &UnixStream, chunk: &mut [u8]) -> io::Result<(usize, Vec<Descriptor>)> {
    let mut space = nix::cmsg_space!([RawFd; MAX_FDS]);
    let mut parts = [IoSliceMut::new(chunk)];
    let flags = MsgFlags::MSG_CMSG_CLOEXEC;
    let received = recvmsg::<UnixAddr>(stream.as_raw_fd(), &mut parts, Some(&mut space), flags)?;
    let mut fds = Vec::new();
    for message in received.cmsgs()? {
        if let ControlMessageOwned::ScmRights(rights) = message {
            fds.extend(rights.into_iter().map(Descriptor));
        }
    }
    Ok((received.bytes, fds))
}

// === impl Message ===

impl Message {
    /// Whether it is this signal. Senders are known by unique names, so who may send it is the match rule's to say.
    pub(in crate::edged) fn is_signal(&self, interface: &str, member: &str) -> bool {
        self.kind == 4 && self.interface == interface && self.member == member
    }

    /// Whether the bus itself says that `name` has another owner now.
    pub(in crate::edged) fn is_new_owner_of(&self, name: &str) -> bool {
        self.is_signal(BUS.interface, "NameOwnerChanged")
            && self.sender == BUS.name
            && self.text(0).as_deref() == Some(name)
    }

    /// A number of the body, at this place in it. A boolean is such a number.
    pub(in crate::edged) fn number(&self, at: usize) -> Option<u32> {
        Some(u32::from_le_bytes(self.body.get(at..at + 4)?.try_into().ok()?))
    }

    /// A body that is a variant with a `t` in it.
    pub(in crate::edged) fn variant_u64(&self) -> Option<u64> {
        // The signature's length, `t` and zero, then the number where eight divides.
        let number = self.body.get(8..16).filter(|_| self.body.starts_with(b"\x01t\0"))?;
        Some(u64::from_le_bytes(number.try_into().ok()?))
    }

    /// The descriptor that came with it.
    pub(in crate::edged) fn descriptor(mut self) -> Option<Descriptor> {
        self.fds.pop()
    }

    /// A text of the body, at this place in it.
    pub(in crate::edged) fn text(&self, at: usize) -> Option<String> {
        text(&self.body, at).map(|(text, _)| text)
    }

    /// The text behind the one at this place.
    pub(in crate::edged) fn text_after(&self, at: usize) -> Option<(String, usize)> {
        let (_, end) = text(&self.body, at)?;
        let next = end.next_multiple_of(4);
        self.text(next).map(|text| (text, next))
    }
}

fn broken(message: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message)
}

fn call(serial: u32, to: Destination, method: &str, signature: &str, body: &[u8]) -> Vec<u8> {
    let mut fields = Vec::new();
    let texts = [(1, 'o', to.path), (2, 's', to.interface), (3, 's', method), (6, 's', to.name)];
    for (code, kind, text) in texts {
        align(&mut fields, 8);
        fields.extend([code, 1, kind as u8, 0]);
        put_text(&mut fields, text);
    }
    if !signature.is_empty() {
        align(&mut fields, 8);
        fields.extend([8, 1, b'g', 0, u8::try_from(signature.len()).unwrap_or_default()]);
        fields.extend(signature.as_bytes());
        fields.push(0);
    }
    let number = |length: usize| u32::try_from(length).unwrap_or_default().to_le_bytes();
    let mut bytes = vec![b'l', 1, 0, 1];
    bytes.extend(number(body.len()));
    bytes.extend(serial.to_le_bytes());
    bytes.extend(number(fields.len()));
    bytes.extend(fields);
    align(&mut bytes, 8);
    bytes.extend(body);
    bytes
}

/// How long the message is that begins here; `None`: that is not read yet.
fn length(bytes: &[u8]) -> io::Result<Option<usize>> {
    let Some(header) = bytes.get(..HEADER) else { return Ok(None) };
    let number = |at: usize| -> usize {
        header[at..at + 4].iter().rev().fold(0, |number, byte| number << 8 | usize::from(*byte))
    };
    let length = (HEADER + number(12)).next_multiple_of(8).saturating_add(number(4));
    if header[0] != b'l' || length > MAX_MESSAGE {
        return Err(broken(format!("a message of {length} bytes, or of another byte order")));
    }
    Ok(Some(length))
}

fn text(bytes: &[u8], at: usize) -> Option<(String, usize)> {
    let start = at.checked_add(4)?;
    let length = usize::try_from(u32::from_le_bytes(bytes.get(at..start)?.try_into().ok()?)).ok()?;
    let end = start.checked_add(length)?;
    Some((String::from_utf8_lossy(bytes.get(start..end)?).into_owned(), end + 1))
}

fn parse(bytes: &[u8]) -> Option<Message> {
    let number = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    let end = HEADER + usize::try_from(number(12)?).ok()?;
    let body = bytes.get(end.next_multiple_of(8)..)?.to_vec();
    let mut message = Message { kind: *bytes.get(1)?, body, ..Message::default() };
    let mut at = HEADER;
    while at < end {
        at = at.next_multiple_of(8);
        let (code, kind) = (*bytes.get(at)?, *bytes.get(at + 2)?);
        match kind {
            b's' | b'o' => {
                let (text, next) = text(bytes, at + 4)?;
                match code {
                    2 => message.interface = text,
                    3 => message.member = text,
                    4 => message.error = text,
                    7 => message.sender = text,
                    _ => {}
                }
                at = next;
            }
            b'u' => {
                match code {
                    5 => message.reply_to = number(at + 4),
                    9 => message.fd_count = usize::try_from(number(at + 4)?).ok()?,
                    _ => {}
                }
                at += 8;
            }
            b'g' => at += 6 + usize::from(*bytes.get(at + 4)?),
            _ => return None,
        }
    }
    Some(message)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_call_can_be_read() {
        let mut body = Vec::new();
        put_text(&mut body, "type='signal'");
        let bytes = call(7, BUS, "AddMatch", "s", &body);
        assert_eq!(length(&bytes).unwrap(), Some(bytes.len()));
        let message = parse(&bytes).unwrap();
        assert_eq!((message.kind, message.member.as_str()), (1, "AddMatch"));
        assert_eq!(
            (message.interface.as_str(), message.text(0).as_deref()),
            (BUS.interface, Some("type='signal'"))
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn nonsense_is_no_message(mut bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Some(first) = bytes.first_mut() {
                *first = b'l';
            }
            length(&bytes).ok();
            if let Some(message) = parse(&bytes) {
                message.number(0);
                message.variant_u64();
                message.text(0);
            }
        }
    }
}
