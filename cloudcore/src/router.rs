//! Users' messages between the cloud and MQTT or HTTP at the edge, as Rules say (spec cloud-and-wire 6.2 and 6.3).
//!
//! ```text
//!   HTTPS ══ server ── rest ── Reach ──► Replies of a node      requests, each sent once, answered with what came of it
//!                        │       └─ Forward ──► another CloudCore that holds the node
//!                        └─ stock ── HTTP ══ a CloudCore of KubeEdge that holds it, where that is allowed
//!   FromUsers ──► lanes ── delivery ── web ══ servers            messages of nodes, in order, until their target has them
//!   FromUsers ──► calls ── web ══ servers ──► Replies            what applications at the edge ask, each asked once
//!   Kubernetes watch ──► World ──► Table ──► telling ──► Replies what nodes are to listen to
//!   tally ──► Statuses ── writing ──► Kubernetes API             counts of each rule, now and then
//! ```
//!
//! Started by `app`; hears of nodes from CloudHub. A node takes part only in rules that name it, by the name that its certificate proves, and
//! answers only what it was asked. A Skerry node is told what became of each message when its targets have it, and keeps it until then: what
//! is here is in memory only. What a stock node says is lost with CloudCore. Ends when CloudHub has ended.

mod anywhere;
mod auth;
mod calls;
mod delivery;
mod headers;
mod hearing;
mod lanes;
mod limits;
mod metrics;
mod nodes;
mod path;
mod rest;
mod rules;
mod server;
mod status;
mod stock;
mod telling;
#[cfg(test)]
mod tests;
mod watches;
mod web;
mod writing;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use chassis::body::Room;
use chassis::clock::Clock;
use chassis::module::Module;
use chassis::rng::Rng;
use chassis::shutdown::Shutdown;
use chassis::task::{self, until};
use futures::StreamExt as _;
use kube::Client;
use proto::{Message, Stamp};
use rustls::ServerConfig;
use tokio::sync::{Semaphore, watch};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;

pub use self::anywhere::Elsewhere;
use self::anywhere::{Anywhere, Here};
use self::auth::Authority;
use self::delivery::Patience;
use self::lanes::{LaneKey, Lanes, Verdict};
use self::limits::Limits;
pub use self::metrics::Metrics;
use self::nodes::LocalNodes;
use self::rest::Front;
use self::rules::{Key, Table};
pub use self::server::RouterServer;
use self::status::{Statuses, Tally, Write, Written};
use self::stock::StockReplicas;
use self::telling::{Tell, Telling};
use self::watches::{Fact, World};
use self::web::{Servers, Web};
use crate::flow::{FromUsers, Holders, NodeName, Reach, UserInbox};

/// Messages that are being delivered at once, those that wait to be tried again included.
const DELIVERIES: usize = 8192;
/// Requests to the target of one rule at once: one that hangs must not take what others need.
const TO_ONE_TARGET: usize = 32;
/// A target that does not answer a message of a node within this gets it again.
const TRY: Duration = Duration::from_secs(30);
/// Writes of statuses at once.
const WRITES: usize = 4;

/// How the router behaves; from the config file.
#[derive(Debug)]
pub struct Config {
    /// Where it listens.
    pub listen: SocketAddr,
    /// TLS of the listener; none: plain HTTP, for everybody.
    pub tls: Option<Arc<ServerConfig>>,
    /// Who may ask; none: whom the Kubernetes API knows.
    pub token_file: Option<PathBuf>,
    /// CAs of the targets; none: those of the system.
    pub target_ca_file: Option<PathBuf>,
    /// Bytes of a request, a message and an answer.
    pub largest_body: usize,
    /// Requests that each rule takes in a second.
    pub per_second: u32,
    /// Requests of each rule at once.
    pub at_once: usize,
    /// A node must answer within this.
    pub timeout: Duration,
    /// A message of a node is tried for so long.
    pub patience: Duration,
    /// Whether a request for a node that a CloudCore of KubeEdge holds is passed on to it: to which of its ports, and who says which that is.
    pub stock: Option<(u16, Holders)>,
}

/// What the module needs of the world.
#[derive(Clone)]
pub struct Environment {
    /// The Kubernetes API.
    pub client: Client,
    /// Time of day.
    pub clock: Clock,
    /// Message ids, and waits that differ.
    pub rng: Rng,
    /// Counts.
    pub metrics: Metrics,
    /// Other CloudCores; none: only nodes that are connected here are reached.
    pub elsewhere: Option<Elsewhere>,
}

