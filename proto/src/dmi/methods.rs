//! Calls of a device's methods: Skerry's addition to DMI.
//!
//! Stock's `DeviceMapperService` has no call for them: a stock driver takes writes at its own REST port only
//! (`GET /api/v1/devicemethod/{namespace}/{name}/{method}/{property}/{data}`, port 7777). So this is a service of its own beside the
//! stock one, on the same socket, with the same encoding: a driver without it answers UNIMPLEMENTED. As a `.proto` file:
//!
//! ```text
//! syntax = "proto3";
//! package skerry.dmi.v1;
//! service DeviceMethodService { rpc CallMethod(CallMethodRequest) returns (CallMethodResponse); }
//! message CallMethodRequest {
//!   string device_name = 1; string device_namespace = 2; string method = 3; map<string, string> values = 4; string id = 5;
//! }
//! message CallMethodResponse { string result = 1; }
//! ```

use std::collections::BTreeMap;

/// The service in drivers that EdgeCore calls for methods.
pub const METHODS: &str = "skerry.dmi.v1.DeviceMethodService";

/// Do this with the device. What fails is answered with a status whose message is shown to whoever asked.
#[derive(Clone, PartialEq, prost::Message)]
pub struct CallMethodRequest {
    /// Name of the device.
    #[prost(string, tag = "1")]
    pub device_name: String,
    /// Its namespace.
    #[prost(string, tag = "2")]
    pub device_namespace: String,
    /// Name of the method, as in the device. Empty asks whether the driver takes calls at all: anything but UNIMPLEMENTED is a yes.
    #[prost(string, tag = "3")]
    pub method: String,
    /// Values by property, as text; they fit the model.
    #[prost(btree_map = "string, string", tag = "4")]
    pub values: BTreeMap<String, String>,
    /// Id of the call: it is made once.
    #[prost(string, tag = "5")]
    pub id: String,
}

/// It is done.
#[derive(Clone, PartialEq, prost::Message)]
pub struct CallMethodResponse {
    /// What came of it, as text; 16 KiB at most.
    #[prost(string, tag = "1")]
    pub result: String,
}
