use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::*;
use rumqttc::mqttbytes::v4::{
    LastWill, PubAck, PubComp, PubRec, PubRel, Publish, Subscribe, SubscribeReasonCode, Unsubscribe,
};

use super::*;

mod delivery;

/// The core with clients that do what they are told.
struct Bench {
    core: Core,
    now: Instant,
    ids: u16,
}

impl Bench {
    fn new(adjust: impl FnOnce(&mut Limits)) -> Self {
        let mut limits = Limits::default();
        adjust(&mut limits);
        Self { core: Core::new(limits, Metrics::default()), now: Instant::now(), ids: 0 }
    }

    fn try_connect(&mut self, client: &str, is_clean: bool, will: Option<LastWill>) -> Connected {
        let mut connect = Connect::new(client);
        (connect.clean_session, connect.last_will) = (is_clean, will);
        let connected = self.core.connect(self.now, connect, &Arc::new(Notify::new()));
        self.core.check();
        connected
    }

    fn connect(&mut self, client: &str, is_clean: bool) -> (Attached, bool) {
        match self.try_connect(client, is_clean, None) {
            Connected::Yes { attached, present } => (attached, present),
            Connected::No(code) => panic!("{client}: {code:?}"),
        }
    }

    fn say(&mut self, client: Attached, packet: Packet) -> Vec<Packet> {
        let mut answers = Vec::new();
        assert!(matches!(self.core.hear(self.now, client, packet, &mut answers), Outcome::Goes));
        self.core.check();
        answers
    }

    fn subscribe(&mut self, client: Attached, filter: &str, qos: QoS) -> SubscribeReasonCode {
        let mut subscribe = Subscribe::new(filter, qos);
        subscribe.pkid = 1;
        let answers = self.say(client, Packet::Subscribe(subscribe));
        let [Packet::SubAck(ack)] = answers.as_slice() else { panic!("{answers:?}") };
        ack.return_codes[0]
    }

    fn publish(
        &mut self,
        client: Attached,
        topic: &str,
        qos: QoS,
        payload: &str,
        retain: bool,
    ) -> Vec<Packet> {
        self.ids += 1;
        let mut publish = Publish::new(topic, qos, payload);
        publish.retain = retain;
        publish.pkid = if qos == QoS::AtMostOnce { 0 } else { self.ids };
        self.say(client, Packet::Publish(publish))
    }

    fn pull(&mut self, client: Attached) -> Vec<Packet> {
        let mut packets = Vec::new();
        self.core.pull(self.now, client, usize::MAX, &mut packets).unwrap();
        self.core.check();
        packets
    }

    /// What comes, as topic, payload, quality, retained.
    fn messages(&mut self, client: Attached) -> Vec<(String, String, u8, bool)> {
        let packets = self.pull(client);
        packets.into_iter().map(|packet| said(&packet).expect("only messages are due")).collect()
    }

    fn dropped(&self, why: &str) -> u64 {
        let mut registry = prometheus_client::registry::Registry::default();
        registry.register("d", "", self.core.metrics.dropped_family());
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        let line = format!("d_total{{reason=\"{why}\"}} ");
        text.lines().find_map(|it| it.strip_prefix(&line)).map_or(0, |count| count.parse().unwrap())
    }
}

fn said(packet: &Packet) -> Option<(String, String, u8, bool)> {
    let Packet::Publish(publish) = packet else { return None };
    let payload = String::from_utf8(publish.payload.to_vec()).unwrap();
    Some((publish.topic.clone(), payload, publish.qos as u8, publish.retain))
}

fn message(topic: &str, payload: &str, qos: u8, retain: bool) -> (String, String, u8, bool) {
    (topic.to_owned(), payload.to_owned(), qos, retain)
}

