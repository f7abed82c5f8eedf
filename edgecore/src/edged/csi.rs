//! Drivers of volumes on this node: `csi.v1`, the part of it that a node's agent speaks
//! (<https://github.com/container-storage-interface/spec/blob/master/spec.md>).
//!
//! [`Drivers`] knows which are here: they register themselves through [`super::plugins`]. [`Client`] asks one of them. What is
//! asked, and when, is up to [`super::volumes`]. [`reporter`] tells the cloud which drivers there are. Nothing is kept: drivers
//! register again after a restart.

mod client;
mod drivers;
pub mod reporter;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod wire;

pub use client::{Client, LIMIT};
pub use drivers::{Driver, Drivers};
