use bytes::Bytes;
use rumqttc::mqttbytes::v4::PubRel;

use super::*;

fn delivery(qos: QoS, size: usize) -> Delivery {
    let payload = Bytes::from(vec![b'x'; size]);
    Delivery {
        message: Arc::new(Message { topic: "t".to_owned(), payload, qos, retain: false }),
        qos,
        retain: false,
        origin: None,
    }
}

fn pull(session: &mut Session, limits: &Limits) -> Vec<Packet> {
    let mut packets = Vec::new();
    session.pull(usize::MAX, limits, &mut packets);
    session.check(limits);
    packets
}

#[test]
fn ids_go_round_and_pass_over_those_that_are_under_way() {
    let limits = Limits::default();
    let mut session = Session::new();
    session.push(delivery(QoS::AtLeastOnce, 1), &limits);
    assert_eq!(pull(&mut session, &limits).len(), 1);
    for _ in 0..usize::from(u16::MAX) + 10 {
        session.push(delivery(QoS::AtLeastOnce, 1), &limits);
        let packets = pull(&mut session, &limits);
        let [Packet::Publish(publish)] = packets.as_slice() else { panic!("{packets:?}") };
        assert!(publish.pkid > 1);
        session.acknowledged(publish.pkid);
    }
}

#[test]
fn what_is_released_is_not_sent_again_but_released_again() {
    let limits = Limits::default();
    let mut session = Session::new();
    session.push(delivery(QoS::ExactlyOnce, 1), &limits);
    session.push(delivery(QoS::ExactlyOnce, 1), &limits);
    pull(&mut session, &limits);
    // What is not due changes nothing.
    session.acknowledged(1);
    session.completed(1);
    session.received(77);
    session.received(1);
    session.resume();
    let packets = pull(&mut session, &limits);
    let [Packet::PubRel(PubRel { pkid: 1 }), Packet::Publish(publish)] = packets.as_slice() else {
        panic!("{packets:?}")
    };
    assert!(publish.dup && publish.pkid == 2);
    session.completed(1);
    session.received(2);
    session.completed(2);
    assert_eq!(session.weight(), 0);
}

#[test]
fn large_messages_are_under_way_one_at_a_time() {
    let limits = Limits { inflight_bytes: 1000, ..Limits::default() };
    let mut session = Session::new();
    for _ in 0..3 {
        session.push(delivery(QoS::AtLeastOnce, 5000), &limits);
    }
    assert_eq!(pull(&mut session, &limits).len(), 1);
    assert_eq!(pull(&mut session, &limits).len(), 0);
    session.acknowledged(1);
    assert_eq!(pull(&mut session, &limits).len(), 1);
}

#[test]
fn a_kept_message_that_was_replaced_meanwhile_is_not_sent() {
    let limits = Limits::default();
    let mut session = Session::new();
    let (gone, there) = (delivery(QoS::AtMostOnce, 1).message, delivery(QoS::AtMostOnce, 2).message);
    let kept = vec![(Arc::downgrade(&gone), QoS::AtMostOnce), (Arc::downgrade(&there), QoS::AtMostOnce)];
    assert_eq!(session.push_retained(kept, 10), 0);
    drop(gone);
    let packets = pull(&mut session, &limits);
    let [Packet::Publish(publish)] = packets.as_slice() else { panic!("{packets:?}") };
    assert!(publish.retain && publish.payload.len() == 2);
}
