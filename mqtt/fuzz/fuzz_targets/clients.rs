//! Three clients that send any bytes, are cut off and come again: no panic, no limit exceeded, and the broker's books are right.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|script: &[u8]| mqtt::testing::exercise(script));
