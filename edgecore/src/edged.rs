//! Pods and the node: kubelet's contract over CRI.

pub mod labels;
pub mod runtime;
