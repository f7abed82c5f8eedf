//! From bytes to messages and back.

pub mod binary;
pub mod json;

pub use json::{CodecError, MAX_DEPTH, MAX_MESSAGE_BYTES, decode, encode};
