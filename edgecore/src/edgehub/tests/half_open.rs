//! kk#4495, kk#6412: a link that is up at one end only, with a stock cloud, which answers no keepalive (spec
//! cloud-and-wire 1.4). Its transport answers: WebSocket libraries do that by themselves (RFC 6455 section 5.5.3). The
//! cloud's end is in `cloudcore/tests/channel/half_open.rs`, the transport's in `chassis/src/link/websocket/tests/probe.rs`.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use chassis::link::{
    CloseReason, Dialer, FrameSink, FrameSource, LinkError, LinkReceiver, LinkSender, Pulse,
};
use futures::FutureExt as _;
use futures::future::BoxFuture;

use super::*;

/// A cloud that takes everything and never says anything; its transport answers probes while it is there.
#[derive(Clone)]
struct Mute {
    is_there: Arc<AtomicBool>,
    dials: Arc<AtomicUsize>,
    pulse: Pulse,
}

impl Dialer for Mute {
    fn dial(&self) -> BoxFuture<'_, Result<Link, LinkError>> {
        self.dials.fetch_add(1, Ordering::Relaxed);
        let mute = Self { pulse: Pulse::begin(), ..self.clone() };
        let (tx, rx) = (LinkSender::new(mute.clone()), LinkReceiver::new(mute));
        std::future::ready(Ok(Link { peer: Peer::default(), tx, side: None, rx })).boxed()
    }
}

impl FrameSink for Mute {
    fn send(&mut self, _: Frame) -> BoxFuture<'_, Result<(), LinkError>> {
        std::future::ready(Ok(())).boxed()
    }

    fn close(&mut self, _: CloseReason) -> BoxFuture<'_, Result<(), LinkError>> {
        std::future::ready(Ok(())).boxed()
    }

    fn probe(&mut self) -> BoxFuture<'_, Result<bool, LinkError>> {
        if self.is_there.load(Ordering::Relaxed) {
            self.pulse.feel();
        }
        std::future::ready(Ok(true)).boxed()
    }
}

impl FrameSource for Mute {
    fn recv(&mut self) -> BoxFuture<'_, Result<Option<Frame>, LinkError>> {
        std::future::pending().boxed()
    }

    fn pulse(&self) -> Option<Pulse> {
        Some(self.pulse.clone())
    }
}

#[tokio::test(start_paused = true)]
async fn half_open_a_stock_cloud_that_says_nothing_is_kept_and_one_that_is_gone_is_noticed() {
    let mute =
        Mute { is_there: Arc::new(AtomicBool::new(true)), dials: Arc::default(), pulse: Pulse::begin() };
    let (from_hub, mut down) = bounded("down", 16);
    let (_up, inbox) = bounded("up", 16);
    let hub = EdgeHub::new(
        Config { heartbeat: HEARTBEAT, message_qps: 30, message_burst: 60, last_server: None },
        vec![Way { name: "mute", server: "cloud".into(), dialer: Arc::new(mute.clone()) }],
        inbox,
        from_hub,
        (Clock::fixed("2026-01-01T00:00:00Z".parse().unwrap()), Rng::seeded(1)),
        Readiness::new().register("edgehub"),
    );
    let (_trigger, shutdown) = Shutdown::new();
    let _hub = chassis::task::spawn(tracing::Span::none(), hub.run(shutdown));
    assert!(matches!(down.recv().await, Some(FromCloud::Connected(None))));
    // An hour in which nobody has anything to say.
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert!(down.try_recv().is_none(), "it is there");
    assert_eq!(mute.dials.load(Ordering::Relaxed), 1);

    mute.is_there.store(false, Ordering::Relaxed);
    let gone = Instant::now();
    let noticed = tokio::time::timeout(10 * HEARTBEAT, down.recv()).await.expect("it is noticed at all");
    assert!(matches!(noticed, Some(FromCloud::Disconnected)));
    let waited = gone.elapsed();
    assert!(waited <= HEARTBEAT * DEAD_AFTER_HEARTBEATS, "{waited:?}");
    assert!(matches!(down.recv().await, Some(FromCloud::Connected(None))), "it dials again");
}
