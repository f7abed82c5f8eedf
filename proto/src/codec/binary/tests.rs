use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::hello::{Held, HelloError, MAX_HELD, VERSION};
use crate::message::{Header, Route};
use crate::resource::Resource;
use crate::words::{Group, Operation, ResourceKind, Source};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    text.as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

fn held() -> Held {
    Held {
        path: "default/pod/web".into(),
        uid: "u-1".into(),
        version: "42".into(),
        digest: 0x0102_0304_0506_0708,
    }
}

fn hello() -> Hello {
    Hello {
        versions: vec![VERSION],
        software: "edgecore/1".into(),
        held: vec![held()],
        time: 1_700_000_000_123,
    }
}

fn push(object: Option<Content>) -> Push {
    let path = ObjectPath {
        namespace: Some("default".into()),
        kind: ResourceKind::ConfigMap,
        name: Some("settings".into()),
    };
    Push { seq: 7, path, uid: "u-2".into(), version: "43".into(), digest: 9, object }
}

fn message(content: Content) -> Message {
    let header = Header {
        id: "m-1".into(),
        parent_id: Some("m-0".into()),
        timestamp: 1_700_000_000_123,
        resource_version: Some("44".into()),
        sync: false,
    };
    let route = Route {
        source: Source::Edged,
        group: Group::Meta,
        operation: Operation::Query,
        resource: Resource::object(None, ResourceKind::Node, "edge-1"),
    };
    Message { header, route, content }
}

/// The bytes of version 1. A change here is a change of the protocol: old edges stop understanding new clouds.
#[test]
fn frozen_vectors() {
    let vectors = [
        (
            Frame::Hello(hello()),
            "010a3b0a0101120a65646765636f72652f311a230a0f64656661756c742f706f642f7765621203752d311a02343221080706050403020120fbd095ffbc31",
        ),
        (
            Frame::Welcome(Welcome { version: 1, software: "cloudcore/1".into(), time: 5 }),
            "0112110801120b636c6f7564636f72652f311805",
        ),
        (
            Frame::Message(Box::new(message(Content::text("hi")))),
            "011a410a036d2d3112036d2d3018fbd095ffbc31220234342a05656467656432046d6574613a05717565727942106e756c6c2f6e6f64652f656467652d314a040a026869",
        ),
        (
            Frame::Push(Box::new(push(None))),
            "0122300807121a64656661756c742f636f6e6669676d61702f73657474696e67731a03752d3222023433290900000000000000",
        ),
        (
            Frame::Push(Box::new(push(Some(Content::Null)))),
            "0122320807121a64656661756c742f636f6e6669676d61702f73657474696e67731a03752d32220234332909000000000000003200",
        ),
        (
            Frame::Acks(Acks {
                stored: vec![1, 2, 300],
                refused: vec![Refused { seq: 4, reason: "full".into() }],
            }),
            "012a100a040102ac0212080804120466756c6c",
        ),
        (Frame::Keepalive, "013200"),
    ];
    for (frame, expected) in vectors {
        assert_eq!(hex(&encode(&frame)), expected, "{frame:?}");
        assert_eq!(decode(&unhex(expected)).unwrap(), frame);
    }
}

/// What a peer compressed in version 1 must stay readable; what we compress ourselves may look different some day.
#[test]
fn a_compressed_frame_is_read() {
    let object = Content::object(&json!({"data": {"text": "abc".repeat(2000)}})).unwrap();
    let frame = Frame::Push(Box::new(push(Some(object))));
    let bytes = encode(&frame);
    assert_eq!(bytes[0], ZSTD);
    assert!(bytes.len() < 200, "{} bytes", bytes.len());
    assert_eq!(decode(&bytes).unwrap(), frame);
}

#[test]
fn what_does_not_shrink_is_sent_as_it_is() {
    let noise: String =
        (0_u32..2000).map(|n| char::from(33 + (n.wrapping_mul(2_654_435_761) >> 25) as u8 % 90)).collect();
    let small = Frame::Message(Box::new(message(Content::text("x".repeat(100)))));
    assert_eq!(encode(&small)[0], PLAIN);
    let frame = Frame::Message(Box::new(message(Content::text(noise))));
    let bytes = encode(&frame);
    assert_eq!(decode(&bytes).unwrap(), frame);
}

/// CVE-2026-62370: nor does memory follow what a compressed frame would become.
#[test]
fn a_bomb_is_refused_when_it_reaches_the_limit() {
    let zeros = vec![0_u8; MAX_MESSAGE_BYTES + 10];
    let mut bomb = vec![ZSTD];
    bomb.extend(zstd::bulk::compress(&zeros, 19).unwrap());
    assert!(bomb.len() < 10_000);
    assert!(matches!(decode(&bomb), Err(CodecError::TooLarge { .. })));
}

