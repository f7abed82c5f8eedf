//! An address that somebody else has.

use mqtt::{Limits, Publication};
use rumqttc::QoS;
use tokio::net::TcpListener;

use crate::raw::Raw;
use crate::{Running, door, soon};

const LISTENING: &str = "mqtt_listening{door=\"plain\"}";

#[tokio::test]
async fn a_broker_whose_port_is_taken_works_inside_and_opens_when_it_is_free() {
    let other = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = other.local_addr().unwrap();
    let mut broker = Running::start_at(door(address.to_string()), None, Limits::default()).await;
    assert_eq!(broker.metric(LISTENING), 0);
    assert!(broker.registry.encode().contains(LISTENING), "it is said");
    assert_eq!(broker.local.subscribe(["a".to_owned()]), 0);
    let publication = Publication { topic: "a".to_owned(), payload: "x".into(), qos: 0, retain: false };
    broker.local.publish(publication).await.unwrap();
    assert_eq!(soon(broker.inbox.next()).await.payload, "x");

    drop(other);
    broker.until(LISTENING, |is_open| is_open == 1).await;
    let mut client = Raw::fresh(address).await;
    client.publish("a", QoS::AtMostOnce, 0, "y").await;
    assert_eq!(soon(broker.inbox.next()).await.payload, "y");
    broker.stop().await;
}

#[tokio::test]
async fn a_broker_that_could_never_listen_ends_when_it_is_told_to() {
    let other = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = other.local_addr().unwrap().to_string();
    Running::start_at(door(address), None, Limits::default()).await.stop().await;
}
