//! What the real server refuses with status 422, and in which words.
//!
//! Pure functions over decoded objects: [`metadata`] for every kind, and one module per kind that has rules of
//! its own. They assume that JSON types fit already ([`crate::schema::conform`]).

mod keyed_data;
mod meta;
mod names;
pub mod pod;
mod quantity;
mod service;

pub use keyed_data::{config_map, config_map_update, secret, secret_update};
pub use meta::{metadata, metadata_update};
pub use names::{dns_label, dns_subdomain, label_key, label_value, service_name};
pub use quantity::Quantity;
pub use service::service;

#[cfg(test)]
mod tests;