/// CVE-2026-62370, one step further: what arrives is small, and what would be made of it is not.
#[test]
fn cve_2026_62370_lists_of_empty_entries_are_refused_before_they_are_read() {
    let part = |tag: u8, entries: &[u8]| {
        let mut part = vec![tag << 3 | 2];
        prost::encoding::encode_varint(entries.len() as u64, &mut part);
        part.extend(entries);
        part
    };
    let many = 16 * 1024 * 1024 - 100;
    let objects = part(1, &[3 << 3 | 2, 0].repeat(many));
    let refused = part(5, &[2 << 3 | 2, 0].repeat(many));
    let packed = part(5, &part(1, &vec![0; 2 * many]));
    let single = part(5, &[1 << 3, 0].repeat(many));
    let versions = part(1, &part(1, &vec![0; 2 * many]));
    // Each by itself is small enough, and together they are merged.
    let pieces = part(1, &[3 << 3 | 2, 0].repeat(1000)).repeat(20);
    for frame in [objects, refused, packed, single, versions, pieces] {
        let bomb = [vec![ZSTD], zstd::bulk::compress(&frame, 1).unwrap()].concat();
        assert!(bomb.len() < 20_000, "{}", bomb.len());
        let plain = [vec![PLAIN], frame].concat();
        for bytes in [bomb, plain] {
            let error = decode(&bytes).unwrap_err().to_string();
            assert!(error.contains("more than"), "{error}");
        }
    }
    // What a node may say, it may say.
    let hello = Hello { held: vec![held(); MAX_HELD], ..hello() };
    decode(&encode(&Frame::Hello(hello))).unwrap();
    let acks = Acks { stored: (0..4000).map(|n| u64::MAX - n).collect(), refused: Vec::new() };
    decode(&encode(&Frame::Acks(acks))).unwrap();
}

#[test]
fn what_is_no_frame_is_refused() {
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    let deep = Content::Json(serde_json::value::RawValue::from_string(deep).unwrap());
    assert!(matches!(decode(&encode(&Frame::Push(Box::new(push(Some(deep)))))), Err(CodecError::TooDeep)));
    for bytes in [
        &b""[..],
        b"\x00",
        b"\x01",
        b"\x02",
        b"\x03abc",
        b"{\"header\":{}}",
        b"\x01\xff\xff\xff\xff\xff",
        b"\x02garbage",
    ] {
        assert!(decode(bytes).is_err(), "{bytes:?}");
    }
}

#[test]
fn lanes_follow_what_a_frame_is_for() {
    let large = Content::text("x".repeat(BULK_BYTES));
    assert_eq!(Frame::Keepalive.lane(), Lane::Control);
    assert_eq!(Frame::Push(Box::new(push(None))).lane(), Lane::State);
    assert_eq!(Frame::Push(Box::new(push(Some(large.clone())))).lane(), Lane::Bulk);
    assert_eq!(Frame::Message(Box::new(message(Content::Null))).lane(), Lane::Control);
    assert_eq!(Frame::Message(Box::new(message(large))).lane(), Lane::Bulk);
    let mut status = message(Content::Null);
    status.header.parent_id = None;
    assert_eq!(Lane::of(&status), Lane::State);
    status.route.resource = Resource::object(Some("kube-node-lease"), ResourceKind::Lease, "edge-1");
    assert_eq!(Lane::of(&status), Lane::Control);
    status.route.resource = Resource::object(Some("default"), ResourceKind::Event, "e");
    assert_eq!(Lane::of(&status), Lane::Bulk);
}

#[test]
fn a_hello_is_checked() {
    assert_eq!(hello().check(), Ok(VERSION));
    let newer = Hello { versions: vec![VERSION, 99], ..hello() };
    assert_eq!(newer.check(), Ok(VERSION));
    let stranger = Hello { versions: vec![99], ..hello() };
    assert_eq!(stranger.check(), Err(HelloError::NoCommonVersion { offered: vec![99] }));
    let hoarder = Hello { held: vec![held(); MAX_HELD + 1], ..hello() };
    assert_eq!(hoarder.check(), Err(HelloError::TooManyHeld { count: MAX_HELD + 1 }));
}

/// A later version adds fields; this one reads past them.
#[test]
fn unknown_fields_are_ignored() {
    let mut bytes = unhex("0112110801120b636c6f7564636f72652f311805");
    // Field 15 of the welcome, a varint: the length of the welcome grows by two.
    bytes[2] += 2;
    bytes.extend([0x78, 0x01]);
    let welcome = Welcome { version: 1, software: "cloudcore/1".into(), time: 5 };
    assert_eq!(decode(&bytes).unwrap(), Frame::Welcome(welcome));
}

proptest! {
    /// ADA-KE-12: typed, or nothing.
    #[test]
    fn any_bytes_are_a_frame_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(frame) = decode(&bytes) {
            prop_assert_eq!(decode(&encode(&frame)).unwrap(), frame);
        }
    }

    #[test]
    fn what_is_written_is_read(
        id in ".{0,40}", version in "[0-9]{0,10}", resource in "[a-z]{1,8}/[a-z]{1,8}/[a-z]{1,8}",
        text in ".{0,2000}", seq in any::<u64>(), digest in any::<u64>(), acks in proptest::collection::vec(any::<u64>(), 0..100),
    ) {
        let mut sent = message(Content::text(text.clone()));
        sent.header.id = id;
        sent.header.resource_version = Some(version).filter(|version| !version.is_empty());
        sent.route.resource = Resource::from(resource.as_str());
        let object = Content::object(&json!({"text": text})).unwrap();
        let frames = [
            Frame::Message(Box::new(sent)),
            Frame::Push(Box::new(Push { seq, digest, ..push(Some(object)) })),
            Frame::Acks(Acks { stored: acks, refused: Vec::new() }),
        ];
        for frame in frames {
            prop_assert_eq!(decode(&encode(&frame)).unwrap(), frame);
        }
    }
}
