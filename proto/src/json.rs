//! JSON of large types, by one road each way.
//!
//! For every kind of reader and writer serde makes the compiler write a type's code anew, and for the types of Kubernetes that is
//! hundreds of kilobytes of program each time. So they are always read from bytes and written to bytes, also where the JSON is a text
//! or a [`Value`].

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Reads text.
///
/// # Errors
/// It is no JSON of this type.
pub fn read<T: DeserializeOwned>(text: &str) -> serde_json::Result<T> {
    serde_json::from_slice(text.as_bytes())
}

/// Reads a value, by way of its text.
///
/// # Errors
/// It is of another type.
pub fn read_value<T: DeserializeOwned>(value: &Value) -> serde_json::Result<T> {
    serde_json::from_slice(&serde_json::to_vec(value)?)
}

/// Makes a value, by way of its text.
///
/// # Errors
/// The type cannot be JSON (for example a map with keys that are not strings).
pub fn value<T: Serialize + ?Sized>(object: &T) -> serde_json::Result<Value> {
    serde_json::from_slice(&serde_json::to_vec(object)?)
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Pod;
    use serde_json::json;

    use super::*;

    #[test]
    fn all_roads_lead_to_the_same_pod() {
        let object = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a\u{e9}\"b"}});
        let pod: Pod = read_value(&object).unwrap();
        assert_eq!(read::<Pod>(&object.to_string()).unwrap(), pod);
        assert_eq!(value(&pod).unwrap(), object);
        assert!(read::<Pod>("{").is_err());
        assert!(read_value::<Pod>(&json!({"metadata": []})).is_err());
    }
}
