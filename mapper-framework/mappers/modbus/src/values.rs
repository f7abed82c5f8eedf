//! What registers hold, as values, and back.

use mapper_framework::{Conversion, DataType, DriverError, Number, Raw, Value, decode, encode};

use crate::registers::Content;
use crate::visitor::{Form, Visitor};

impl Visitor {
    /// The value that was read.
    ///
    /// # Errors
    /// When it is none of the property's type.
    pub(crate) fn value(&self, content: &Content) -> Result<Value, DriverError> {
        let mut bytes = content.bytes();
        match self.form {
            Form::Bytes => {
                self.order.reorder(&mut bytes);
                Ok(Value::Bytes(bytes))
            }
            Form::Text => {
                self.order.reorder(&mut bytes);
                text(self, bytes)
            }
            Form::Number(raw) => {
                let number = decode(raw, self.order, &bytes)?;
                Ok(self.conversion().value(number, self.number_type(raw))?)
            }
        }
    }

    /// What is to be written for a value.
    ///
    /// # Errors
    /// When it does not fit into the registers.
    pub(crate) fn content(&self, value: &Value) -> Result<Content, DriverError> {
        let room = usize::from(self.span.count) * 2;
        let bytes = match (self.form, value) {
            (Form::Number(raw), value) => encode(raw, self.order, self.number(value)?)?,
            (Form::Text, value) => {
                let mut bytes = value.to_string().into_bytes();
                if bytes.len() > room {
                    let (got, span) = (bytes.len(), self.span);
                    return Err(refused(&format!(
                        "the text has {got} bytes, and {span} has room for {room}"
                    )));
                }
                bytes.resize(room, 0);
                self.order.reorder(&mut bytes);
                bytes
            }
            (Form::Bytes, Value::Bytes(bytes)) => {
                let mut bytes = bytes.clone();
                self.order.reorder(&mut bytes);
                bytes
            }
            (Form::Bytes, other) => return Err(refused(&format!("{other} is no bytes"))),
        };
        let content = Content::from_bytes(self.span, &bytes);
        content.ok_or_else(|| refused(&format!("the value does not fit: {} has other bytes", self.span)))
    }

    /// A truth value is not scaled.
    fn conversion(&self) -> Conversion {
        match self.data_type {
            Some(DataType::Boolean) => Conversion::default(),
            _ => self.conversion,
        }
    }

    /// Without a type a number is what it looks like.
    fn number_type(&self, raw: Raw) -> DataType {
        let is_whole = !matches!(raw, Raw::Float32 | Raw::Float64) && self.conversion.is_plain();
        match self.data_type {
            Some(data_type) => data_type,
            None if self.span.table.is_bits() && self.span.count == 1 => DataType::Boolean,
            None if is_whole => DataType::Int,
            None => DataType::Double,
        }
    }

    fn number(&self, value: &Value) -> Result<Number, DriverError> {
        // Where there is no type, what is set comes as a text.
        let value = match value {
            Value::String(text) => &number_in(text).unwrap_or_else(|| value.clone()),
            value => value,
        };
        Ok(self.conversion().raw(value)?)
    }
}

fn number_in(text: &str) -> Option<Value> {
    let types = [DataType::Int, DataType::Double, DataType::Boolean];
    types.into_iter().find_map(|data_type| Value::parse(data_type, text).ok())
}

/// What devices put after a text is cut off.
fn text(visitor: &Visitor, bytes: Vec<u8>) -> Result<Value, DriverError> {
    let text = String::from_utf8(bytes);
    let text = text.map_err(|_| {
        let span = visitor.span;
        refused(&format!("{span} holds no text in UTF-8: check offset, limit and isSwap, or make it BYTES"))
    })?;
    Ok(Value::String(text.trim_end_matches(['\0', ' ']).to_owned()))
}

fn refused(what: &str) -> DriverError {
    DriverError::Refused(what.to_owned())
}

#[cfg(test)]
mod tests;
