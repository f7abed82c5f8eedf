//! The protocol buffers wire format: fields with numbers, without types.

use super::ProtobufError;

/// The fields of one message, in order.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

/// A field as it is on the wire.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Raw<'a> {
    /// Wire type 0.
    Integer(u64),
    /// Wire type 1.
    Fixed64([u8; 8]),
    /// Wire type 2: text, bytes, a message.
    Bytes(&'a [u8]),
    /// Wire type 5; no field of the API has it.
    Fixed32,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The next field with its number; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<(u32, Raw<'a>)>, ProtobufError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let tag = self.varint()?;
        let number = u32::try_from(tag >> 3).map_err(|_| ProtobufError::Truncated)?;
        let raw = match tag & 7 {
            0 => Raw::Integer(self.varint()?),
            1 => {
                let bytes = self.take(8)?;
                Raw::Fixed64(bytes.try_into().map_err(|_| ProtobufError::Truncated)?)
            }
            2 => {
                let length = self.varint()?;
                Raw::Bytes(self.take(usize::try_from(length).map_err(|_| ProtobufError::Truncated)?)?)
            }
            5 => {
                self.take(4)?;
                Raw::Fixed32
            }
            // Groups (3 and 4) are long out of use.
            _ => return Err(ProtobufError::Truncated),
        };
        Ok(Some((number, raw)))
    }

    fn varint(&mut self) -> Result<u64, ProtobufError> {
        let mut value = 0_u64;
        // Ten bytes of seven bits hold 64.
        for index in 0..10 {
            let (&byte, rest) = self.rest.split_first().ok_or(ProtobufError::Truncated)?;
            self.rest = rest;
            value |= u64::from(byte & 0x7f) << (7 * index);
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(ProtobufError::Truncated)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], ProtobufError> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(ProtobufError::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }
}

impl<'a> Raw<'a> {
    pub(super) fn bytes(&self, field: &str) -> Result<&'a [u8], ProtobufError> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            _ => Err(ProtobufError::Mismatch(field.to_owned())),
        }
    }

    /// Negative numbers are on the wire as their 64-bit complement.
    pub(super) fn integer(&self, field: &str) -> Result<i64, ProtobufError> {
        match self {
            Self::Integer(value) => Ok(value.cast_signed()),
            _ => Err(ProtobufError::Mismatch(field.to_owned())),
        }
    }

    pub(super) fn double(&self, field: &str) -> Result<f64, ProtobufError> {
        match self {
            Self::Fixed64(bytes) => Ok(f64::from_le_bytes(*bytes)),
            _ => Err(ProtobufError::Mismatch(field.to_owned())),
        }
    }
}
