//! What a node does next, given what it hears and what time it is. Synchronous: no clock, no network, no tokio.

use std::sync::Arc;
use std::time::Duration;

use chassis::link::Dialect as Speech;
use jiff::Timestamp;
use proto::codec::binary::{Acks, Frame};
use proto::hello::{Hello, VERSION, Welcome};
use proto::{Content, Group, Message, Operation, Resource, ResourceKind, Route, Source, Stamp};
use tokio::time::Instant;

use super::flow::{Identity, Kind, Now, Output, Seen, Timing};
use super::requests::{self, Object, Times};
use super::store::{Store, Verdict};

mod answers;
mod pushes;
#[cfg(test)]
mod tests;

/// A refused registration or status is tried again after this long.
const AGAIN: Duration = Duration::from_secs(2);
/// Renewals of leases are spread by this part of their interval, as kubelets do it.
const LEASE_JITTER: f64 = 0.04;
/// As long as a real edge waits: a cloud admits a fleet that comes back at once at its own pace.
const WELCOME: Duration = Duration::from_secs(30);
/// Where Kubernetes looks for leases of nodes.
const LEASES: &str = "kube-node-lease";

/// One node.
#[derive(Debug)]
pub struct Machine {
    identity: Identity,
    speech: Speech,
    timing: Arc<Timing>,
    /// Since when it is well.
    since: Timestamp,
    connections: u16,
    messages: u32,
    /// A native node says nothing but its hello before it is welcome, or gives up then.
    welcome_by: Option<Instant>,
    /// Pushes that are not acknowledged yet.
    stored: Vec<u64>,
    is_registered: bool,
    is_ready: bool,
    lease_version: Option<Box<str>>,
    next_register: Option<Instant>,
    next_keepalive: Instant,
    next_lease: Instant,
    next_status: Instant,
    asked: Vec<Asked>,
    store: Store,
}

#[derive(Debug)]
struct Asked {
    message: u32,
    ask: Ask,
    at: Instant,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Ask {
    Register,
    Status,
    FindLease,
    WriteLease,
    PatchLease,
    PodStatus,
    PodGone,
    ConfigMap(Box<str>),
}

// === impl Ask ===

impl Ask {
    fn what(&self) -> &'static str {
        match self {
            Self::Register => "node",
            Self::Status => "nodepatch",
            Self::FindLease | Self::WriteLease | Self::PatchLease => "lease",
            Self::PodStatus => "podpatch",
            Self::PodGone => "pod",
            Self::ConfigMap(_) => "configmap",
        }
    }
}

// === impl Machine ===

