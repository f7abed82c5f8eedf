//! One pod: what it should be, what it is, and the next step from the one to the other.

pub mod actor;
pub mod backoff;
pub mod container_config;
pub mod containers;
pub mod context;
pub mod dns;
mod files;
#[cfg(test)]
mod fixtures;
mod hash;
pub mod health;
mod keeper;
mod last_words;
pub mod observed;
pub mod sandbox_config;
pub mod security;
pub mod state;
pub mod status;
pub mod summary;
pub mod wanted;
mod worker;

pub(in crate::edged) use files::remove_log;
