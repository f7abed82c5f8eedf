//! Devices and models, as drivers see them.

use std::collections::BTreeMap;

use super::PushMethod;

/// A model.
#[derive(Clone, PartialEq, prost::Message)]
pub struct DeviceModel {
    /// Its name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// What is in it.
    #[prost(message, optional, tag = "2")]
    pub spec: Option<DeviceModelSpec>,
    /// Its namespace.
    #[prost(string, tag = "3")]
    pub namespace: String,
}

/// What is in a model.
#[derive(Clone, PartialEq, prost::Message)]
pub struct DeviceModelSpec {
    /// Properties.
    #[prost(message, repeated, tag = "1")]
    pub properties: Vec<ModelProperty>,
    /// Commands; not used.
    #[prost(message, repeated, tag = "2")]
    pub commands: Vec<DeviceCommand>,
}

/// A property of a model.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ModelProperty {
    /// Its name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// What it is.
    #[prost(string, tag = "2")]
    pub description: String,
    /// INT, FLOAT, DOUBLE, STRING, BOOLEAN, BYTES or STREAM.
    #[prost(string, tag = "3")]
    pub r#type: String,
    /// ReadWrite or ReadOnly.
    #[prost(string, tag = "4")]
    pub access_mode: String,
    /// Least value.
    #[prost(string, tag = "5")]
    pub minimum: String,
    /// Greatest value.
    #[prost(string, tag = "6")]
    pub maximum: String,
    /// Unit.
    #[prost(string, tag = "7")]
    pub unit: String,
}

/// A command; not used.
#[derive(Clone, PartialEq, prost::Message)]
pub struct DeviceCommand {
    /// Its name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Its address.
    #[prost(string, tag = "2")]
    pub url: String,
    /// Its method.
    #[prost(string, tag = "3")]
    pub method: String,
    /// Its codes.
    #[prost(string, repeated, tag = "4")]
    pub status_code: Vec<String>,
    /// Its parameters.
    #[prost(string, repeated, tag = "5")]
    pub parameters: Vec<String>,
    /// Its answer.
    #[prost(bytes = "vec", tag = "6")]
    pub response: Vec<u8>,
}

/// A device.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Device {
    /// Its name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// What is wanted.
    #[prost(message, optional, tag = "2")]
    pub spec: Option<DeviceSpec>,
    /// How often it is reported.
    #[prost(message, optional, tag = "3")]
    pub status: Option<DeviceStatus>,
    /// Its namespace.
    #[prost(string, tag = "4")]
    pub namespace: String,
}

/// What is wanted of a device.
#[derive(Clone, PartialEq, prost::Message)]
pub struct DeviceSpec {
    /// Name of the model.
    #[prost(string, tag = "1")]
    pub device_model_reference: String,
    /// How it is reached.
    #[prost(message, optional, tag = "2")]
    pub protocol: Option<ProtocolConfig>,
    /// Properties.
    #[prost(message, repeated, tag = "3")]
    pub properties: Vec<DeviceProperty>,
    /// Methods.
    #[prost(message, repeated, tag = "4")]
    pub methods: Vec<DeviceMethod>,
}

/// A method.
#[derive(Clone, PartialEq, prost::Message)]
pub struct DeviceMethod {
    /// Its name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// What it does.
    #[prost(string, tag = "2")]
    pub description: String,
    /// What it sets.
    #[prost(string, repeated, tag = "3")]
    pub property_names: Vec<String>,
}

/// A property of a device.
#[derive(Clone, PartialEq, prost::Message)]
pub struct DeviceProperty {
    /// Its name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// The value that it should have.
    #[prost(message, optional, tag = "2")]
    pub desired: Option<TwinProperty>,
    /// How it is read and written.
    #[prost(message, optional, tag = "3")]
    pub visitors: Option<VisitorConfig>,
    /// Milliseconds between two pushes.
    #[prost(int64, tag = "4")]
    pub report_cycle: i64,
    /// Milliseconds between two readings.
    #[prost(int64, tag = "5")]
    pub collect_cycle: i64,
    /// Whether it is reported.
    #[prost(bool, tag = "6")]
    pub report_to_cloud: bool,
    /// Where it is pushed.
    #[prost(message, optional, tag = "7")]
    pub push_method: Option<PushMethod>,
}

/// How a device is reached.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ProtocolConfig {
    /// Name of the protocol.
    #[prost(string, tag = "1")]
    pub protocol_name: String,
    /// What the driver needs.
    #[prost(message, optional, tag = "2")]
    pub config_data: Option<CustomizedValue>,
}

/// How a property is read and written.
#[derive(Clone, PartialEq, prost::Message)]
pub struct VisitorConfig {
    /// Name of the protocol.
    #[prost(string, tag = "1")]
    pub protocol_name: String,
    /// What the driver needs.
    #[prost(message, optional, tag = "2")]
    pub config_data: Option<CustomizedValue>,
}

/// Values by key.
#[derive(Clone, PartialEq, prost::Message)]
pub struct CustomizedValue {
    /// Each in a well-known wrapper.
    #[prost(btree_map = "string, message", tag = "1")]
    pub data: BTreeMap<String, Any>,
}

/// `google.protobuf.Any`
#[derive(Clone, PartialEq, prost::Message)]
pub struct Any {
    /// What it is.
    #[prost(string, tag = "1")]
    pub type_url: String,
    /// Its bytes.
    #[prost(bytes = "vec", tag = "2")]
    pub value: Vec<u8>,
}

/// Values of a device.
#[derive(Clone, PartialEq, prost::Message)]
pub struct DeviceStatus {
    /// By property.
    #[prost(message, repeated, tag = "1")]
    pub twins: Vec<Twin>,
    /// Whether the state is reported.
    #[prost(bool, tag = "2")]
    pub report_to_cloud: bool,
    /// Milliseconds between two reports of the state.
    #[prost(int64, tag = "3")]
    pub report_cycle: i64,
}

/// Values of a property.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Twin {
    /// Its name.
    #[prost(string, tag = "1")]
    pub property_name: String,
    /// The value that the driver was told to set.
    #[prost(message, optional, tag = "2")]
    pub observed_desired: Option<TwinProperty>,
    /// The value that it has.
    #[prost(message, optional, tag = "3")]
    pub reported: Option<TwinProperty>,
}

/// A value.
#[derive(Clone, PartialEq, prost::Message)]
pub struct TwinProperty {
    /// As text.
    #[prost(string, tag = "1")]
    pub value: String,
    /// What is known of it.
    #[prost(btree_map = "string, string", tag = "2")]
    pub metadata: BTreeMap<String, String>,
}
