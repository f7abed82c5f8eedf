//! The broker without sockets: sessions, subscriptions, what is kept, and who is to have what. No I/O; the time is told.

mod books;
mod keepers;
mod packets;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use rumqttc::mqttbytes::v4::{Connect, ConnectReturnCode, Packet};
use rumqttc::mqttbytes::{Protocol, QoS};
use tokio::sync::Notify;
use tokio::time::Instant;

pub(crate) use self::packets::Outcome;
use crate::message::{Message, lower};
use crate::metrics::{Drop as Dropped, Metrics};
use crate::owed::{Origin, Owed};
use crate::retained::Retained;
use crate::session::{Delivery, Session, SessionId};
use crate::settings::Limits;
use crate::tree::Tree;

/// A client that has taken nothing for longer holds up nobody who publishes to it.
const PATIENCE: Duration = Duration::from_secs(1);

/// A connection that has a session, until another one takes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Attached {
    session: SessionId,
    epoch: u64,
}

/// How a client has gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Departure {
    /// It has said so: its will is not published.
    Said,
    /// It has not.
    Unsaid,
}

/// The session is another connection's now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Taken;

/// What came of `CONNECT`.
#[derive(Debug)]
pub(crate) enum Connected {
    /// The client has a session; `present` says whether it had it before.
    Yes { attached: Attached, present: bool },
    /// It is told why not.
    No(ConnectReturnCode),
}

/// A client that is there.
#[derive(Debug)]
struct Link {
    epoch: u64,
    /// Tells its connection that there is something to do.
    wake: Arc<Notify>,
    will: Option<Arc<Message>>,
    /// When the client has last taken something, or something has begun to wait for it.
    moved: Instant,
    /// Answers to what it has published.
    owed: Owed,
}

#[derive(Debug)]
struct Member {
    client: Arc<str>,
    is_clean: bool,
    /// Whether it is inside this process, and who publishes something for it is answered when it has acknowledged that.
    is_keeper: bool,
    state: Session,
    link: Option<Link>,
    /// When it is forgotten, if the client is away.
    expires: Option<Instant>,
}

/// The broker.
#[derive(Debug)]
pub(crate) struct Core {
    limits: Arc<Limits>,
    metrics: Metrics,
    members: HashMap<SessionId, Member>,
    ids: HashMap<Arc<str>, SessionId>,
    /// Sessions of clients that are away, in the order in which they are forgotten.
    away: BTreeSet<(Instant, SessionId)>,
    tree: Tree,
    retained: Retained,
    /// Of all clients.
    subscriptions: usize,
    /// Bytes that wait for clients or are under way to them.
    bytes: usize,
    clients: usize,
    /// Told when a client has caught up.
    eased: Arc<Notify>,
    /// Whether what was published last is more than a client that it is for has caught up with.
    is_pressed: bool,
    /// Numbers sessions, connections and clients without a name.
    count: u64,
}

impl Core {
    pub(crate) fn new(limits: Limits, metrics: Metrics) -> Self {
        let retained = Retained::new(limits.retained, limits.retained_bytes);
        Self {
            limits: Arc::new(limits),
            metrics,
            members: HashMap::new(),
            ids: HashMap::new(),
            away: BTreeSet::new(),
            tree: Tree::default(),
            retained,
            subscriptions: 0,
            bytes: 0,
            clients: 0,
            eased: Arc::default(),
            is_pressed: false,
            count: 0,
        }
    }

    fn number(&mut self) -> u64 {
        self.count += 1;
        self.count
    }

    /// A client wants in. Whoever has its name is put out.
    pub(crate) fn connect(&mut self, now: Instant, connect: Connect, wake: &Arc<Notify>) -> Connected {
        if connect.protocol != Protocol::V4 {
            return Connected::No(ConnectReturnCode::RefusedProtocolVersion);
        }
        if connect.client_id.is_empty() && !connect.clean_session {
            return Connected::No(ConnectReturnCode::BadClientId);
        }
        let client: Arc<str> = match connect.client_id.as_str() {
            // No client can give itself a name with a NUL.
            "" => format!("\0{}", self.number()).into(),
            name => name.into(),
        };
        if let Some(old) = self.ids.get(&client).copied() {
            self.put_out(now, old);
        }
        if let Some(old) = self.ids.get(&client).copied().filter(|_| connect.clean_session) {
            self.forget(old);
        }
        let known = self.ids.get(&client).copied();
        if self.clients >= self.limits.clients || (known.is_none() && !self.make_room()) {
            return Connected::No(ConnectReturnCode::ServiceUnavailable);
        }
        let session = known.unwrap_or_else(|| self.begin(client, connect.clean_session, false));
        let will = connect.last_will.map(|will| Arc::new(Message::from(will)));
        let attached = self.attach(now, session, will, wake);
        self.clients += 1;
        self.show();
        Connected::Yes { attached, present: known.is_some() }
    }

