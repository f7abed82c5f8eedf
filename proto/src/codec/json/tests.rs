use proptest::prelude::*;

use super::*;
use crate::message::Stamp;

fn message(content: Content) -> Message {
    let route = Route {
        source: Source::EdgeController,
        group: Group::Resource,
        operation: Operation::Insert,
        resource: Resource::from("default/pod/nginx"),
    };
    Message::new(Stamp { id: "c1".to_owned(), timestamp: 1_700_000_000_123 }, route, content)
}

/// Frozen: peers of other versions and a stock KubeEdge read these bytes.
#[test]
fn the_bytes_of_a_message_are_frozen() {
    let mut push = message(Content::object(&serde_json::json!({"kind": "Pod"})).unwrap());
    push.header.resource_version = Some("100".to_owned());
    assert_eq!(
        encode(&push),
        concat!(
            r#"{"header":{"msg_id":"c1","timestamp":1700000000123,"resourceversion":"100"},"#,
            r#""route":{"source":"edgecontroller","group":"resource","operation":"insert","resource":"default/pod/nginx"},"#,
            r#""content":{"kind":"Pod"}}"#,
            "\n"
        )
    );

    let ack = push.ack(Stamp { id: "a1".to_owned(), timestamp: 2 });
    assert_eq!(
        encode(&ack),
        concat!(
            r#"{"header":{"msg_id":"a1","parent_msg_id":"c1","timestamp":2},"#,
            r#""route":{"source":"edgecontroller","group":"resource","operation":"response","resource":"default/pod/nginx"},"#,
            r#""content":"OK"}"#,
            "\n"
        )
    );

    let error = push.error(Stamp { id: "e1".to_owned(), timestamp: 3 }, "no space");
    assert_eq!(
        encode(&error),
        concat!(
            r#"{"header":{"msg_id":"e1","parent_msg_id":"c1","timestamp":3},"#,
            r#""route":{"operation":"error","resource":"default/pod/nginx"},"content":"no space"}"#,
            "\n"
        )
    );
}

