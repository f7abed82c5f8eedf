//! What every daemon rides on: modules, supervision, links, configuration, telemetry.
//!
//! A daemon is a set of [`module::Module`]s. `app.rs` of each binary creates the channels between them, hands them
//! to a [`supervisor::Supervisor`] and waits: the supervisor ends all of them when one ends or when it is told to.

pub mod accept;
pub mod admin;
pub mod backoff;
pub mod body;
pub mod channel;
pub mod clock;
pub mod config;
pub mod files;
#[cfg(feature = "grpc")]
pub mod grpc;
pub mod host;
pub mod http1;
pub mod link;
pub mod metrics;
pub mod module;
pub mod places;
pub mod readiness;
pub mod rng;
pub mod servicemanager;
pub mod shutdown;
pub mod signal;
pub mod supervisor;
pub mod task;
pub mod telemetry;
pub mod tide;
