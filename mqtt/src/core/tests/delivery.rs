//! Whatever is lost on the way: what was acknowledged to the publisher arrives, of quality 2 once.

use super::*;

/// A client that does by the book what packets of the broker ask for.
#[derive(Default)]
struct Reader {
    /// Ids of quality 2 that it has and that were not released.
    pending: BTreeSet<u16>,
    got: Vec<(u8, String)>,
    repeated: usize,
}

impl Reader {
    fn read(&mut self, packet: Packet) -> Option<Packet> {
        match packet {
            Packet::Publish(publish) => {
                self.repeated += usize::from(publish.dup);
                let payload = String::from_utf8(publish.payload.to_vec()).unwrap();
                if publish.qos != QoS::ExactlyOnce || self.pending.insert(publish.pkid) {
                    self.got.push((publish.qos as u8, payload));
                }
                match publish.qos {
                    QoS::AtMostOnce => None,
                    QoS::AtLeastOnce => Some(Packet::PubAck(PubAck::new(publish.pkid))),
                    QoS::ExactlyOnce => Some(Packet::PubRec(PubRec::new(publish.pkid))),
                }
            }
            Packet::PubRel(release) => {
                self.pending.remove(&release.pkid);
                Some(Packet::PubComp(PubComp::new(release.pkid)))
            }
            other => panic!("{other:?}"),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn nothing_acknowledged_is_lost_however_often_the_subscriber_is_cut_off(
        schedule in prop::collection::vec((0u8..3, 0usize..12, 0usize..40), 1..60),
    ) {
        let mut bench = Bench::new(|limits| limits.inflight = 5);
        let (publisher, _) = bench.connect("p", true);
        let (mut subscriber, _) = bench.connect("s", false);
        bench.subscribe(subscriber, "#", QoS::ExactlyOnce);
        let mut reader = Reader::default();
        let (mut said, mut number) = (Vec::new(), 0);
        let rounds = schedule.into_iter().map(|(qos, count, survive)| (qos, count, Some(survive)));
        for (qos, count, survive) in rounds.chain([(0, 0, None)]) {
            for _ in 0..count {
                let qos = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce][usize::from(qos)];
                bench.publish(publisher, "t", qos, &number.to_string(), false);
                said.push((qos as u8, number.to_string()));
                number += 1;
            }
            // So many packets get through, either way; then the connection is gone.
            let mut left = survive.unwrap_or(usize::MAX);
            'connected: loop {
                let packets = bench.pull(subscriber);
                if packets.is_empty() {
                    break;
                }
                let mut waiting = std::collections::VecDeque::from(packets);
                while let Some(packet) = waiting.pop_front() {
                    let Some(rest) = left.checked_sub(1) else { break 'connected };
                    left = rest;
                    let Some(answer) = reader.read(packet) else { continue };
                    let Some(rest) = left.checked_sub(1) else { break 'connected };
                    left = rest;
                    waiting.extend(bench.say(subscriber, answer));
                }
            }
            let now = bench.now;
            bench.core.leave(now, subscriber, Departure::Unsaid);
            let (again, present) = bench.connect("s", false);
            prop_assert!(present);
            subscriber = again;
        }
        let of = |qos: u8, all: &[(u8, String)]| -> Vec<String> {
            all.iter().filter(|(one, _)| *one == qos).map(|(_, payload)| payload.clone()).collect()
        };
        let distinct = |all: Vec<String>| all.into_iter().collect::<BTreeSet<_>>();
        prop_assert_eq!(of(2, &reader.got), of(2, &said), "once each, in order");
        prop_assert_eq!(distinct(of(1, &reader.got)), distinct(of(1, &said)));
        let extra = of(1, &reader.got).len() - of(1, &said).len();
        prop_assert!(extra <= reader.repeated, "a second copy says that it may be one");
        prop_assert_eq!(bench.core.bytes, 0);
    }

    #[test]
    fn a_message_of_quality_2_that_is_said_again_is_delivered_once(
        script in prop::collection::vec((1u16..4, 0u8..3), 1..60),
    ) {
        let mut bench = Bench::new(|_| ());
        let (mut publisher, _) = bench.connect("p", false);
        let (subscriber, _) = bench.connect("s", true);
        bench.subscribe(subscriber, "#", QoS::AtMostOnce);
        let (mut taken, mut expected) = (BTreeSet::new(), 0);
        for (id, action) in script {
            match action {
                0 => {
                    let mut publish = Publish::new("t", QoS::ExactlyOnce, "x");
                    publish.pkid = id;
                    let answers = bench.say(publisher, Packet::Publish(publish));
                    prop_assert_eq!(answers, [Packet::PubRec(PubRec::new(id))]);
                    expected += usize::from(taken.insert(id));
                }
                1 => {
                    let answers = bench.say(publisher, Packet::PubRel(PubRel::new(id)));
                    prop_assert_eq!(answers, [Packet::PubComp(PubComp::new(id))]);
                    taken.remove(&id);
                }
                _ => publisher = bench.connect("p", false).0,
            }
        }
        prop_assert_eq!(bench.messages(subscriber).len(), expected);
    }

    #[test]
    fn random_clients_never_make_the_books_wrong(script in prop::collection::vec(any::<u8>(), 0..400)) {
        let mut bench = Bench::new(|limits| {
            (limits.clients, limits.sessions, limits.queue, limits.queue_acknowledged) = (3, 4, 2, 5);
            (limits.queue_bytes, limits.total_bytes, limits.retained, limits.retained_bytes) = (2000, 3000, 2, 1000);
            (limits.inflight, limits.inflight_bytes, limits.session_expiry) = (2, 600, Duration::from_secs(30));
        });
        let mut seats: [Option<Attached>; 5] = [None; 5];
        for byte in script {
            let (who, what) = (usize::from(byte) % 5, byte / 5);
            let now = bench.now;
            let Some(seat) = seats[who].filter(|seat| bench.core.member(*seat).is_ok()) else {
                let will = LastWill::new("w", "bye", QoS::AtLeastOnce, what % 2 == 0);
                seats[who] = match bench.try_connect(&format!("c{who}"), what % 3 == 0, Some(will)) {
                    Connected::Yes { attached, .. } => Some(attached),
                    Connected::No(_) => None,
                };
                bench.now += Duration::from_secs(u64::from(what));
                bench.core.expire(now);
                bench.core.check();
                continue;
            };
            let id = u16::from(what) % 3 + 1;
            let qos = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce][usize::from(what) % 3];
            let topic = ["a", "a/b", "$x/y"][usize::from(what) / 3 % 3];
            match what / 9 {
                0 => drop(bench.publish(seat, topic, qos, &"x".repeat(usize::from(byte) * 2), what % 2 == 0)),
                1 => drop(bench.subscribe(seat, ["#", "a/+", "$x/#"][usize::from(id) - 1], qos)),
                2 => drop(bench.pull(seat)),
                3 => drop(bench.say(seat, Packet::PubAck(PubAck::new(id)))),
                4 => {
                    bench.say(seat, Packet::PubRec(PubRec::new(id)));
                    bench.say(seat, Packet::PubComp(PubComp::new(id)));
                }
                _ => bench.core.leave(now, seat, if what % 2 == 0 { Departure::Said } else { Departure::Unsaid }),
            }
            bench.core.check();
        }
    }
}
