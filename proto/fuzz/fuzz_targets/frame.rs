//! The native decoder: any bytes are a frame or an error, and what is a frame survives being written and read.
#![no_main]

use libfuzzer_sys::fuzz_target;
use proto::codec::binary::{decode, encode};

fuzz_target!(|data: &[u8]| {
    if let Ok(frame) = decode(data) {
        assert_eq!(decode(&encode(&frame)).expect("what was written is read"), frame);
    }
});
