//! For fuzz targets: the decoder and the state machine without sockets.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use rumqttc::mqttbytes::QoS;
use rumqttc::mqttbytes::v4::{Packet, PubAck, Subscribe};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::core::{Attached, Connected, Core, Departure, Outcome};
use crate::frame;
use crate::metrics::Metrics;
use crate::owed::Standing;
use crate::settings::Limits;

/// Clients at a time.
const CLIENTS: usize = 3;

/// Small enough for every limit to bite.
fn limits() -> Limits {
    Limits {
        clients: 2,
        sessions: 4,
        session_expiry: Duration::from_secs(60),
        queue: 3,
        queue_acknowledged: 4,
        queue_bytes: 1200,
        total_bytes: 2000,
        inflight: 2,
        inflight_bytes: 400,
        unreleased: 3,
        unanswered: 3,
        unanswered_bytes: 300,
        packet_bytes: 512,
        retained: 3,
        retained_bytes: 900,
        subscriptions: 4,
        total_subscriptions: 6,
        ..Limits::default()
    }
}

/// Three clients that say whatever `script` has: a byte says whose turn it is and what happens (it says as many bytes as the
/// next one tells, it is cut off, time passes, the keeper acknowledges something), and the bytes follow.
///
/// # Panics
/// When what the broker counts is not what is there, or a limit is exceeded.
pub fn exercise(script: &[u8]) {
    let mut core = Core::new(limits(), Metrics::default());
    let mut now = Instant::now();
    let keeper = core.connect_keeper(now, &Arc::new(Notify::new()));
    let mut subscribe = Subscribe::new("a/#", QoS::AtLeastOnce);
    subscribe.pkid = 1;
    core.hear(now, keeper, Packet::Subscribe(subscribe), &mut Vec::new());
    let mut kept = VecDeque::new();
    let mut clients: [(Option<Attached>, BytesMut); CLIENTS] = Default::default();
    let mut rest = script.iter().copied();
    while let (Some(choice), Some(count)) = (rest.next(), rest.next()) {
        let (attached, input) = &mut clients[usize::from(choice) % CLIENTS];
        match choice / 64 {
            0 if count == 0 => {
                now += Duration::from_secs(u64::from(choice));
                core.expire(now);
            }
            1 if count == 0 => {
                input.clear();
                if let Some(attached) = attached.take() {
                    core.leave(now, attached, Departure::Unsaid);
                }
            }
            2 if count < 4 => {
                let mut packets = Vec::new();
                core.pull(now, keeper, 300, &mut packets).expect("nobody takes its place");
                kept.extend(packets.iter().filter_map(|packet| match packet {
                    Packet::Publish(publish) => Some(publish.pkid),
                    _ => None,
                }));
                // One that need not be acknowledged has no id, and that is none.
                if let Some(id) = kept.remove(count.into()) {
                    core.hear(now, keeper, Packet::PubAck(PubAck::new(id)), &mut Vec::new());
                }
            }
            _ => {
                input.extend(rest.by_ref().take(count.into()));
                if !hear(&mut core, now, attached, input) {
                    input.clear();
                    if let Some(attached) = attached.take() {
                        core.leave(now, attached, Departure::Unsaid);
                    }
                }
            }
        }
        core.check();
    }
}

/// Returns whether the connection goes on.
fn hear(core: &mut Core, now: Instant, attached: &mut Option<Attached>, input: &mut BytesMut) -> bool {
    let mut answers = Vec::new();
    loop {
        if let Some(seat) = *attached {
            match core.standing(seat) {
                Ok(Standing::Fine) => {}
                Ok(Standing::Waits) => break,
                Ok(Standing::Broken) | Err(_) => return false,
            }
        }
        let packet = match frame::read(input, limits().packet_bytes) {
            Ok(Some(packet)) => packet,
            Ok(None) => break,
            Err(_) => return false,
        };
        let goes_on = match (*attached, packet) {
            (None, Packet::Connect(connect)) => {
                let connected = core.connect(now, connect, &Arc::new(Notify::new()));
                if let Connected::Yes { attached: seat, .. } = connected {
                    *attached = Some(seat);
                }
                attached.is_some()
            }
            (None, _) => false,
            (Some(seat), packet) => matches!(core.hear(now, seat, packet, &mut answers), Outcome::Goes),
        };
        if !goes_on {
            return false;
        }
    }
    if let Some(seat) = *attached
        && core.pull(now, seat, 300, &mut answers).is_err()
    {
        return false;
    }
    let mut output = BytesMut::new();
    answers.iter().for_each(|packet| frame::write(packet, &mut output));
    // What we write, the codec reads.
    while !output.is_empty() {
        assert!(Packet::read(&mut output, usize::MAX).is_ok());
    }
    true
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Packets that are almost right, so that the machine behind the decoder is reached.
    fn words() -> impl Strategy<Value = Vec<u8>> {
        let word = prop::sample::select(vec![
            b"\x10\x0d\x00\x04MQTT\x04\x00\x00\x00\x00\x01x".to_vec(),
            b"\x10\x13\x00\x04MQTT\x04\x26\x00\x00\x00\x01y\x00\x01a\x00\x01b".to_vec(),
            b"\x82\x06\x00\x01\x00\x01#\x02".to_vec(),
            b"\x32\x06\x00\x01a\x00\x01z".to_vec(),
            b"\x35\x06\x00\x01a\x00\x02z".to_vec(),
            b"\x40\x02\x00\x01".to_vec(),
            b"\x50\x02\x00\x01".to_vec(),
            b"\x62\x02\x00\x02".to_vec(),
            b"\x70\x02\x00\x01".to_vec(),
            b"\xc0\x00".to_vec(),
            b"\xe0\x00".to_vec(),
        ]);
        prop_oneof![9 => word, 1 => prop::collection::vec(any::<u8>(), 0..6)]
    }

    proptest! {
        #[test]
        fn clients_that_say_anything_leave_the_books_right(
            script in prop::collection::vec((any::<u8>(), words()), 0..80)
        ) {
            let turn = |(choice, bytes): (u8, Vec<u8>)| {
                [vec![choice, u8::try_from(bytes.len()).unwrap()], bytes].concat()
            };
            exercise(&script.into_iter().flat_map(turn).collect::<Vec<u8>>());
        }
    }
}
