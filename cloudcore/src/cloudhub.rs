//! Connections of the edge nodes: who they are, one session for each, newest connection wins.
//!
//! Takes links from its acceptor, announces each node to EdgeController, and carries messages between the two
//! until the connection ends. It persists nothing. On shutdown it stops taking links, says goodbye on all of them
//! and ends, which closes the queues of EdgeController. Where there are other CloudCores it does so node by node, each when what
//! it has asked is answered, so that the others are not run over.
//!
//! Beside it, and independent of it: nodes join over HTTPS ([`httpserver`]), with the CA and the tokens of
//! [`authority`], which lie in Kubernetes ([`secrets`]). Nodes that [`bans`] knows get neither connection nor certificate.

pub mod authority;
pub mod bans;
mod door;
mod draining;
mod greeting;
pub mod httpserver;
mod identity;
mod metrics;
mod pending;
pub mod secrets;
mod session;
mod traffic;
mod writing;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use chassis::admin::Board;
use chassis::channel::{self, ChannelMetrics};
use chassis::clock::Clock;
use chassis::link::{Acceptor, CloseReason, Dialect, Link};
use chassis::module::Module;
use chassis::readiness::ReadyGuard;
use chassis::rng::Rng;
use chassis::shutdown::{Shutdown, ShutdownTrigger};
use chassis::task;
use chassis::tide::Tide;
use jiff::Timestamp;
use proto::config::cloudcore;
use serde::{Serialize, Serializer};
use tokio::task::JoinSet;
use tokio::time::Instant;

pub use self::door::Door;
use self::draining::Rate;
use self::identity::Refusal;
pub use self::metrics::Metrics;
use self::session::{Arrival, Session};
use self::traffic::Traffic;
use crate::flow::{
    Bans, Claims, Fence, NodeName, NodeSession, Outbox, Pace, Replies, Serving, Sessions, SyncRecords, Tenure,
};

/// Requests of one node that wait for EdgeController. When they are this many the hub stops reading from the
/// node, so that it feels the delay; a stock edge sends 60 at once at most (`messageBurst`).
const REQUESTS: usize = 64;

/// Answers to one node that wait for the link. When they are this many, its next request waits.
const REPLIES: usize = 64;

/// A goodbye that does not get through in this time is not worth waiting for.
const GOODBYE: Duration = Duration::from_secs(5);

/// So many nodes that came or went are worth giving memory back: 8 MiB or more.
const MANY: usize = 256;
/// A fleet that only lost its connections is back within this. Doubled, nothing happens but that memory is given back
/// later.
const SETTLE: Duration = Duration::from_secs(5);

/// Limits of the hub.
#[derive(Debug, Clone)]
pub struct Config {
    /// A node that says nothing for this long is cut off.
    pub keepalive_interval: Duration,
    /// A node that takes nothing for this long is cut off.
    pub write_timeout: Duration,
    /// At the end, nodes are asked to go elsewhere one after the other, all within this.
    pub drain: Duration,
}

/// What the module needs of the world.
#[derive(Debug, Clone)]
pub struct Environment {
    /// Time of day.
    pub clock: Clock,
    /// Message ids.
    pub rng: Rng,
    /// Depths of the queues of all sessions, summed.
    pub channels: ChannelMetrics,
    /// What the hub counts.
    pub metrics: Metrics,
    /// The nodes that are connected, for `/debug/state`.
    pub board: Board<Connected>,
    /// Who may come in.
    pub door: Door,
    /// Told what stock edges acknowledge.
    pub records: SyncRecords,
    /// Says whether nodes that are sent away have somewhere to go.
    pub claims: Claims,
    /// In the fence of each connection.
    pub tenure: Tenure,
    /// Held for as long as there are connections.
    pub serving: Serving,
    /// Called when many nodes have come or gone: gives free memory back to the system. Not on a thread that serves.
    pub give_back: fn(),
}

/// A connected node, as operators see it.
#[derive(Debug, Clone, Serialize)]
pub struct Connected {
    /// The node's end of the connection.
    address: String,
    /// What it speaks.
    dialect: &'static str,
    since: Timestamp,
    #[serde(flatten)]
    traffic: Traffic,
    /// Objects that it should have and has not acknowledged yet.
    #[serde(serialize_with = "count")]
    waiting: Outbox,
}

fn count<S: Serializer>(outbox: &Outbox, serializer: S) -> Result<S::Ok, S::Error> {
    outbox.len().serialize(serializer)
}

