//! Any text as a join token or a bearer token: no panic, no token of a CA that did not make it, nothing lost in reading.
#![no_main]

use std::sync::LazyLock;

use certs::token::verify_bearer;
use certs::{Ca, JoinToken};
use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;

static CA: LazyLock<Ca> =
    LazyLock::new(|| Ca::generate(Timestamp::UNIX_EPOCH).expect("the system has randomness"));

fuzz_target!(|text: &str| {
    assert!(verify_bearer(text, &CA, Timestamp::UNIX_EPOCH).is_err());
    if let Ok(token) = JoinToken::parse(text) {
        assert!(token.verify(&CA, Timestamp::UNIX_EPOCH).is_err());
        assert_eq!(JoinToken::parse(&token.expose()), Ok(token));
    }
});
