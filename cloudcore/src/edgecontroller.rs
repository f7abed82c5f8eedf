//! Pods, nodes, config maps and secrets: what nodes should have goes down, what they ask and report goes up.
//!
//! ```text
//!   Kubernetes watch -> watches -> Desired -> Outbox of each connected node
//!   NodeSession -> one upstream::Worker each -> Kubernetes API -> Replies
//! ```
//!
//! Started by `app`; hears of connections from CloudHub. Keeps everything in memory: the API server is its
//! store, and after a restart the watches bring everything again. It ends when CloudHub has ended and every request
//! that it had taken has been worked off.

mod desired;
mod metrics;
mod references;
mod shape;
mod upstream;
mod view;
mod watches;

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use chassis::channel::Receiver;
use chassis::clock::Clock;
use chassis::module::Module;
use chassis::readiness::ReadyGuard;
use chassis::rng::Rng;
use chassis::shutdown::Shutdown;
use chassis::task;
use futures::StreamExt as _;
use proto::config::cloudcore;
use proto::hello::Held;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use self::desired::{Leftovers, Outgoing};
pub use self::metrics::Metrics;
use self::upstream::Worker;
use self::view::{DesiredView, DesiredWriter};
use self::watches::{Fact, Kind, Synced, Watches};
use crate::claiming::{self, Claimant};
use crate::flow::{
    AnnotatedNodes, Claim, Claims, Fence, Leadership, NodeName, NodeSession, Outbox, Serving, SyncRecords,
};

/// Calls to the API server under way for all nodes together. A kube-apiserver admits 400 reads and 200 writes at
/// once (`--max-requests-inflight`, `--max-mutating-requests-inflight`); nodes shall not take all of them.
const CALLS: usize = 64;

/// Nodes that are brought up to date at a time. A fleet that comes back at once must not fill the memory with its
/// snapshots; the answers to leases and reports do not wait for this.
const RESYNCS: usize = 256;

/// A node that has come for the first time has a Node by then. One that is held by another CloudCore is not seen to be connected here, and its
/// records may be there before its Node is.
const REGISTERS: Duration = Duration::from_secs(60);

/// What the module needs of the world.
#[derive(Clone)]
pub struct Environment {
    /// The Kubernetes API.
    pub client: kube::Client,
    /// Time of day.
    pub clock: Clock,
    /// Message ids.
    pub rng: Rng,
    /// The CA certificate of the Kubernetes API, PEM; pods trust it.
    pub ca_certificate: String,
    /// Who holds which node.
    pub claims: Claims,
    /// Counts claims.
    pub claiming: claiming::Metrics,
    /// Records of nodes that are gone are removed by one CloudCore.
    pub leadership: Leadership,
    /// Held for as long as anything is written for nodes.
    pub serving: Serving,
    /// What becomes of a request for what does not belong to a node.
    pub authorization: Authorization,
    /// Told which Nodes are banned by annotation.
    pub annotated: AnnotatedNodes,
    /// What stock edges hold.
    pub records: SyncRecords,
}

/// What becomes of a request for what does not belong to a node (`modules.cloudHub.authorization`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Authorization {
    /// It is denied.
    #[default]
    Enforced,
    /// It is logged as denied, and goes on: to see what would break. Who a node is counts all the same.
    LogOnly,
}

impl From<&cloudcore::Authorization> for Authorization {
    /// `enable: false`, the default of stock KubeEdge, leaves ours on: a file that was written for stock must not open
    /// what is closed by default. Only someone who turns it on and asks for `debug` gets that.
    fn from(file: &cloudcore::Authorization) -> Self {
        if file.enable && file.debug { Self::LogOnly } else { Self::Enforced }
    }
}

/// The module.
#[derive(Debug)]
pub struct EdgeController {
    sessions: Receiver<NodeSession>,
    context: Arc<Context>,
    desired: DesiredWriter,
    annotated: AnnotatedNodes,
    records: SyncRecords,
    leadership: Leadership,
    _serving: Serving,
    ready: Option<ReadyGuard>,
    /// Of nodes that are connected, each with the outbox of the same connection.
    fences: HashMap<NodeName, (Fence, Outbox)>,
    /// Of nodes that have been brought up to date, or are being so.
    outboxes: HashMap<NodeName, Outbox>,
    /// Nodes that wait for that, in the order in which they came. No longer than the hub's limit of nodes.
    resyncs: VecDeque<Resync>,
    workers: JoinSet<(NodeName, Outbox)>,
}

