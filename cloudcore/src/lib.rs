//! The cloud side: hub, controllers, embedded control plane.

pub mod cloudhub;
pub mod edgecontroller;
pub mod embedded;
pub mod flow;
