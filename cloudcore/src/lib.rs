//! The cloud side: hub, controllers, embedded control plane.

pub mod admission;
pub mod app;
pub mod args;
pub mod claiming;
pub mod cloudhub;
pub mod devicecontroller;
pub mod edgecontroller;
pub mod embedded;
pub mod flow;
pub mod forwarding;
mod namespace;
pub mod replicas;
pub mod router;
pub mod settings;
pub mod synccontroller;
mod watching;
