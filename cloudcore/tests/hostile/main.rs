//! The hub on real sockets, both transports, and whoever means it no good. One process of its own, because some of the
//! tests look at its memory.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic as tests may")]

mod certificates;
mod declared;
mod hub;
mod memory;
mod requests;
