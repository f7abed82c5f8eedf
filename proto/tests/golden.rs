//! Frames that a running stock pair exchanged: each must be understood completely and written back unchanged.

use proto::{Message, Resource, codec};
use serde_json::Value;

const EDGE_TO_CLOUD: &str = include_str!("golden/edge-to-cloud.jsonl");
const CLOUD_TO_EDGE: &str = include_str!("golden/cloud-to-edge.jsonl");

fn frames() -> impl Iterator<Item = &'static str> {
    EDGE_TO_CLOUD.lines().chain(CLOUD_TO_EDGE.lines())
}

fn decode(frame: &str) -> Message {
    codec::decode(frame.as_bytes()).expect("a stock frame is a message")
}

#[test]
fn stock_frames_survive_decode_and_encode() {
    for frame in frames() {
        let written: Value = serde_json::from_slice(&codec::encode(&decode(frame))).unwrap();
        let read: Value = serde_json::from_str(frame).unwrap();
        assert_eq!(written, read);
    }
}

#[test]
fn every_word_of_stock_frames_is_known() {
    for route in frames().map(|frame| decode(frame).route) {
        assert!(route.source.is_known(), "{route:?}");
        assert!(route.group.is_known(), "{route:?}");
        assert!(route.operation.is_known(), "{route:?}");
        assert!(!matches!(route.resource, Resource::Other(_)), "{route:?}");
        assert!(route.resource.kind().is_none_or(|kind| kind.is_known()), "{route:?}");
    }
}

fn meaning(message: &Message) -> String {
    let route = &message.route;
    format!("{}/{} {} {:?} {:?}", route.source, route.group, route.operation, route.resource, message.content)
}

#[test]
fn what_stock_edges_say_is_what_we_read() {
    let meanings: Vec<String> = EDGE_TO_CLOUD.lines().map(|frame| meaning(&decode(frame))).collect();
    insta::assert_yaml_snapshot!(meanings);
}

#[test]
fn what_stock_clouds_say_is_what_we_read() {
    let meanings: Vec<String> = CLOUD_TO_EDGE
        .lines()
        .map(decode)
        .map(|message| meaning(&message) + if message.needs_ack() { ", kept until acknowledged" } else { "" })
        .collect();
    insta::assert_yaml_snapshot!(meanings);
}
