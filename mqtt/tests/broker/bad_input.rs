//! Whatever a client sends: it is put out, the reason is counted, and nobody else notices.

use std::time::Duration;

use bytes::Bytes;
use mqtt::Limits;
use rumqttc::QoS;
use rumqttc::mqttbytes::v4::{ConnAck, ConnectReturnCode, Packet, Publish};
use tokio::io::AsyncWriteExt as _;

use crate::raw::{Raw, hello};
use crate::{Running, soon};

fn ended(reason: &str) -> String {
    format!("mqtt_ended_connections_total{{reason=\"{reason}\"}}")
}

#[tokio::test]
async fn whoever_sends_nonsense_is_put_out_and_nobody_else() {
    let broker = Running::start(Limits::default()).await;
    let mut witness = Raw::fresh(broker.address).await;
    let cases: &[(&str, &[u8], &str)] = &[
        ("a kind that there is not", b"\x00\x00", "malformed"),
        ("a kind that there is not", b"\xf0\x00", "malformed"),
        ("what brokers say", b"\x20\x02\x00\x00", "malformed"),
        ("a length without end", b"\x30\xff\xff\xff\xff\x7f", "malformed"),
        ("flags that SUBSCRIBE has not", b"\x80\x06\x00\x01\x00\x01a\x00", "malformed"),
        ("SUBSCRIBE without a filter", b"\x82\x02\x00\x01", "malformed"),
        ("SUBSCRIBE without an id", b"\x82\x06\x00\x00\x00\x01a\x00", "malformed"),
        ("SUBSCRIBE with quality 3", b"\x82\x06\x00\x01\x00\x01a\x03", "malformed"),
        ("a filter that is none", b"\x82\x07\x00\x01\x00\x02a#\x00", "topic"),
        ("UNSUBSCRIBE without a filter", b"\xa2\x02\x00\x01", "topic"),
        ("a topic that is longer than its packet", b"\x30\x03\x00\x09a", "malformed"),
        ("a topic that is no UTF-8", b"\x30\x04\x00\x02\xff\xfe", "malformed"),
        ("a topic with a wildcard", b"\x30\x03\x00\x01#", "topic"),
        ("no topic", b"\x30\x02\x00\x00", "topic"),
        ("quality 3", b"\x36\x05\x00\x01a\x00\x01", "malformed"),
        ("quality 0 said again", b"\x38\x03\x00\x01a", "malformed"),
        ("quality 1 without an id", b"\x32\x05\x00\x01a\x00\x00", "malformed"),
        ("PUBACK that is too long", b"\x40\x03\x00\x01\x00", "malformed"),
        ("PUBACK that is too short", b"\x40\x01\x00", "malformed"),
        ("PINGREQ with something in it", b"\xc0\x01\x00", "malformed"),
        ("CONNECT again", b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x00\x00\x01x", "order"),
    ];
    for (what, bytes, reason) in cases {
        let before = broker.metric(&ended(reason));
        let mut client = Raw::fresh(broker.address).await;
        client.stream.write_all(bytes).await.unwrap();
        assert_eq!(client.hear().await, None, "{what}");
        assert_eq!(broker.metric(&ended(reason)), before + 1, "{what}");
        assert!(witness.is_served().await, "{what}");
    }
    broker.stop().await;
}

#[tokio::test]
async fn whoever_does_not_begin_with_connect_is_put_out() {
    let broker =
        Running::start(Limits { connect_timeout: Duration::from_millis(200), ..Limits::default() }).await;
    let cases: &[(&[u8], &str)] = &[
        (b"GET / HTTP/1.1\r\n\r\n", "malformed"),
        (b"\x16\x03\x01\x02\x00\x01", "malformed"),
        (b"\xc0\x00", "order"),
        (b"\x10\x02\x00\x04", "malformed"),
        // A will with quality 3, and one on a topic with a wildcard.
        (b"\x10\x13\x00\x04MQTT\x04\x1e\x00\x00\x00\x01x\x00\x01a\x00\x01b", "malformed"),
        (b"\x10\x13\x00\x04MQTT\x04\x06\x00\x00\x00\x01x\x00\x01#\x00\x01b", "topic"),
        (b"\x10\x0d\x00", "no_connect"),
        (b"", "no_connect"),
    ];
    for (bytes, reason) in cases {
        let before = broker.metric(&ended(reason));
        let mut client = Raw::open(broker.address).await;
        client.stream.write_all(bytes).await.unwrap();
        assert_eq!(client.hear().await, None, "{bytes:?}");
        assert_eq!(broker.metric(&ended(reason)), before + 1, "{bytes:?}");
    }
    // Versions 3.1 and 5 are told that it is the version.
    for bytes in [
        b"\x10\x0f\x00\x06MQIsdp\x03\x02\x00\x00\x00\x01x".as_slice(),
        b"\x10\x0e\x00\x04MQTT\x05\x02\x00\x00\x00\x00\x01x",
    ] {
        let mut client = Raw::open(broker.address).await;
        client.stream.write_all(bytes).await.unwrap();
        let refusal = ConnAck::new(ConnectReturnCode::RefusedProtocolVersion, false);
        assert_eq!(client.hear().await, Some(Packet::ConnAck(refusal)), "{bytes:?}");
        assert_eq!(client.hear().await, None);
    }
    broker.stop().await;
}

#[tokio::test]
async fn a_packet_may_be_as_large_as_is_said_and_no_larger() {
    let limits = Limits::default();
    let broker = Running::start(limits.clone()).await;
    let mut subscriber = Raw::fresh(broker.address).await;
    subscriber.subscribe("big", QoS::AtLeastOnce).await;
    let mut publisher = Raw::fresh(broker.address).await;
    // The rest of the packet is the topic with its length, and the id.
    let payload = Bytes::from(vec![7; limits.packet_bytes - 5 - 2]);
    let publish = Publish { pkid: 1, ..Publish::from_bytes("big", QoS::AtLeastOnce, payload.clone()) };
    publisher.say(Packet::Publish(publish)).await;
    assert!(matches!(publisher.hear().await, Some(Packet::PubAck(_))));
    assert_eq!(subscriber.message().await.payload, payload);

    // One byte more, and the largest that can be said: refused when its length is known, before it has come.
    for header in [b"\x30\x81\x80\x44".as_slice(), b"\x30\xff\xff\xff\x7f"] {
        let before = broker.metric(&ended("too_large"));
        let mut client = Raw::fresh(broker.address).await;
        client.stream.write_all(header).await.unwrap();
        assert_eq!(client.hear().await, None);
        assert_eq!(broker.metric(&ended("too_large")), before + 1);
    }
    assert!(subscriber.is_served().await);
    broker.stop().await;
}

#[tokio::test]
async fn who_comes_when_the_broker_is_full_is_told_so() {
    let broker = Running::start(Limits { clients: 2, ..Limits::default() }).await;
    let first = Raw::fresh(broker.address).await;
    let _second = Raw::fresh(broker.address).await;
    let mut third = Raw::open(broker.address).await;
    third.say(Packet::Connect(hello("third", true))).await;
    let refusal = ConnAck::new(ConnectReturnCode::ServiceUnavailable, false);
    assert_eq!(third.hear().await, Some(Packet::ConnAck(refusal)));
    assert_eq!(third.hear().await, None);
    drop(first);
    broker.until("mqtt_clients", |clients| clients == 1).await;
    soon(Raw::fresh(broker.address)).await;
    broker.stop().await;
}
