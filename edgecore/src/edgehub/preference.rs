//! Ways to the cloud, best first.
//!
//! There may be several servers, and several transports to each. The server that was good last is tried first, by its best
//! transport, then the others in any order: of a fleet whose server has ended not all are to run to the same one.
//!
//! A way that fails is left alone for a while, and the next one is taken at once: where UDP is blocked, QUIC answers
//! nothing at all, and a node must not wait for that each time. A session on a lesser transport looks for a better one to the same
//! server now and then, and moves there. A server that has said that it ends is left alone, too.

use std::sync::Arc;
use std::time::Duration;

use chassis::link::{Dialer, Link, LinkError};
use chassis::rng::Rng;
use tokio::time::Instant;

use super::memory::Memory;

/// How long a way that failed is left alone while another one works, and how often a session on a lesser way looks for
/// a better one; with as much again of jitter. A dial costs the cloud a handshake, so a fleet behind a firewall that
/// blocks UDP must not knock often.
const LEAVE_ALONE: Duration = Duration::from_secs(300);
/// A server that ends does so within 20 s, and may be back after that.
const ENDING: Duration = Duration::from_secs(30);

/// One way to the cloud.
pub struct Way {
    /// Its name in logs: `quic` or `websocket`.
    pub name: &'static str,
    /// Which CloudCore it leads to, `host:port`.
    pub server: Arc<str>,
    /// How it is opened.
    pub dialer: Arc<dyn Dialer>,
}

/// All of them. Never empty.
pub(super) struct Ways {
    ways: Vec<Tried>,
    memory: Memory,
    rng: Rng,
    /// The server that was good last; before any was, the first.
    preferred: Arc<str>,
    /// The server that ends, and until when it is not to be tried before others.
    ending: Option<(Arc<str>, Instant)>,
}

struct Tried {
    way: Way,
    /// Not before this.
    after: Option<Instant>,
}

/// A link, and which way it came.
pub(super) struct Opened {
    pub(super) link: Link,
    pub(super) name: &'static str,
    /// Its place among all ways.
    pub(super) index: usize,
}

impl Ways {
    /// `ways` are in the order of the configuration: server by server, and each server's from the best transport on.
    pub(super) fn new(ways: Vec<Way>, memory: Memory, rng: Rng) -> Self {
        let remembered = memory.remembered();
        let known = ways.iter().find(|way| Some(&*way.server) == remembered);
        let preferred = known.or(ways.first()).map(|way| way.server.clone()).unwrap_or_default();
        let ways = ways.into_iter().map(|way| Tried { way, after: None }).collect();
        Self { ways, memory, rng, preferred, ending: None }
    }

    /// Opens the best way that opens. Ways that failed lately come last.
    ///
    /// # Errors
    /// What the last one said.
    pub(super) async fn dial(&mut self) -> Result<Opened, LinkError> {
        let now = Instant::now();
        let mut failed = LinkError::Closed;
        for index in self.order(now) {
            let way = &self.ways[index].way;
            match way.dialer.dial().await {
                Ok(link) => {
                    let (name, server) = (way.name, way.server.clone());
                    self.ways[index].after = None;
                    self.prefer(server).await;
                    return Ok(Opened { link, name, index });
                }
                Err(error) => {
                    let (server, error_text) = (&*way.server, error.explained());
                    tracing::debug!(way = way.name, server, error = error_text, "this way is closed");
                    self.ways[index].after = Some(now + self.patience());
                    failed = error;
                }
            }
        }
        Err(failed)
    }

    /// Waits until a better way than that of `current`, to the same server, opens.
    pub(super) async fn better_than(&self, current: usize) -> Opened {
        let server = &self.ways[current].way.server;
        let better: Vec<usize> =
            (0..current).filter(|index| self.ways[*index].way.server == *server).collect();
        if better.is_empty() {
            std::future::pending::<()>().await;
        }
        loop {
            tokio::time::sleep(self.patience()).await;
            for &index in &better {
                let way = &self.ways[index].way;
                match way.dialer.dial().await {
                    Ok(link) => return Opened { link, name: way.name, index },
                    Err(error) => tracing::debug!(way = way.name, error = error.explained(), "still closed"),
                }
            }
        }
    }

    /// A link that came this way was broken off before anything came over it: whoever opens and then refuses is no better than
    /// one that does not open.
    pub(super) fn failed(&mut self, index: usize) {
        self.ways[index].after = Some(Instant::now() + self.patience());
    }

    /// The server of this way has said that it ends.
    pub(super) fn ends(&mut self, index: usize) {
        self.ending = Some((self.ways[index].way.server.clone(), Instant::now() + ENDING));
    }

    /// Which ways to try, one after the other.
    fn order(&self, now: Instant) -> Vec<usize> {
        let place =
            |server: &Arc<str>| if *server == self.preferred { 0.0 } else { self.rng.range(1.0..2.0) };
        // Drawn once for each server, so that its transports stay together.
        let mut places: Vec<(Arc<str>, f64)> = Vec::new();
        for Tried { way, .. } in &self.ways {
            if places.iter().all(|(server, _)| *server != way.server) {
                places.push((way.server.clone(), place(&way.server)));
            }
        }
        let place_of =
            |way: &Way| places.iter().find(|(server, _)| *server == way.server).map(|found| found.1);
        let ends = |way: &Way| {
            self.ending.as_ref().is_some_and(|(server, until)| *server == way.server && *until > now)
        };
        let is_late = |tried: &Tried| tried.after.is_some_and(|after| after > now);
        let mut order: Vec<usize> = (0..self.ways.len()).collect();
        // Stable: what is alike stays in the order of preference.
        order.sort_by(|a, b| {
            let (a, b) = (&self.ways[*a], &self.ways[*b]);
            let first = (ends(&a.way), is_late(a)).cmp(&(ends(&b.way), is_late(b)));
            first.then_with(|| place_of(&a.way).unwrap_or(0.0).total_cmp(&place_of(&b.way).unwrap_or(0.0)))
        });
        order
    }

    async fn prefer(&mut self, server: Arc<str>) {
        let has_choice = self.ways.iter().any(|tried| tried.way.server != server);
        if has_choice {
            self.memory.keep(&server).await;
        }
        self.preferred = server;
    }

    fn patience(&self) -> Duration {
        LEAVE_ALONE.mul_f64(self.rng.range(1.0..2.0))
    }
}

impl std::fmt::Debug for Way {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} to {}", self.name, self.server)
    }
}
