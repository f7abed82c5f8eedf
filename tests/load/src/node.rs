//! One hollow node: what an edge says to the cloud, without anything behind it.
//!
//! [`machine`] decides, [`flow`] is what goes in and out of it, [`driver`] moves its messages over a link, `store` remembers
//! what was delivered.

pub mod driver;
pub mod flow;
pub mod machine;
mod requests;
mod store;

pub use driver::{Mode, Node, Order};
pub use flow::{Identity, Kind, Now, Output, Seen, Timing};
pub use machine::Machine;
pub use requests::SENT;
