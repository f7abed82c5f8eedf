//! One that never reads, one that says a lot, and one that is served all the same.

use mqtt::Limits;
use rumqttc::QoS;
use rumqttc::mqttbytes::v4::{Packet, PubAck};

use crate::raw::{Raw, hello};
use crate::{Running, soon};

/// Far more than sockets and the queue of one client hold.
const MESSAGES: usize = 20_000;
const SIZE: usize = 1000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_never_reads_holds_up_nobody() {
    let limits = Limits { queue_bytes: 1 << 20, ..Limits::default() };
    let broker = Running::start(limits).await;
    let (mut deaf, _) = Raw::connect(broker.address, hello("deaf", true)).await;
    deaf.subscribe("#", QoS::AtLeastOnce).await;
    let (mut subscriber, _) = Raw::connect(broker.address, hello("s", true)).await;
    subscriber.subscribe("t", QoS::AtLeastOnce).await;
    let address = broker.address;
    let began = tokio::time::Instant::now();
    let publisher = chassis::task::spawn(tracing::Span::none(), async move {
        let mut publisher = Raw::fresh(address).await;
        let payload = "x".repeat(SIZE);
        let (mut said, mut answered) = (0, 0);
        while answered < MESSAGES {
            // As clients do: some are under way.
            while said < MESSAGES && said - answered < 100 {
                said += 1;
                let id = u16::try_from(said).unwrap();
                publisher.publish("t", QoS::AtLeastOnce, id, &payload).await;
            }
            let Some(Packet::PubAck(PubAck { .. })) = publisher.hear().await else { panic!() };
            answered += 1;
        }
    });
    for _ in 0..MESSAGES {
        assert_eq!(subscriber.message().await.payload.len(), SIZE);
    }
    soon(publisher).await.unwrap();
    let rate = MESSAGES as f64 / began.elapsed().as_secs_f64();
    println!("{rate:.0} messages a second of quality 1, end to end");
    let dropped = broker.metric("mqtt_dropped_total{reason=\"queue\"}");
    println!("{dropped} were dropped for who did not read");
    assert!(dropped > 0);
    assert!(broker.metric("mqtt_queued_bytes") < 3 << 20);
    assert!(Raw::fresh(broker.address).await.is_served().await);
    broker.stop().await;
}

/// Quality 0, as fast as it goes, with one that reads and one that does not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_quality_0_reaches_who_reads() {
    let broker = Running::start(Limits::default()).await;
    let (mut deaf, _) = Raw::connect(broker.address, hello("deaf", true)).await;
    deaf.subscribe("#", QoS::AtMostOnce).await;
    let (mut subscriber, _) = Raw::connect(broker.address, hello("s", true)).await;
    subscriber.subscribe("#", QoS::AtMostOnce).await;
    let mut publisher = Raw::fresh(broker.address).await;
    let address = broker.address;
    let reader = chassis::task::spawn(tracing::Span::none(), async move {
        let mut got = 0;
        while subscriber.message().await.topic != "end" {
            got += 1;
        }
        got
    });
    let payload = "x".repeat(SIZE);
    let began = tokio::time::Instant::now();
    for _ in 0..MESSAGES {
        publisher.publish("t", QoS::AtMostOnce, 0, &payload).await;
    }
    assert!(publisher.is_served().await);
    let rate = MESSAGES as f64 / began.elapsed().as_secs_f64();
    Raw::fresh(address).await.publish("end", QoS::AtMostOnce, 0, "").await;
    let got: usize = soon(reader).await.unwrap();
    println!("{rate:.0} messages a second of quality 0; {got} of {MESSAGES} reached who reads");
    assert!(got > 0);
    assert!(broker.metric("mqtt_dropped_total{reason=\"queue\"}") > 0, "of the one that does not");
    broker.stop().await;
}

#[tokio::test]
async fn whoever_asks_and_does_not_read_the_answers_is_read_no_more() {
    use tokio::io::AsyncWriteExt as _;
    let broker = Running::start(Limits::default()).await;
    let mut mute = Raw::fresh(broker.address).await;
    let pings = b"\xc0\x00".repeat(1 << 16);
    // Until nothing more is taken: both sockets and what may wait of answers are full.
    let stuck = async {
        loop {
            let written =
                tokio::time::timeout(std::time::Duration::from_millis(500), mute.stream.write_all(&pings));
            if written.await.is_err() {
                return;
            }
        }
    };
    soon(stuck).await;
    assert!(Raw::fresh(broker.address).await.is_served().await);
    broker.stop().await;
}
