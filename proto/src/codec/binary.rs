//! The native encoding: one frame is one byte that says how it is packed, followed by one Protocol Buffers message.
//!
//! | first byte | what follows |
//! |---|---|
//! | 1 | the frame |
//! | 2 | the frame, compressed with zstd (RFC 8878) |
//!
//! The frozen vectors in the tests are the definition of the bytes. Fields are only ever added.

mod budget;
mod packing;
mod wire;

use bytes::Bytes;
use prost::Message as _;

use super::json::{CodecError, MAX_MESSAGE_BYTES};
use crate::hello::{Hello, Welcome};
use crate::lane::{BULK_BYTES, Lane};
use crate::message::{Content, Message};
use crate::resource::ObjectPath;

use self::packing::{pack, unpack};
use self::wire::WireFrame;

const PLAIN: u8 = 1;
const ZSTD: u8 = 2;

/// Smaller frames are not worth the time: zstd's own header eats what little it finds.
const COMPRESS_FROM: usize = 256;
/// A compressed frame must save at least an eighth.
const MIN_SAVING: usize = 8;

/// What goes over a native link.
#[derive(Debug, Clone, PartialEq)]
pub enum Frame {
    /// The edge begins.
    Hello(Hello),
    /// The cloud agrees.
    Welcome(Welcome),
    /// A request, an answer or a report: the same messages as in the stock dialect.
    Message(Box<Message>),
    /// The cloud says what the node should have.
    Push(Box<Push>),
    /// The edge says what it has stored.
    Acks(Acks),
    /// "I am here." The cloud answers each with one of its own.
    Keepalive,
}

/// One object that the node should have, or should no longer have.
#[derive(Debug, Clone, PartialEq)]
pub struct Push {
    /// Number of this push on this link, from 1; acknowledged by it.
    pub seq: u64,
    /// Which object.
    pub path: ObjectPath,
    /// Which incarnation of it.
    pub uid: String,
    /// Its `resourceVersion`.
    pub version: String,
    /// Stands for everything of the object that an edge acts on: kept with it and said in the next hello.
    pub digest: u64,
    /// The object, or nothing when it has to go.
    pub object: Option<Content>,
}

/// What became of pushes. Several in one frame: the edge commits them in one transaction.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Acks {
    /// Pushes that are durable.
    #[prost(uint64, repeated, tag = "1")]
    pub stored: Vec<u64>,
    /// Pushes that are not.
    #[prost(message, repeated, tag = "2")]
    pub refused: Vec<Refused>,
}

/// A push that the edge could not take in. It goes out again.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Refused {
    /// Which.
    #[prost(uint64, tag = "1")]
    pub seq: u64,
    /// Why, for people.
    #[prost(string, tag = "2")]
    pub reason: String,
}

impl Frame {
    /// The lane that it belongs on.
    #[must_use]
    pub fn lane(&self) -> Lane {
        match self {
            Self::Hello(_) | Self::Welcome(_) | Self::Acks(_) | Self::Keepalive => Lane::Control,
            Self::Message(message) => Lane::of(message),
            Self::Push(push) if push.object.as_ref().is_some_and(|object| object.len() >= BULK_BYTES) => {
                Lane::Bulk
            }
            Self::Push(_) => Lane::State,
        }
    }
}

/// Writes a frame.
#[must_use]
pub fn encode(frame: &Frame) -> Bytes {
    let wire = WireFrame::from(frame);
    let mut plain = Vec::with_capacity(1 + wire.encoded_len());
    plain.push(PLAIN);
    wire.encode(&mut plain).expect("a Vec takes all bytes");
    if plain.len() < COMPRESS_FROM {
        return plain.into();
    }
    match pack(&plain[1..]) {
        Ok(packed) if packed.len() < plain.len() - plain.len() / MIN_SAVING => {
            let mut out = Vec::with_capacity(1 + packed.len());
            out.push(ZSTD);
            out.extend_from_slice(&packed);
            out.into()
        }
        _ => plain.into(),
    }
}

/// Reads a frame.
///
/// # Errors
/// [`CodecError`] for anything that is no frame. Memory follows what is there, not what the bytes claim, and no frame is
/// larger than [`MAX_MESSAGE_BYTES`] once it is unpacked.
pub fn decode(bytes: &[u8]) -> Result<Frame, CodecError> {
    if bytes.len() > MAX_MESSAGE_BYTES {
        return Err(CodecError::TooLarge { size: bytes.len() });
    }
    match bytes.split_first() {
        Some((&PLAIN, plain)) => read(plain),
        Some((&ZSTD, packed)) => read(&unpack(packed)?),
        Some(_) => Err(CodecError::Binary { problem: "its first byte is neither 1 nor 2" }),
        None => Err(CodecError::Truncated { size: 0 }),
    }
}

fn read(plain: &[u8]) -> Result<Frame, CodecError> {
    budget::check(plain)?;
    let wire = WireFrame::decode(plain)
        .map_err(|_| CodecError::Binary { problem: "it is no Protocol Buffers message" })?;
    Frame::try_from(wire)
}

#[cfg(test)]
mod tests;
