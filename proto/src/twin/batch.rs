//! Many reports about devices in one message, between Skerry peers: content of `device/reports`.
//!
//! A node with a thousand devices says a thousand things a second; one by one they would wait for each other (`messageQPS`), and
//! leases and pods for them. A stock peer gets each in a message of its own.

use serde::{Deserialize, Serialize};

use super::{DeviceReport, TwinDoc};

/// Reports, of different devices or of twin and state of one; each path once.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct DeviceReports {
    /// Each of them.
    pub reports: Vec<OneReport>,
}

/// A report as it would be sent by itself.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct OneReport {
    /// Resource of the message that it would be: `device/<namespace>/<name>/twin/edge_updated` or `.../state/update`.
    pub path: String,
    /// The twin, in the first case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub twin: Option<TwinDoc>,
    /// The state, in the second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<DeviceReport>,
}

/// The answer: what is not in the cluster. All else is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ReportsAnswer {
    /// Each of them.
    pub open: Vec<OpenReport>,
}

/// A report that is not in the cluster.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct OpenReport {
    /// As in the request.
    pub path: String,
    /// `metav1.StatusReason` of the refusal; empty when it only took too long, and has to be said again.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// For people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
}
