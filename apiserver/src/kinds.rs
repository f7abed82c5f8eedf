//! What single kinds do beyond what every kind does: the hooks of the table of kinds.
//!
//! Defaults follow the Kubernetes API reference; validation lives in [`crate::validate`].

pub(crate) mod config_map;
pub(crate) mod definition;
pub(crate) mod namespace;
pub(crate) mod pod;
pub(crate) mod priority_class;
pub(crate) mod secret;
pub(crate) mod service;
pub(crate) mod signing_request;
pub(crate) mod storage;
