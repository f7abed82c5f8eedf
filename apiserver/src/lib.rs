//! A Kubernetes API over SQLite, as a library.
//!
//! A kind is one entry in the table of [`registry`]; every handler is generic and reads that entry.

mod access;
pub mod apply;
mod call;
mod discovery;
mod dispatch;
pub mod error;
pub mod field_error;
mod garbage;
mod initial;
mod intake;
mod kinds;
mod managed;
mod metrics;
mod object;
pub mod openapi;
pub mod patch;
mod protobuf;
pub mod registry;
mod render;
pub mod request;
pub mod response;
mod reviews;
pub mod schema;
mod selection;
pub mod selector;
mod serve;
mod server;
mod service;
pub mod store;
mod subresources;
pub mod table;
pub mod tokens;
pub mod user;
pub mod validate;
mod validation;
mod verbs;
mod views;

pub use server::{ApiServer, NoRandomness, Options};
pub use service::ApiService;
pub use store::Database;
pub use user::User;