impl Machine {
    /// A node that was never connected.
    #[must_use]
    pub fn new(identity: Identity, speech: Speech, timing: Arc<Timing>, now: &Now) -> Self {
        Self {
            identity,
            speech,
            timing,
            since: now.wall,
            connections: 0,
            messages: 0,
            welcome_by: None,
            stored: Vec::new(),
            is_registered: false,
            is_ready: false,
            lease_version: None,
            next_register: None,
            next_keepalive: now.at,
            next_lease: now.at,
            next_status: now.at,
            asked: Vec::new(),
            store: Store::default(),
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.identity.name
    }

    /// A link is open: says who it is.
    pub fn connected(&mut self, now: &Now) -> Output {
        let mut out = Output::default();
        self.connections = self.connections.wrapping_add(1);
        self.messages = 0;
        self.is_ready = false;
        self.asked.clear();
        self.stored.clear();
        if self.speech == Speech::Native {
            self.welcome_by = Some(now.at + WELCOME);
            out.send.push(Frame::Hello(self.hello(now)));
        } else {
            self.begin(now, &mut out);
        }
        out
    }

    /// Acknowledges what was stored since the last time, all at once as a real edge's transaction does it.
    pub fn settle(&mut self, out: &mut Output) {
        if self.welcome_by.is_none() && !self.stored.is_empty() {
            let stored = std::mem::take(&mut self.stored);
            out.send.push(Frame::Acks(Acks { stored, refused: Vec::new() }));
        }
    }

    /// When [`Self::tick`] is due.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        if let Some(welcome_by) = self.welcome_by {
            return welcome_by;
        }
        let oldest = self.asked.first().map(|asked| asked.at + self.timing.answer);
        let timers =
            if self.is_registered { self.next_lease.min(self.next_status) } else { self.next_keepalive };
        [oldest, self.next_register].into_iter().flatten().fold(self.next_keepalive.min(timers), Instant::min)
    }

    /// Time has passed: does what is due.
    pub fn tick(&mut self, now: &Now) -> Output {
        let mut out = Output::default();
        if let Some(welcome_by) = self.welcome_by {
            out.leave = (now.at >= welcome_by).then_some("no welcome");
            return out;
        }
        self.give_up(now, &mut out);
        if now.at >= self.next_keepalive {
            self.keepalive(now, &mut out);
        }
        if self.next_register.is_some_and(|at| now.at >= at) {
            self.register(now, &mut out);
        }
        if self.is_registered && now.at >= self.next_status {
            self.report(now, &mut out);
        }
        if self.is_registered && now.at >= self.next_lease {
            self.renew(now, &mut out);
        }
        out
    }

    /// Takes what the cloud says.
    pub fn received(&mut self, now: &Now, frame: &Frame) -> Output {
        let mut out = Output::default();
        match frame {
            Frame::Message(message) => self.heard(now, message, &mut out),
            Frame::Push(push) => self.native_push(now, push, &mut out),
            Frame::Welcome(welcome) => self.welcomed(now, welcome, &mut out),
            Frame::Keepalive => {}
            Frame::Hello(_) | Frame::Acks(_) => out.leave = Some("the cloud speaks as an edge does"),
        }
        out
    }

    fn heard(&mut self, now: &Now, message: &Message, out: &mut Output) {
        if message.is_empty() {
            return;
        }
        if matches!(message.route.operation, Operation::Config | Operation::Ping | Operation::Pong) {
            let answer = message.reply(self.stamp(now), Content::text("ack"));
            return say(answer, out);
        }
        match &message.header.parent_id {
            Some(parent) => self.answered(now, message, parent, out),
            None => self.pushed(now, message, out),
        }
    }

    fn hello(&self, now: &Now) -> Hello {
        Hello {
            versions: vec![VERSION],
            software: concat!("hollow-edge/", env!("CARGO_PKG_VERSION")).to_owned(),
            held: self.store.held(),
            time: now.wall.as_millisecond(),
        }
    }

    fn welcomed(&mut self, now: &Now, welcome: &Welcome, out: &mut Output) {
        if welcome.version != VERSION {
            out.leave = Some("the cloud speaks another version");
        } else if self.welcome_by.take().is_some() {
            self.begin(now, out);
        }
    }

    /// Says that it is there, and who it is.
    fn begin(&mut self, now: &Now, out: &mut Output) {
        self.keepalive(now, out);
        if self.is_registered {
            self.report(now, out);
        } else {
            self.register(now, out);
        }
    }

    fn keepalive(&mut self, now: &Now, out: &mut Output) {
        self.next_keepalive = now.at + self.timing.keepalive;
        if self.speech == Speech::Native {
            return out.send.push(Frame::Keepalive);
        }
        let route = Route {
            source: Source::WebSocket,
            group: Group::Resource,
            operation: Operation::Keepalive,
            resource: Resource::Node,
        };
        say(Message::new(self.stamp(now), route, Content::text("ping")), out);
    }

    fn register(&mut self, now: &Now, out: &mut Output) {
        self.next_register = None;
        let resource = Resource::object(None, ResourceKind::Node, self.name());
        let content = requests::node(self.name(), self.times(now));
        self.ask(now, Ask::Register, Operation::Insert, resource, content, out);
    }

    fn report(&mut self, now: &Now, out: &mut Output) {
        let resource = Resource::object(None, ResourceKind::NodePatch, self.name());
        let content = requests::node_patch(self.name(), self.times(now));
        self.ask(now, Ask::Status, Operation::Patch, resource, content, out);
        self.next_status = now.at + self.timing.status;
    }

    fn times(&self, now: &Now) -> Times {
        Times { since: self.since, now: now.wall }
    }

    /// A lease whose version is not known is looked up first, as edges do it.
    fn renew(&mut self, now: &Now, out: &mut Output) {
        self.next_lease = now.at + self.spread(self.timing.lease);
        if self
            .asked
            .iter()
            .any(|asked| matches!(asked.ask, Ask::FindLease | Ask::WriteLease | Ask::PatchLease))
        {
            return;
        }
        if self.speech == Speech::Native && self.lease_version.is_some() {
            self.renew_by_patch(now, out);
        } else if self.lease_version.is_some() {
            self.write_lease(now, Operation::Update, out);
        } else {
            let resource = Resource::object(Some(LEASES), ResourceKind::Lease, self.name());
            self.ask(now, Ask::FindLease, Operation::Query, resource, Content::Null, out);
        }
    }

    /// As EdgeCore does it: what moves of the lease, in the place of the next keepalive.
    fn renew_by_patch(&mut self, now: &Now, out: &mut Output) {
        let resource = Resource::object(Some(LEASES), ResourceKind::Lease, self.name());
        let content = requests::lease_patch(self.name(), now.wall);
        self.ask(now, Ask::PatchLease, Operation::Patch, resource, content, out);
        self.next_keepalive = now.at + self.timing.keepalive;
    }

    fn write_lease(&mut self, now: &Now, operation: Operation, out: &mut Output) {
        let resource = Resource::object(Some(LEASES), ResourceKind::Lease, self.name());
        let content = requests::lease(self.name(), self.lease_version.as_deref(), now.wall);
        self.ask(now, Ask::WriteLease, operation, resource, content, out);
    }

    fn ask(
        &mut self,
        now: &Now,
        ask: Ask,
        operation: Operation,
        resource: Resource,
        content: Content,
        out: &mut Output,
    ) {
        let route = Route { source: Source::Edged, group: Group::Meta, operation, resource };
        let stamp = self.stamp(now);
        self.asked.push(Asked { message: self.messages, ask, at: now.at });
        say(Message::new(stamp, route, content), out);
    }

    fn give_up(&mut self, now: &Now, out: &mut Output) {
        let limit = self.timing.answer;
        let late = self.asked.iter().take_while(|asked| now.at >= asked.at + limit).count();
        for asked in self.asked.drain(..late) {
            out.seen.push(Seen::Unanswered(asked.ask.what()));
            match asked.ask {
                Ask::Register => self.next_register = Some(now.at),
                Ask::Status => self.next_status = now.at,
                Ask::WriteLease | Ask::PatchLease => self.lease_version = None,
                _ => {}
            }
        }
    }

    /// In the form of a UUID, which is what real edges send; made of counters, so that nothing has to be remembered.
    fn stamp(&mut self, now: &Now) -> Stamp {
        self.messages = self.messages.wrapping_add(1);
        Stamp { id: self.id(self.messages), timestamp: now.wall.as_millisecond() }
    }

    fn id(&self, message: u32) -> String {
        format!("{:08x}-{:04x}-4000-8000-{message:012x}", self.identity.index, self.connections)
    }

    /// Up to [`LEASE_JITTER`] longer, another part for each node and each time.
    fn spread(&self, interval: Duration) -> Duration {
        let seed = u64::from(self.identity.index) << 32 | u64::from(self.messages);
        // The finalizer of SplitMix64: neighbouring seeds give values that have nothing in common.
        let mut bits = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        interval.mul_f64(1.0 + LEASE_JITTER * (bits >> 11) as f64 / (1_u64 << 53) as f64)
    }
}

fn say(message: Message, out: &mut Output) {
    out.send.push(Frame::Message(Box::new(message)));
}
