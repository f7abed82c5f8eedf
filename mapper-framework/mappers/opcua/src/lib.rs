#![doc = include_str!("../README.md")]

mod config;
mod driver;
mod node;
mod refusal;
mod session;
mod trust;
mod values;
mod watch;

pub use self::config::SECRETS;
pub use self::driver::OpcUa;
