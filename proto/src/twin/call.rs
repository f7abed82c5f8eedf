//! Calls of a device's methods from the cloud.
//!
//! KubeEdge has methods in its Device and calls them only at a mapper's own REST port (spec edge-keadm-mapper 8.5). Here a call is
//! state, as everything else that the cloud wants: an annotation of the Device asks for it, the newest one counts, and what came
//! of it stands in `status.extensions.call` of the DeviceStatus. A call is made at most once, however often the link breaks and
//! EdgeCore starts: one with the same id is the same call.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Annotation of a Device that asks for a call. Its value is a [`CallRequest`] as JSON, such as
/// `{"id": "1", "method": "setTemp", "values": {"temperature": 30}}`.
pub const CALL_ANNOTATION: &str = "devices.kubeedge.io/call";
/// Key in the extensions of a DeviceStatus that says what came of the last call: a [`CallReport`].
pub const CALL_EXTENSION: &str = "call";
/// A method that every driver has which takes calls over DMI: the device as its driver has it.
pub const GET_DEVICE: &str = "GetDevice";
/// Longest annotation that is read, in bytes.
const MAX_REQUEST: usize = 64 * 1024;
/// Longest id, in bytes. The id comes back with every report.
const MAX_ID: usize = 128;

/// A call that somebody asks for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CallRequest {
    /// Tells this call from the one before: whoever asks gives each call another one.
    pub id: String,
    /// Name of the method, as in the Device.
    pub method: String,
    /// Values by property, as text.
    pub values: BTreeMap<String, String>,
    /// The call is not made after this moment: a node may have been away for long.
    pub not_after: Option<Timestamp>,
}

/// Why an annotation asks for no call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NoCall(String);

/// How far a call is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CallState {
    /// The driver has been asked.
    Running,
    /// The driver has done it.
    Done,
    /// It was not done, or nobody knows whether it was: the message says which.
    Failed,
}

/// What came of a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallReport {
    /// As in the request.
    #[serde(default)]
    pub id: String,
    /// As in the request.
    #[serde(default)]
    pub method: String,
    /// How far it is.
    pub state: CallState,
    /// What the driver gave back; empty when it gave nothing.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub result: String,
    /// Why it was not done.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// Since when it is so, RFC 3339.
    #[serde(default)]
    pub time: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Raw {
    id: String,
    method: String,
    #[serde(default)]
    values: BTreeMap<String, Value>,
    #[serde(default)]
    not_after: Option<Timestamp>,
}

impl CallRequest {
    /// Reads the value of the annotation. Values may be texts, numbers or booleans.
    ///
    /// # Errors
    /// When it is no such JSON, or has no id or method.
    pub fn parse(text: &str) -> Result<Self, NoCall> {
        let wrong = |why: &str| NoCall(format!("the annotation {CALL_ANNOTATION} {why}"));
        if text.len() > MAX_REQUEST {
            return Err(wrong(&format!("has {} bytes; {MAX_REQUEST} are taken at most", text.len())));
        }
        let raw: Raw = serde_json::from_str(text).map_err(|error| wrong(&format!("is no call: {error}")))?;
        if raw.id.is_empty() || raw.id.len() > MAX_ID {
            return Err(wrong(&format!("must have an id of 1 to {MAX_ID} bytes")));
        }
        if raw.method.is_empty() {
            return Err(wrong("names no method"));
        }
        let values = raw.values.into_iter().map(|(name, value)| match value {
            Value::String(text) => Ok((name, text)),
            Value::Number(_) | Value::Bool(_) => Ok((name, value.to_string())),
            _ => Err(wrong(&format!("has a value for {name:?} that is neither text, number nor boolean"))),
        });
        let values = values.collect::<Result<_, _>>()?;
        Ok(Self { id: raw.id, method: raw.method, values, not_after: raw.not_after })
    }
}

impl CallReport {
    /// A report on a call.
    #[must_use]
    pub fn new(id: &str, method: &str, state: CallState, now: Timestamp) -> Self {
        let time = Timestamp::from_second(now.as_second()).unwrap_or(now).to_string();
        let (id, method) = (id.to_owned(), method.to_owned());
        Self { id, method, state, result: String::new(), message: String::new(), time }
    }

    /// The same, with the reason why it was not done.
    #[must_use]
    pub fn because(mut self, message: impl Into<String>) -> Self {
        self.message = message.into();
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_read_with_values_of_any_plain_type() {
        let text = r#"{"id": "7", "method": "set", "values": {"a": 1.5, "b": "x", "c": true}, "notAfter": "2026-11-23T03:14:20Z"}"#;
        let call = CallRequest::parse(text).unwrap();
        assert_eq!((call.id.as_str(), call.method.as_str()), ("7", "set"));
        let values: Vec<_> =
            call.values.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(values, [("a", "1.5"), ("b", "x"), ("c", "true")]);
        assert_eq!(call.not_after.unwrap().to_string(), "2026-11-23T03:14:20Z");
    }

    #[test]
    fn what_is_no_call_is_refused_by_name() {
        for (text, why) in [
            ("", "is no call"),
            (r#"{"id": "", "method": "m"}"#, "must have an id"),
            (r#"{"id": "1", "method": ""}"#, "names no method"),
            (r#"{"id": "1", "method": "m", "value": {}}"#, "unknown field `value`"),
            (r#"{"id": "1", "method": "m", "values": {"a": [1]}}"#, "neither text, number nor boolean"),
        ] {
            let refused = CallRequest::parse(text).unwrap_err().to_string();
            assert!(refused.contains(why) && refused.contains(CALL_ANNOTATION), "{refused}");
        }
        assert!(CallRequest::parse(&"x".repeat(MAX_REQUEST + 1)).is_err());
    }

    #[test]
    fn a_report_says_only_what_there_is_to_say() {
        let now = "2026-11-23T03:14:20.5Z".parse().unwrap();
        let report = CallReport::new("1", "m", CallState::Running, now);
        let text = serde_json::to_string(&report).unwrap();
        assert_eq!(text, r#"{"id":"1","method":"m","state":"running","time":"2026-11-23T03:14:20Z"}"#);
        assert_eq!(serde_json::from_str::<CallReport>(&text).unwrap(), report);
    }
}
