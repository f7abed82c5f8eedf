//! What is published for whoever is inside is acknowledged when it is kept.

use mqtt::{Limits, Publication, Sender};
use rumqttc::QoS;
use rumqttc::mqttbytes::v4::{Packet, PubAck, PubRec, Publish};

use crate::raw::{Raw, hello};
use crate::{Running, soon};

#[tokio::test]
async fn a_message_is_answered_when_it_is_kept_and_the_order_stays() {
    let mut broker = Running::start(Limits::default()).await;
    broker.local.subscribe(["kept/#".to_owned()]);
    let (mut client, _) = Raw::connect(broker.address, hello("c", true)).await;
    client.publish("kept/1", QoS::AtLeastOnce, 11, "1").await;
    client.publish("elsewhere", QoS::AtLeastOnce, 12, "2").await;
    client.publish("kept/3", QoS::ExactlyOnce, 13, "3").await;
    client.publish("kept/4", QoS::AtMostOnce, 0, "4").await;
    assert!(client.is_served().await, "other answers do not wait");
    let mut ids = Vec::new();
    for (payload, sent) in [("1", Some(11)), ("3", Some(13)), ("4", None)] {
        let arrival = soon(broker.inbox.next()).await;
        assert_eq!(arrival.payload, payload);
        let sender = sent.map(|id| Sender { client: "c".into(), id, is_repeated: false });
        assert_eq!(arrival.sender, sender);
        ids.push(arrival.id);
    }
    let [Some(first), Some(third), None] = ids.as_slice() else { panic!("{ids:?}") };
    broker.local.acknowledge(*third);
    assert!(client.is_served().await, "the first one is not kept");
    broker.local.acknowledge(*first);
    assert_eq!(client.hear().await, Some(Packet::PubAck(PubAck::new(11))));
    assert_eq!(client.hear().await, Some(Packet::PubAck(PubAck::new(12))));
    assert_eq!(client.hear().await, Some(Packet::PubRec(PubRec::new(13))));
    broker.stop().await;
}

#[tokio::test]
async fn what_was_not_kept_comes_again_and_says_so() {
    let mut broker = Running::start(Limits::default()).await;
    broker.local.subscribe(["#".to_owned()]);
    let (mut client, _) = Raw::connect(broker.address, hello("c", true)).await;
    client.publish("a", QoS::AtLeastOnce, 5, "x").await;
    let first = soon(broker.inbox.next()).await;
    drop(client);
    let (mut client, _) = Raw::connect(broker.address, hello("c", true)).await;
    let again = Publish { pkid: 5, dup: true, ..Publish::new("a", QoS::AtLeastOnce, "x") };
    client.say(Packet::Publish(again)).await;
    let second = soon(broker.inbox.next()).await;
    assert_eq!(second.sender, Some(Sender { client: "c".into(), id: 5, is_repeated: true }));
    // The answer of the connection that is gone is not for this one.
    broker.local.acknowledge(first.id.unwrap());
    assert!(client.is_served().await);
    broker.local.acknowledge(second.id.unwrap());
    assert_eq!(client.hear().await, Some(Packet::PubAck(PubAck::new(5))));
    // Who has no name comes as somebody else.
    let mut nameless = Raw::fresh(broker.address).await;
    nameless.publish("a", QoS::AtLeastOnce, 5, "x").await;
    assert_eq!(soon(broker.inbox.next()).await.sender, None);
    broker.stop().await;
}

/// Its first hundred wait; the rest is in its own buffers and the socket's.
#[tokio::test]
async fn who_says_more_than_is_kept_is_heard_no_further_and_nobody_else_waits() {
    const MESSAGES: u16 = 1000;
    let limits = Limits { inflight: 10, ..Limits::default() };
    let mut broker = Running::start(limits).await;
    broker.local.subscribe(["kept".to_owned()]);
    let (mut client, _) = Raw::connect(broker.address, hello("c", true)).await;
    for id in 1..=MESSAGES {
        client.publish("kept", QoS::AtLeastOnce, id, &id.to_string()).await;
    }
    let mut other = Raw::fresh(broker.address).await;
    assert!(other.is_served().await);
    // It answers no question either.
    client.say(Packet::PingReq).await;
    for id in 1..=MESSAGES {
        let arrival = soon(broker.inbox.next()).await;
        assert_eq!(arrival.payload, id.to_string());
        broker.local.acknowledge(arrival.id.unwrap());
    }
    let mut answers = Vec::new();
    while answers.len() <= usize::from(MESSAGES) {
        answers.push(client.hear().await.unwrap());
    }
    // Its question waited like all the rest, but the answer may overtake the last acknowledgements.
    answers.retain(|answer| *answer != Packet::PingResp);
    assert!(answers.into_iter().eq((1..=MESSAGES).map(|id| Packet::PubAck(PubAck::new(id)))));
    assert_eq!(broker.metric("mqtt_dropped_total{reason=\"queue\"}"), 0);
    broker.stop().await;
}

/// What has to go because too much waits is not acknowledged: whoever has sent it is cut off, and sends it again.
#[tokio::test]
async fn what_cannot_be_kept_is_not_acknowledged() {
    let limits = Limits { inflight: 1, queue_acknowledged: 2, ..Limits::default() };
    let mut broker = Running::start(limits).await;
    broker.local.subscribe(["kept".to_owned()]);
    let (mut client, _) = Raw::connect(broker.address, hello("c", true)).await;
    client.publish("kept", QoS::AtLeastOnce, 1, "1").await;
    let first = soon(broker.inbox.next()).await;
    for id in 2..=4 {
        client.publish("kept", QoS::AtLeastOnce, id, "x").await;
    }
    assert_eq!(client.hear().await, None);
    assert_eq!(broker.metric("mqtt_ended_connections_total{reason=\"unkept\"}"), 1);
    broker.local.acknowledge(first.id.unwrap());
    let (mut client, _) = Raw::connect(broker.address, hello("c", true)).await;
    assert!(client.is_served().await, "it may come again");
    broker.stop().await;
}

/// As fast as the one that reads them takes them: nothing is dropped, though a hundred at most may wait.
#[tokio::test]
async fn whoever_is_inside_waits_for_those_who_read() {
    const MESSAGES: usize = 5000;
    let broker = Running::start(Limits::default()).await;
    let mut reader = Raw::fresh(broker.address).await;
    reader.subscribe("t", QoS::AtMostOnce).await;
    let local = broker.local.clone();
    let says = async {
        for number in 0..MESSAGES {
            let payload = number.to_string().into();
            let publication = Publication { topic: "t".to_owned(), payload, qos: 0, retain: false };
            local.publish(publication).await.unwrap();
        }
    };
    let hears = async {
        for number in 0..MESSAGES {
            assert_eq!(reader.message().await.payload, number.to_string());
        }
    };
    tokio::join!(says, hears);
    assert_eq!(broker.metric("mqtt_dropped_total{reason=\"queue\"}"), 0);
    let nowhere = Publication { topic: "a/#".to_owned(), payload: "x".into(), qos: 0, retain: false };
    assert!(broker.local.publish(nowhere).await.is_err());
    assert_eq!(broker.local.subscribe(["a#".to_owned(), "b".to_owned()]), 1, "one is no filter");
    broker.stop().await;
}
