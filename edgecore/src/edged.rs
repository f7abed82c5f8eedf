//! Pods and the node: kubelet's contract over CRI.

pub mod downward;
pub mod env;
pub mod events;
pub mod labels;
pub mod node;
pub mod resources;
pub mod runtime;
pub mod sources;
pub mod volumes;