/// The module.
pub struct CloudHub {
    acceptor: Box<dyn Acceptor>,
    config: Config,
    environment: Environment,
    controller: Sessions,
    ready: ReadyGuard,
}

/// Sessions that run, and goodbyes to those who were refused.
struct Running {
    tasks: JoinSet<Option<Ended>>,
    current: HashMap<NodeName, Current>,
    connections: u64,
    tide: Tide,
    /// Ends all connections.
    end: ShutdownTrigger,
    until: Shutdown,
    /// Whether connections that end wait for answers first.
    is_draining: Arc<AtomicBool>,
}

/// The newest connection of a node.
struct Current {
    connection: u64,
    /// Start of its certificate's validity.
    not_before: Option<Timestamp>,
    end: ShutdownTrigger,
}

/// A connection that has ended.
struct Ended {
    node: NodeName,
    connection: u64,
}

impl From<&cloudcore::CloudHub> for Config {
    fn from(file: &cloudcore::CloudHub) -> Self {
        Self {
            keepalive_interval: Duration::from_secs(file.keepalive_interval.into()),
            write_timeout: Duration::from_secs(file.write_timeout.into()),
            drain: Duration::from_secs(file.drain_seconds.into()),
        }
    }
}

// === impl CloudHub ===

impl CloudHub {
    /// `ready` is released when links are being taken.
    pub fn new(
        config: Config,
        environment: Environment,
        acceptor: Box<dyn Acceptor>,
        controller: Sessions,
        ready: ReadyGuard,
    ) -> Self {
        Self { acceptor, config, environment, controller, ready }
    }
}

impl std::fmt::Debug for CloudHub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CloudHub").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Module for CloudHub {
    const NAME: &'static str = "cloudhub";

    async fn run(self, shutdown: Shutdown) -> anyhow::Result<()> {
        let Self { mut acceptor, config, environment, controller, ready } = self;
        let environment = Arc::new(environment);
        let mut running = Running::new();
        let mut bans = environment.door.bans();
        // Nobody comes in before it is known who may not.
        tokio::select! {
            () = bans.known() => ready.ready(),
            () = shutdown.requested() => return Ok(()),
        }
        loop {
            tokio::select! {
                () = shutdown.requested() => break,
                () = bans.changed() => running.expel(&bans),
                link = acceptor.accept() => running.admit(link?, &config, &environment, &controller, &shutdown),
                Some(ended) = running.tasks.join_next() => running.forget(ended?, &environment),
                () = task::until(running.tide.due()) => running.give_back(&environment),
            }
        }
        drop(acceptor);
        // Until the last has been told, everybody else is served.
        running.drain(config.drain, &environment).await?;
        drop(controller);
        while let Some(ended) = running.tasks.join_next().await {
            running.forget(ended?, &environment);
        }
        Ok(())
    }
}

// === impl Running ===

impl Running {
    fn new() -> Self {
        let (tide, (end, until)) = (Tide::new(MANY, SETTLE), Shutdown::new());
        let (tasks, current) = (JoinSet::new(), HashMap::new());
        Self { tasks, current, connections: 0, tide, end, until, is_draining: Arc::default() }
    }

    /// Asks all nodes to go: one after the other where there are other CloudCores, else at once.
    async fn drain(&mut self, within: Duration, environment: &Environment) -> anyhow::Result<()> {
        if environment.claims.has_others() && !within.is_zero() {
            self.is_draining.store(true, Relaxed);
            let nodes: Vec<NodeName> = self.current.keys().cloned().collect();
            let (count, rate) = (nodes.len(), Rate::new(nodes.len(), within));
            tracing::info!(nodes = count, "asking nodes to connect to other CloudCores");
            let (mut nodes, mut steps) = (nodes.into_iter(), Rate::steps());
            while nodes.len() > 0 {
                tokio::select! {
                    _ = steps.tick() => self.send_away(nodes.by_ref().take(rate.at_once), environment),
                    Some(ended) = self.tasks.join_next() => self.forget(ended?, environment),
                }
            }
        }
        self.end.request();
        Ok(())
    }

    fn send_away(&self, nodes: impl Iterator<Item = NodeName>, environment: &Environment) {
        for node in nodes {
            if let Some(current) = self.current.get(&node) {
                current.end.request();
                environment.metrics.drained();
            }
        }
    }

