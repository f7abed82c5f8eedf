//! Hollow edge nodes: what a CloudCore sees of an edge, many times over, in one process.
//!
//! [`node`] is one of them, [`fleet`] many, [`scenario`] what they do together. They speak the protocol of stock
//! KubeEdge and need nothing of a hub that is ours, so two hubs can be measured alike; to one that is ours they can speak
//! the native dialect as well.

pub mod args;
pub mod bench;
pub mod cluster;
pub mod connection;
pub mod datagrams;
pub mod dialect;
pub mod endpoint;
pub mod fleet;
pub mod ground;
pub mod histogram;
pub mod https;
pub mod hub;
pub mod join;
pub mod node;
pub mod process;
pub mod report;
pub mod scenario;
pub mod stats;
