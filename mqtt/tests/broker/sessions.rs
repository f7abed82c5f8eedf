//! Sessions across connections, by hand and with rumqttc.

use std::collections::BTreeSet;
use std::time::Duration;

use mqtt::Limits;
use rumqttc::mqttbytes::v4::{LastWill, Packet, PubAck, PubComp, PubRec, PubRel};
use rumqttc::{AsyncClient, Event, EventLoop, Incoming, MqttOptions, QoS};

use crate::raw::{Raw, hello};
use crate::{Running, soon};

#[tokio::test]
async fn what_was_not_acknowledged_comes_again_and_says_so() {
    let broker = Running::start(Limits::default()).await;
    let mut publisher = Raw::fresh(broker.address).await;
    let (mut subscriber, _) = Raw::connect(broker.address, hello("s", false)).await;
    subscriber.subscribe("#", QoS::ExactlyOnce).await;
    publisher.publish("a", QoS::AtLeastOnce, 1, "one").await;
    assert_eq!(publisher.hear().await, Some(Packet::PubAck(PubAck::new(1))));
    publisher.publish("a", QoS::ExactlyOnce, 2, "two").await;
    assert_eq!(publisher.hear().await, Some(Packet::PubRec(PubRec::new(2))));
    publisher.say(Packet::PubRel(PubRel::new(2))).await;
    assert_eq!(publisher.hear().await, Some(Packet::PubComp(PubComp::new(2))));
    for id in [1, 2] {
        let Some(Packet::Publish(publish)) = subscriber.hear().await else { panic!() };
        assert!(!publish.dup && publish.pkid == id);
    }
    drop(subscriber);

    let (mut subscriber, present) = Raw::connect(broker.address, hello("s", false)).await;
    assert!(present);
    for (id, payload) in [(1, "one"), (2, "two")] {
        let Some(Packet::Publish(publish)) = subscriber.hear().await else { panic!() };
        assert!(publish.dup && publish.pkid == id && publish.payload == payload);
    }
    subscriber.say(Packet::PubAck(PubAck::new(1))).await;
    subscriber.say(Packet::PubRec(PubRec::new(2))).await;
    assert_eq!(subscriber.hear().await, Some(Packet::PubRel(PubRel::new(2))));
    drop(subscriber);

    // Released, but not completed: it is released again, and not sent again.
    let (mut subscriber, _) = Raw::connect(broker.address, hello("s", false)).await;
    assert_eq!(subscriber.hear().await, Some(Packet::PubRel(PubRel::new(2))));
    subscriber.say(Packet::PubComp(PubComp::new(2))).await;
    subscriber.say(Packet::Disconnect).await;
    assert_eq!(subscriber.hear().await, None);

    let (mut subscriber, _) = Raw::connect(broker.address, hello("s", false)).await;
    assert!(subscriber.is_served().await, "nothing is due any more");
    broker.stop().await;
}

/// A subscriber that is cut off in the middle again and again.
#[tokio::test]
async fn of_five_thousand_messages_none_is_lost_over_twenty_reconnects() {
    const MESSAGES: usize = 5000;
    let broker = Running::start(Limits::default()).await;
    let (mut subscriber, _) = Raw::connect(broker.address, hello("s", false)).await;
    subscriber.subscribe("#", QoS::AtLeastOnce).await;
    let address = broker.address;
    let publisher = chassis::task::spawn(tracing::Span::none(), async move {
        let mut publisher = Raw::fresh(address).await;
        for number in 0..MESSAGES {
            let id = u16::try_from(number + 1).unwrap();
            publisher.publish("t", QoS::AtLeastOnce, id, &number.to_string()).await;
            assert_eq!(publisher.hear().await, Some(Packet::PubAck(PubAck::new(id))));
        }
    });
    let (mut got, mut count, mut repeated) = (BTreeSet::new(), 0, 0);
    while got.len() < MESSAGES {
        let publish = subscriber.message().await;
        let is_new = got.insert(String::from_utf8(publish.payload.to_vec()).unwrap());
        assert!(is_new || publish.dup, "a copy says that it is one");
        (count, repeated) = (count + 1, repeated + usize::from(publish.dup));
        if count % 250 == 0 {
            // One more, which is not acknowledged any more.
            if got.len() < MESSAGES {
                assert!(matches!(subscriber.hear().await, Some(Packet::Publish(_))));
            }
            drop(subscriber);
            subscriber = Raw::connect(broker.address, hello("s", false)).await.0;
        }
    }
    soon(publisher).await.unwrap();
    assert_eq!(broker.metric("mqtt_dropped_total{reason=\"queue\"}"), 0);
    println!("{count} messages came, {repeated} of them again");
    broker.stop().await;
}

