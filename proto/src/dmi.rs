//! DMI v1beta1: gRPC between EdgeCore and drivers (spec edge-keadm-mapper 4.5), and what devices and models are in it.
//!
//! The messages are written by hand with the tags of stock's `api.proto`: no compiler of `.proto` files is needed to build.

mod calls;
mod convert;
mod methods;
mod objects;
mod push;
#[cfg(test)]
mod tests;

pub use self::calls::*;
pub use self::convert::{configured, device, model};
pub use self::methods::*;
pub use self::objects::*;
pub use self::push::*;

/// The service in EdgeCore that drivers call.
pub const MANAGER: &str = "v1beta1.DeviceManagerService";
/// The service in drivers that EdgeCore calls.
pub const MAPPER: &str = "v1beta1.DeviceMapperService";
