//! The edge side: hub, store, metadata, pods.

pub mod edged;
pub mod edgehub;
pub mod flow;
pub mod metamanager;
pub mod store;
