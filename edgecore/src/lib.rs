//! The edge side: hub, store, metadata, pods.

pub mod app;
pub mod args;
pub mod devicetwin;
pub mod dmi;
pub mod edged;
pub mod edgehub;
pub mod eventbus;
pub mod flow;
pub mod metamanager;
pub mod mqttdevices;
pub mod servicebus;
pub mod settings;
pub mod store;
