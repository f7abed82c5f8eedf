//! What devices send, as values, and back: raw numbers of a size and byte order, a scale and an offset. Pure functions.
//!
//! `value = raw * scale + offset`. The keys are those of a property's visitor ([`Conversion`]), so that every driver takes the
//! same ones.

use serde::Deserialize;

use crate::value::{DataType, Value, whole, widened};

/// Form of a number in a device's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Raw {
    /// 8 bits with a sign.
    Int8,
    /// 8 bits.
    Uint8,
    /// 16 bits with a sign.
    Int16,
    /// 16 bits.
    Uint16,
    /// 32 bits with a sign.
    Int32,
    /// 32 bits.
    Uint32,
    /// 64 bits with a sign.
    Int64,
    /// 64 bits.
    Uint64,
    /// IEEE 754, 32 bits.
    Float32,
    /// IEEE 754, 64 bits.
    Float64,
}

/// Order of the bytes of a number `0xAABBCCDD`. Devices that think in words of 16 bits often swap these and not the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ByteOrder {
    /// `AA BB CC DD`: big endian, as on networks.
    #[default]
    #[serde(alias = "big")]
    Abcd,
    /// `DD CC BB AA`: little endian.
    #[serde(alias = "little")]
    Dcba,
    /// `BB AA DD CC`: words in order, bytes swapped.
    Badc,
    /// `CC DD AA BB`: words swapped, bytes in order.
    Cdab,
}

/// How raw numbers become values: keys of a visitor's `configData`.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Conversion {
    /// Form of the raw number; a driver that knows it better may ignore it.
    pub raw_type: Option<Raw>,
    /// Order of its bytes.
    pub byte_order: ByteOrder,
    /// What the raw number is multiplied with. Not 0.
    pub scale: f64,
    /// What is added then.
    pub offset: f64,
}

impl Default for Conversion {
    fn default() -> Self {
        Self { raw_type: None, byte_order: ByteOrder::Abcd, scale: 1.0, offset: 0.0 }
    }
}

/// A raw number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Number {
    /// A whole one; 64 bits with or without a sign fit.
    Whole(i128),
    /// A fraction.
    Real(f64),
}

/// Why there is no number or no value.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ConvertError {
    /// Another number of bytes than the form has.
    #[error("{got} bytes are no {raw:?}, which has {}", raw.size())]
    Size {
        /// The form.
        raw: Raw,
        /// How many bytes there were.
        got: usize,
    },
    /// The number does not fit into the form.
    #[error("{number} does not fit into {raw:?}")]
    Range {
        /// The form.
        raw: Raw,
        /// The number, as text.
        number: String,
    },
    /// The value is no number, or the number is no value of the type.
    #[error("{value} cannot be a {wanted}")]
    Kind {
        /// What it was.
        value: String,
        /// What it should be.
        wanted: &'static str,
    },
    /// A scale of 0 or none that is a number.
    #[error("the scale {0} cannot be undone")]
    Scale(f64),
}

impl Raw {
    /// Its size in bytes.
    #[must_use]
    pub fn size(self) -> usize {
        match self {
            Self::Int8 | Self::Uint8 => 1,
            Self::Int16 | Self::Uint16 => 2,
            Self::Int32 | Self::Uint32 | Self::Float32 => 4,
            Self::Int64 | Self::Uint64 | Self::Float64 => 8,
        }
    }
}

impl ByteOrder {
    /// Brings bytes of this order into big endian, and bytes of big endian into this order: it is its own inverse.
    pub fn reorder(self, bytes: &mut [u8]) {
        let swap_bytes = |bytes: &mut [u8]| bytes.chunks_exact_mut(2).for_each(<[u8]>::reverse);
        match self {
            Self::Abcd => {}
            Self::Dcba => bytes.reverse(),
            Self::Badc => swap_bytes(bytes),
            Self::Cdab => {
                bytes.reverse();
                swap_bytes(bytes);
            }
        }
    }
}

/// The number in these bytes.
///
/// # Errors
/// When there are more or fewer bytes than the form has.
pub fn decode(raw: Raw, order: ByteOrder, bytes: &[u8]) -> Result<Number, ConvertError> {
    let wrong = || ConvertError::Size { raw, got: bytes.len() };
    if bytes.len() != raw.size() {
        return Err(wrong());
    }
    let mut wide = [0; 8];
    let place = wide.get_mut(..bytes.len()).ok_or_else(wrong)?;
    place.copy_from_slice(bytes);
    order.reorder(place);
    let b = wide;
    let (two, four) = ([b[0], b[1]], [b[0], b[1], b[2], b[3]]);
    Ok(match raw {
        Raw::Int8 => Number::Whole(i8::from_be_bytes([b[0]]).into()),
        Raw::Uint8 => Number::Whole(b[0].into()),
        Raw::Int16 => Number::Whole(i16::from_be_bytes(two).into()),
        Raw::Uint16 => Number::Whole(u16::from_be_bytes(two).into()),
        Raw::Int32 => Number::Whole(i32::from_be_bytes(four).into()),
        Raw::Uint32 => Number::Whole(u32::from_be_bytes(four).into()),
        Raw::Int64 => Number::Whole(i64::from_be_bytes(b).into()),
        Raw::Uint64 => Number::Whole(u64::from_be_bytes(b).into()),
        Raw::Float32 => Number::Real(widened(f32::from_be_bytes(four))),
        Raw::Float64 => Number::Real(f64::from_be_bytes(b)),
    })
}

