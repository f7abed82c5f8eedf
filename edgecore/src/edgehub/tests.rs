use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chassis::channel::{Receiver, Sender, bounded};
use chassis::clock::Clock;
use chassis::link::memory::{MemoryAcceptor, MemoryNet};
use chassis::link::{Acceptor as _, Dialect, Frame, Link, Peer};
use chassis::module::Module as _;
use chassis::readiness::Readiness;
use chassis::rng::Rng;
use chassis::shutdown::{Shutdown, ShutdownTrigger};
use chassis::task::AbortOnDrop;
use proto::{Content, Group, Message, Operation, Resource, Route, Source, Stamp};
use tokio::time::Instant;

use super::{Config, DEAD_AFTER_HEARTBEATS, EdgeHub, RETRY_FIRST, RETRY_MOST, Way};
use crate::flow::{FromCloud, ToCloud};

const HEARTBEAT: Duration = Duration::from_secs(15);

struct Rig {
    acceptor: MemoryAcceptor,
    down: Receiver<FromCloud>,
    up: Sender<ToCloud>,
    readiness: Readiness,
    trigger: ShutdownTrigger,
    hub: AbortOnDrop<anyhow::Result<()>>,
}

impl Rig {
    fn start() -> Self {
        Self::speaking(Dialect::Stock)
    }

    fn speaking(dialect: Dialect) -> Self {
        let net = MemoryNet::new(Rng::seeded(7));
        let acceptor = net.listen();
        let (from_hub, down) = bounded("down", 16);
        let (up, inbox) = bounded("up", 16);
        let readiness = Readiness::new();
        let config = Config { heartbeat: HEARTBEAT, message_qps: 30, message_burst: 60, last_server: None };
        let clock = Clock::fixed("2026-01-01T00:00:00Z".parse().unwrap());
        let hub = EdgeHub::new(
            config,
            vec![Way {
                name: "memory",
                server: "cloud".into(),
                dialer: Arc::new(net.dialer("edge-1", Peer { dialect, ..Peer::default() })),
            }],
            inbox,
            from_hub,
            (clock, Rng::seeded(1)),
            readiness.register("edgehub"),
        );
        let (trigger, shutdown) = Shutdown::new();
        let hub = chassis::task::spawn(tracing::Span::none(), hub.run(shutdown));
        Self { acceptor, down, up, readiness, trigger, hub }
    }

    async fn accept(&mut self) -> Link {
        let link = self.acceptor.accept().await.unwrap();
        assert!(matches!(self.down.recv().await, Some(FromCloud::Connected(None))));
        link
    }
}

fn message(id: &str, operation: Operation) -> Message {
    let route = Route {
        source: Source::EdgeController,
        group: Group::Resource,
        operation,
        resource: Resource::from("default/configmap/web"),
    };
    Message::new(Stamp { id: id.into(), timestamp: 1 }, route, Content::Null)
}

fn frame(message: &Message) -> Frame {
    Frame::Text(proto::codec::encode(message))
}

