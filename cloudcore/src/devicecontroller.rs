//! Devices: what nodes should have of them goes down, what drivers report goes up into DeviceStatus objects.
//!
//! ```text
//!   Kubernetes watch -> Desired -> Outbox of each connected node
//!   FromNode -> report -> Statuses -> Kubernetes API -> Replies
//! ```
//!
//! Started by `app`; hears of nodes from CloudHub. Keeps everything in memory. A node may say something only about a device
//! whose `nodeName` it is, and gets only such devices and their models. It waits for nobody but the API server, for a bounded
//! number of writes at a time, and ends when CloudHub has ended: what was not written then was not answered either, and is said
//! again.

mod batches;
mod calls;
mod desired;
mod fences;
mod metrics;
mod report;
mod status;
mod watches;

use std::collections::HashMap;

use chassis::clock::Clock;
use chassis::module::Module;
use chassis::rng::Rng;
use chassis::shutdown::Shutdown;
use chassis::task;
use futures::StreamExt as _;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use kube::Client;
use proto::twin::{Member, MembershipUpdate, OpenReport};
use proto::{Content, Group, Message, Operation, Resource, Route, Source, Stamp};
use tokio::time::Instant;

use self::batches::{Batches, Complete};
use self::calls::Right;
use self::desired::{Desired, Outgoing, Step};
use self::fences::Fences;
pub use self::metrics::Metrics;
use self::report::{Refusal, Report};
use self::status::{Statuses, Write, Written};
use self::watches::{Fact, Synced};
use crate::claiming::{self, Claimant};
use crate::flow::{Claims, DeviceInbox, DeviceSession, FromNode, Leadership, NodeName, SyncRecords};

/// Writes of statuses under way at a time. Values of devices must not take what pods and leases need of the API server.
const CALLS: usize = 16;

/// The module.
pub struct DeviceController {
    /// The Kubernetes API.
    pub client: Client,
    /// Time of day.
    pub clock: Clock,
    /// Message ids.
    pub rng: Rng,
    /// What CloudHub tells.
    pub inbox: DeviceInbox,
    /// What stock edges hold.
    pub records: SyncRecords,
    /// Who holds which node: what a node says of its devices is written by who holds it.
    pub claims: Claims,
    /// Counts claims.
    pub claiming: claiming::Metrics,
    /// That devices have statuses is seen to by one.
    pub leadership: Leadership,
    /// Counts.
    pub metrics: Metrics,
}

/// Who waits for a write.
#[derive(Debug)]
enum Waiting {
    /// A node that has sent this report.
    Node(NodeName, Box<Message>),
    /// A message with many reports, by its number; and the path of the report.
    Batch(u64, String),
}

type Calls = FuturesUnordered<BoxFuture<'static, (Write<Waiting>, Written)>>;

struct State {
    client: Client,
    clock: Clock,
    rng: Rng,
    records: SyncRecords,
    metrics: Metrics,
    desired: Desired,
    statuses: Statuses<Waiting>,
    batches: Batches,
    /// Nodes that have been told what they should have.
    sessions: HashMap<NodeName, DeviceSession>,
    fences: Fences,
    leadership: Leadership,
    /// Nodes that wait for that.
    waiting: Vec<DeviceSession>,
    synced: Synced,
    are_records_known: bool,
}

impl std::fmt::Debug for DeviceController {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DeviceController")
    }
}

impl Module for DeviceController {
    const NAME: &'static str = "devicecontroller";

    async fn run(self, _shutdown: Shutdown) -> anyhow::Result<()> {
        let Self { client, clock, rng, mut inbox, records, claims, claiming, leadership, metrics } = self;
        let mut facts = watches::start(&client, &rng);
        let mut calls = Calls::new();
        let mut is_led = false;
        let mut state = State {
            fences: Fences::new(Claimant::new(client.clone(), claims, claiming)),
            leadership: leadership.clone(),
            client,
            clock,
            rng,
            records: records.clone(),
            metrics,
            desired: Desired::default(),
            statuses: Statuses::default(),
            batches: Batches::default(),
            sessions: HashMap::new(),
            waiting: Vec::new(),
            synced: Synced::default(),
            are_records_known: false,
        };
        loop {
            state.write(&mut calls);
            let due = state.statuses.deadline().filter(|_| calls.len() < CALLS && state.synced.all());
            tokio::select! {
                event = inbox.recv() => match event {
                    Some(FromNode::Connected(session)) => state.connect(*session),
                    Some(FromNode::Report(node, report)) => state.hear(node, report),
                    None => return Ok(()),
                },
                Some(fact) = facts.next() => state.learn(fact),
                Some((write, written)) = calls.next() => {
                    state.metrics.written(&written);
                    state.done(write, &written);
                }
                () = records.known(), if !state.are_records_known => {
                    state.are_records_known = true;
                    state.resync();
                }
                () = leadership.gained(), if !is_led => {
                    is_led = true;
                    state.expect_all();
                }
                () = leadership.lost(), if is_led => is_led = false,
                () = task::until(due) => {}
                () = task::until(state.batches.deadline()) => {
                    while let Some(complete) = state.batches.overdue(Instant::now()) {
                        state.answer_all(complete);
                    }
                }
            }
        }
    }
}