/// The bytes of a number. A fraction is rounded where the form is whole.
///
/// # Errors
/// When the number does not fit into the form.
pub fn encode(raw: Raw, order: ByteOrder, number: Number) -> Result<Vec<u8>, ConvertError> {
    let range = || ConvertError::Range { raw, number: number.to_text() };
    let mut bytes = match raw {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "what does not fit is infinite, and that was not asked for"
        )]
        Raw::Float32 => {
            let narrow = number.real() as f32;
            if !narrow.is_finite() {
                return Err(range());
            }
            narrow.to_be_bytes().to_vec()
        }
        Raw::Float64 => number.real().to_be_bytes().to_vec(),
        whole => {
            let number = number.rounded().ok_or_else(range)?;
            let bits = u32::try_from(whole.size() * 8).unwrap_or(64);
            let signed = matches!(whole, Raw::Int8 | Raw::Int16 | Raw::Int32 | Raw::Int64);
            let least = if signed { -(1i128 << (bits - 1)) } else { 0 };
            let end = if signed { 1i128 << (bits - 1) } else { 1i128 << bits };
            if !(least..end).contains(&number) {
                return Err(range());
            }
            let all = number.to_be_bytes();
            all.get(all.len() - whole.size()..).unwrap_or_default().to_vec()
        }
    };
    order.reorder(&mut bytes);
    Ok(bytes)
}

impl Number {
    fn real(self) -> f64 {
        match self {
            #[expect(clippy::cast_precision_loss, reason = "it was to be a fraction")]
            Self::Whole(number) => number as f64,
            Self::Real(number) => number,
        }
    }

    fn rounded(self) -> Option<i128> {
        match self {
            Self::Whole(number) => Some(number),
            #[expect(clippy::cast_possible_truncation, reason = "any form ends long before 2^100")]
            Self::Real(number) => (number.abs() < 1e30).then(|| number.round() as i128),
        }
    }

    fn to_text(self) -> String {
        match self {
            Self::Whole(number) => number.to_string(),
            Self::Real(number) => number.to_string(),
        }
    }
}

impl Conversion {
    /// Whether raw numbers are values as they are.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.scale == 1.0 && self.offset == 0.0
    }

    /// The value of a raw number. For INT it is rounded: a scale makes fractions of whole numbers.
    ///
    /// # Errors
    /// When the number is no value of the type.
    pub fn value(&self, raw: Number, data_type: DataType) -> Result<Value, ConvertError> {
        let wrong = |value: String| ConvertError::Kind { value, wanted: data_type.name() };
        let number = match raw {
            Number::Whole(number) if self.is_plain() => match i64::try_from(number) {
                Ok(number) => Value::Int(number),
                Err(_) => Value::Double(raw.real()),
            },
            _ => Value::Double(clean(raw.real() * self.scale + self.offset)),
        };
        match (number, data_type) {
            (Value::Double(real), DataType::Int) => {
                whole(real.round()).map(Value::Int).ok_or_else(|| wrong(real.to_string()))
            }
            (Value::Int(number), DataType::Boolean) => Ok(Value::Boolean(number != 0)),
            (Value::Double(real), DataType::Float) => {
                Value::parse(DataType::Float, &real.to_string()).map_err(|_| wrong(real.to_string()))
            }
            (Value::Int(number), DataType::Float | DataType::Double) => {
                Value::parse(data_type, &number.to_string()).map_err(|_| wrong(number.to_string()))
            }
            (value, _) => value.into_type(data_type).map_err(|error| wrong(error.value)),
        }
    }

    /// The raw number of a value.
    ///
    /// # Errors
    /// When the value is no number, or the scale cannot be undone.
    pub fn raw(&self, value: &Value) -> Result<Number, ConvertError> {
        if let Value::Boolean(value) = value {
            return Ok(Number::Whole(i128::from(*value)));
        }
        if self.is_plain()
            && let Value::Int(number) = value
        {
            return Ok(Number::Whole(i128::from(*number)));
        }
        let number = value
            .as_f64()
            .ok_or_else(|| ConvertError::Kind { value: value.to_string(), wanted: "number" })?;
        if self.is_plain() {
            return Ok(Number::Real(number));
        }
        if self.scale == 0.0 || !self.scale.is_finite() {
            return Err(ConvertError::Scale(self.scale));
        }
        Ok(Number::Real((number - self.offset) / self.scale))
    }
}

/// Without what binary fractions add: 217 * 0.1 is 21.7 and not 21.700000000000003. Twelve digits are more than any sensor has.
fn clean(number: f64) -> f64 {
    if number == 0.0 || !number.is_finite() {
        return number;
    }
    format!("{number:.11e}").parse().unwrap_or(number)
}

#[cfg(test)]
mod tests;