    /// Somebody inside this process comes, who is no client and to whom no limit of clients applies.
    pub(crate) fn connect_keeper(&mut self, now: Instant, wake: &Arc<Notify>) -> Attached {
        let name = format!("\0{}", self.number());
        let session = self.begin(name.into(), true, true);
        let attached = self.attach(now, session, None, wake);
        self.show();
        attached
    }

    fn attach(
        &mut self,
        now: Instant,
        session: SessionId,
        will: Option<Arc<Message>>,
        wake: &Arc<Notify>,
    ) -> Attached {
        let epoch = self.number();
        if let Some(member) = self.members.get_mut(&session) {
            member.expires.take().map(|at| self.away.remove(&(at, session)));
            let wake = Arc::clone(wake);
            member.link = Some(Link { epoch, wake, will, moved: now, owed: Owed::default() });
            member.state.resume();
        }
        Attached { session, epoch }
    }

    /// A connection has lost its client.
    pub(crate) fn leave(&mut self, now: Instant, attached: Attached, how: Departure) {
        if self.member(attached).is_ok() {
            self.detach(now, attached.session, how);
        }
    }

    /// Appends the answers to the client that are due, and what it can be sent now, to about `room` bytes.
    ///
    /// # Errors
    /// When the session is another connection's now.
    pub(crate) fn pull(
        &mut self,
        now: Instant,
        attached: Attached,
        room: usize,
        packets: &mut Vec<Packet>,
    ) -> Result<(), Taken> {
        self.owed(attached)?.take(packets);
        let start = packets.len();
        let limits = Arc::clone(&self.limits);
        self.change(attached, |session| session.pull(room, &limits, packets))?;
        if packets.len() > start {
            self.moved(now, attached);
        }
        let messages = packets[start..].iter().filter(|packet| matches!(packet, Packet::Publish(_))).count();
        self.metrics.sent.inc_by(messages as u64);
        self.show_bytes();
        Ok(())
    }

    /// Forgets the sessions whose time is over. Returns when the next one's is.
    pub(crate) fn expire(&mut self, now: Instant) -> Option<Instant> {
        while let Some((at, session)) = self.away.first().copied() {
            if at > now {
                return Some(at);
            }
            self.forget(session);
        }
        None
    }

    fn member(&mut self, attached: Attached) -> Result<&mut Member, Taken> {
        let member = self.members.get_mut(&attached.session);
        let is_same =
            |member: &&mut Member| member.link.as_ref().is_some_and(|link| link.epoch == attached.epoch);
        member.filter(is_same).ok_or(Taken)
    }

    /// A client has taken something.
    fn moved(&mut self, now: Instant, attached: Attached) {
        if let Ok(Member { link: Some(link), .. }) = self.member(attached) {
            link.moved = now;
        }
    }

    /// Changes a session, and what all of them weigh.
    fn change<T>(&mut self, attached: Attached, change: impl FnOnce(&mut Session) -> T) -> Result<T, Taken> {
        let limits = Arc::clone(&self.limits);
        let state = &mut self.member(attached)?.state;
        let (before, was_crowded) = (state.weight(), state.is_crowded(&limits));
        let changed = change(state);
        let after = state.weight();
        if was_crowded && !state.is_crowded(&limits) {
            self.eased.notify_waiters();
        }
        self.bytes = self.bytes - before + after;
        Ok(changed)
    }

    fn begin(&mut self, client: Arc<str>, is_clean: bool, is_keeper: bool) -> SessionId {
        let session = SessionId(self.number());
        self.ids.insert(Arc::clone(&client), session);
        let state = Session::new();
        let member = Member { client, is_clean, is_keeper, state, link: None, expires: None };
        self.members.insert(session, member);
        session
    }

    /// One more session fits, or the one that has been away longest goes for it.
    fn make_room(&mut self) -> bool {
        if self.members.len() < self.limits.sessions {
            return true;
        }
        let Some((_, oldest)) = self.away.first().copied() else { return false };
        self.metrics.dropped(Dropped::Session, 1);
        self.forget(oldest);
        true
    }