#[test]
fn the_first_value_of_a_frame_counts_and_the_rest_is_ignored() {
    let decoded =
        decode(br#" {"header":{"msg_id":"a"},"content":1} {"header":{"msg_id":"b"}} trash"#).unwrap();
    assert_eq!(decoded.header.id, "a");
    assert_eq!(decoded.content.data(), b"1".as_slice());
}

#[test]
fn unknown_fields_and_missing_ones_are_no_error() {
    let decoded =
        decode(br#"{"header":{"msg_id":"a","type":"x","later":[{}]},"route":{"destination":"d"}}"#).unwrap();
    assert_eq!(decoded.route.resource, Resource::Empty);
    assert_eq!(decoded.content, Content::Null);
}

#[test]
fn the_empty_message_of_a_closing_stock_edge_is_recognised() {
    let decoded = decode(br#"{"header":{"msg_id":"","timestamp":0},"route":{},"content":null}"#).unwrap();
    assert!(decoded.is_empty());
    assert!(!message(Content::Null).is_empty());
}

#[test]
fn escapes_of_a_go_encoder_are_read() {
    let decoded = decode(br#"{"header":{},"route":{},"content":"\u003cb\u003e \u0026"}"#).unwrap();
    assert_eq!(decoded.content, Content::text("<b> &"));
}

#[test]
fn users_messages_have_topics_for_resources() {
    let decoded =
        decode(br#"{"header":{},"route":{"group":"user","resource":"default/pod/x"},"content":null}"#)
            .unwrap();
    assert_eq!(decoded.route.resource, Resource::Topic("default/pod/x".to_owned()));
}

// === what is not a message ===

#[test]
fn garbage_is_refused_with_its_place() {
    assert_eq!(decode(b"hello").unwrap_err().kind(), "malformed");
    assert_eq!(decode(b"[{},{},null]").unwrap_err().kind(), "malformed");
    assert_eq!(decode(b"{\"header\": 7}").unwrap_err().kind(), "malformed");
    let error = decode(b"{\"header\":{},\n \"route\": nonsense}").unwrap_err();
    assert!(matches!(error, CodecError::Malformed { line: 2, .. }), "{error}");
}

#[test]
fn bytes_that_are_not_text_are_refused() {
    let error = decode(b"{\"header\":{\"msg_id\":\"\xff\xfe\"}}").unwrap_err();
    assert!(matches!(error, CodecError::NotUtf8 { at: 21 }), "{error}");
}

#[test]
fn every_truncation_of_a_message_is_an_error() {
    let whole = encode(&message(Content::object(&serde_json::json!({"a": ["x", {"b": null}]})).unwrap()));
    let text_end = whole.len() - 1;
    for end in 0..text_end {
        let error = decode(&whole[..end]).unwrap_err();
        assert_eq!(error.kind(), "truncated", "cut at {end}: {error}");
    }
    decode(&whole[..text_end]).unwrap();
}

#[test]
fn nesting_ends_at_the_limit() {
    // The message itself is the first level.
    let nested = |levels: usize| {
        let inner = levels - 1;
        format!(r#"{{"header":{{}},"route":{{}},"content":{}{}}}"#, "[".repeat(inner), "]".repeat(inner))
    };
    let deepest = decode(nested(MAX_DEPTH).as_bytes()).unwrap();
    deepest.content.decode::<serde_json::Value>().unwrap();
    assert_eq!(decode(nested(MAX_DEPTH + 1).as_bytes()).unwrap_err().kind(), "too_deep");
    assert_eq!(decode(nested(10_000_000).as_bytes()).unwrap_err().kind(), "too_deep");
    assert_eq!(decode("{\"a\":".repeat(1_000_000).as_bytes()).unwrap_err().kind(), "too_deep");
}

#[test]
fn brackets_in_strings_do_not_count_as_nesting() {
    let text = "[{\"\\".repeat(MAX_DEPTH * 2);
    let sent = message(Content::text(text.clone()));
    assert_eq!(decode(&encode(&sent)).unwrap().content, Content::text(text));
}

#[test]
fn a_message_of_100_mib_is_refused_by_its_size() {
    let huge = vec![b' '; 100 * 1024 * 1024];
    let error = decode(&huge).unwrap_err();
    assert!(matches!(error, CodecError::TooLarge { size } if size == huge.len()), "{error}");
}

#[test]
fn errors_do_not_quote_the_message() {
    let error = decode(br#"{"header":{"msg_id":{"secret":"hunter2"}}}"#).unwrap_err();
    assert!(!format!("{error} {error:?}").contains("hunter2"));
}

// === properties ===

fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        Just("edgecontroller".to_owned()),
        Just("user".to_owned()),
        Just("response".to_owned()),
        ".{1,12}",
    ]
}

fn content() -> impl Strategy<Value = Content> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(serde_json::Value::from),
        any::<i64>().prop_map(serde_json::Value::from),
        ".{0,20}".prop_map(serde_json::Value::from),
    ];
    let tree = leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(serde_json::Value::from),
            prop::collection::btree_map(".{0,8}", inner, 0..4)
                .prop_map(|map| map.into_iter().collect::<serde_json::Value>()),
        ]
    });
    tree.prop_map(|value| Content::object(&value).unwrap())
}

prop_compose! {
    fn messages()(
        id in ".{0,40}",
        parent in prop::option::of(".{1,40}"),
        timestamp in any::<i64>(),
        version in prop::option::of("[0-9]{1,20}"),
        sync in any::<bool>(),
        words in [word(), word(), word()],
        resource in "([a-z/]{0,20}|.{0,30}|[a-z]{1,4}/(pod|node|configmap)(/[a-z.]{1,5})?)",
        content in content(),
    ) -> Message {
        let group = Group::from(words[1].as_str());
        Message {
            header: Header { id, parent_id: parent, timestamp, resource_version: version, sync },
            route: Route {
                source: Source::from(words[0].as_str()),
                operation: Operation::from(words[2].as_str()),
                resource: Resource::parse(&group, &resource),
                group,
            },
            content,
        }
    }
}

proptest! {
    #[test]
    fn what_is_encoded_decodes_to_the_same(sent in messages()) {
        prop_assert_eq!(decode(&encode(&sent)).unwrap(), sent);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..256)) {
        decode(&bytes).ok();
    }

    #[test]
    fn no_damage_to_a_message_makes_it_panic(sent in messages(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = encode(&sent).to_vec();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(read) = decode(&bytes) {
            prop_assert_eq!(decode(&encode(&read)).unwrap(), read);
        }
    }
}
