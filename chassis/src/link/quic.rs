//! Links over QUIC (RFC 9000) and TLS 1.3, between Skerry's own peers only: mutual TLS, ALPN [`NATIVE_PROTOCOL`], and
//! three lanes that cannot block each other.
//!
//! On the wire: the dialer opens three bidirectional streams, one per [`Lane`] in the order control, state, bulk. On
//! each of them either side first sends one byte, the lane's number (0, 1, 2), the acceptor once it has all three: so
//! a dialer that has read them knows that its certificate was accepted. What follows, in either direction, are frames:
//! a length of four bytes, big-endian, and as many bytes. A goodbye is the end of all streams and, when everything has
//! been acknowledged, CONNECTION_CLOSE with the close code of [`CloseReason`] as error code and its text as reason
//! phrase (section 19.19); a connection that ends with any other code, 0 included, is lost or turned away.
//!
//! Reads are polled where frames are received, and writes where they are sent: a link has no task of its own beyond
//! the one that quinn runs per connection. It survives a change of the dialer's address (section 9).

use std::sync::Arc;
use std::time::Duration;

use quinn::{Connection, IdleTimeout, RecvStream, SendStream, TransportConfig, VarInt};
use rustls_pki_types::CertificateDer;

pub use acceptor::QuicAcceptor;
pub use dialer::{QuicDialer, QuicSocket};

use self::incoming::Source;
use self::outgoing::Outgoing;
#[cfg(doc)]
use super::CloseReason;
use super::{Dialect, Link, LinkError, LinkReceiver, LinkSender, NATIVE_PROTOCOL, Peer, SideLanes};

mod acceptor;
mod dialer;
mod ending;
mod hearing;
mod incoming;
mod outgoing;
mod socket;
#[cfg(test)]
mod tests;

/// What a stream is for; its number is what is sent on it first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lane {
    /// Small and urgent; [`Link::tx`].
    Control,
    /// [`SideLanes::state`].
    State,
    /// [`SideLanes::bulk`].
    Bulk,
}

/// As over WebSocket, so that whatever can be said over one can be said over the other.
const MAX_MESSAGE: usize = 32 * 1024 * 1024;
/// Shorter than over WebSocket: where UDP is blocked nothing answers at all, and the fallback should begin within five
/// seconds. Opening takes two round trips, and a lost first packet is repeated after one second (RFC 9002 section 6.2.2).
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(4);
/// As long as a handshake over WebSocket may take, most of which is waiting, too.
const PATIENCE: Duration = Duration::from_secs(30);
/// As over WebSocket: a peer that takes nothing for this long is lost.
const WRITE_TIMEOUT: Duration = Duration::from_secs(15);
/// RFC 9308 section 3.2 advises 30 seconds at least.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// Two may be lost before a link is; and NATs forget an idle UDP mapping within 30 seconds (RFC 9308 section 3.2).
const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// More than over WebSocket, where the kernel's backlog holds those who wait; here a place is also taken while packets
/// travel, for two round trips. 256 hold about 8 MiB.
const MAX_HANDSHAKES: usize = 256;

/// How much of a lane may be under way, or wait at the receiver, in bytes: 2.5 MB/s over a round trip of 100 ms. Doubled, a
/// cloud whose hub stands still holds twice as much for each node. Both sides should have the same.
const WINDOW: u32 = 256 * 1024;
/// For all lanes: as much as for each of them alone, so that none can use up what another needs.
const ALL_WINDOWS: u32 = LANES as u32 * WINDOW;
/// The lanes of a link, in the order of [`Lane`].
const LANES: usize = 3;
/// How much of a TLS handshake may arrive out of order, in bytes: a long certificate chain takes 8 KiB.
const HANDSHAKE_BUFFER: usize = 16 * 1024;

