//! JSON in which a key occurs twice: the last one counts, and `fieldValidation` wants to know.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::field_error::join;

/// At most this many duplicates are named: the answer is for a person to read.
const MAX_NAMED: usize = 32;

/// Parses JSON and names the fields that occur twice (`spec.containers[0].image`), at most 32 of them.
///
/// # Errors
/// When `bytes` are not one JSON value, or nest deeper than serde_json allows (128 levels).
pub fn parse(bytes: &[u8]) -> Result<(Value, Vec<String>), serde_json::Error> {
    let mut duplicates = Vec::new();
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let node = Node { path: String::new(), duplicates: &mut duplicates };
    let value = node.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok((value, duplicates))
}

/// A value that is being read, and where it stands.
struct Node<'d> {
    path: String,
    duplicates: &'d mut Vec<String>,
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        loop {
            let path = format!("{}[{}]", self.path, items.len());
            match access.next_element_seed(Node { path, duplicates: &mut *self.duplicates })? {
                Some(item) => items.push(item),
                None => return Ok(Value::Array(items)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(name) = access.next_key::<String>()? {
            let path = join(&self.path, &name);
            if map.contains_key(&name) && self.duplicates.len() < MAX_NAMED {
                self.duplicates.push(path.clone());
            }
            let value = access.next_value_seed(Node { path, duplicates: &mut *self.duplicates })?;
            map.insert(name, value);
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::parse;

    #[test]
    fn duplicates_are_named_and_the_last_one_counts() {
        let text = br#"{"a":1,"spec":{"b":1,"c":[{"d":1,"d":2}],"b":2},"a":[]}"#;
        let (value, duplicates) = parse(text).unwrap();
        assert_eq!(value, json!({"a": [], "spec": {"b": 2, "c": [{"d": 2}]}}));
        assert_eq!(duplicates, ["spec.c[0].d", "spec.b", "a"]);
    }

    #[test]
    fn what_is_not_one_json_value_is_refused() {
        for text in ["", "{", "{} {}", "{\"a\":}", &"[".repeat(100_000)] {
            assert!(parse(text.as_bytes()).is_err());
        }
    }

    proptest! {
        #[test]
        fn json_is_read_as_serde_json_reads_it(
            pairs in prop::collection::vec(("[a-c]", prop_oneof![
                Just("null".to_owned()), Just("1.5".to_owned()), any::<i64>().prop_map(|n| n.to_string()),
                "\"[a-z]{0,3}\"", Just("[{\"x\":[]}]".to_owned()),
            ]), 0..6)
        ) {
            let fields: Vec<String> = pairs.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
            let text = format!("{{{}}}", fields.join(","));
            let (value, duplicates) = parse(text.as_bytes()).unwrap();
            prop_assert_eq!(&value, &serde_json::from_str::<Value>(&text).unwrap());
            prop_assert_eq!(duplicates.len(), pairs.len() - value.as_object().unwrap().len());
        }
    }
}