impl State {
    fn connect(&mut self, session: DeviceSession) {
        self.sessions.retain(|_, session| !session.outbox.is_closed());
        self.waiting.retain(|session| !session.outbox.is_closed());
        self.fences.connected(&session);
        self.waiting.push(session);
        self.resync();
    }

    /// Brings the nodes that wait up to date. Before everything has been read nobody knows what a node should not have.
    fn resync(&mut self) {
        if !(self.synced.all() && self.are_records_known) {
            return;
        }
        for session in std::mem::take(&mut self.waiting) {
            match &session.held {
                Some(held) => session.outbox.push(self.desired.delta(&session.node, held.clone())),
                None => {
                    let held = self.records.held(&session.node);
                    let gone = held.iter().filter_map(|(id, object)| {
                        self.desired.leftover(&session.node, id, &object.object_kind, &object.object_name)
                    });
                    session.outbox.push(gone.collect::<Vec<_>>());
                    self.tell_membership(&session, self.desired.members(&session.node), Vec::new());
                    session.outbox.push(self.desired.snapshot(&session.node));
                }
            }
            self.sessions.insert(session.node.clone(), session);
        }
    }

    fn learn(&mut self, fact: Result<Fact, watches::Failure>) {
        let now = Instant::now();
        let fact = match fact {
            Ok(fact) => fact,
            Err(failure) => return self.synced.failed(&failure),
        };
        self.synced.note(&fact);
        let steps = watches::apply(fact, &mut self.desired, &mut self.statuses, now);
        self.distribute(steps);
        self.resync();
    }

    /// Nodes that are not connected get theirs when they connect.
    fn distribute(&self, steps: Vec<Outgoing>) {
        for (node, step) in steps {
            let Some(session) = self.sessions.get(&node) else { continue };
            match step {
                Step::Change(change) => session.outbox.push([change]),
                Step::Joined(member) => self.tell_membership(session, vec![member], Vec::new()),
                Step::Left(member) => self.tell_membership(session, Vec::new(), vec![member]),
            }
        }
    }

    /// Stock edges file twins by membership; ours go by the devices themselves.
    fn tell_membership(&self, session: &DeviceSession, added: Vec<Member>, removed: Vec<Member>) {
        if session.held.is_some() || (added.is_empty() && removed.is_empty()) {
            return;
        }
        let some = |members: Vec<Member>| (!members.is_empty()).then_some(members);
        let stamp = self.stamp();
        let update = MembershipUpdate {
            event_id: self.rng.uuid().to_string(),
            timestamp: stamp.timestamp,
            added_devices: some(added),
            removed_devices: some(removed),
        };
        let route = Route {
            source: Source::DeviceController,
            group: Group::Twin,
            operation: Operation::Update,
            resource: Resource::Membership,
        };
        let content = Content::object(&update).unwrap_or_default();
        if !session.replies.offer(Message::new(stamp, route, content)) {
            tracing::warn!(node = %session.node, "takes no messages: not told which devices it has");
        }
    }

    fn hear(&mut self, node: NodeName, report: Box<Message>) {
        if report.route.resource == Resource::DeviceReports {
            return self.hear_all(node, report);
        }
        let parsed = match self.synced.all() {
            true => report::parse(&node, &report, &self.desired),
            false => Err(Refusal::TooEarly),
        };
        match parsed {
            Ok(parsed) => self.take(parsed, Waiting::Node(node, report)),
            Err(refusal) => self.refuse(&node, &report, &refusal),
        }
    }

