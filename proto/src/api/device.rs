//! `devices.kubeedge.io/v1beta1`: devices, their models, and how they are (spec cloud-and-wire 4.1).
//!
//! An object that lacks something reads as empty there: a device must not keep anybody from reading the others.

mod definition;
pub mod mqtt;
mod push;
#[cfg(test)]
mod tests;
pub mod validation;

use std::collections::BTreeMap;
use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::{ListableResource, Metadata, NamespaceResourceScope, Resource};
use serde::de::Deserializer;
use serde::ser::{SerializeStruct as _, Serializer};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub use self::definition::definitions;
pub use self::push::{
    DbMethod, Influxdb2, Influxdb2Client, Influxdb2Data, Kwdb, MySql, MySqlClient, NamedDatabase, PushHttp,
    PushMethod, PushMqtt, PushOtel, Redis, RedisClient, TdEngine,
};
use super::schema::{Described, described, resource};
pub use super::schema::{FreeObject, RequiredText};

/// The API group.
pub const GROUP: &str = "devices.kubeedge.io";
/// The stored version.
pub const VERSION: &str = "v1beta1";
/// Group and version, as in `apiVersion`.
pub const API_VERSION: &str = "devices.kubeedge.io/v1beta1";
/// Names that mean "keep a frame" and "keep a clip" in a property of type STREAM.
pub const STREAM_PROPERTIES: [&str; 2] = ["saveFrame", "saveVideo"];

resource! {
    /// A device on an edge node: what drives it, its properties, and the values that they should have.
    Device { "devices", "DeviceList", DeviceSpec, DeviceState }
}

resource! {
    /// What devices of one make have in common: their properties, with types and ranges.
    DeviceModel { "devicemodels", "DeviceModelList", DeviceModelSpec, Nothing }
}

resource! {
    /// How a device is: its state, and what its driver has reported of its properties. It has the name of the device and goes
    /// with it.
    DeviceStatus { "devicestatuses", "DeviceStatusList", Nothing, DeviceStatusStatus }
}

described! {
    /// Nothing.
    pub struct Nothing {}
}

described! {
    /// What the device is, and the values that its properties should have.
    pub struct DeviceSpec {
        /// The model of the device, in its namespace. Device and model may come in either order.
        "deviceModelRef" device_model_ref: Option<ModelRef>,
        /// The edge node that the device is attached to.
        "nodeName" node_name: String,
        /// The properties of the device; each name once.
        "properties" properties: Vec<DeviceProperty>,
        /// How a driver reaches the device.
        "protocol" protocol: ProtocolConfig,
        /// What can be done with the device; each name once.
        "methods" methods: Vec<DeviceMethod>,
        /// Whether and how often the driver says how the device is.
        "stateReport" state_report: Option<StateReport>,
    }
}

described! {
    /// Names a DeviceModel.
    @atomic
    pub struct ModelRef {
        /// Name of the model, in the namespace of the device.
        "name" name: String,
    }
}

described! {
    /// How a driver reaches the device.
    pub struct ProtocolConfig {
        /// Name of the protocol: drivers that speak it get the device.
        "protocolName" protocol_name: String,
        /// Whatever the driver needs to reach the device.
        "configData" config_data: Option<FreeObject>,
    }
}

described! {
    /// One property of the device.
    pub struct DeviceProperty {
        /// Name of the property, as in the model. saveFrame and saveVideo stand for frames and clips of a stream.
        "name" name: String,
        /// The value that it should have.
        "desired" desired: Option<TwinProperty>,
        /// How the driver reads and writes the property. What the model says counts, and this adds to it.
        "visitors" visitors: Option<ProtocolConfig>,
        /// Milliseconds between two pushes of the value.
        "reportCycle" report_cycle: i64,
        /// Milliseconds between two readings of the device.
        "collectCycle" collect_cycle: i64,
        /// Whether the value is reported to the cloud.
        "reportToCloud" report_to_cloud: bool,
        /// Where the driver pushes the value besides.
        "pushMethod" push_method: Option<PushMethod>,
    }
}

described! {
    /// A value of a property.
    pub struct TwinProperty {
        /// The value, as text.
        "value" value: RequiredText,
        /// When it was seen (timestamp, Unix milliseconds), its type, and whatever else is known of it.
        "metadata" metadata: BTreeMap<String, String>,
    }
}

described! {
    /// Something that can be done with the device.
    pub struct DeviceMethod {
        /// Name of the method.
        "name" name: String,
        /// What it does.
        "description" description: String,
        /// The properties that it sets.
        "propertyNames" property_names: Vec<String>,
    }
}

described! {
    /// Whether and how often the driver says how the device is.
    pub struct StateReport {
        /// Whether the state is reported.
        "reportToCloud" report_to_cloud: bool,
        /// Milliseconds between two reports.
        "reportCycle" report_cycle: i64,
    }
}

