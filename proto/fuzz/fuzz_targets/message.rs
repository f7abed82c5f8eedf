//! Any bytes: no panic, and what decodes is the same message after another round.
#![no_main]

use libfuzzer_sys::fuzz_target;
use proto::codec::{decode, encode};

fuzz_target!(|frame: &[u8]| {
    if let Ok(message) = decode(frame) {
        assert_eq!(decode(&encode(&message)).expect("what we encode, we decode"), message);
        message.needs_ack();
    }
});
