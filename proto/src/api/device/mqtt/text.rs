//! Values as they stand in messages.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::Value;

use super::super::DataType;
use super::super::validation::MAX_VALUE;
use super::{PropertyMapping, SetMapping, StateMapping};
use crate::twin::is_state;

/// Stands for the value in a template.
pub(super) const VALUE: &str = "{{value}}";
/// Stands for the value as JSON.
pub(super) const JSON: &str = "{{json}}";

/// Why a message has no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The message is no JSON.
    #[error("the message is no JSON: {0}")]
    NoJson(String),
    /// There is nothing at the place, or `null`.
    #[error("the message has nothing at {0:?}")]
    Nothing(String),
    /// The message is neither text nor meant to be bytes.
    #[error("the message is no text")]
    NoText,
    /// The value is too long to be reported.
    #[error("the value has {0} bytes; {MAX_VALUE} are taken at most")]
    TooLong(usize),
    /// It is none of the words that were agreed on.
    #[error("{0:?} is no state of a device")]
    NoState(String),
}

impl PropertyMapping {
    /// The value of the property in a message, as twins have it. Whether it is of the model's type is for DeviceTwin to say.
    ///
    /// # Errors
    /// When there is none.
    pub fn read(&self, payload: &[u8], data_type: Option<&DataType>) -> Result<String, ReadError> {
        let text = match &self.pointer {
            Some(pointer) => at(payload, pointer)?,
            None => match std::str::from_utf8(payload) {
                Ok(text) if data_type == Some(&DataType::Bytes) => text.to_owned(),
                Ok(text) => text.trim().to_owned(),
                Err(_) if data_type == Some(&DataType::Bytes) => BASE64.encode(bounded(payload)?),
                Err(_) => return Err(ReadError::NoText),
            },
        };
        bounded(text.as_bytes())?;
        Ok(match data_type {
            Some(DataType::Boolean) => self.truth_of(text),
            Some(DataType::Int) => whole(text),
            _ => text,
        })
    }

    fn truth_of(&self, text: String) -> String {
        let [yes, no] = &self.truth;
        match text {
            text if text == *yes => "true".to_owned(),
            text if text == *no => "false".to_owned(),
            text => text,
        }
    }

    /// What is sent to set the property to `value`.
    #[must_use]
    pub fn write(&self, set: &SetMapping, value: &str, data_type: Option<&DataType>) -> String {
        let said = match (data_type, value) {
            (Some(DataType::Boolean), "true") => self.truth[0].as_str(),
            (Some(DataType::Boolean), "false") => self.truth[1].as_str(),
            _ => value,
        };
        // A word of the device's own is a text in JSON, as are all values that are neither numbers nor flags.
        let is_bare = match data_type {
            Some(DataType::Int | DataType::Float | DataType::Double | DataType::Boolean) => {
                said == value && serde_json::from_str::<Value>(value).is_ok()
            }
            _ => false,
        };
        let json = if is_bare { value.to_owned() } else { Value::from(said).to_string() };
        // One pass: a value that looks like a placeholder is a value.
        let mut message = String::new();
        let mut rest = set.template.as_str();
        while let Some(start) = rest.find("{{") {
            let (before, from) = rest.split_at(start);
            message.push_str(before);
            let (filled, length) = match from {
                _ if from.starts_with(VALUE) => (said, VALUE.len()),
                _ if from.starts_with(JSON) => (json.as_str(), JSON.len()),
                _ => ("{{", 2),
            };
            message.push_str(filled);
            rest = from.get(length..).unwrap_or_default();
        }
        message + rest
    }
}

impl StateMapping {
    /// The state that a message tells, in small letters.
    ///
    /// # Errors
    /// When it tells none.
    pub fn read(&self, payload: &[u8]) -> Result<String, ReadError> {
        let text = match &self.pointer {
            Some(pointer) => at(payload, pointer)?,
            None => std::str::from_utf8(payload).map_err(|_| ReadError::NoText)?.trim().to_owned(),
        };
        match text {
            text if text == self.online => Ok("online".to_owned()),
            text if text == self.offline => Ok("offline".to_owned()),
            text if is_state(&text) => Ok(text.to_ascii_lowercase()),
            text => Err(ReadError::NoState(text.chars().take(64).collect())),
        }
    }
}

/// What stands in JSON at a place: texts as they are, all else as JSON.
fn at(payload: &[u8], pointer: &str) -> Result<String, ReadError> {
    let message: Value =
        serde_json::from_slice(payload).map_err(|error| ReadError::NoJson(error.to_string()))?;
    match message.pointer(pointer) {
        None | Some(Value::Null) => Err(ReadError::Nothing(pointer.to_owned())),
        Some(Value::String(text)) => Ok(text.clone()),
        Some(value) => Ok(value.to_string()),
    }
}

fn bounded(value: &[u8]) -> Result<&[u8], ReadError> {
    if value.len() > MAX_VALUE { Err(ReadError::TooLong(value.len())) } else { Ok(value) }
}

/// Many devices have one type of number: `21.0` is a whole one.
fn whole(text: String) -> String {
    match text.split_once('.') {
        Some((whole, zeros)) if !zeros.is_empty() && zeros.bytes().all(|digit| digit == b'0') => {
            whole.to_owned()
        }
        _ => text,
    }
}
