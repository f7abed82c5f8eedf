use std::time::Duration;

use chassis::backoff::BackoffPolicy;
use chassis::link::memory::{MemoryAcceptor, MemoryNet};
use chassis::link::{Acceptor as _, CloseReason, FrameSink, FrameSource, LinkReceiver, LinkSender, Peer};
use chassis::rng::Rng;
use chassis::task::AbortOnDrop;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use proto::codec::binary::{Frame as Native, Push};
use proto::hello::{VERSION, Welcome};
use proto::reply::ObjectResp;
use proto::{Content, Message, Resource, Stamp};
use serde_json::{Value, json};
use tokio::sync::SemaphorePermit;

use super::*;
use crate::node::{Identity, Timing};

const TIMING: Timing = Timing {
    keepalive: Duration::from_secs(15),
    lease: Duration::from_secs(10),
    status: Duration::from_secs(300),
    answer: Duration::from_secs(60),
    ack_answers: false,
};
const BACKOFF: BackoffPolicy = BackoffPolicy {
    initial: Duration::from_millis(500),
    max: Duration::from_secs(30),
    factor: 2.0,
    jitter: 0.0,
};

/// A node, and a cloud that the test speaks for.
struct Stage {
    net: MemoryNet,
    cloud: MemoryAcceptor,
    orders: watch::Sender<Order>,
    stats: Arc<Stats>,
    node: AbortOnDrop<()>,
}

impl Stage {
    fn new() -> Self {
        Self::with(Dialect::Stock, |net| Box::new(net.dialer("h-1", Peer::default())))
    }

    fn with(dialect: Dialect, dialer: impl FnOnce(&MemoryNet) -> Box<dyn Dialer>) -> Self {
        let rng = Rng::seeded(1);
        let net = MemoryNet::new(rng.clone());
        let cloud = net.listen();
        let clock = Clock::fixed("2026-01-02T03:04:05Z".parse().unwrap());
        let now = Now { at: Instant::now(), wall: clock.now() };
        let identity = Identity { name: "h-1".into(), index: 1 };
        let stats = Arc::new(Stats::default());
        let node = Node {
            machine: Machine::new(identity, dialect.speech(), Arc::new(TIMING), &now),
            dialer: dialer(&net),
            dialect,
            backoff: Backoff::new(BACKOFF, rng),
            clock,
            dials: Arc::new(Semaphore::new(1)),
            stats: stats.clone(),
        };
        let (orders, orders_rx) = watch::channel(Order { mode: Mode::Offline, since: Instant::now() });
        let node = chassis::task::spawn(tracing::Span::none(), node.run(orders_rx));
        Self { net, cloud, orders, stats, node }
    }

    fn order(&self, mode: Mode) {
        self.orders.send_replace(Order { mode, since: Instant::now() });
    }

    /// A link on which the node has become ready.
    async fn connected(&mut self) -> Link {
        let mut link = self.cloud.accept().await.unwrap();
        while self.stats.ready.get() == 0 {
            answer_next(&mut link).await;
            tokio::task::yield_now().await;
        }
        link
    }
}

/// Takes one message, and answers it if it is a request.
async fn answer_next(link: &mut Link) -> String {
    let frame = link.rx.recv().await.unwrap().expect("the node is connected");
    let message: Message = proto::codec::decode(frame.data()).unwrap();
    let said = format!("{} {}", message.route.operation, message.route.resource);
    if message.route.operation != proto::Operation::Keepalive {
        let object = json!({"metadata": {"resourceVersion": "1"}});
        let content = Content::object(&ObjectResp::<Value>::success(object)).unwrap();
        let answer = message.reply(Stamp { id: "a".into(), timestamp: 1 }, content);
        link.tx.send(Frame::Text(proto::codec::encode(&answer))).await.unwrap();
    }
    said
}