    /// Another connection comes with the name of a client that is there.
    fn put_out(&mut self, now: Instant, session: SessionId) {
        let link = self.members.get(&session).and_then(|member| member.link.as_ref());
        if let Some(link) = link {
            link.wake.notify_one();
            self.detach(now, session, Departure::Unsaid);
        }
    }

    fn detach(&mut self, now: Instant, session: SessionId, how: Departure) {
        let Some(member) = self.members.get_mut(&session) else { return };
        let Some(link) = member.link.take() else { return };
        self.clients -= usize::from(!member.is_keeper);
        if member.is_clean {
            self.forget(session);
        } else {
            let before = member.state.weight();
            member.state.pause();
            self.bytes = self.bytes - before + member.state.weight();
            let expires = now + self.limits.session_expiry;
            member.expires = Some(expires);
            self.away.insert((expires, session));
        }
        if let Some(will) = link.will.filter(|_| how == Departure::Unsaid) {
            self.publish(now, &will, None, None);
        }
        self.show();
    }

    fn forget(&mut self, session: SessionId) {
        let Some(member) = self.members.remove(&session) else { return };
        self.ids.remove(&member.client);
        member.expires.map(|at| self.away.remove(&(at, session)));
        self.bytes -= member.state.weight();
        self.subscriptions -= member.state.subscriptions.len();
        for filter in member.state.subscriptions.keys() {
            self.tree.remove(filter, session);
        }
        member.state.into_origins().for_each(|origin| self.unkept(&origin));
        self.show();
    }

    /// Keeps a message if it says so, and lets it wait for everyone who is to have it. `of` has published it, if a client has, and with
    /// an `origin` it is answered when all keepers among them have the message. Returns how many these are.
    fn publish(
        &mut self,
        now: Instant,
        message: &Arc<Message>,
        of: Option<SessionId>,
        origin: Option<&Origin>,
    ) -> usize {
        if message.retain && self.retained.keep(message).is_err() {
            self.metrics.dropped(Dropped::Retained, 1);
            tracing::warn!(topic = message.topic, "there is no room to retain a message");
        }
        let mut found = Vec::new();
        self.tree.find(&message.topic, &mut found);
        let mut keepers = 0;
        for (session, granted) in found {
            let qos = lower(message.qos, granted);
            let is_keeper = || self.members.get(&session).is_some_and(|member| member.is_keeper);
            let origin = origin.filter(|_| qos != QoS::AtMostOnce && is_keeper()).cloned();
            keepers += usize::from(origin.is_some());
            let delivery = Delivery { message: Arc::clone(message), qos, retain: false, origin };
            let is_behind = self.deliver(now, session, delivery);
            self.is_pressed |= is_behind && of.is_some_and(|of| of != session);
        }
        if self.bytes > self.limits.total_bytes {
            self.shed();
        }
        self.show_bytes();
        keepers
    }

    /// Returns whether the client is behind, and takes what it is sent all the same.
    fn deliver(&mut self, now: Instant, session: SessionId, delivery: Delivery) -> bool {
        let Some(member) = self.members.get_mut(&session) else { return false };
        if member.link.is_none() && delivery.qos == QoS::AtMostOnce {
            return false;
        }
        let before = member.state.weight();
        let was_idle = member.state.waiting() == 0;
        let gone = member.state.push(delivery, &self.limits);
        self.bytes = self.bytes - before + member.state.weight();
        let mut is_behind = false;
        if let Some(link) = &mut member.link {
            if was_idle {
                link.moved = now;
            }
            link.wake.notify_one();
            let is_moving = now.saturating_duration_since(link.moved) < PATIENCE;
            is_behind = is_moving && member.state.is_crowded(&self.limits);
        }
        if gone.count > 0 {
            self.metrics.dropped(Dropped::Queue, gone.count);
        }
        gone.unkept.iter().for_each(|origin| self.unkept(origin));
        is_behind
    }

    /// Whether somebody is behind with what was published since this was asked last.
    pub(crate) fn take_pressure(&mut self) -> bool {
        std::mem::take(&mut self.is_pressed)
    }

    /// Told when a client has caught up.
    pub(crate) fn eased(&self) -> Arc<Notify> {
        Arc::clone(&self.eased)
    }
}