#[test]
fn a_message_has_the_lower_of_both_qualities_and_comes_once_for_overlapping_subscriptions() {
    let mut bench = Bench::new(|_| ());
    let (subscriber, _) = bench.connect("s", true);
    let (publisher, _) = bench.connect("p", true);
    bench.subscribe(subscriber, "a/+", QoS::AtMostOnce);
    bench.subscribe(subscriber, "a/#", QoS::AtLeastOnce);
    bench.publish(publisher, "a/b", QoS::ExactlyOnce, "1", false);
    bench.publish(publisher, "a/b", QoS::AtMostOnce, "2", false);
    bench.publish(publisher, "$a/b", QoS::AtMostOnce, "3", false);
    assert_eq!(bench.messages(subscriber), [message("a/b", "1", 1, false), message("a/b", "2", 0, false)]);
    bench.say(subscriber, Packet::Unsubscribe(Unsubscribe { pkid: 9, topics: vec!["a/#".to_owned()] }));
    bench.publish(publisher, "a/b", QoS::ExactlyOnce, "4", false);
    assert_eq!(bench.messages(subscriber), [message("a/b", "4", 0, false)]);
}

#[test]
fn what_is_retained_comes_to_who_subscribes_and_an_empty_payload_ends_it() {
    let mut bench = Bench::new(|_| ());
    let (publisher, _) = bench.connect("p", true);
    let (subscriber, _) = bench.connect("s", true);
    bench.publish(publisher, "a", QoS::AtLeastOnce, "old", true);
    bench.publish(publisher, "a", QoS::AtLeastOnce, "new", true);
    bench.publish(publisher, "b", QoS::AtLeastOnce, "gone", true);
    bench.publish(publisher, "b", QoS::AtLeastOnce, "", true);
    bench.publish(publisher, "$a", QoS::AtLeastOnce, "special", true);
    bench.subscribe(subscriber, "#", QoS::AtMostOnce);
    assert_eq!(bench.messages(subscriber), [message("a", "new", 0, true)]);
    // To those who have subscribed it is a message like any other.
    bench.publish(publisher, "a", QoS::AtLeastOnce, "newer", true);
    assert_eq!(bench.messages(subscriber), [message("a", "newer", 0, false)]);
    bench.subscribe(subscriber, "#", QoS::AtMostOnce);
    assert_eq!(bench.messages(subscriber), [message("a", "newer", 0, true)]);
}

#[test]
fn a_will_is_published_unless_the_client_takes_its_leave() {
    let mut bench = Bench::new(|_| ());
    let (subscriber, _) = bench.connect("s", true);
    bench.subscribe(subscriber, "#", QoS::ExactlyOnce);
    for (how, expected) in [(Departure::Said, 0), (Departure::Unsaid, 1)] {
        let will = LastWill::new("will", "gone", QoS::AtLeastOnce, true);
        let Connected::Yes { attached, .. } = bench.try_connect("p", true, Some(will)) else { panic!() };
        let now = bench.now;
        bench.core.leave(now, attached, how);
        bench.core.check();
        assert_eq!(bench.messages(subscriber).len(), expected, "{how:?}");
    }
    let (late, _) = bench.connect("late", true);
    bench.subscribe(late, "will", QoS::AtMostOnce);
    assert_eq!(bench.messages(late), [message("will", "gone", 0, true)]);
}

#[test]
fn who_comes_with_the_name_of_another_puts_it_out_and_its_will_is_published() {
    let mut bench = Bench::new(|_| ());
    let (subscriber, _) = bench.connect("s", true);
    bench.subscribe(subscriber, "#", QoS::AtMostOnce);
    let will = LastWill::new("will", "x", QoS::AtMostOnce, false);
    let Connected::Yes { attached: old, .. } = bench.try_connect("p", false, Some(will)) else { panic!() };
    let (new, present) = bench.connect("p", false);
    assert!(present);
    assert_eq!(bench.messages(subscriber), [message("will", "x", 0, false)]);
    let now = bench.now;
    assert_eq!(bench.core.pull(now, old, 1, &mut Vec::new()), Err(Taken));
    assert!(matches!(bench.core.hear(now, old, Packet::PingReq, &mut Vec::new()), Outcome::Taken));
    // The old connection's end is not the new one's.
    bench.core.leave(now, old, Departure::Unsaid);
    assert_eq!(bench.say(new, Packet::PingReq), [Packet::PingResp]);
}

