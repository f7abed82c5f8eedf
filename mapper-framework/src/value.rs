//! Values of properties, typed as the model types them, and their form as text.
//!
//! Everything that crosses a boundary (DMI, MQTT, manifests) is text; inside, a number stays a number. Numbers are written as
//! the shortest decimal that reads back as the same number, bytes as base64 (RFC 4648), for a text cannot hold every byte.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

/// Type of a property's values, as the model says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DataType {
    /// Whole numbers of 64 bits.
    Int,
    /// Numbers of 32 bits.
    Float,
    /// Numbers of 64 bits.
    Double,
    /// `true` or `false`.
    Boolean,
    /// Text.
    String,
    /// Any bytes.
    Bytes,
    /// A stream: the driver keeps frames or clips, and the value says where.
    Stream,
}

/// A value of a property.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A whole number.
    Int(i64),
    /// A number of 32 bits.
    Float(f32),
    /// A number of 64 bits.
    Double(f64),
    /// Yes or no.
    Boolean(bool),
    /// Text; also where a stream keeps what it has taken.
    String(String),
    /// Any bytes.
    Bytes(Vec<u8>),
}

/// Why something is no value of a type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{value:?} is no {wanted}")]
pub struct ValueError {
    /// The type.
    pub wanted: DataType,
    /// What it was, cut short.
    pub value: String,
}

impl DataType {
    /// The type that the model (`DOUBLE`) or a stock visitor (`double`) names.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Some(match name.to_ascii_uppercase().as_str() {
            "INT" | "INTEGER" => Self::Int,
            "FLOAT" => Self::Float,
            "DOUBLE" => Self::Double,
            "BOOLEAN" | "BOOL" => Self::Boolean,
            "STRING" => Self::String,
            "BYTES" => Self::Bytes,
            "STREAM" => Self::Stream,
            _ => return None,
        })
    }

    /// Its name in models.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Int => "INT",
            Self::Float => "FLOAT",
            Self::Double => "DOUBLE",
            Self::Boolean => "BOOLEAN",
            Self::String => "STRING",
            Self::Bytes => "BYTES",
            Self::Stream => "STREAM",
        }
    }
}

impl fmt::Display for DataType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

// === impl Value ===

impl Value {
    /// Reads the text form of a value.
    ///
    /// # Errors
    /// When the text is no value of the type. Numbers must be finite.
    pub fn parse(data_type: DataType, text: &str) -> Result<Self, ValueError> {
        let wrong = || ValueError { wanted: data_type, value: short(text) };
        let trimmed = text.trim();
        Ok(match data_type {
            DataType::Int => Self::Int(trimmed.parse().map_err(|_| wrong())?),
            DataType::Float => Self::Float(finite32(trimmed.parse().ok()).ok_or_else(wrong)?),
            DataType::Double => Self::Double(finite(trimmed.parse().ok()).ok_or_else(wrong)?),
            DataType::Boolean => Self::Boolean(trimmed.parse().map_err(|_| wrong())?),
            DataType::String | DataType::Stream => Self::String(text.to_owned()),
            DataType::Bytes => Self::Bytes(STANDARD.decode(trimmed).map_err(|_| wrong())?),
        })
    }

    /// The same value as one of `data_type`, where that loses nothing: whole numbers are numbers, and a number without a
    /// fraction is a whole number. Anything can become text; a text becomes what it says.
    ///
    /// # Errors
    /// When it is no value of the type.
    pub fn into_type(self, data_type: DataType) -> Result<Self, ValueError> {
        let wrong = |value: &Self| ValueError { wanted: data_type, value: short(&value.to_string()) };
        let value = match (&self, data_type) {
            (Self::Int(_), DataType::Int)
            | (Self::Boolean(_), DataType::Boolean)
            | (Self::String(_), DataType::String | DataType::Stream)
            | (Self::Bytes(_), DataType::Bytes) => return Ok(self),
            (Self::String(text), _) => return Self::parse(data_type, text),
            (_, DataType::String | DataType::Stream) => return Ok(Self::String(self.to_string())),
            (Self::Int(number), DataType::Float | DataType::Double) => real(*number, data_type),
            (Self::Float(number), DataType::Float) => finite32(Some(*number)).map(Self::Float),
            (Self::Float(number), DataType::Double) => finite(Some(widened(*number))).map(Self::Double),
            (Self::Double(number), DataType::Double) => finite(Some(*number)).map(Self::Double),
            (Self::Double(number), DataType::Float) => finite32(Some(narrowed(*number))).map(Self::Float),
            (Self::Float(number), DataType::Int) => whole(f64::from(*number)).map(Self::Int),
            (Self::Double(number), DataType::Int) => whole(*number).map(Self::Int),
            _ => None,
        };
        value.ok_or_else(|| wrong(&self))
    }

