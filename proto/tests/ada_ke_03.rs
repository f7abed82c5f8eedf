//! ADA-KE-03 (CVE-2022-31076, CVE-2022-31077): `null`, `[]`, `0`, nothing and deep nesting to every decoder, on the paths of
//! requests and of answers. Each gives an error or something typed, and none panics (ADA-KE-12).

use std::collections::BTreeMap;

use proto::ban::BanList;
use proto::codec::{self, binary};
use proto::reply::{ObjectResp, QueryFailure};
use proto::{Content, Group, Message, Operation, Resource, Route, Source, Stamp};
use serde::Deserialize;

fn odd() -> Vec<Vec<u8>> {
    let mut odd: Vec<Vec<u8>> =
        ["null", "[]", "0", "", "\"\"", "true", "-1e999", "\"null\"", " ", "\0", "\u{feff}{}"]
            .iter()
            .map(|text| text.as_bytes().to_vec())
            .collect();
    odd.extend([b"[".repeat(1_000_000), b"{\"a\":".repeat(200_000), b"[[".repeat(64), vec![0xff; 1000]]);
    odd
}

fn message(content: Content) -> Message {
    let route = Route {
        source: Source::EdgeController,
        group: Group::Resource,
        operation: Operation::Response,
        resource: Resource::from("default/pod/web"),
    };
    Message::new(Stamp { id: "m".to_owned(), timestamp: 1 }, route, content)
}

#[test]
fn ada_ke_03_odd_frames_are_errors() {
    for bytes in odd() {
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(20)]).into_owned();
        assert!(codec::decode(&bytes).is_err(), "stock {shown:?}");
        assert!(binary::decode(&bytes).is_err(), "native {shown:?}");
        for first in [1, 2] {
            let framed = [vec![first], bytes.clone()].concat();
            // Nothing at all is a frame of nothing, which is none.
            assert!(binary::decode(&framed).is_err(), "native {first} {shown:?}");
        }
    }
}

/// Where a part of a message is `null` or of another type than it should be.
#[test]
fn ada_ke_03_odd_parts_of_a_message_are_errors_or_nothing() {
    for part in ["null", "[]", "0", "\"\"", "[{}]", "{\"a\":null}"] {
        for text in [
            format!("{{\"header\":{part},\"route\":{{}},\"content\":null}}"),
            format!("{{\"header\":{{}},\"route\":{part},\"content\":null}}"),
            format!("{{\"header\":{{\"msg_id\":{part}}},\"route\":{{\"operation\":{part}}}}}"),
            format!("{{\"header\":{{}},\"route\":{{\"resource\":{part}}},\"content\":{part}}}"),
        ] {
            if let Ok(message) = codec::decode(text.as_bytes()) {
                // What was read can be written and read again.
                assert_eq!(codec::decode(&codec::encode(&message)).unwrap().header, message.header, "{text}");
            }
        }
    }
}

#[derive(Debug, Deserialize)]
struct Object {
    #[expect(dead_code, reason = "it is enough that it must be there")]
    metadata: BTreeMap<String, String>,
}

#[test]
fn ada_ke_03_odd_contents_are_errors_where_an_object_should_be() {
    for bytes in odd() {
        let Ok(text) = String::from_utf8(bytes) else { continue };
        let shown: String = text.chars().take(20).collect();
        let mut contents = vec![Content::text(text.clone()), Content::Null];
        contents.extend(serde_json::value::RawValue::from_string(text.clone()).map(Content::from_raw));
        for content in contents {
            assert!(content.decode::<Object>().is_err(), "{shown:?}");
            let replied =
                content.decode::<ObjectResp<Object>>().ok().and_then(|reply| reply.into_result().ok());
            assert!(replied.is_none(), "{shown:?}");
            let _failure = QueryFailure::from_content(&content);
            let _bytes = content.decode_bytes();
            let _failure = QueryFailure::from_answer(&message(content));
        }
        let (bans, unreadable) = BanList::from_data(&BTreeMap::from([("edge-1".to_owned(), text)]));
        assert!(
            bans.get("edge-1").is_some() && unreadable.len() == 1,
            "{shown:?}: whoever wrote it meant to ban"
        );
    }
}