described! {
    /// The device in short; the whole is in the DeviceStatus of the same name.
    pub struct DeviceState {
        /// Older form of spec.stateReport.reportToCloud.
        "reportToCloud" report_to_cloud: bool,
        /// Older form of spec.stateReport.reportCycle.
        "reportCycle" report_cycle: i64,
        /// The state when it last changed, as in the DeviceStatus: online, offline, ok, unhealthy or unknown.
        "state" state: String,
        /// When the device had last been online at that time.
        "lastOnlineTime" last_online_time: String,
    }
}

described! {
    /// What devices of the model have in common.
    pub struct DeviceModelSpec {
        /// The properties; each name once.
        "properties" properties: Vec<ModelProperty>,
        /// The protocol that devices of this model speak.
        "protocol" protocol: String,
        /// What all devices of this model have in their protocol.configData.
        "protocolConfigData" protocol_config_data: Option<FreeObject>,
    }
}

described! {
    /// A property that devices of the model have.
    pub struct ModelProperty {
        /// Name of the property. saveFrame and saveVideo stand for frames and clips of a stream.
        "name" name: String,
        /// What it is.
        "description" description: String,
        /// Type of its values.
        "type" data_type: Option<DataType>,
        /// Whether it can be set.
        "accessMode" access_mode: Option<AccessMode>,
        /// Least value, for numbers.
        "minimum" minimum: String,
        /// Greatest value, for numbers.
        "maximum" maximum: String,
        /// Unit of the values.
        "unit" unit: String,
        /// How a driver reads and writes the property, for all devices of the model.
        "visitors" visitors: Option<ProtocolConfig>,
    }
}

described! {
    /// How the device is.
    pub struct DeviceStatusStatus {
        /// The properties, as the driver has reported them.
        "twins" twins: Vec<Twin>,
        /// online, offline, ok, unhealthy or unknown.
        "state" state: String,
        /// When the device was last online, RFC 3339.
        "lastOnlineTime" last_online_time: String,
        /// Whatever else there is to say of the device.
        "extensions" extensions: Option<FreeObject>,
    }
}

described! {
    /// What the driver has reported of one property.
    pub struct Twin {
        /// Name of the property.
        "propertyName" property_name: String,
        /// The value that the property has.
        "reported" reported: Option<TwinProperty>,
        /// The value that the driver was last told to set.
        "observedDesired" observed_desired: Option<TwinProperty>,
    }
}

macro_rules! word {
    ($(#[$meta:meta])* $name:ident { $( $(#[$variant_meta:meta])* $variant:ident = $word:literal, )+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum $name {
            $( $(#[$variant_meta])* $variant, )+
            /// A word that the API server should not have let through; it is kept as it came.
            Other(String),
        }

        impl $name {
            /// The word as it stands in objects.
            #[must_use]
            pub fn as_str(&self) -> &str {
                match self {
                    $( Self::$variant => $word, )+
                    Self::Other(word) => word,
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                // An object that was stored in an older version may have anything here.
                let word = match Value::deserialize(deserializer)? {
                    Value::String(word) => word,
                    other => other.to_string(),
                };
                Ok(match word.as_str() {
                    $( $word => Self::$variant, )+
                    _ => Self::Other(word),
                })
            }
        }

        impl Described for $name {
            fn schema() -> Value {
                json!({"type": "string", "enum": [ $($word),+ ]})
            }

            fn is_absent(&self) -> bool {
                false
            }
        }
    };
}

word! {
    /// Type of a property's values.
    DataType {
        /// Whole numbers of 64 bits.
        Int = "INT",
        /// Numbers of 32 bits.
        Float = "FLOAT",
        /// Numbers of 64 bits.
        Double = "DOUBLE",
        /// Text.
        String = "STRING",
        /// `true` or `false`.
        Boolean = "BOOLEAN",
        /// Any bytes, in whatever form the driver gives them.
        Bytes = "BYTES",
        /// A stream: the driver keeps frames or clips of it.
        Stream = "STREAM",
    }
}

word! {
    /// Whether a property can be set.
    AccessMode {
        /// It can be read and set.
        ReadWrite = "ReadWrite",
        /// It can only be read.
        ReadOnly = "ReadOnly",
    }
}

// === impl DeviceSpec, DeviceModelSpec, TwinProperty ===

impl DeviceSpec {
    /// Name of the model; empty when none is named.
    #[must_use]
    pub fn model(&self) -> &str {
        self.device_model_ref.as_ref().map_or("", |model| model.name.as_str())
    }

    /// The property of that name.
    #[must_use]
    pub fn property(&self, name: &str) -> Option<&DeviceProperty> {
        self.properties.iter().find(|property| property.name == name)
    }
}

impl DeviceModelSpec {
    /// The property of that name.
    #[must_use]
    pub fn property(&self, name: &str) -> Option<&ModelProperty> {
        self.properties.iter().find(|property| property.name == name)
    }
}

impl TwinProperty {
    /// A value with nothing known of it.
    pub fn new(value: impl Into<String>) -> Self {
        Self { value: RequiredText(value.into()), metadata: BTreeMap::new() }
    }

    /// The value.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.value.0
    }
}
