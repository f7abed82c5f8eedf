//! One hollow node: what an edge says to the cloud, without anything behind it.
//!
//! [`machine`] decides, [`driver`] moves its messages over a link, [`store`] remembers what was delivered.

pub mod driver;
pub mod machine;
mod requests;
mod store;

pub use driver::{Mode, Node, Order};
pub use machine::{Identity, Kind, Machine, Now, Output, Seen, Timing};
pub use requests::SENT;