    /// Each report counts by itself: one that is refused keeps none of the others back.
    fn hear_all(&mut self, node: NodeName, report: Box<Message>) {
        let parsed = match self.synced.all() {
            true => report::parse_all(&report),
            false => Err(Refusal::TooEarly),
        };
        let reports = match parsed {
            Ok(reports) => reports,
            Err(refusal) => return self.refuse(&node, &report, &refusal),
        };
        let number = self.batches.begin(node.clone(), report, Instant::now());
        for report in reports {
            let path = report.path.clone();
            match report::parse_one(&node, report, &self.desired) {
                Ok(parsed) => {
                    self.batches.wait(number, &path);
                    self.take(parsed, Waiting::Batch(number, path));
                }
                Err(refusal) => {
                    self.metrics.refused(&refusal);
                    tracing::warn!(%node, resource = path, "refused: {refusal}");
                    let (reason, message) = (refusal.reason().1.to_owned(), refusal.to_string());
                    self.batches.refuse(number, OpenReport { path, reason, message });
                }
            }
        }
        if let Some(complete) = self.batches.complete(number) {
            self.answer_all(complete);
        }
    }

    fn take(&mut self, report: Report, waiting: Waiting) {
        self.metrics.taken();
        let now = Instant::now();
        match report {
            Report::Membership => self.accept(&waiting),
            Report::Twins(key, twins) => self.statuses.report(&key, twins, waiting, now),
            Report::State(key, state) => self.statuses.report_state(&key, state, waiting, now),
        }
    }

    fn refuse(&self, node: &NodeName, report: &Message, refusal: &Refusal) {
        self.metrics.refused(refusal);
        tracing::warn!(%node, msg = report.header.id, resource = %report.route.resource, "refused: {refusal}");
        self.answer(node, refusal.answer(report, self.stamp()));
    }

    fn write(&mut self, calls: &mut Calls) {
        let now = Instant::now();
        while calls.len() < CALLS && self.synced.all() {
            let desired = &self.desired;
            let spec = |key: &desired::Key| {
                desired.device(key).map(|device| (device.spec.as_ref(), device.uid.as_str()))
            };
            let Some(write) = self.statuses.next(now, spec) else { break };
            if let Some(written) = write.is_void() {
                self.metrics.unchanged();
                self.done(write, &written);
                continue;
            }
            let shown = self.desired.device(&write.key).map(|device| device.state.as_str());
            let is_shown = !write.is_new_state || shown == Some(write.status.state.as_str());
            let report = (!is_shown && !write.status.state.is_empty()).then(|| proto::twin::DeviceReport {
                name: write.key.1.clone(),
                state: write.status.state.clone(),
                last_online_time: write.status.last_online_time.clone(),
                call: None,
            });
            let right = self.right(&write);
            calls.push(Box::pin(calls::perform(self.client.clone(), write, report, right)));
        }
        self.metrics.waiting(self.statuses.len() + calls.len());
    }

    /// Who has to write it.
    fn right(&self, write: &Write<Waiting>) -> Right {
        if !write.is_report() {
            return Right::Leader(self.leadership.clone());
        }
        let node = self.desired.device(&write.key).and_then(|device| device.node.as_ref());
        node.map_or(Right::None, |node| self.fences.right(node))
    }

    /// Every device has a status: whoever led before may not have got so far.
    fn expect_all(&mut self) {
        let now = Instant::now();
        for key in self.desired.keys() {
            if let Some(device) = self.desired.device(key) {
                self.statuses.expect(key, &device.uid, now);
            }
        }
    }

    fn done(&mut self, write: Write<Waiting>, written: &Written) {
        for waiting in self.statuses.done(write, written, Instant::now()) {
            self.accept(&waiting);
        }
    }

    fn accept(&mut self, waiting: &Waiting) {
        match waiting {
            Waiting::Node(node, report) => self.answer(node, report::accepted(report, self.stamp())),
            Waiting::Batch(number, path) => {
                if let Some(complete) = self.batches.written(*number, path) {
                    self.answer_all(complete);
                }
            }
        }
    }

    fn answer_all(&self, complete: Complete) {
        let Complete { node, message, answer } = complete;
        let content = Content::object(&answer).unwrap_or_default();
        let answer = message.reply(self.stamp(), content);
        self.answer(&node, answer.from_module(Source::DeviceController, Group::Twin));
    }

    /// Who is not told says it again.
    fn answer(&self, node: &NodeName, answer: Message) {
        let waiting = || self.waiting.iter().find(|session| session.node == *node);
        if let Some(session) = self.sessions.get(node).or_else(waiting)
            && !session.replies.offer(answer)
        {
            tracing::debug!(%node, "takes no answers");
        }
    }

    fn stamp(&self) -> Stamp {
        Stamp { id: self.rng.uuid().to_string(), timestamp: self.clock.now_ms() }
    }
}
