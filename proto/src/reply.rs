//! The shapes of answers (spec cloud-and-wire 3.0, 3.8 and 3.17).
//!
//! | request | answer |
//! |---|---|
//! | insert of node, pod, lease, CSR; update of lease; patch of node or pod status; query of lease | `response` with [`ObjectResp`] |
//! | query of node, config map, secret, token, CSR | `response` with the bare object; failed: see [`QueryFailure`] |
//! | delete of pod, legacy status reports | `response` with the string `OK`; failed: [`StatusError`] |

use std::fmt;
use std::str::FromStr;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Status;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use crate::json;

/// Outcome of a call to the Kubernetes API, as the edge gets it. Exactly one of the two is set when it comes
/// from us; a stock cloud also sends a zero-valued object next to an error.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ObjectResp<T> {
    /// The object as the API server has it now.
    #[serde(rename = "Object")]
    pub object: Option<T>,
    /// Why there is none.
    #[serde(rename = "Err")]
    pub err: Option<StatusError>,
}

/// A failed call: `{"ErrStatus": <metav1.Status>}`.
///
/// A stock cloud sends `{}` for errors that are not the API server's; that is a failure that says nothing about
/// itself (and that a stock edge takes for success). We never send it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StatusError {
    /// The API server's word; `None` for `{}`.
    #[serde(rename = "ErrStatus", default, skip_serializing_if = "Option::is_none")]
    pub status: Option<Box<Status>>,
}

/// Why a query or a call failed, as the edge sees it.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ReplyError {
    /// The API server (or the cloud in its name) refused.
    #[error("{}: {}", reason(.0), .0.message.as_deref().unwrap_or("no message"))]
    Refused(Box<Status>),
    /// `Err` was `{}`: it failed, and nobody says why. Asking again is all that can be done.
    #[error("failed without a reason")]
    Unknown,
    /// Neither an object nor an error.
    #[error("the answer holds neither an object nor an error")]
    Nothing,
}

/// The answer to a query that failed, sent as operation `error` with this as its text:
/// `<Reason>: <message>`, for example `NotFound: configmaps "web" not found`.
///
/// Stock CloudCore sends operation `response` with `{"ErrStatus": ...}` instead, and a stock edge stores that as
/// if it were the object (spec cloud-and-wire 3.8): the pod then runs with an empty ConfigMap. Text that is not
/// JSON cannot be taken for an object, and the reason in front of it still tells our edge a missing object from
/// a refused one. A reader must accept both shapes: see [`QueryFailure::from_content`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryFailure {
    /// `metav1.StatusReason`: `NotFound`, `Forbidden`, ... or `Unknown`.
    pub reason: String,
    /// What failed, for people.
    pub message: String,
}

// === impl ObjectResp ===

impl<T> ObjectResp<T> {
    /// A call that worked.
    pub fn success(object: T) -> Self {
        Self { object: Some(object), err: None }
    }

    /// A call that failed.
    pub fn failure(status: Status) -> Self {
        Self { object: None, err: Some(StatusError::new(status)) }
    }

    /// The object, or why there is none.
    ///
    /// # Errors
    /// [`ReplyError`], whatever the object next to it says: with an error the object means nothing.
    pub fn into_result(self) -> Result<T, ReplyError> {
        match (self.err, self.object) {
            (Some(StatusError { status: Some(status) }), _) => Err(ReplyError::Refused(status)),
            (Some(StatusError { status: None }), _) => Err(ReplyError::Unknown),
            (None, Some(object)) => Ok(object),
            (None, None) => Err(ReplyError::Nothing),
        }
    }
}

/// Reads the error first: the zero-valued object that a stock cloud sends next to it need not be valid.
impl<'de, T: DeserializeOwned> Deserialize<'de> for ObjectResp<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Wire {
            #[serde(rename = "Object")]
            object: Option<Box<RawValue>>,
            #[serde(rename = "Err")]
            err: Option<StatusError>,
        }
        let wire = Wire::deserialize(deserializer)?;
        let object = match (&wire.err, wire.object) {
            (None, Some(raw)) => Some(json::read(raw.get()).map_err(serde::de::Error::custom)?),
            _ => None,
        };
        Ok(Self { object, err: wire.err })
    }
}

// === impl StatusError ===

impl StatusError {
    /// Wraps the API server's word.
    pub fn new(status: Status) -> Self {
        Self { status: Some(Box::new(status)) }
    }

    /// Whether it says what failed.
    pub fn is_status(&self) -> bool {
        self.status.is_some()
    }
}

/// A `Status` that says "failed", for what the cloud refuses in the name of the API server.
///
/// `reason` is a `metav1.StatusReason` and `code` the HTTP status that belongs to it.
pub fn failure_status(code: i32, reason: &str, message: impl Into<String>) -> Status {
    Status {
        status: Some("Failure".to_owned()),
        code: Some(code),
        reason: Some(reason.to_owned()),
        message: Some(message.into()),
        ..Status::default()
    }
}

// === impl QueryFailure ===

impl QueryFailure {
    /// Reason when the sender gave none.
    const UNKNOWN: &'static str = "Unknown";

    /// What a failed call to the API server is told as.
    pub fn from_status(status: &Status) -> Self {
        Self { reason: reason(status).to_owned(), message: status.message.clone().unwrap_or_default() }
    }

    /// Reads an answer to a query: `Some` when it is a failure in any of the shapes that clouds use, which are
    /// operation `error` with text, and `{"ErrStatus": ...}` or `{}` in place of the object.
    pub fn from_answer(answer: &crate::Message) -> Option<Self> {
        if answer.route.operation == crate::Operation::Error {
            let data = answer.content.data();
            let text = String::from_utf8_lossy(&data);
            return Some(text.parse().unwrap_or_else(|never: std::convert::Infallible| match never {}));
        }
        Self::from_content(&answer.content)
    }

    /// Reads `{"ErrStatus": ...}` and `{}`; `None` for anything else.
    pub fn from_content(content: &crate::Content) -> Option<Self> {
        let crate::Content::Json(raw) = content else { return None };
        let error: StatusError = json::read(raw.get()).ok()?;
        match error.status {
            Some(status) => Some(Self::from_status(&status)),
            None if is_empty_object(raw.get()) => {
                Some(Self { reason: Self::UNKNOWN.to_owned(), message: "failed without a reason".to_owned() })
            }
            None => None,
        }
    }

    /// Whether the cloud says that there is no such object.
    pub fn is_not_found(&self) -> bool {
        self.reason == "NotFound"
    }
}

impl fmt::Display for QueryFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.reason, self.message)
    }
}

/// Any text parses: without a reason in front it is all message.
impl FromStr for QueryFailure {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_reason = |word: &str| !word.is_empty() && word.chars().all(|c| c.is_ascii_alphabetic());
        let (reason, message) = match text.split_once(": ") {
            Some((word, rest)) if is_reason(word) => (word, rest),
            _ => (Self::UNKNOWN, text),
        };
        Ok(Self { reason: reason.to_owned(), message: message.to_owned() })
    }
}

fn reason(status: &Status) -> &str {
    status.reason.as_deref().filter(|reason| !reason.is_empty()).unwrap_or(QueryFailure::UNKNOWN)
}

fn is_empty_object(json: &str) -> bool {
    serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(json).is_ok_and(|map| map.is_empty())
}

#[cfg(test)]
mod tests;
