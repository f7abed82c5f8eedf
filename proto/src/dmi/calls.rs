//! What is asked and answered.

use super::{Device, DeviceModel, DeviceStatus};

/// What a driver says of itself.
#[derive(Clone, PartialEq, prost::Message)]
pub struct MapperRegisterRequest {
    /// Whether it wants its devices and models in the answer.
    #[prost(bool, tag = "1")]
    pub with_data: bool,
    /// The driver.
    #[prost(message, optional, tag = "2")]
    pub mapper: Option<MapperInfo>,
}

/// What a driver gets.
#[derive(Clone, PartialEq, prost::Message)]
pub struct MapperRegisterResponse {
    /// The models of its devices.
    #[prost(message, repeated, tag = "1")]
    pub model_list: Vec<DeviceModel>,
    /// Its devices.
    #[prost(message, repeated, tag = "2")]
    pub device_list: Vec<Device>,
}

/// A driver.
#[derive(Clone, PartialEq, prost::Message)]
pub struct MapperInfo {
    /// Its name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Its version.
    #[prost(string, tag = "2")]
    pub version: String,
    /// Version of its API.
    #[prost(string, tag = "3")]
    pub api_version: String,
    /// The protocol that it speaks: it gets the devices of that protocol.
    #[prost(string, tag = "4")]
    pub protocol: String,
    /// Path of the socket that it serves on.
    #[prost(bytes = "vec", tag = "5")]
    pub address: Vec<u8>,
    /// How it is.
    #[prost(string, tag = "6")]
    pub state: String,
}

/// Values of a device.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ReportDeviceStatusRequest {
    /// Its name.
    #[prost(string, tag = "1")]
    pub device_name: String,
    /// The values.
    #[prost(message, optional, tag = "2")]
    pub reported_device: Option<DeviceStatus>,
    /// Its namespace.
    #[prost(string, tag = "3")]
    pub device_namespace: String,
}

/// Taken.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ReportDeviceStatusResponse {}

/// How a device is.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ReportDeviceStatesRequest {
    /// Its name.
    #[prost(string, tag = "1")]
    pub device_name: String,
    /// Its namespace.
    #[prost(string, tag = "2")]
    pub device_namespace: String,
    /// online, offline, ok, unhealthy or unknown.
    #[prost(string, tag = "3")]
    pub state: String,
}

/// Taken.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ReportDeviceStatesResponse {}

/// There is a device.
#[derive(Clone, PartialEq, prost::Message)]
pub struct RegisterDeviceRequest {
    /// The device.
    #[prost(message, optional, tag = "1")]
    pub device: Option<Device>,
}

/// Taken.
#[derive(Clone, PartialEq, prost::Message)]
pub struct RegisterDeviceResponse {
    /// Its name.
    #[prost(string, tag = "1")]
    pub device_name: String,
    /// Its namespace.
    #[prost(string, tag = "2")]
    pub device_namespace: String,
}

/// There is a model.
#[derive(Clone, PartialEq, prost::Message)]
pub struct CreateDeviceModelRequest {
    /// The model.
    #[prost(message, optional, tag = "1")]
    pub model: Option<DeviceModel>,
}

/// Taken.
#[derive(Clone, PartialEq, prost::Message)]
pub struct CreateDeviceModelResponse {
    /// Its name.
    #[prost(string, tag = "1")]
    pub device_model_name: String,
    /// Its namespace.
    #[prost(string, tag = "2")]
    pub device_model_namespace: String,
}

/// A device is gone.
#[derive(Clone, PartialEq, prost::Message)]
pub struct RemoveDeviceRequest {
    /// Its name.
    #[prost(string, tag = "1")]
    pub device_name: String,
    /// Its namespace.
    #[prost(string, tag = "2")]
    pub device_namespace: String,
}

/// Taken.
#[derive(Clone, PartialEq, prost::Message)]
pub struct RemoveDeviceResponse {}

/// A model is gone.
#[derive(Clone, PartialEq, prost::Message)]
pub struct RemoveDeviceModelRequest {
    /// Its name.
    #[prost(string, tag = "1")]
    pub model_name: String,
    /// Its namespace.
    #[prost(string, tag = "2")]
    pub model_namespace: String,
}

/// Taken.
#[derive(Clone, PartialEq, prost::Message)]
pub struct RemoveDeviceModelResponse {}

/// A device has changed.
#[derive(Clone, PartialEq, prost::Message)]
pub struct UpdateDeviceRequest {
    /// The device.
    #[prost(message, optional, tag = "1")]
    pub device: Option<Device>,
}

/// Taken.
#[derive(Clone, PartialEq, prost::Message)]
pub struct UpdateDeviceResponse {}

/// A model has changed.
#[derive(Clone, PartialEq, prost::Message)]
pub struct UpdateDeviceModelRequest {
    /// The model.
    #[prost(message, optional, tag = "1")]
    pub model: Option<DeviceModel>,
}

/// Taken.
#[derive(Clone, PartialEq, prost::Message)]
pub struct UpdateDeviceModelResponse {}

/// Asks for a device.
#[derive(Clone, PartialEq, prost::Message)]
pub struct GetDeviceRequest {
    /// Its name.
    #[prost(string, tag = "1")]
    pub device_name: String,
    /// Its namespace.
    #[prost(string, tag = "2")]
    pub device_namespace: String,
}

/// The device.
#[derive(Clone, PartialEq, prost::Message)]
pub struct GetDeviceResponse {
    /// The device.
    #[prost(message, optional, tag = "1")]
    pub device: Option<Device>,
}
