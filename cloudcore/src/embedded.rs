//! The embedded control plane: a Kubernetes API and the few controllers that one machine needs (DESIGN section 9).
//!
//! The API is the `apiserver` crate on SQLite. The controllers reach it as they would reach any cluster: with a
//! `kube` client, through watches. [`controllers::Controllers`] is one loop: it keeps a view of the cluster, asks each
//! controller's pure `plan` what to do about it, and does that.
//!
//! | controller | does |
//! |---|---|
//! | [`scheduler`] | binds pending pods to nodes that fit |
//! | [`lifecycle`] | marks a node `Unknown` when its lease goes stale, taints nodes that are not ready |
//! | [`accounts`] | keeps a `default` service account and `kube-root-ca.crt` in every namespace |
//! | [`namespaces`] | empties a namespace that is being deleted |
//! | [`orphans`] | removes pods whose node is gone |
//! | [`ephemeral`] | makes the claims of volumes that have one of their own, and removes them after their pods |
//!
//! Before any of them, [`definitions`] makes the custom resources known that CloudCore works with, and [`service`] says where the API is.

pub mod accounts;
mod action;
mod claims;
pub mod controllers;
pub mod definitions;
mod ephemeral;
pub mod lifecycle;
pub mod namespaces;
pub mod orphans;
pub mod scheduler;
pub mod server;
mod service;
#[cfg(test)]
mod testing;
mod view;

pub use controllers::Controllers;
pub use server::EmbeddedApi;
