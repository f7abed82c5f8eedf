//! What calls are made of: values where the specification wants them.

/// A property as `(sv)`, in an array of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::edged) struct Property {
    pub(in crate::edged) name: &'static str,
    pub(in crate::edged) value: Value,
}

/// The value of a property.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::edged) enum Value {
    Number(u64),
    Flag(bool),
    Text(String),
}

pub(super) fn align(bytes: &mut Vec<u8>, to: usize) {
    bytes.resize(bytes.len().next_multiple_of(to), 0);
}

/// A string behind what is there, where four divides.
pub(in crate::edged) fn put_text(bytes: &mut Vec<u8>, text: &str) {
    align(bytes, 4);
    bytes.extend(u32::try_from(text.len()).unwrap_or_default().to_le_bytes());
    bytes.extend(text.as_bytes());
    bytes.push(0);
}

/// A boolean behind what is there.
pub(in crate::edged) fn put_flag(bytes: &mut Vec<u8>, flag: bool) {
    align(bytes, 4);
    bytes.extend(u32::from(flag).to_le_bytes());
}

/// `a(sv)` behind what is there.
pub(in crate::edged) fn put_properties(bytes: &mut Vec<u8>, properties: &[Property]) {
    put_array(bytes, |bytes| {
        for Property { name, value } in properties {
            align(bytes, 8);
            put_text(bytes, name);
            match value {
                Value::Number(number) => {
                    bytes.extend(b"\x01t\0");
                    align(bytes, 8);
                    bytes.extend(number.to_le_bytes());
                }
                Value::Flag(flag) => {
                    bytes.extend(b"\x01b\0");
                    put_flag(bytes, *flag);
                }
                Value::Text(text) => {
                    bytes.extend(b"\x01s\0");
                    put_text(bytes, text);
                }
            }
        }
    });
}

/// An array of structs behind what is there. Its length counts from the first of them on.
pub(in crate::edged) fn put_array(bytes: &mut Vec<u8>, items: impl FnOnce(&mut Vec<u8>)) {
    align(bytes, 4);
    let place = bytes.len();
    bytes.extend([0; 4]);
    align(bytes, 8);
    let start = bytes.len();
    items(bytes);
    let length = u32::try_from(bytes.len() - start).unwrap_or_default();
    bytes[place..place + 4].copy_from_slice(&length.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each at its place: <https://dbus.freedesktop.org/doc/dbus-specification.html#type-system>.
    #[test]
    fn properties_are_where_they_belong() {
        let mut bytes = Vec::new();
        put_flag(&mut bytes, true);
        let properties = [
            Property { name: "A", value: Value::Number(7) },
            Property { name: "B", value: Value::Flag(true) },
        ];
        put_properties(&mut bytes, &properties);
        let mut expected = vec![1, 0, 0, 0];
        // The length of the array, which is that of its items: 24 + 16.
        expected.extend([40, 0, 0, 0]);
        expected.extend(b"\x01\0\0\0A\0\x01t\0\0\0\0\0\0\0\0");
        expected.extend(7_u64.to_le_bytes());
        expected.extend(b"\x01\0\0\0B\0\x01b\0\0\0\0\x01\0\0\0");
        assert_eq!(bytes, expected);
    }

    #[test]
    fn an_empty_array_of_structs_ends_where_the_first_would_begin() {
        let mut bytes = vec![0; 4];
        put_array(&mut bytes, |_| {});
        assert_eq!(bytes, [0; 8]);
        put_array(&mut bytes, |_| {});
        assert_eq!(bytes, [0; 16]);
    }
}
