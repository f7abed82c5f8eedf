//! Lists are counted before they are read.
//!
//! An entry of a list takes one or two bytes on the wire and up to eighty in memory, and zeros shrink to nothing: without
//! this, three kilobytes from one node would take a gigabyte.

use bytes::Buf as _;
use prost::DecodeError;
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};

use crate::codec::json::CodecError;
use crate::hello::MAX_HELD;

/// Tag of the hello in a frame; its objects are counted.
const HELLO: u32 = 1;
/// Tag of acknowledgements in a frame.
const ACKS: u32 = 5;
/// Tag, in both, of a list of numbers, which may be packed: many in one field.
const NUMBERS: u32 = 1;

/// What a hello may have besides its objects.
const MORE_OF_HELLO: usize = 64;
/// A frame acknowledges what was committed at once: less than a window of pushes (256). A number takes ten bytes at most.
const MAX_ACKS: usize = 4096 * 10;

/// Whether the lists in a frame are of a size that somebody could mean.
pub(super) fn check(mut frame: &[u8]) -> Result<(), CodecError> {
    let (mut hello, mut acks) = (0, 0);
    while !frame.is_empty() {
        let (tag, kind) = decode_key(&mut frame).map_err(broken)?;
        match (tag, kind) {
            // The same field twice is merged, so all of them are counted together.
            (HELLO, WireType::LengthDelimited) => hello += count(bytes(&mut frame)?)?,
            (ACKS, WireType::LengthDelimited) => acks += count(bytes(&mut frame)?)?,
            _ => skip_field(kind, tag, &mut frame, DecodeContext::default()).map_err(broken)?,
        }
    }
    if hello > MAX_HELD + MORE_OF_HELLO {
        return Err(CodecError::Binary { problem: "its hello lists more than a node can hold" });
    }
    if acks > MAX_ACKS {
        return Err(CodecError::Binary { problem: "it acknowledges more than can be under way" });
    }
    Ok(())
}

/// The fields of a message; packed numbers count by the byte.
fn count(mut message: &[u8]) -> Result<usize, CodecError> {
    let mut count = 0;
    while !message.is_empty() {
        let (tag, kind) = decode_key(&mut message).map_err(broken)?;
        count += 1;
        if tag == NUMBERS && kind == WireType::LengthDelimited {
            count += bytes(&mut message)?.len();
        } else {
            skip_field(kind, tag, &mut message, DecodeContext::default()).map_err(broken)?;
        }
    }
    Ok(count)
}

fn bytes<'a>(frame: &mut &'a [u8]) -> Result<&'a [u8], CodecError> {
    let length = decode_varint(frame).map_err(broken)?;
    let length = usize::try_from(length).ok().filter(|length| *length <= frame.len());
    let length = length.ok_or(CodecError::Binary { problem: "a part of it is longer than the frame" })?;
    let part = &frame[..length];
    frame.advance(length);
    Ok(part)
}

fn broken(_: DecodeError) -> CodecError {
    CodecError::Binary { problem: "it is no Protocol Buffers message" }
}
