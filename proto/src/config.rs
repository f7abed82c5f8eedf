//! The two configuration files, with KubeEdge's keys and defaults (spec cloud-and-wire 6.11, edge 6).
//!
//! These types say what may be written, nothing more: a key that is missing has its default, a key that nobody
//! knows is an error, and `validate` lists every value that makes no sense, with its place in the file. The
//! modules turn them into their own validated types.

mod check;
pub mod cloudcore;
mod common;
mod duration;
pub mod edgecore;
mod section;
mod sensitive;

pub use check::Problem;
pub use common::{FeatureGates, LogFormat, Logging};
pub use duration::{GoDuration, ParseDurationError};
pub use sensitive::Sensitive;