/// A node that has connected and was not told yet what it should have.
#[derive(Debug)]
struct Resync {
    node: NodeName,
    outbox: Outbox,
    held: Option<Vec<Held>>,
}

/// What all workers share.
struct Context {
    client: kube::Client,
    clock: Clock,
    rng: Rng,
    ca_certificate: String,
    claimant: Claimant,
    authorization: Authorization,
    desired: DesiredView,
    calls: Semaphore,
    metrics: Metrics,
}

// By hand: `kube::Client` shows nothing of itself.
impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environment").field("claims", &self.claims).finish_non_exhaustive()
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("claimant", &self.claimant).finish_non_exhaustive()
    }
}

impl EdgeController {
    /// `ready` is released when every watch has brought what exists.
    pub fn new(
        environment: Environment,
        sessions: Receiver<NodeSession>,
        ready: ReadyGuard,
        metrics: Metrics,
    ) -> Self {
        let Environment { client, clock, rng, ca_certificate, authorization, annotated, records, .. } =
            environment;
        let Environment { claims, claiming, leadership, serving, .. } = environment;
        let desired = DesiredWriter::default();
        let context = Context {
            claimant: Claimant::new(client.clone(), claims, claiming),
            client,
            clock,
            rng,
            ca_certificate,
            authorization,
            desired: desired.view(),
            calls: Semaphore::new(CALLS),
            metrics,
        };
        let context = Arc::new(context);
        Self {
            sessions,
            context,
            desired,
            annotated,
            records,
            leadership,
            _serving: serving,
            ready: Some(ready),
            fences: HashMap::new(),
            outboxes: HashMap::new(),
            resyncs: VecDeque::new(),
            workers: JoinSet::new(),
        }
    }

    fn connect(&mut self, mut session: NodeSession, synced: watch::Receiver<bool>) {
        let node = session.node.clone();
        // The worker only needs to know that the node is one that says what it holds.
        let held = session.held.as_mut().map(std::mem::take);
        self.resyncs.push_back(Resync { node: node.clone(), outbox: session.outbox.clone(), held });
        self.fences.insert(node.clone(), (session.fence.clone(), session.outbox.clone()));
        let span = tracing::info_span!("upstream", %node);
        let worker = Box::new(Worker::new(session, Arc::clone(&self.context), synced));
        task::spawn_in(&mut self.workers, span, worker.run());
    }

    /// Brings the node that waited longest up to date. From now on it gets every change.
    fn resync(&mut self, permit: OwnedSemaphorePermit) {
        // A session that has ended meanwhile needs nothing, and its permit goes to the next one.
        self.resyncs.retain(|resync| !resync.outbox.is_closed());
        let Some(Resync { node, outbox, held }) = self.resyncs.pop_front() else { return };
        let desired = self.context.desired.read();
        let changes = match held {
            Some(held) => desired.delta(&node, held),
            None => {
                let Leftovers { mut removals, void } = desired.leftovers(&node, &self.records.held(&node));
                for record in &void {
                    self.records.drop_record(record);
                }
                removals.extend(desired.snapshot(&node));
                removals
            }
        };
        drop(desired);
        self.context.metrics.resynced(changes.len());
        outbox.resync(changes, permit);
        self.outboxes.insert(node, outbox);
    }

    /// Forgets the outbox of an ended session, unless a newer session of that node has taken its place.
    fn disconnect(&mut self, node: &NodeName, outbox: &Outbox) {
        if self.fences.get(node).is_some_and(|(_, current)| current.is_same(outbox)) {
            self.fences.remove(node);
        }
        if self.outboxes.get(node).is_some_and(|current| current.is_same(outbox)) {
            self.outboxes.remove(node);
        }
    }

    fn learn(&mut self, fact: Fact) {
        if let Fact::Nodes(change) = &fact {
            watches::annotations(&self.annotated, change);
            self.fence(&watches::claims(self.context.claimant.claims(), change));
        }
        let mut desired = self.desired.write();
        let (changes, gone) = match fact {
            Fact::Pods(change) => (watches::pods(&mut desired, change), Vec::new()),
            Fact::ConfigMaps(change) => (watches::config_maps(&mut desired, change), Vec::new()),
            Fact::Secrets(change) => (watches::secrets(&mut desired, change), Vec::new()),
            Fact::Nodes(change) => watches::nodes(&mut desired, change),
            Fact::PersistentVolumes(change) => {
                watches::persistent_volumes(&mut desired, change);
                return;
            }
        };
        drop(desired);
        self.distribute(changes);
        for outbox in gone.iter().filter_map(|node| self.outboxes.get(node)) {
            outbox.node_deleted();
        }
        for resync in self.resyncs.iter().filter(|resync| gone.contains(&resync.node)) {
            resync.outbox.node_deleted();
        }
        if self.leadership.is_leading() {
            for node in &gone {
                self.records.node_gone(node);
            }
        }
    }

