//! A small MQTT 3.1.1 broker that lives inside EdgeCore (`modules.eventBus.mqttMode` 0 and 1).
//!
//! `core` and `session` are the broker: state that is changed by packets and by the time, without I/O. `connection` carries packets
//! between a socket and the core; `broker` opens the sockets. All connections change one core, a few packets at a time; what a client
//! is to be sent waits in its session, so nobody waits for a client that is slow. `local` is the way in for EventBus, without a socket:
//! what it has yet to put on disk is not acknowledged to whoever has published it.
//!
//! All quality levels, wills, retained messages, sessions that outlive a connection, wildcards, TLS. Everything is bounded by
//! [`Limits`]; what bites is counted in `mqtt_dropped_total`. Sessions and retained messages are in memory, as in stock's broker.

mod broker;
mod connection;
mod core;
mod door;
mod frame;
mod local;
mod message;
mod metrics;
mod owed;
mod retained;
mod session;
mod settings;
#[cfg(feature = "testing")]
pub mod testing;
mod topic;
mod tree;

pub use self::broker::Broker;
pub use self::frame::Violation;
pub use self::local::{Arrival, Inbox, Local, Publication, Sender};
pub use self::metrics::Metrics;
pub use self::settings::{Door, Limits, Settings, Tls};
