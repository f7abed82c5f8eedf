//! The SDK for device drivers ("mappers"): a driver is one trait, [`Driver`], and the framework does the rest. It registers with
//! EdgeCore over DMI, runs a task for each device, reads its properties in their cycles, sets what is desired, notices when the
//! device is gone and connects it again, reports values and states, pushes values to databases and brokers, and has a local
//! REST API and metrics. Mapper, EdgeCore and devices may start, end and come back in any order.
//!
//! A whole mapper:
//!
//! ```no_run
//! use mapper_framework::{Device, Driver, DriverError, Property, Value};
//!
//! /// A lamp that can be dimmed.
//! struct Lamp {
//!     level: i64,
//! }
//!
//! impl Driver for Lamp {
//!     async fn connect(&mut self) -> Result<(), DriverError> {
//!         Ok(())
//!     }
//!
//!     async fn read(&mut self, property: &Property) -> Result<Value, DriverError> {
//!         match property.name() {
//!             "level" => Ok(self.level.into()),
//!             other => Err(DriverError::Unsupported(format!("a lamp has no {other}"))),
//!         }
//!     }
//!
//!     async fn write(&mut self, _property: &Property, value: &Value) -> Result<(), DriverError> {
//!         if let Value::Int(level) = value {
//!             self.level = *level;
//!         }
//!         Ok(())
//!     }
//! }
//!
//! fn main() -> std::process::ExitCode {
//!     mapper_framework::main("lamp", |_device: &Device| Ok(Lamp { level: 0 }))
//! }
//! ```
//!
//! It gets the devices of protocol `lamp`. `lamp --simulate devices.yaml` runs it without EdgeCore, on the manifests in a file;
//! `curl http://127.0.0.1:7777/api/v1/devices` shows what it does. A new project comes from `mapper-new NAME`
//! ([`generator`]).
//!
//! # What a driver is given
//!
//! [`Device`] and [`Property`] bring together what the Device and its DeviceModel say: types, ranges, cycles, and the
//! `configData` of the device ([`Device::config`]) and of each property ([`Property::config`]), which a driver reads into types
//! of its own:
//!
//! ```
//! #[derive(serde::Deserialize)]
//! #[serde(rename_all = "camelCase")]
//! struct Visitor {
//!     register: u16,
//!     #[serde(flatten)]
//!     conversion: mapper_framework::Conversion,
//! }
//! # fn read(property: &mapper_framework::Property) -> Result<(), mapper_framework::DriverError> {
//! let visitor: Visitor = property.config().read()?;
//! # Ok(())
//! # }
//! ```
//!
//! [`Conversion`] makes values of raw numbers: size, byte order, scale and offset. [`Keys`] reads what was written for other
//! mappers: names in any case, numbers as texts, nested values, and everything that is wrong at once; [`Visitors`] remembers what was read so.
//!
//! # When a driver is called
//!
//! | what | when |
//! |---|---|
//! | [`Driver::connect`] | first, and after the device was lost; with back-off up to a minute |
//! | [`Driver::write`] | for each desired value once the device is connected, and when it changes, until it is taken; and for REST |
//! | [`Driver::upcoming`] | before the readings of one moment, with all of them |
//! | [`Driver::read`] | every `collectCycle` of a property that is reported, every `reportCycle` of one that is pushed; after each write; and for REST |
//! | [`Driver::health`] | every `stateReport.reportCycle`; where the Device does not say, every `device.state_cycle` |
//! | [`Driver::open_stream`] | for each property of type STREAM once the device is connected, and after the stream ended: see [`stream`] |
//! | [`Driver::call`] | for methods, which come by REST |
//! | [`Driver::disconnect`] | when the device is gone, is reached in another way, or the mapper ends |
//!
//! Keys of the configuration file are in [`config`], where values are pushed in [`sinks`], paths of the REST API at `/api/v1` in
//! the table of `rest.rs`: reads, writes by PUT or POST, methods with a result.

mod actor;
#[cfg(feature = "tls")]
mod address;
mod anomaly;
mod app;
mod args;
mod book;
#[cfg(feature = "mqtt")]
mod broker;
pub mod config;
mod convert;
mod device;
mod driver;
mod edge;
mod fleet;
pub mod generator;
mod health;
mod keys;
mod metrics;
mod outbox;
#[cfg(feature = "mqtt")]
mod report;
mod rest;
mod run;
mod schedule;
mod simulate;
pub mod sinks;
pub mod stream;
mod tls;
mod value;
mod visitors;

pub use self::anomaly::{Anomaly, Thresholds};
pub use self::convert::{ByteOrder, Conversion, ConvertError, Number, Raw, decode, encode};
pub use self::device::{Config, Device, Key, Method, Property};
pub use self::driver::{Driver, DriverError};
pub use self::health::State;
pub use self::keys::{Checked, Keys};
pub use self::run::{Mapper, main};
pub use self::simulate::devices;
pub use self::stream::{Frame, Frames};
pub use self::value::{DataType, Value, ValueError};
pub use self::visitors::{Visitor, Visitors};
