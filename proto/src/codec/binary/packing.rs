//! zstd (RFC 8878). Its contexts are costly to make and so each thread keeps one for what is sent all the time: messages of
//! a few hundred bytes. What is large is rare, and a context for it would keep the memory that it once took.

use std::cell::RefCell;
use std::io::{self, Read as _};

use zstd::bulk::{Compressor, Decompressor};
use zstd::zstd_safe::{find_frame_compressed_size, get_frame_content_size};

use crate::codec::json::{CodecError, MAX_MESSAGE_BYTES};

/// The fastest of zstd's usual levels. Kubernetes objects shrink to a fifth with it, and with the highest to a sixth.
const LEVEL: i32 = 1;
/// 8 MiB, zstd's own recommendation for receivers: a frame cannot ask for more memory than this to be unpacked.
const MAX_WINDOW_LOG: u32 = 23;
/// Frames up to this size use the thread's contexts, which take about as much again for each direction.
const SMALL: usize = 16 << 10;

thread_local! {
    static PACKER: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) };
    static UNPACKER: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

/// Packs a frame.
///
/// # Errors
/// zstd has no memory.
pub(super) fn pack(plain: &[u8]) -> io::Result<Vec<u8>> {
    if plain.len() > SMALL {
        return zstd::bulk::compress(plain, LEVEL);
    }
    PACKER.with_borrow_mut(|kept| match kept {
        Some(packer) => packer.compress(plain),
        None => kept.insert(Compressor::new(LEVEL)?).compress(plain),
    })
}

/// Unpacks a frame.
///
/// # Errors
/// It is none, or would become larger than [`MAX_MESSAGE_BYTES`]. Until then memory grows with what is unpacked.
pub(super) fn unpack(packed: &[u8]) -> Result<Vec<u8>, CodecError> {
    let broken = |_| CodecError::Binary { problem: "it cannot be unpacked" };
    if let Some(size) = small_size(packed) {
        return unpack_small(packed, size).map_err(broken);
    }
    let mut decoder = zstd::stream::read::Decoder::with_buffer(packed).map_err(broken)?;
    decoder.window_log_max(MAX_WINDOW_LOG).map_err(broken)?;
    let mut plain = Vec::new();
    let limit = u64::try_from(MAX_MESSAGE_BYTES + 1).unwrap_or(u64::MAX);
    decoder.take(limit).read_to_end(&mut plain).map_err(broken)?;
    if plain.len() > MAX_MESSAGE_BYTES {
        return Err(CodecError::TooLarge { size: plain.len() });
    }
    Ok(plain)
}

/// What a single small frame says that it will become. Everything else (RFC 8878 allows sizes that are not told, and
/// several frames one after the other) is for the decoder of streams.
fn small_size(packed: &[u8]) -> Option<usize> {
    if find_frame_compressed_size(packed) != Ok(packed.len()) {
        return None;
    }
    let size = usize::try_from(get_frame_content_size(packed).ok()??).ok()?;
    (size <= SMALL).then_some(size)
}

fn unpack_small(packed: &[u8], size: usize) -> io::Result<Vec<u8>> {
    UNPACKER.with_borrow_mut(|kept| match kept {
        Some(unpacker) => unpacker.decompress(packed, size),
        None => kept.insert(Decompressor::new()?).decompress(packed, size),
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn text(len: usize) -> Vec<u8> {
        (0..len).map(|at| b"kubernetes "[at % 11] ^ u8::from(at % 97 == 0)).collect()
    }

    #[test]
    fn every_size_comes_back() {
        for len in [0, 1, 300, SMALL - 1, SMALL, SMALL + 1, 1 << 20] {
            let plain = text(len);
            let packed = pack(&plain).unwrap();
            assert_eq!(small_size(&packed), (len <= SMALL).then_some(len));
            assert_eq!(unpack(&packed).unwrap(), plain, "{len}");
        }
    }

    #[test]
    fn what_another_encoder_may_send_is_read() {
        let plain = text(1000);
        let mut untold = zstd::stream::Encoder::new(Vec::new(), LEVEL).unwrap();
        untold.write_all(&plain).unwrap();
        let untold = untold.finish().unwrap();
        assert_eq!(small_size(&untold), None, "the size of a stream is not told");
        assert_eq!(unpack(&untold).unwrap(), plain);
        let twice = [pack(&plain).unwrap(), pack(&plain).unwrap()].concat();
        assert_eq!(unpack(&twice).unwrap(), plain.repeat(2));
    }

    #[test]
    fn a_broken_frame_does_not_spoil_the_next() {
        let plain = text(1000);
        let packed = pack(&plain).unwrap();
        for at in 0..packed.len() {
            let mut broken = packed.clone();
            broken[at] ^= 0x55;
            // It may also be another frame.
            drop(unpack(&broken));
            assert!(unpack(&packed[..at]).is_err());
            assert_eq!(unpack(&packed).unwrap(), plain);
        }
    }

    #[test]
    fn what_a_small_frame_claims_is_not_believed() {
        let claim = |size: u8| [&[0x28, 0xb5, 0x2f, 0xfd, 0x20, size, 0x01, 0x00, 0x00][..]].concat();
        assert_eq!(unpack(&claim(0)).unwrap(), b"");
        assert!(unpack(&claim(200)).is_err(), "it says 200 bytes and has none");
    }
}
