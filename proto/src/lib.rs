//! What crosses a boundary, as types: messages, resource paths, custom resources, configuration files.
//!
//! No I/O, no clock and no randomness here: ids and times are arguments, so that everything can be tested as
//! plain functions. Bytes become types in [`codec`], YAML text becomes types in [`config`], and nothing behind
//! those two looks at strings to find out what a message is about.

pub mod api;
pub mod ban;
pub mod codec;
pub mod config;
pub mod dmi;
pub mod ephemeral;
pub mod hello;
pub mod json;
pub mod lane;
pub mod message;
pub mod placement;
pub mod quantity;
pub mod reply;
pub mod resource;
pub mod rights;
pub mod twin;
pub mod user;
mod words;

pub use lane::Lane;
pub use message::{Content, Header, Message, Route, Stamp};
pub use resource::{ObjectPath, Resource};
pub use words::{Group, Operation, ResourceKind, Source};
