//! Many nodes under one order.

use std::sync::Arc;
use std::time::Duration;

use chassis::backoff::{Backoff, BackoffPolicy};
use chassis::link::Dialer;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::connection::SocketDialer;
use crate::datagrams::DatagramDialer;
use crate::ground::{Ground, Member};
use crate::node::{Identity, Machine, Mode, Node, Now, Order, Timing};
use crate::stats::Stats;

/// Faster than a real edge (30 s), so that what is measured is the hub.
const RECONNECT: BackoffPolicy = BackoffPolicy {
    initial: Duration::from_millis(500),
    max: Duration::from_secs(30),
    factor: 2.0,
    jitter: 0.5,
};
/// How often a condition of a fleet is looked at.
const LOOK: Duration = Duration::from_millis(5);

/// Running nodes. They end when it is dropped.
#[derive(Debug)]
pub struct Fleet {
    nodes: JoinSet<()>,
    orders: watch::Sender<Order>,
    /// What they counted.
    pub stats: Arc<Stats>,
}

impl Fleet {
    /// Starts nodes that are not connected yet.
    #[must_use]
    pub fn start(ground: &Ground, members: &[Member], timing: Timing) -> Self {
        let (orders, orders_rx) = watch::channel(Order { mode: Mode::Offline, since: Instant::now() });
        let (stats, timing) = (Arc::new(Stats::default()), Arc::new(timing));
        let mut nodes = JoinSet::new();
        for member in members {
            let node = node(ground, member, &timing, &stats);
            chassis::task::spawn_in(&mut nodes, tracing::Span::none(), node.run(orders_rx.clone()));
        }
        Self { nodes, orders, stats }
    }

    /// Number of its nodes.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.nodes.len() as u64
    }

    /// Whether it has no nodes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Tells all nodes what to do from now on.
    pub fn order(&self, mode: Mode) -> Instant {
        let since = Instant::now();
        self.orders.send_replace(Order { mode, since });
        since
    }

    /// Waits until all nodes are ready; says how many are when they are not in time.
    ///
    /// # Errors
    /// When it takes longer than `limit`.
    pub async fn all_ready(&self, limit: Duration) -> anyhow::Result<Duration> {
        let all = self.len();
        let waited = self.until(limit, |stats| stats.ready.get() >= all).await;
        let (ready, troubles) = (self.stats.ready.get(), self.stats.troubles());
        waited
            .ok_or_else(|| anyhow::anyhow!("{ready} of {all} nodes are ready after {limit:?}: {troubles:?}"))
    }

    /// Waits for a condition; gives how long it took, nothing if it took longer than `limit`.
    pub async fn until(&self, limit: Duration, met: impl Fn(&Stats) -> bool) -> Option<Duration> {
        let start = Instant::now();
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            looks.tick().await;
            if met(&self.stats) {
                return Some(start.elapsed());
            }
            if start.elapsed() >= limit {
                return None;
            }
        }
    }
}

fn node(ground: &Ground, member: &Member, timing: &Arc<Timing>, stats: &Arc<Stats>) -> Node {
    let now = Now { at: Instant::now(), wall: ground.clock.now() };
    let identity = Identity { name: member.name.clone(), index: member.index };
    Node {
        machine: Machine::new(identity, ground.dialect.speech(), timing.clone(), &now),
        dialer: dialer(ground, member),
        dialect: ground.dialect,
        backoff: Backoff::new(RECONNECT, ground.rng.clone()),
        clock: ground.clock.clone(),
        dials: ground.dials.clone(),
        stats: stats.clone(),
    }
}

fn dialer(ground: &Ground, member: &Member) -> Box<dyn Dialer> {
    let (hub, key) = (ground.hub.clone(), member.key.clone());
    match ground.sockets.of(member.index) {
        Some(socket) => Box::new(DatagramDialer { hub, key, socket: socket.clone() }),
        None => Box::new(SocketDialer {
            hub,
            speech: ground.dialect.speech(),
            node: member.name.clone(),
            key,
            source: member.source,
        }),
    }
}
