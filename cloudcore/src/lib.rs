//! The cloud side: hub, controllers, embedded control plane.

pub mod embedded;