#[test]
fn names_are_given_to_those_who_have_none_and_keep_nothing() {
    let mut bench = Bench::new(|_| ());
    let (one, _) = bench.connect("", true);
    let (two, _) = bench.connect("", true);
    assert_ne!(one, two);
    bench.say(one, Packet::PingReq);
    assert!(matches!(bench.try_connect("", false, None), Connected::No(ConnectReturnCode::BadClientId)));
    let mut five = Connect::new("five");
    five.protocol = Protocol::V5;
    let now = bench.now;
    let refused = bench.core.connect(now, five, &Arc::new(Notify::new()));
    assert!(matches!(refused, Connected::No(ConnectReturnCode::RefusedProtocolVersion)));
}

#[test]
fn a_session_waits_for_its_client_until_it_expires_and_a_clean_one_does_not() {
    let mut bench = Bench::new(|limits| limits.session_expiry = Duration::from_secs(60));
    let (publisher, _) = bench.connect("p", true);
    let (kept, present) = bench.connect("kept", false);
    assert!(!present);
    let (clean, _) = bench.connect("clean", true);
    for client in [kept, clean] {
        bench.subscribe(client, "a", QoS::AtLeastOnce);
        let now = bench.now;
        bench.core.leave(now, client, Departure::Said);
    }
    bench.publish(publisher, "a", QoS::AtMostOnce, "0", false);
    bench.publish(publisher, "a", QoS::AtLeastOnce, "1", false);
    assert!(!bench.connect("clean", false).1);
    let (kept, present) = bench.connect("kept", false);
    assert!(present);
    assert_eq!(bench.messages(kept), [message("a", "1", 1, false)], "quality 0 is not kept");

    let now = bench.now;
    bench.core.leave(now, kept, Departure::Unsaid);
    assert_eq!(bench.core.expire(now), Some(now + Duration::from_secs(60)));
    assert_eq!(bench.core.expire(now + Duration::from_secs(60)), None);
    bench.core.check();
    assert!(!bench.connect("kept", false).1);
    // A clean one ends what was kept.
    assert!(!bench.connect("kept", true).1);
    assert!(!bench.connect("kept", false).1);
}

#[test]
fn there_are_so_many_clients_and_sessions_and_no_more() {
    let mut bench = Bench::new(|limits| (limits.clients, limits.sessions) = (2, 3));
    for client in ["a", "b", "c"] {
        let (attached, _) = bench.connect(client, false);
        bench.now += Duration::from_secs(1);
        let now = bench.now;
        bench.core.leave(now, attached, Departure::Said);
    }
    // The one that has been away longest goes.
    bench.connect("d", false);
    assert_eq!(bench.dropped("session"), 1);
    assert!(bench.connect("b", false).1);
    let full = bench.try_connect("e", true, None);
    assert!(matches!(full, Connected::No(ConnectReturnCode::ServiceUnavailable)));
    // Who is there may come again.
    assert!(bench.connect("b", false).1);
}

#[test]
fn the_oldest_goes_when_too_much_waits_and_quality_0_pushes_nothing_else_out() {
    let mut bench =
        Bench::new(|limits| (limits.queue, limits.queue_acknowledged, limits.inflight) = (2, 3, 1));
    let (publisher, _) = bench.connect("p", true);
    let (subscriber, _) = bench.connect("s", true);
    bench.subscribe(subscriber, "#", QoS::ExactlyOnce);
    for number in 0..4 {
        bench.publish(publisher, "one", QoS::AtLeastOnce, &number.to_string(), false);
        bench.publish(publisher, "zero", QoS::AtMostOnce, &number.to_string(), false);
    }
    assert_eq!(bench.dropped("queue"), 1 + 2);
    // The window has one place.
    let expected =
        [message("one", "1", 1, false), message("zero", "2", 0, false), message("zero", "3", 0, false)];
    assert_eq!(bench.messages(subscriber), expected);
    bench.say(subscriber, Packet::PubAck(PubAck::new(1)));
    assert_eq!(bench.messages(subscriber), [message("one", "2", 1, false)]);
}

