//! What a message carries.

use std::borrow::Cow;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::json;

/// The content of an acknowledgement.
const OK: &str = "OK";

/// Content of a message. The wire does not say which kind of thing was meant, only which kind of JSON it is, so
/// the receiver decides by what it expects (spec cloud-and-wire 1.3, content encoding rules): an object may
/// come as itself or as a string that holds its JSON text, and bytes come as a string of base64.
///
/// `Debug` shows sizes only, because content may be a Secret or a token and logs are no place for those.
#[derive(Clone, Default)]
pub enum Content {
    /// `null`
    #[default]
    Null,
    /// A JSON string.
    Text(String),
    /// Any other JSON, kept as its text: most messages pass through without anybody looking inside.
    Json(Box<RawValue>),
}

/// Content is not what the receiver expected.
#[derive(Debug, thiserror::Error)]
pub enum ContentError {
    /// There is no content.
    #[error("content is null, expected {expected}")]
    Null {
        /// Type that was expected.
        expected: &'static str,
    },
    /// Content does not parse as the expected type.
    #[error("content is not a valid {expected}: {source}")]
    Invalid {
        /// Type that was expected.
        expected: &'static str,
        /// What does not fit, and where.
        source: serde_json::Error,
    },
    /// Content is not a string of standard base64.
    #[error("content is not base64")]
    NotBase64,
}

// === impl Content ===

impl Content {
    /// An object, as JSON.
    ///
    /// # Errors
    /// When the type cannot be JSON (for example a map with keys that are not strings).
    pub fn object<T: Serialize + ?Sized>(object: &T) -> Result<Self, serde_json::Error> {
        Ok(Self::from_raw(serde_json::value::to_raw_value(object)?))
    }

    /// A string.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// Bytes, as a string of standard base64.
    pub fn bytes(bytes: &[u8]) -> Self {
        Self::Text(BASE64.encode(bytes))
    }

    /// The content of an acknowledgement: the string `OK`.
    pub fn ok() -> Self {
        Self::text(OK)
    }

    /// Whether this is the string `OK`.
    pub fn is_ok(&self) -> bool {
        matches!(self, Self::Text(text) if text == OK)
    }

    /// JSON of any kind, sorted into the variants.
    pub fn from_raw(raw: Box<RawValue>) -> Self {
        match raw.get().as_bytes().first() {
            Some(b'n') => Self::Null,
            Some(b'"') => match serde_json::from_str(raw.get()) {
                Ok(text) => Self::Text(text),
                // Half a surrogate pair (`"\ud800"`) is JSON, but no text: kept as it came.
                Err(_) => Self::Json(raw),
            },
            _ => Self::Json(raw),
        }
    }

    /// The bytes that a receiver parses: those of a string, else the JSON text.
    pub fn data(&self) -> Cow<'_, [u8]> {
        match self {
            Self::Null => Cow::Borrowed(b"null"),
            Self::Text(text) => Cow::Borrowed(text.as_bytes()),
            Self::Json(raw) => Cow::Borrowed(raw.get().as_bytes()),
        }
    }

    /// Parses the content as `T`, whether it came as an object or as a string that holds one.
    ///
    /// # Errors
    /// [`ContentError::Null`] when there is nothing, [`ContentError::Invalid`] when it is something else.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, ContentError> {
        let expected = short_type_name::<T>();
        let text = match self {
            Self::Null => return Err(ContentError::Null { expected }),
            Self::Text(text) => text.as_str(),
            Self::Json(raw) => raw.get(),
        };
        json::read(text).map_err(|source| ContentError::Invalid { expected, source })
    }

    /// The bytes that a stock peer sent from a byte slice.
    ///
    /// # Errors
    /// [`ContentError::NotBase64`] when the content is anything else.
    pub fn decode_bytes(&self) -> Result<Vec<u8>, ContentError> {
        match self {
            Self::Text(text) => BASE64.decode(text).map_err(|_| ContentError::NotBase64),
            Self::Null | Self::Json(_) => Err(ContentError::NotBase64),
        }
    }

    /// Length of the data in bytes.
    pub fn len(&self) -> usize {
        match self {
            Self::Null => 0,
            Self::Text(text) => text.len(),
            Self::Json(raw) => raw.get().len(),
        }
    }

    /// Whether there is no data.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl PartialEq for Content {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Text(a), Self::Text(b)) => a == b,
            (Self::Json(a), Self::Json(b)) => a.get() == b.get(),
            _ => false,
        }
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("Null"),
            Self::Text(text) if text == OK => f.write_str("Text(OK)"),
            Self::Text(text) => write!(f, "Text({} bytes)", text.len()),
            Self::Json(raw) => write!(f, "Json({} bytes)", raw.get().len()),
        }
    }
}

impl Serialize for Content {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Text(text) => serializer.serialize_str(text),
            Self::Json(raw) => raw.serialize(serializer),
        }
    }
}

/// `Pod` for `k8s_openapi::api::core::v1::Pod`: what a person wants to read in an error.
fn short_type_name<T>() -> &'static str {
    let full = std::any::type_name::<T>();
    let plain = full.split('<').next().unwrap_or(full);
    plain.rsplit("::").next().unwrap_or(plain)
}
