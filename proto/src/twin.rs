//! What is said about devices on the channel (spec cloud-and-wire 4.2 and 4.3, edge-keadm-mapper 4.2 to 4.4): membership, twins
//! and states.
//!
//! Field names are stock's. Whatever may be missing in stock's messages may be missing here.

mod batch;
mod call;
mod versions;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use self::batch::{DeviceReports, OneReport, OpenReport, ReportsAnswer};
pub use self::call::{
    CALL_ANNOTATION, CALL_EXTENSION, CallReport, CallRequest, CallState, GET_DEVICE, NoCall,
};
pub use self::versions::{Conflict, TwinDoc};

/// Which devices a node has got or lost. Content of `membership`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct MembershipUpdate {
    /// Some id.
    #[serde(default)]
    pub event_id: String,
    /// Unix milliseconds.
    #[serde(default)]
    pub timestamp: i64,
    /// New on the node; none is written as `null`, as stock does.
    #[serde(default)]
    pub added_devices: Option<Vec<Member>>,
    /// No longer on the node.
    #[serde(default)]
    pub removed_devices: Option<Vec<Member>>,
}

/// A device of a node.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Member {
    /// `<namespace>/<name>`
    pub id: String,
    /// Its name.
    #[serde(default)]
    pub name: String,
    /// What it is.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
}

/// The twin of a device. Content of `device/<ns>/<name>/twin/edge_updated`, and of the MQTT topic `.../twin/update`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TwinUpdate {
    /// Some id.
    #[serde(default)]
    pub event_id: String,
    /// Unix milliseconds.
    #[serde(default)]
    pub timestamp: i64,
    /// By property; `null` stands for "gone".
    #[serde(default)]
    pub twin: BTreeMap<String, Option<MsgTwin>>,
}

/// One property.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct MsgTwin {
    /// The value that it should have, as the driver has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<TwinValue>,
    /// The value that it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actual: Option<TwinValue>,
    /// Whether it may be missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub optional: Option<bool>,
    /// Its type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<TypeMetadata>,
    /// Versions of `expected`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_version: Option<TwinVersion>,
    /// Versions of `actual`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actual_version: Option<TwinVersion>,
}

/// A value and when it was seen.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TwinValue {
    /// The value, as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// When it was seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<ValueMetadata>,
}

/// What is known of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ValueMetadata {
    /// Unix milliseconds.
    #[serde(default)]
    pub timestamp: i64,
}

/// What is known of a property.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TypeMetadata {
    /// Its type, in small letters.
    #[serde(rename = "type", default)]
    pub data_type: String,
}

/// How often either side has written a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TwinVersion {
    /// By the cloud.
    #[serde(default)]
    pub cloud: i64,
    /// By the edge.
    #[serde(default)]
    pub edge: i64,
}

/// How a device is. Content, as a string of JSON, of `device/<ns>/<name>/state/update`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct StateUpdate {
    /// Some id.
    #[serde(default)]
    pub event_id: String,
    /// Unix milliseconds.
    #[serde(default)]
    pub timestamp: i64,
    /// The device. Go reads the key in any case.
    #[serde(default, alias = "Device")]
    pub device: DeviceReport,
}

/// How a device is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DeviceReport {
    /// Its name.
    #[serde(default)]
    pub name: String,
    /// Its state: see [`is_state`].
    #[serde(default)]
    pub state: String,
    /// When it was last online, RFC 3339; empty from a stock edge whose device is not.
    #[serde(rename = "lastOnlineTime", default)]
    pub last_online_time: String,
    /// What came of the last call of a method. Only Skerry's edges say it, and a stock cloud does not look at it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<CallReport>,
}

/// States that a device can have, in small letters.
pub const STATES: [&str; 5] = ["online", "offline", "ok", "unhealthy", "unknown"];

/// Whether a device can have this state; in any case, as stock reads it.
#[must_use]
pub fn is_state(word: &str) -> bool {
    STATES.iter().any(|state| state.eq_ignore_ascii_case(word))
}

// === impl TwinValue ===

impl TwinValue {
    /// A value seen at `timestamp`, in Unix milliseconds.
    #[must_use]
    pub fn new(value: impl Into<String>, timestamp: i64) -> Self {
        Self { value: Some(value.into()), metadata: Some(ValueMetadata { timestamp }) }
    }

    /// When it was seen; 0 when that is not known.
    #[must_use]
    pub fn seen(&self) -> i64 {
        self.metadata.map_or(0, |metadata| metadata.timestamp)
    }
}

#[cfg(test)]
mod tests;