#[test]
fn whoever_has_most_gives_way_when_all_have_too_much() {
    let mut bench = Bench::new(|limits| limits.total_bytes = 100_000);
    let (publisher, _) = bench.connect("p", true);
    let (hog, _) = bench.connect("hog", true);
    let (modest, _) = bench.connect("modest", true);
    bench.subscribe(hog, "#", QoS::AtLeastOnce);
    bench.subscribe(modest, "seldom", QoS::AtLeastOnce);
    bench.publish(publisher, "seldom", QoS::AtLeastOnce, "there", false);
    for _ in 0..1000 {
        bench.publish(publisher, "often", QoS::AtLeastOnce, &"x".repeat(1000), false);
        assert!(bench.core.bytes <= 100_000);
    }
    assert!(bench.dropped("total") > 0);
    assert_eq!(bench.messages(modest), [message("seldom", "there", 1, false)]);
}

#[test]
fn what_goes_beyond_what_is_reasonable_is_refused() {
    let mut bench = Bench::new(|limits| (limits.subscriptions, limits.unreleased) = (2, 1));
    let (client, _) = bench.connect("c", true);
    assert_eq!(bench.subscribe(client, "a", QoS::AtMostOnce), SubscribeReasonCode::Success(QoS::AtMostOnce));
    assert_eq!(bench.subscribe(client, &"a/".repeat(200), QoS::AtMostOnce), SubscribeReasonCode::Failure);
    bench.subscribe(client, "b", QoS::AtMostOnce);
    assert_eq!(bench.subscribe(client, "c", QoS::AtMostOnce), SubscribeReasonCode::Failure);
    assert_eq!(
        bench.subscribe(client, "b", QoS::AtLeastOnce),
        SubscribeReasonCode::Success(QoS::AtLeastOnce)
    );
    bench.publish(client, "a", QoS::ExactlyOnce, "1", false);
    let mut publish = Publish::new("a", QoS::ExactlyOnce, "2");
    publish.pkid = 999;
    let now = bench.now;
    let outcome = bench.core.hear(now, client, Packet::Publish(publish), &mut Vec::new());
    assert!(matches!(outcome, Outcome::Wrong(crate::frame::Violation::Unreleased)));
}

#[test]
fn whoever_publishes_waits_for_those_who_take_what_they_are_sent_and_for_nobody_else() {
    let mut bench = Bench::new(|limits| (limits.queue_acknowledged, limits.inflight) = (10, 1));
    let (publisher, _) = bench.connect("p", true);
    let (subscriber, _) = bench.connect("s", true);
    bench.subscribe(subscriber, "#", QoS::AtLeastOnce);
    let flood = |bench: &mut Bench, count: usize| {
        (0..count).for_each(|_| drop(bench.publish(publisher, "t", QoS::AtLeastOnce, "x", false)));
        bench.core.take_pressure()
    };
    assert!(!flood(&mut bench, 5));
    assert!(flood(&mut bench, 1));
    bench.now += PATIENCE;
    assert!(!flood(&mut bench, 20), "it takes nothing");
    assert!(bench.pull(subscriber).len() == 1 && flood(&mut bench, 1), "it takes something");
    // Away, or its own.
    let now = bench.now;
    bench.core.leave(now, subscriber, Departure::Said);
    bench.subscribe(publisher, "#", QoS::AtLeastOnce);
    assert!(!flood(&mut bench, 20));
}
