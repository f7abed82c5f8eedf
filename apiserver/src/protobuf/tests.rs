use proptest::prelude::*;
use serde_json::json;

use super::fields::{Base, all, message};
use super::{ProtobufError, decode};

/// Bytes as they are on the wire, made the plain way.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut field = vec![number << 3 | 2, u8::try_from(bytes.len()).unwrap()];
    field.extend(bytes);
    field
}

fn body(api_version: &str, kind: &str, object: &[u8]) -> Vec<u8> {
    let type_meta = [field(1, api_version.as_bytes()), field(2, kind.as_bytes())].concat();
    [b"k8s\0".to_vec(), field(1, &type_meta), field(2, object), field(3, b""), field(4, b"")].concat()
}

#[test]
fn a_namespace_as_kubectl_sends_it() {
    let metadata = [field(1, b"team"), field(2, b""), field(3, b""), vec![7 << 3, 0], field(8, b"")].concat();
    let object = [field(1, &metadata), field(2, b""), field(3, &field(1, b""))].concat();
    let namespace = decode(&body("v1", "Namespace", &object)).unwrap();
    assert_eq!(namespace, json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team"}}));
}

#[test]
fn maps_bytes_and_pointers_to_zero_survive() {
    let entry = [field(1, b"key"), field(2, b"\xff\x00")].concat();
    let metadata = [field(1, b"s"), field(11, &[field(1, b"a"), field(2, b"")].concat())].concat();
    let object = [field(1, &metadata), field(2, &entry), field(3, b"Opaque"), vec![5 << 3, 0]].concat();
    let secret = decode(&body("v1", "Secret", &object)).unwrap();
    assert_eq!(secret["data"], json!({"key": "/wA="}));
    assert_eq!(secret["metadata"], json!({"name": "s", "labels": {"a": ""}}));
    assert_eq!(secret["immutable"], false, "a pointer to false is not nothing");
}

#[test]
fn deletion_in_no_time_is_not_the_default_time() {
    let options = decode(&body("policy/v1", "DeleteOptions", &[1 << 3, 0])).unwrap();
    assert_eq!(options["gracePeriodSeconds"], 0);
}

#[test]
fn inlined_messages_and_times_are_where_json_has_them() {
    let volume = [field(1, b"v"), field(2, &field(2, b""))].concat();
    let spec = field(1, &volume);
    let time = [vec![1 << 3, 100], vec![2 << 3, 0]].concat();
    let object = [field(1, &field(8, &time)), field(2, &spec)].concat();
    let pod = decode(&body("v1", "Pod", &object)).unwrap();
    assert_eq!(pod["spec"]["volumes"], json!([{"name": "v", "emptyDir": {}}]));
    assert_eq!(pod["metadata"]["creationTimestamp"], "1970-01-01T00:01:40Z");
}

#[test]
fn what_is_no_object_is_refused() {
    assert_eq!(decode(b"{}"), Err(ProtobufError::NoMagic));
    assert_eq!(decode(b"k8s\0\x0a\x7f"), Err(ProtobufError::Truncated));
    let custom = body("example.com/v1", "Thing", b"");
    assert_eq!(decode(&custom), Err(ProtobufError::UnknownKind("example.com/v1, Kind=Thing".to_owned())));
    let mismatch = decode(&body("v1", "Namespace", &[1 << 3, 7]));
    assert_eq!(mismatch, Err(ProtobufError::Mismatch("metadata".to_owned())));
}

#[test]
fn every_message_of_the_table_is_there() {
    let mut seen = 0;
    for (name, found) in all() {
        for field in found.fields() {
            if let Base::Message(inner) = &field.base {
                assert!(message(inner).is_some(), "{name} has a {inner}");
            }
            seen += 1;
        }
    }
    assert!(seen > 1000, "{seen} fields");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn garbage_is_an_error_and_never_a_panic(object in prop::collection::vec(any::<u8>(), 0..100)) {
        for kind in ["Pod", "Node", "Event"] {
            // What comes out is checked by the callers; here it only has to come out.
            drop(decode(&body("v1", kind, &object)));
        }
    }
}