/// The module.
pub struct Router {
    inbox: UserInbox,
    state: State,
}

struct State {
    environment: Environment,
    web: Arc<dyn Servers>,
    limits: Arc<Limits>,
    patience: Patience,
    /// An application at the edge is answered within this.
    timeout: Duration,
    largest_body: usize,
    world: World,
    problems: BTreeMap<Key, String>,
    table: watch::Sender<Arc<Table>>,
    nodes: LocalNodes,
    telling: Telling,
    lanes: Lanes,
    /// What is under way in which lane; with a number, so that one that was given up is not taken for its successor.
    running: HashMap<LaneKey, (u64, AbortHandle)>,
    started: u64,
    targets: HashMap<Key, Arc<Semaphore>>,
    tally: Tally,
    statuses: Statuses,
    /// What nodes said before the rules were read.
    early: VecDeque<(NodeName, Box<Message>)>,
    early_bytes: usize,
    tasks: Tasks,
}

/// What is under way.
#[derive(Default)]
struct Tasks {
    deliveries: JoinSet<(LaneKey, u64, Verdict)>,
    calls: JoinSet<()>,
    tells: JoinSet<(Tell, bool)>,
    writes: JoinSet<(Write, Written)>,
}

impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Environment").finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Router {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Router").finish_non_exhaustive()
    }
}

impl Environment {
    fn stamp(&self) -> Stamp {
        Stamp { id: self.rng.uuid().to_string(), timestamp: self.clock.now_ms() }
    }
}

// === impl Router ===

impl Router {
    /// The router, and its listener with its socket open.
    ///
    /// # Errors
    /// When a file cannot be read, or the address not listened on.
    pub async fn bind(
        config: Config,
        environment: Environment,
        inbox: UserInbox,
    ) -> anyhow::Result<(Self, RouterServer)> {
        let web = Arc::new(Web::new(config.target_ca_file.as_deref(), config.largest_body)?);
        let (router, front) = Self::new(&config, environment, inbox, web)?;
        let server = RouterServer::bind(config.listen, config.tls, front).await?;
        Ok((router, server))
    }

    fn new(
        config: &Config,
        environment: Environment,
        inbox: UserInbox,
        web: Arc<dyn Servers>,
    ) -> anyhow::Result<(Self, Front)> {
        let authority = match (&config.tls, &config.token_file) {
            (None, _) => Authority::anybody(),
            (Some(_), Some(file)) => Authority::file(file)?,
            (Some(_), None) => Authority::kubernetes(environment.client.clone()),
        };
        let (table, shown) = watch::channel(Arc::new(Table::default()));
        let (nodes, tally) = (LocalNodes::default(), Tally::default());
        let elsewhere = environment.elsewhere.clone();
        let stock = config.stock.clone();
        let stock =
            stock.map(|(port, holders)| StockReplicas::new(port, holders, nodes.clone(), Arc::clone(&web)));
        let reach: Arc<dyn Reach> = match elsewhere {
            Some(elsewhere) => Arc::new(Anywhere::new(nodes.clone(), elsewhere, environment.metrics.clone())),
            None => Arc::new(nodes.clone()),
        };
        let front = Front {
            table: shown,
            reach,
            stock,
            authority,
            limits: Limits::new(config.per_second, config.at_once),
            room: Room::new(config.largest_body),
            tally: tally.clone(),
            metrics: environment.metrics.clone(),
            clock: environment.clock.clone(),
            rng: environment.rng.clone(),
            timeout: config.timeout,
        };
        let state = State {
            web,
            environment,
            limits: Arc::new(Limits::new(config.per_second, config.at_once)),
            patience: Patience { answer: TRY.min(config.timeout), message: config.patience },
            timeout: config.timeout.saturating_sub(Duration::from_secs(5)).max(config.timeout / 2),
            largest_body: config.largest_body,
            world: World::default(),
            problems: BTreeMap::new(),
            table,
            nodes,
            telling: Telling::default(),
            lanes: Lanes::default(),
            running: HashMap::new(),
            started: 0,
            targets: HashMap::new(),
            tally,
            statuses: Statuses::default(),
            early: VecDeque::new(),
            early_bytes: 0,
            tasks: Tasks::default(),
        };
        Ok((Self { inbox, state }, front))
    }
}

impl Router {
    /// The nodes that are connected here, for what other CloudCores forward.
    #[must_use]
    pub fn here(&self, holders: Holders) -> Arc<dyn Reach> {
        Arc::new(Here::new(self.state.nodes.clone(), holders))
    }
}