    /// Removes the records of nodes that are gone. One that is connected and has no Node is about to have one.
    fn sweep(&self) {
        let mut nodes = self.context.desired.read().node_names();
        nodes.extend(self.fences.keys().cloned());
        self.records.only(&nodes);
    }

    /// Nodes say this of who holds them: connections of those that are elsewhere end.
    fn fence(&self, said: &[(NodeName, Claim)]) {
        for (node, claim) in said {
            let Some((fence, _)) = self.fences.get(node) else { continue };
            let is_ours = self.context.claimant.claims().us().holds(claim);
            if fence.seen(is_ours, claim.number()) {
                self.context.claimant.lost();
                tracing::info!(%node, holder = ?claim, "the node is held elsewhere now");
            }
        }
    }

    /// Nodes that are not connected get theirs when they connect.
    fn distribute(&self, changes: Vec<Outgoing>) {
        for (node, change) in changes {
            if let Some(outbox) = self.outboxes.get(&node) {
                self.context.metrics.change_pushed();
                outbox.push([change]);
            }
        }
    }

    /// Works off what the hub has left. Nodes that have gone elsewhere meanwhile are not to be written for: the watches go on.
    async fn drain(mut self, mut watches: Watches) -> anyhow::Result<()> {
        loop {
            tokio::select! {
                ended = self.workers.join_next() => {
                    let Some(ended) = ended else { return Ok(()) };
                    let (node, outbox) = ended?;
                    self.disconnect(&node, &outbox);
                }
                Some(fact) = watches.next() => match fact {
                    Ok(fact) => self.learn(fact),
                    Err((kind, error)) => self.watch_failed(kind, &error),
                },
            }
        }
    }
}

impl Module for EdgeController {
    const NAME: &'static str = "edgecontroller";

    async fn run(mut self, _shutdown: Shutdown) -> anyhow::Result<()> {
        let mut watches = watches::start(&self.context.client, &self.context.rng);
        let mut seen = Synced::default();
        let (synced, until_synced) = watch::channel(false);
        let permits = Arc::new(Semaphore::new(RESYNCS));
        let records = self.records.clone();
        let mut are_records_known = false;
        let leadership = self.leadership.clone();
        let mut is_led = false;
        let mut sweep = None;
        loop {
            // Before the watches have brought what exists, nobody knows what a node lacks, nor what it should not have.
            let is_synced = self.ready.is_none();
            let may_resync = is_synced && are_records_known && !self.resyncs.is_empty();
            tokio::select! {
                Ok(permit) = Arc::clone(&permits).acquire_owned(), if may_resync => self.resync(permit),
                () = records.known(), if is_synced && !are_records_known => {
                    are_records_known = true;
                }
                // Whoever led before may have left some.
                () = leadership.gained(), if is_synced && are_records_known && !is_led => {
                    is_led = true;
                    sweep = Some(Instant::now() + REGISTERS);
                }
                () = leadership.lost(), if is_led => {
                    is_led = false;
                    sweep = None;
                }
                () = task::until(sweep) => {
                    sweep = None;
                    self.sweep();
                }
                session = self.sessions.recv() => match session {
                    Some(session) => self.connect(session, until_synced.clone()),
                    None => return self.drain(watches).await,
                },
                Some(ended) = self.workers.join_next() => {
                    let (node, outbox) = ended?;
                    self.disconnect(&node, &outbox);
                }
                Some(fact) = watches.next() => match fact {
                    Ok(fact) => {
                        let is_all_there = seen.note(&fact);
                        self.learn(fact);
                        if is_all_there && let Some(ready) = self.ready.take() {
                            synced.send_replace(true);
                            ready.ready();
                        }
                    }
                    Err((kind, error)) => self.watch_failed(kind, &error),
                },
            }
        }
    }
}

impl EdgeController {
    /// The watch itself tries again, later each time.
    fn watch_failed(&self, kind: Kind, error: &kube::runtime::watcher::Error) {
        self.context.metrics.watch_failed(kind);
        tracing::warn!(kind = kind.as_str(), "watch interrupted: {error}");
    }
}

#[cfg(test)]
mod tests;