    /// Starts a session, or says why not and closes the link.
    fn admit(
        &mut self,
        link: Link,
        config: &Config,
        environment: &Arc<Environment>,
        controller: &Sessions,
        shutdown: &Shutdown,
    ) {
        match environment.door.check(&link.peer) {
            Ok(node) => self.start(node, link, config, environment, controller, shutdown),
            Err(refusal) => {
                tracing::warn!(peer = link.peer.address, "connection refused: {refusal}");
                environment.metrics.refused(refusal.kind());
                self.refuse(link, &refusal);
            }
        }
    }

    fn refuse(&mut self, mut link: Link, refusal: &Refusal) {
        let reason = CloseReason::new(refusal.close_code(), refusal.to_string());
        task::spawn_in(&mut self.tasks, tracing::Span::current(), async move {
            tokio::time::timeout(GOODBYE, link.tx.close(reason)).await.ok();
            None
        });
    }

    fn start(
        &mut self,
        node: NodeName,
        mut link: Link,
        config: &Config,
        environment: &Arc<Environment>,
        controller: &Sessions,
        shutdown: &Shutdown,
    ) {
        // They have said what they had to say, and take 1 KiB for as long as the node is here.
        link.peer.headers = http::HeaderMap::new();
        self.connections += 1;
        let connection = self.connections;
        let span = tracing::info_span!("session", %node, connection);
        let (end, until) = self.until.child();
        let not_before = identity::not_before(&link.peer);
        if let Some(older) = self.current.insert(node.clone(), Current { connection, not_before, end }) {
            older.end.request();
        }
        environment.door.enter(&node);
        self.count(environment);
        let address = link.peer.address.clone();
        let dialect = match link.peer.dialect {
            Dialect::Stock => "stock",
            Dialect::Native => "native",
        };

        let (requests_tx, requests) =
            channel::bounded_with("cloudhub_requests", REQUESTS, &environment.channels);
        let (replies_tx, replies) = channel::bounded_with("cloudhub_replies", REPLIES, &environment.channels);
        let pace = match link.peer.dialect {
            Dialect::Stock => Pace::STOCK,
            Dialect::Native => Pace::NATIVE,
        };
        let (outbox, reader) = Outbox::new(pace);
        let traffic = Traffic::default();
        let since = environment.clock.now();
        let (waiting, told) = (outbox.clone(), traffic.clone());
        environment.board.set(&node, Connected { address, dialect, since, traffic: told, waiting });
        let replies_tx = Replies::new(replies_tx);
        let fence = Fence::new(&environment.tenure);
        let announcement = NodeSession {
            node: node.clone(),
            requests,
            replies: replies_tx.clone(),
            outbox,
            fence: fence.clone(),
            held: None,
        };
        let arrival = Box::new(Arrival { controller: controller.clone(), announcement });
        let session = Box::new(Session {
            node: node.clone(),
            link,
            requests: requests_tx,
            replies,
            own_replies: replies_tx,
            outbox: reader,
            fence,
            traffic,
            is_draining: Arc::clone(&self.is_draining),
            config: config.clone(),
            environment: Arc::clone(environment),
        });
        let (shutdown, environment) = (shutdown.clone(), Arc::clone(environment));
        task::spawn_in(&mut self.tasks, span, async move {
            let end = session.run(arrival, until, shutdown).await;
            tracing::info!(reason = end.kind(), "session ended: {end}");
            environment.metrics.ended(end.kind());
            Some(Ended { node, connection })
        });
    }

    /// Ends the sessions of nodes that may be here no longer.
    fn expel(&self, bans: &Bans) {
        for (node, current) in &self.current {
            if bans.check(node.as_str(), current.not_before).is_err() {
                current.end.request();
            }
        }
    }

    fn forget(&mut self, ended: Option<Ended>, environment: &Environment) {
        let Some(Ended { node, connection }) = ended else { return };
        if self.current.get(&node).is_some_and(|current| current.connection == connection) {
            self.current.remove(&node);
            environment.door.leave(&node);
            environment.board.remove(&node);
        }
        self.count(environment);
    }

    fn count(&mut self, environment: &Environment) {
        let nodes = self.current.len();
        environment.metrics.connected(nodes);
        self.tide.note(Instant::now(), nodes);
    }

    fn give_back(&mut self, environment: &Environment) {
        let nodes = self.current.len();
        if self.tide.is_time(Instant::now(), nodes) {
            tracing::debug!(nodes, "many nodes have come or gone: giving back free memory");
            // It waits for nobody, and nobody for it.
            drop(tokio::task::spawn_blocking(environment.give_back));
        }
    }
}