#[tokio::test]
async fn a_second_connection_with_the_same_name_ends_the_first_one() {
    let broker = Running::start(Limits::default()).await;
    let mut witness = Raw::fresh(broker.address).await;
    witness.subscribe("#", QoS::AtMostOnce).await;
    let mut connect = hello("twin", true);
    connect.last_will = Some(LastWill::new("will", "gone", QoS::AtLeastOnce, false));
    let (mut first, _) = Raw::connect(broker.address, connect).await;
    let (mut second, present) = Raw::connect(broker.address, hello("twin", true)).await;
    assert!(!present);
    assert_eq!(first.hear().await, None);
    assert_eq!(witness.message().await.topic, "will");
    assert!(second.is_served().await);
    broker.until("mqtt_ended_connections_total{reason=\"taken_over\"}", |count| count == 1).await;
    broker.stop().await;
}

#[tokio::test]
async fn a_client_that_is_silent_for_too_long_is_put_out_and_its_will_is_published() {
    let broker = Running::start(Limits::default()).await;
    let mut witness = Raw::fresh(broker.address).await;
    witness.subscribe("will", QoS::AtMostOnce).await;
    let mut connect = hello("quiet", true);
    connect.keep_alive = 1;
    connect.last_will = Some(LastWill::new("will", "gone", QoS::AtLeastOnce, false));
    let (mut quiet, _) = Raw::connect(broker.address, connect).await;
    assert_eq!(quiet.hear().await, None);
    assert_eq!(witness.message().await.payload, "gone");
    assert_eq!(broker.metric("mqtt_ended_connections_total{reason=\"keep_alive\"}"), 1);
    broker.stop().await;
}

fn client(broker: &Running, id: &str, adjust: impl FnOnce(&mut MqttOptions)) -> (AsyncClient, EventLoop) {
    let mut options = MqttOptions::new(id, "127.0.0.1", broker.address.port());
    options.set_keep_alive(Duration::from_secs(5)).set_clean_session(false);
    adjust(&mut options);
    AsyncClient::new(options, 64)
}

async fn until<T>(events: &mut EventLoop, wanted: impl Fn(Incoming) -> Option<T>) -> T {
    let found = async {
        loop {
            if let Event::Incoming(packet) = events.poll().await.unwrap()
                && let Some(found) = wanted(packet)
            {
                return found;
            }
        }
    };
    soon(found).await
}

#[tokio::test]
async fn rumqttc_is_served_in_every_quality() {
    let broker = Running::start(Limits::default()).await;
    let (subscriber, mut events) = client(&broker, "s", |_| ());
    subscriber.subscribe("$hw/events/device/+/+/twin/+", QoS::ExactlyOnce).await.unwrap();
    until(&mut events, |packet| matches!(packet, Incoming::SubAck(_)).then_some(())).await;
    let (publisher, mut publishing) = client(&broker, "p", |options| {
        options.set_last_will(LastWill::new("$hw/events/device/a/b/twin/will", "w", QoS::AtLeastOnce, true));
    });
    for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
        let topic = "$hw/events/device/ns/name/twin/update";
        publisher.publish(topic, qos, false, format!("{qos:?}")).await.unwrap();
    }
    until(&mut publishing, |packet| matches!(packet, Incoming::PubComp(_)).then_some(())).await;
    for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
        let got = until(&mut events, |packet| match packet {
            Incoming::Publish(publish) => Some(publish),
            _ => None,
        })
        .await;
        assert_eq!((got.qos, got.payload.as_ref()), (qos, format!("{qos:?}").as_bytes()));
    }
    // Cut off: its will.
    drop((publisher, publishing));
    let will = until(&mut events, |packet| match packet {
        Incoming::Publish(publish) => Some(publish),
        _ => None,
    })
    .await;
    assert_eq!((will.topic.as_str(), will.retain), ("$hw/events/device/a/b/twin/will", false));
    let (late, mut events) = client(&broker, "late", |_| ());
    late.subscribe("$hw/#", QoS::AtMostOnce).await.unwrap();
    let kept = until(&mut events, |packet| match packet {
        Incoming::Publish(publish) => Some(publish),
        _ => None,
    })
    .await;
    assert!(kept.retain && kept.payload == "w");
    broker.stop().await;
}