    /// The value as a number; `None` where it is none.
    #[must_use]
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            #[expect(
                clippy::cast_precision_loss,
                reason = "thresholds and charts need no 64 bits of precision"
            )]
            Self::Int(number) => Some(*number as f64),
            Self::Float(number) => Some(widened(*number)),
            Self::Double(number) => Some(*number),
            Self::Boolean(_) | Self::String(_) | Self::Bytes(_) => None,
        }
    }

    /// The value as JSON: numbers as numbers, bytes as base64.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        match self {
            Self::Int(number) => json!(number),
            Self::Float(number) => json!(widened(*number)),
            Self::Double(number) => json!(number),
            Self::Boolean(value) => json!(value),
            Self::String(text) => json!(text),
            Self::Bytes(_) => json!(self.to_string()),
        }
    }

    /// Reads a value that came as JSON: a number, a text, true or false.
    ///
    /// # Errors
    /// When it is no value of the type.
    pub fn from_json(data_type: DataType, value: &serde_json::Value) -> Result<Self, ValueError> {
        use serde_json::Value as Json;
        match value {
            Json::String(text) => Self::parse(data_type, text),
            Json::Bool(value) => Self::Boolean(*value).into_type(data_type),
            Json::Number(number) => match (number.as_i64(), number.as_f64()) {
                (Some(whole), _) => Self::Int(whole).into_type(data_type),
                (None, Some(real)) => Self::Double(real).into_type(data_type),
                (None, None) => Err(ValueError { wanted: data_type, value: short(&number.to_string()) }),
            },
            other => Err(ValueError { wanted: data_type, value: short(&other.to_string()) }),
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int(number) => number.fmt(f),
            Self::Float(number) => number.fmt(f),
            Self::Double(number) => number.fmt(f),
            Self::Boolean(value) => value.fmt(f),
            Self::String(text) => f.write_str(text),
            Self::Bytes(bytes) => f.write_str(&STANDARD.encode(bytes)),
        }
    }
}

macro_rules! from {
    ($($from:ty => $variant:ident),* $(,)?) => { $(
        impl From<$from> for Value {
            fn from(value: $from) -> Self {
                Self::$variant(value.into())
            }
        }
    )* };
}

from! {
    i64 => Int, i32 => Int, u32 => Int, i16 => Int, u16 => Int, f32 => Float, f64 => Double, bool => Boolean,
    String => String, &str => String, Vec<u8> => Bytes,
}

/// A number of 32 bits as the one of 64 bits with the same decimal: 0.1 stays 0.1.
pub(crate) fn widened(number: f32) -> f64 {
    number.to_string().parse().unwrap_or_else(|_| f64::from(number))
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "what does not fit becomes infinite, and that is no value"
)]
fn narrowed(number: f64) -> f32 {
    number as f32
}

fn finite(number: Option<f64>) -> Option<f64> {
    number.filter(|number| number.is_finite())
}

fn finite32(number: Option<f32>) -> Option<f32> {
    number.filter(|number| number.is_finite())
}

/// A whole number as a fraction, where that has the precision.
fn real(number: i64, data_type: DataType) -> Option<Value> {
    let text = number.to_string();
    let value = Value::parse(data_type, &text).ok()?;
    let back = value.as_f64().and_then(whole)?;
    (back == number).then_some(value)
}

/// The whole number that a fraction is, if it is one.
pub(crate) fn whole(number: f64) -> Option<i64> {
    // 2^63 itself is the first that does not fit.
    let fits = number.fract() == 0.0
        && (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&number);
    #[expect(clippy::cast_possible_truncation, reason = "the range was just looked at")]
    fits.then_some(number as i64)
}

/// For messages: what came may be long.
pub(crate) fn short(text: &str) -> String {
    text.chars().take(64).collect()
}

#[cfg(test)]
mod tests;
