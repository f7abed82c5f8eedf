//! A Kubernetes API over SQLite, as a library.
//!
//! A kind is one entry in the table of [`registry`]; every handler is generic and reads that entry.

pub mod apply;
pub mod field_error;
pub mod patch;
pub mod registry;
pub mod schema;
pub mod selector;
pub mod store;
pub mod table;
pub mod validate;
