//! JSON in which a key occurs twice: the last one counts, and `fieldValidation` wants to know.

use std::collections::BTreeSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

/// At most this many duplicates are named: the answer is for a person to read.
const MAX_NAMED: usize = 32;

/// Names the fields that occur twice (`spec.containers[0].image`), at most 32 of them. What is not JSON is read up
/// to where it breaks: saying so is the caller's part.
pub fn find(bytes: &[u8]) -> Vec<String> {
    let mut scan = Scan::default();
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let read = Node(&mut scan).deserialize(&mut deserializer);
    tracing::trace!(whole = read.is_ok(), duplicates = scan.found.len(), "scanned for duplicate keys");
    scan.found
}

#[derive(Default)]
struct Scan {
    /// From the root to the value that is being read.
    path: Vec<Step>,
    found: Vec<String>,
}

enum Step {
    Field(String),
    Element(usize),
}

impl Scan {
    fn report(&mut self) {
        if self.found.len() >= MAX_NAMED {
            return;
        }
        let shown = self.path.iter().fold(String::new(), |shown, step| match step {
            Step::Field(name) if shown.is_empty() => name.clone(),
            Step::Field(name) => format!("{shown}.{name}"),
            Step::Element(index) => format!("{shown}[{index}]"),
        });
        self.found.push(shown);
    }
}

/// A value that is being read.
struct Node<'s>(&'s mut Scan);

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<(), A::Error> {
        let scan = self.0;
        for index in 0.. {
            scan.path.push(Step::Element(index));
            let item = access.next_element_seed(Node(scan))?;
            scan.path.pop();
            if item.is_none() {
                break;
            }
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<(), A::Error> {
        let scan = self.0;
        let mut names = BTreeSet::new();
        while let Some(name) = access.next_key::<String>()? {
            scan.path.push(Step::Field(name.clone()));
            if !names.insert(name) {
                scan.report();
            }
            access.next_value_seed(Node(scan))?;
            scan.path.pop();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::find;

    #[test]
    fn duplicates_are_named_by_their_place() {
        let text = br#"{"a":1,"spec":{"b":1,"c":["x",{"d":1,"d":2}],"b":2},"a":[]}"#;
        assert_eq!(find(text), ["spec.c[1].d", "spec.b", "a"]);
    }

    #[test]
    fn text_that_is_not_json_is_read_up_to_where_it_breaks() {
        assert_eq!(find(br#"{"a":1,"a":2"#), ["a"]);
        for text in ["", "{", "{\"a\":}", &"[".repeat(100_000)] {
            assert!(find(text.as_bytes()).is_empty());
        }
        let many = format!("{{{}\"a\":1}}", "\"a\":1,".repeat(10_000));
        assert_eq!(find(many.as_bytes()).len(), 32);
    }

    proptest! {
        #[test]
        fn one_is_named_for_every_value_that_got_lost(
            pairs in prop::collection::vec(("[a-c]", prop_oneof![
                Just("null".to_owned()), Just("1.5".to_owned()), any::<i64>().prop_map(|n| n.to_string()),
                "\"[a-z]{0,3}\"", Just("[{\"x\":[]}]".to_owned()),
            ]), 0..6)
        ) {
            let fields: Vec<String> = pairs.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
            let text = format!("{{{}}}", fields.join(","));
            let value: Value = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(find(text.as_bytes()).len(), pairs.len() - value.as_object().unwrap().len());
        }
    }
}