/// What a QUIC link may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuicLimits {
    /// Largest message that is received, in bytes. Each lane holds one at a time.
    pub max_message: usize,
    /// How long it may take until a link is open, lanes included, where nothing is heard of the peer; and at an acceptor from
    /// when it has a place.
    pub handshake: Duration,
    /// How long a dialer waits for a peer that is heard, and an acceptor keeps an attempt that has no place.
    pub patience: Duration,
    /// How long a lane may take no byte while there are some for it; how long a goodbye may take.
    pub write: Duration,
    /// How long nothing may be heard of the peer; the smaller value of both sides counts (RFC 9000 section 10.1).
    pub idle: Duration,
    /// After how long a silence the peer is asked for a sign of life (RFC 9000 section 10.1.2).
    pub keep_alive: Duration,
    /// How many handshakes an acceptor has in progress at a time.
    pub max_handshakes: usize,
}

/// Both directions of one lane.
/// What stateless resets are signed with.
pub type ResetKey = [u8; 32];

type Streams = (SendStream, RecvStream);

impl Default for QuicLimits {
    fn default() -> Self {
        Self {
            max_message: MAX_MESSAGE,
            handshake: HANDSHAKE_TIMEOUT,
            patience: PATIENCE,
            write: WRITE_TIMEOUT,
            idle: IDLE_TIMEOUT,
            keep_alive: KEEP_ALIVE,
            max_handshakes: MAX_HANDSHAKES,
        }
    }
}

impl QuicLimits {
    /// The limits in quinn's terms, for a side whose peer may open `streams`.
    fn transport(&self, streams: u32) -> Arc<TransportConfig> {
        let idle = u32::try_from(self.idle.as_millis()).unwrap_or(u32::MAX);
        let mut transport = TransportConfig::default();
        transport
            .max_concurrent_bidi_streams(streams.into())
            .max_concurrent_uni_streams(VarInt::from_u32(0))
            .datagram_receive_buffer_size(None)
            .stream_receive_window(WINDOW.into())
            .receive_window(ALL_WINDOWS.into())
            .send_window(ALL_WINDOWS.into())
            .crypto_buffer_size(HANDSHAKE_BUFFER)
            // Costs memory per connection, and what nodes say is small.
            .mtu_discovery_config(None)
            .max_idle_timeout(Some(IdleTimeout::from(VarInt::from_u32(idle))))
            .keep_alive_interval(Some(self.keep_alive));
        Arc::new(transport)
    }
}

/// The link over the three streams of a connection.
fn link(
    connection: Connection,
    lanes: [Streams; LANES],
    peer: Peer,
    limits: &QuicLimits,
) -> Result<Link, LinkError> {
    let [control, state, bulk] = lanes;
    for (lane, stream) in [(Lane::Control, &control.0), (Lane::State, &state.0), (Lane::Bulk, &bulk.0)] {
        // The higher number goes first.
        let priority = LANES as i32 - lane as i32;
        stream.set_priority(priority).map_err(|_| LinkError::Closed)?;
    }
    let rx = Source::new(connection.clone(), [control.1, state.1, bulk.1], limits.max_message);
    let out = Outgoing::new(connection, [control.0, state.0, bulk.0], limits.write);
    Ok(Link {
        peer,
        tx: LinkSender::new(out.sink(Lane::Control)),
        side: Some(SideLanes {
            state: LinkSender::new(out.sink(Lane::State)),
            bulk: LinkSender::new(out.sink(Lane::Bulk)),
        }),
        rx: LinkReceiver::new(rx),
    })
}

/// Who is at the other end of `connection`.
fn peer(connection: &Connection, address: String) -> Peer {
    let identity =
        connection.peer_identity().and_then(|any| any.downcast::<Vec<CertificateDer<'static>>>().ok());
    let certificates = identity.as_deref().map(Vec::as_slice);
    Peer { dialect: Dialect::Native, ..Peer::proven(address, certificates) }
}

/// [`NATIVE_PROTOCOL`], as a list of ALPN protocols.
fn alpn() -> Vec<Vec<u8>> {
    vec![NATIVE_PROTOCOL.as_bytes().to_vec()]
}
