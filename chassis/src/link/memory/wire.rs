//! What is under way between one node and the cloud, and what the weather does to it. No I/O, no clock of its own.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use crate::link::Frame;
use crate::rng::Rng;

/// Frames under way in one direction of a link before its sender waits, as a socket's buffers make it wait.
const CAPACITY: usize = 64;

/// See the verbs of [`super::Wire`].
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Weather {
    pub(super) cut: bool,
    pub(super) held: Held,
    pub(super) delay: Duration,
    pub(super) reorder: bool,
    pub(super) duplicate: f64,
}

/// Which directions are silent.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Held {
    to_cloud: bool,
    to_edge: bool,
}

#[derive(Debug)]
pub(super) struct WireState {
    pub(super) weather: Weather,
    rng: Rng,
    connections: BTreeMap<u64, Connection>,
    opened: u64,
}

/// An end of a wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Where links are accepted.
    Cloud,
    /// Where they are dialled.
    Edge,
}

#[derive(Debug)]
pub(super) enum Sent {
    Done,
    /// Too much is under way.
    Full,
    /// This side has said goodbye before.
    Closed,
    /// The connection is broken, or the other end is gone.
    Lost,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Received {
    Frame(Frame),
    /// Nothing has arrived; the next thing will at this time, if it is known.
    Nothing(Option<Instant>),
    /// The other side has said goodbye, with this code.
    Closed(u16),
    /// The connection is broken, or the other end is gone.
    Lost,
}

#[derive(Debug, Default)]
struct Connection {
    to_cloud: Lane,
    to_edge: Lane,
    broken: bool,
}

/// One direction.
#[derive(Debug, Default)]
struct Lane {
    frames: VecDeque<(Instant, Frame)>,
    /// What comes after the last frame, and when.
    end: Option<(Instant, Ending)>,
    /// The sending end was dropped, with or without a goodbye.
    dropped: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    Goodbye(u16),
    /// The sending end was dropped without one.
    Dropped,
}

// === impl WireState ===

impl WireState {
    pub(super) fn new(rng: Rng) -> Self {
        Self { weather: Weather::default(), rng, connections: BTreeMap::new(), opened: 0 }
    }

    pub(super) fn cut(&mut self) {
        self.weather.cut = true;
        for connection in self.connections.values_mut() {
            connection.broken = true;
            connection.to_cloud.frames.clear();
            connection.to_edge.frames.clear();
        }
    }

    /// A new connection; returns its number.
    pub(super) fn open(&mut self) -> u64 {
        self.opened += 1;
        self.connections.insert(self.opened, Connection::default());
        self.opened
    }

    pub(super) fn send(&mut self, now: Instant, connection: u64, from: Side, frame: &Frame) -> Sent {
        let Weather { held, delay, duplicate, .. } = self.weather;
        let Some(connection) = self.connections.get_mut(&connection) else { return Sent::Lost };
        // While its direction is held this end has not heard yet that the other one is gone.
        if connection.broken || (!held.towards(from) && connection.lane(from.other()).dropped) {
            return Sent::Lost;
        }
        let lane = connection.lane(from);
        if lane.end.is_some() {
            return Sent::Closed;
        }
        if lane.frames.len() >= CAPACITY {
            return Sent::Full;
        }
        let copies = if self.rng.range(0.0..1.0) < duplicate { 2 } else { 1 };
        lane.frames.extend((0..copies).map(|_| (now + delay, frame.clone())));
        Sent::Done
    }

    /// Says goodbye; `false` when the connection is broken.
    pub(super) fn close(&mut self, now: Instant, connection: u64, from: Side, code: u16) -> bool {
        self.end(now, connection, from, Ending::Goodbye(code))
    }

    /// The last half of an end is gone. The connection is forgotten with its second end.
    pub(super) fn drop_end(&mut self, now: Instant, connection: u64, from: Side) {
        self.end(now, connection, from, Ending::Dropped);
        self.connections.retain(|_, each| !(each.to_cloud.dropped && each.to_edge.dropped));
    }

    fn end(&mut self, now: Instant, connection: u64, from: Side, ending: Ending) -> bool {
        let at = now + self.weather.delay;
        let Some(connection) = self.connections.get_mut(&connection) else { return false };
        let broken = connection.broken;
        let lane = connection.lane(from);
        lane.dropped |= ending == Ending::Dropped;
        lane.end.get_or_insert((at, ending));
        !broken
    }

    pub(super) fn receive(&mut self, now: Instant, connection: u64, at: Side) -> Received {
        let Weather { held, reorder, .. } = self.weather;
        let Some(connection) = self.connections.get_mut(&connection) else { return Received::Lost };
        if connection.broken {
            return Received::Lost;
        }
        if held.towards(at) {
            return Received::Nothing(None);
        }
        let lane = connection.lane(at.other());
        let arrived = lane.frames.iter().take_while(|(due, _)| *due <= now).count();
        let index = if reorder { self.rng.below(arrived) } else { 0 };
        match (lane.frames.front(), lane.end) {
            (Some(_), _) if arrived > 0 => {
                let (_, frame) =
                    lane.frames.remove(index).expect("the index is below the number of arrived frames");
                Received::Frame(frame)
            }
            (Some((due, _)), _) => Received::Nothing(Some(*due)),
            (None, None) => Received::Nothing(None),
            (None, Some((due, _))) if due > now => Received::Nothing(Some(due)),
            (None, Some((_, Ending::Goodbye(code)))) => Received::Closed(code),
            (None, Some((_, Ending::Dropped))) => Received::Lost,
        }
    }
}

// === impl Held ===

impl Held {
    pub(super) const BOTH: Self = Self { to_cloud: true, to_edge: true };

    pub(super) fn only_towards(side: Side) -> Self {
        Self { to_cloud: side == Side::Cloud, to_edge: side == Side::Edge }
    }

    /// A dial needs both directions.
    pub(super) fn any(self) -> bool {
        self.to_cloud || self.to_edge
    }

    fn towards(self, side: Side) -> bool {
        match side {
            Side::Cloud => self.to_cloud,
            Side::Edge => self.to_edge,
        }
    }
}

// === impl Side ===

impl Side {
    fn other(self) -> Self {
        match self {
            Self::Cloud => Self::Edge,
            Self::Edge => Self::Cloud,
        }
    }
}

// === impl Connection ===

impl Connection {
    /// The lane that `from` sends on.
    fn lane(&mut self, from: Side) -> &mut Lane {
        match from {
            Side::Cloud => &mut self.to_edge,
            Side::Edge => &mut self.to_cloud,
        }
    }
}