async fn next(link: &mut Link) -> Message {
    let frame = link.rx.recv().await.unwrap().expect("the edge closed the link");
    proto::codec::decode(frame.data()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn it_says_that_it_lives_at_once_and_every_heartbeat() {
    let mut rig = Rig::start();
    assert!(!rig.readiness.is_ready());
    let mut link = rig.accept().await;
    assert!(rig.readiness.is_ready());
    let start = Instant::now();
    for beat in 0..3 {
        let keepalive = next(&mut link).await;
        assert_eq!(keepalive.route.operation, Operation::Keepalive);
        assert_eq!(keepalive.route.source, Source::WebSocket);
        assert_eq!(keepalive.content, Content::text("ping"));
        assert_eq!(start.elapsed().as_secs(), (HEARTBEAT * beat).as_secs());
    }
}

#[tokio::test(start_paused = true)]
async fn messages_go_both_ways_and_control_messages_are_answered() {
    let mut rig = Rig::start();
    let mut link = rig.accept().await;
    next(&mut link).await;
    link.tx.send(frame(&message("c1", Operation::Ping))).await.unwrap();
    let answer = next(&mut link).await;
    assert_eq!(answer.header.parent_id.as_deref(), Some("c1"));
    assert_eq!(answer.content, Content::text("ack"));
    let query = message("m1", Operation::Query);
    rig.up.send(ToCloud::Message(Box::new(query.clone()))).await.unwrap();
    assert_eq!(next(&mut link).await, query);
    let insert = message("m2", Operation::Insert);
    link.tx.send(frame(&insert)).await.unwrap();
    let Some(FromCloud::Message(got)) = rig.down.recv().await else { panic!("no message") };
    assert_eq!(*got, insert);
}

/// ADA-KE-03, on the path of answers.
#[tokio::test(start_paused = true)]
async fn garbage_is_skipped_and_the_link_stays() {
    let mut rig = Rig::start();
    let mut link = rig.accept().await;
    let empty = br#"{"header":{"msg_id":"","timestamp":0},"route":{},"content":null}"#;
    let deep = [br#"{"content":"#.as_slice(), &b"[".repeat(5000)].concat();
    for garbage in [b"{\"header\":".as_slice(), b"null", b"\xff\xfe", &b"[".repeat(5000), &deep, empty] {
        link.tx.send(Frame::Text(Bytes::copy_from_slice(garbage))).await.unwrap();
    }
    link.tx.send(frame(&message("m1", Operation::Insert))).await.unwrap();
    let Some(FromCloud::Message(got)) = rig.down.recv().await else { panic!("no message") };
    assert_eq!(got.header.id, "m1");
}

#[tokio::test(start_paused = true)]
async fn a_link_that_answers_nothing_is_given_up_and_dialled_again() {
    let mut rig = Rig::start();
    let silent = rig.accept().await;
    let start = Instant::now();
    rig.up.send(ToCloud::Message(Box::new(message("m1", Operation::Query)))).await.unwrap();
    assert!(matches!(rig.down.recv().await, Some(FromCloud::Disconnected)));
    let waited = start.elapsed();
    assert!(waited >= HEARTBEAT * DEAD_AFTER_HEARTBEATS, "{waited:?}");
    assert!(waited <= HEARTBEAT * (DEAD_AFTER_HEARTBEATS + 1), "{waited:?}");
    drop(silent);
    rig.accept().await;
}

#[tokio::test(start_paused = true)]
async fn an_idle_link_is_not_a_dead_one() {
    let mut rig = Rig::start();
    let mut link = rig.accept().await;
    for _ in 0..10 {
        assert_eq!(next(&mut link).await.route.operation, Operation::Keepalive);
    }
    assert!(rig.down.try_recv().is_none());
}

#[tokio::test(start_paused = true)]
async fn on_shutdown_what_is_still_to_be_sent_is_sent() {
    let mut rig = Rig::start();
    let mut link = rig.accept().await;
    next(&mut link).await;
    rig.trigger.request();
    // Its inbox downward closes first: that is what tells MetaManager to finish.
    assert!(rig.down.recv().await.is_none());
    rig.up.send(ToCloud::Message(Box::new(message("last", Operation::Response)))).await.unwrap();
    assert_eq!(next(&mut link).await.header.id, "last");
    drop(rig.up);
    assert!(link.rx.recv().await.unwrap().is_none(), "the link is closed");
    rig.hub.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn without_a_cloud_it_keeps_dialling_and_stops_when_told() {
    let mut rig = Rig::start();
    // Nobody accepts: a dial that waits must not keep the process alive.
    rig.trigger.request();
    assert!(rig.down.recv().await.is_none());
    drop(rig.up);
    rig.hub.await.unwrap().unwrap();
}

mod half_open;
mod native;
mod preference;

/// One that is full, or has banned the node, may open the link first.
#[tokio::test(start_paused = true)]
async fn a_cloud_that_opens_and_then_refuses_is_dialled_less_and_less_often() {
    let mut rig = Rig::start();
    let start = Instant::now();
    let mut times = Vec::new();
    for _ in 0..8 {
        drop(rig.accept().await);
        times.push(start.elapsed());
        assert!(matches!(rig.down.recv().await, Some(FromCloud::Disconnected)));
    }
    let waits: Vec<Duration> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(waits[0] >= RETRY_FIRST / 2 && waits[0] <= RETRY_FIRST * 2, "{waits:?}");
    assert!(waits[6] >= RETRY_MOST / 2, "{waits:?}");
}

/// What was asked on a link that is gone is asked again by whoever still wants it, and then in its turn.
#[tokio::test(start_paused = true)]
async fn what_nobody_waits_for_any_more_is_not_sent_on_the_next_link() {
    let mut rig = Rig::start();
    drop(rig.accept().await);
    assert!(matches!(rig.down.recv().await, Some(FromCloud::Disconnected)));
    let wanted = Arc::new(());
    let asked = |id, waits| ToCloud::Asked(Box::new(message(id, Operation::Query)), waits);
    rig.up.send(asked("old", Arc::downgrade(&Arc::new(())))).await.unwrap();
    rig.up.send(asked("new", Arc::downgrade(&wanted))).await.unwrap();
    let mut link = rig.accept().await;
    let first = loop {
        // The first heartbeat may come before or after it.
        let said = next(&mut link).await;
        if said.route.operation != Operation::Keepalive {
            break said;
        }
    };
    assert_eq!(first.header.id, "new");
}