impl Module for Router {
    const NAME: &'static str = "router";

    async fn run(self, _shutdown: Shutdown) -> anyhow::Result<()> {
        let Self { mut inbox, mut state } = self;
        let environment = state.environment.clone();
        let mut facts = watches::start(&environment.client, &environment.rng);
        let tally = state.tally.clone();
        loop {
            state.start_deliveries();
            state.start_writes();
            let due = state.statuses.deadline().filter(|_| state.tasks.writes.len() < WRITES);
            let tasks = &mut state.tasks;
            tokio::select! {
                event = inbox.recv() => match event {
                    Some(FromUsers::Connected(session)) => state.connect(session),
                    Some(FromUsers::Said(node, message)) => state.hear(&node, message),
                    None => return Ok(()),
                },
                Some(fact) = facts.next() => match fact {
                    Ok(fact) => state.learn(fact),
                    Err(failure) => state.world.failed(&failure),
                },
                Some(ended) = tasks.deliveries.join_next() => {
                    // Those of rules that are gone were aborted.
                    if let Ok((lane, number, verdict)) = ended {
                        state.delivered(&lane, number, verdict);
                    }
                }
                Some(ended) = tasks.calls.join_next() => ended?,
                Some(ended) = tasks.tells.join_next() => {
                    let (tell, is_told) = ended?;
                    if let Some(node) = state.telling.done(tell, is_told) {
                        state.tell(&node);
                    }
                }
                Some(ended) = tasks.writes.join_next() => {
                    let (write, written) = ended?;
                    state.statuses.done(write, written, Instant::now());
                }
                () = tally.changed() => state.statuses.note(tally.take(), Instant::now()),
                () = until(due) => {}
            }
        }
    }
}

impl State {
    fn table(&self) -> Arc<Table> {
        Arc::clone(&self.table.borrow())
    }

    fn learn(&mut self, fact: Fact) {
        let news = self.world.apply(fact);
        for key in &news.seen {
            if let Some(rule) = self.world.get(key) {
                let metadata = &rule.metadata;
                let version = metadata.resource_version.as_deref().unwrap_or_default();
                self.statuses.seen(
                    key,
                    metadata.uid.as_deref().unwrap_or_default(),
                    version,
                    rule.status.clone(),
                );
            }
        }
        if news.is_other {
            self.change();
        }
    }

    /// Rules are others than before: from now on.
    fn change(&mut self) {
        let (table, problems) = self.world.table();
        let (before, table) = (self.table(), Arc::new(table));
        self.table.send_replace(Arc::clone(&table));
        self.environment.metrics.rules(table.len());
        for key in self.lanes.rules() {
            match table.rule(&key) {
                None => self.forget(&key),
                Some(rule) if before.rule(&key) != Some(rule) => self.begin_anew(&key),
                Some(_) => {}
            }
        }
        for key in before.keys().filter(|key| table.rule(key).is_none()) {
            self.environment.metrics.forget(key);
            self.targets.remove(key);
        }
        let world = &self.world;
        self.statuses.only(|key| world.get(key).is_some());
        self.say_problems(problems);
        if !table.is_complete {
            return;
        }
        for (node, message) in std::mem::take(&mut self.early) {
            self.hear(&node, message);
        }
        self.early_bytes = 0;
        for node in self.telling.nodes() {
            self.tell(&node);
        }
    }

    fn say_problems(&mut self, problems: Vec<(Key, String)>) {
        let (at, now) = (self.environment.clock.now(), Instant::now());
        for (key, why) in &problems {
            if self.problems.get(key) != Some(why) {
                tracing::warn!(rule = %format_args!("{}/{}", key.0, key.1), "cannot be acted on: {why}");
            }
            self.statuses.problem(key, at, why, now);
        }
        self.problems = problems.into_iter().collect();
    }

    /// Tells a node what rules want of it, if it does not know.
    fn tell(&mut self, node: &NodeName) {
        let table = self.table();
        if !table.is_complete {
            return;
        }
        let environment = &self.environment;
        if let Some(tell) = self.telling.next(node, table.wanted_of(node), || environment.stamp()) {
            let span = tracing::info_span!("tell", %node);
            task::spawn_in(&mut self.tasks.tells, span, tell.send());
        }
    }

    fn start_writes(&mut self) {
        while self.tasks.writes.len() < WRITES
            && let Some(write) = self.statuses.next(Instant::now())
        {
            let client = self.environment.client.clone();
            task::spawn_in(&mut self.tasks.writes, tracing::Span::current(), writing::write(client, write));
        }
    }
}