#[tokio::test(start_paused = true)]
async fn a_node_connects_when_it_is_told_to_and_leaves_when_it_is_told_to() {
    let mut stage = Stage::new();
    stage.order(Mode::Online);
    let mut link = stage.connected().await;
    assert_eq!((stage.stats.online.get(), stage.stats.ready.get()), (1, 1));
    assert_eq!(stage.stats.ready_after.summary().count, 1);
    stage.order(Mode::Offline);
    while let Ok(Some(_)) = link.rx.recv().await {}
    assert_eq!((stage.stats.online.get(), stage.stats.ready.get()), (0, 0));
    drop(stage.orders);
    stage.node.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_lost_link_is_opened_again_after_a_while() {
    let mut stage = Stage::new();
    stage.order(Mode::Online);
    let link = stage.connected().await;
    let lost = Instant::now();
    drop(link);
    let mut link = stage.cloud.accept().await.unwrap();
    assert_eq!(lost.elapsed(), BACKOFF.initial);
    assert_eq!(answer_next(&mut link).await, "keepalive node");
    assert_eq!(answer_next(&mut link).await, "patch null/nodepatch/h-1");
    assert_eq!(stage.stats.connections.get(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_cloud_that_is_away_is_dialled_less_and_less_often() {
    let mut stage = Stage::new();
    let wire = stage.net.wire("h-1");
    wire.cut();
    stage.order(Mode::Online);
    let start = Instant::now();
    let failures = |stats: &Stats| stats.troubles().get("link: unreachable").copied().unwrap_or_default();
    while failures(&stage.stats) < 4 {
        tokio::time::advance(BACKOFF.initial).await;
    }
    // After 0.5, 1 and 2 s; the clock is only looked at every half second.
    assert!(start.elapsed() >= BACKOFF.initial * 7, "{:?}", start.elapsed());
    wire.heal();
    stage.cloud.accept().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_silent_node_says_nothing_and_stays_away_when_it_is_dropped() {
    let mut stage = Stage::new();
    stage.order(Mode::Online);
    let mut link = stage.connected().await;
    stage.order(Mode::Silent);
    let heard = tokio::time::timeout(2 * TIMING.keepalive, async {
        // What was on its way may still come.
        while answer_next(&mut link).await != "keepalive node" {}
    });
    assert!(heard.await.is_err(), "a keepalive came");
    drop(link);
    let waited = tokio::time::timeout(BACKOFF.max, stage.cloud.accept()).await;
    assert!(waited.is_err(), "it came back");
    assert_eq!(stage.stats.dropped.summary().count, 1);
    stage.order(Mode::Online);
    stage.cloud.accept().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_deaf_node_goes_on_speaking() {
    let mut stage = Stage::new();
    stage.order(Mode::Online);
    let mut link = stage.connected().await;
    stage.order(Mode::Deaf);
    let speaks = tokio::time::timeout(2 * TIMING.keepalive, async {
        while answer_next(&mut link).await != "keepalive node" {}
    });
    speaks.await.unwrap();
}

/// A link that takes a message only when the test lets it, and on which nothing comes.
#[derive(Clone)]
struct Gate(Arc<Semaphore>);

impl Dialer for Gate {
    fn dial(&self) -> BoxFuture<'_, Result<Link, LinkError>> {
        let (tx, rx) = (LinkSender::new(self.clone()), LinkReceiver::new(self.clone()));
        std::future::ready(Ok(Link { peer: Peer::default(), tx, side: None, rx })).boxed()
    }
}

impl FrameSink for Gate {
    fn send(&mut self, _: Frame) -> BoxFuture<'_, Result<(), LinkError>> {
        async { self.0.acquire().await.map(SemaphorePermit::forget).map_err(|_| LinkError::Closed) }.boxed()
    }

    fn close(&mut self, _: CloseReason) -> BoxFuture<'_, Result<(), LinkError>> {
        std::future::ready(Ok(())).boxed()
    }
}

impl FrameSource for Gate {
    fn recv(&mut self) -> BoxFuture<'_, Result<Option<Frame>, LinkError>> {
        std::future::pending().boxed()
    }
}

#[tokio::test(start_paused = true)]
async fn an_order_that_comes_while_a_message_is_being_written_is_followed() {
    let gate = Gate(Arc::new(Semaphore::new(0)));
    let stage = Stage::with(Dialect::Stock, |_| Box::new(gate.clone()));
    stage.order(Mode::Online);
    while stage.stats.online.get() == 0 {
        tokio::task::yield_now().await;
    }
    stage.order(Mode::Offline);
    gate.0.add_permits(2);
    let left = tokio::time::timeout(TIMING.keepalive, async {
        while stage.stats.online.get() > 0 {
            tokio::task::yield_now().await;
        }
    });
    left.await.expect("the node leaves");
}

/// What a native node said, and what it is told.
async fn native(link: &mut Link) -> Native {
    let frame = link.rx.recv().await.unwrap().expect("the node is connected");
    Dialect::Native.decode(&frame).unwrap()
}

async fn tell(link: &mut Link, said: &Native) {
    link.tx.send(Dialect::Native.encode(said).unwrap()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_comes_at_once_is_acknowledged_at_once() {
    let mut stage = Stage::with(Dialect::Native, |net| Box::new(net.dialer("h-1", Peer::default())));
    stage.order(Mode::Online);
    let mut link = stage.cloud.accept().await.unwrap();
    assert!(matches!(native(&mut link).await, Native::Hello(_)));
    tell(&mut link, &Native::Welcome(Welcome { version: VERSION, software: String::new(), time: 1 })).await;
    assert_eq!(native(&mut link).await, Native::Keepalive);
    assert!(matches!(native(&mut link).await, Native::Message(_)), "it registers");
    let count = BATCH as u64 + 6;
    for seq in 1..=count {
        let Resource::Object(path) = Resource::from(format!("default/secret/s-{seq}").as_str()) else {
            panic!("no path")
        };
        let (uid, version) = (format!("u{seq}"), "1".to_owned());
        let push = Push { seq, path, uid, version, digest: seq, object: Some(Content::text("x")) };
        tell(&mut link, &Native::Push(Box::new(push))).await;
    }
    let mut frames = Vec::new();
    while frames.iter().map(Vec::len).sum::<usize>() < BATCH + 6 {
        let Native::Acks(acks) = native(&mut link).await else { panic!("no acknowledgement") };
        frames.push(acks.stored);
    }
    assert_eq!(frames.concat(), (1..=count).collect::<Vec<_>>());
    assert!(frames.len() <= 4, "{} frames", frames.len());
}

#[tokio::test(start_paused = true)]
async fn a_node_that_gets_no_welcome_dials_again() {
    let mut stage = Stage::with(Dialect::Native, |net| Box::new(net.dialer("h-1", Peer::default())));
    stage.order(Mode::Online);
    let _silent = stage.cloud.accept().await.unwrap();
    stage.cloud.accept().await.unwrap();
    assert_eq!(stage.stats.troubles().get("link: no welcome"), Some(&1));
}
