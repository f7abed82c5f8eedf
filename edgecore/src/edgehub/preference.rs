//! Ways to the cloud, best first.
//!
//! A way that fails is left alone for a while, and the next one is taken at once: where UDP is blocked, QUIC answers
//! nothing at all, and a node must not wait for that each time. A session on a lesser way looks for a better one now
//! and then, and moves there.

use std::sync::Arc;
use std::time::Duration;

use chassis::link::{Dialer, Link, LinkError};
use chassis::rng::Rng;
use tokio::time::Instant;

/// How long a way that failed is left alone while another one works, and how often a session on a lesser way looks for
/// a better one; with as much again of jitter. A dial costs the cloud a handshake, so a fleet behind a firewall that
/// blocks UDP must not knock often.
const LEAVE_ALONE: Duration = Duration::from_secs(300);

/// One way to the cloud.
pub struct Way {
    /// Its name in logs: `quic` or `websocket`.
    pub name: &'static str,
    /// How it is opened.
    pub dialer: Arc<dyn Dialer>,
}

/// All of them. Never empty.
pub(super) struct Ways {
    ways: Vec<Tried>,
    rng: Rng,
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
    /// Its place in the order of preference.
    pub(super) index: usize,
}

impl Ways {
    pub(super) fn new(ways: Vec<Way>, rng: Rng) -> Self {
        Self { ways: ways.into_iter().map(|way| Tried { way, after: None }).collect(), rng }
    }

    /// Opens the best way that opens. Ways that failed lately come last.
    ///
    /// # Errors
    /// What the last one said.
    pub(super) async fn dial(&mut self) -> Result<Opened, LinkError> {
        let now = Instant::now();
        let is_fresh = |tried: &Tried| tried.after.is_none_or(|after| after <= now);
        let (mut order, late): (Vec<usize>, Vec<usize>) =
            (0..self.ways.len()).partition(|index| is_fresh(&self.ways[*index]));
        order.extend(late);
        let mut failed = LinkError::Closed;
        for index in order {
            let way = &self.ways[index].way;
            match way.dialer.dial().await {
                Ok(link) => {
                    let name = way.name;
                    self.ways[index].after = None;
                    return Ok(Opened { link, name, index });
                }
                Err(error) => {
                    tracing::debug!(way = way.name, error = error.explained(), "this way is closed");
                    self.ways[index].after = Some(now + self.patience());
                    failed = error;
                }
            }
        }
        Err(failed)
    }

    /// Waits until a better way than that of `current` opens.
    pub(super) async fn better_than(&self, current: usize) -> Opened {
        if current == 0 {
            std::future::pending::<()>().await;
        }
        loop {
            tokio::time::sleep(self.patience()).await;
            for (index, Tried { way, .. }) in self.ways[..current].iter().enumerate() {
                match way.dialer.dial().await {
                    Ok(link) => return Opened { link, name: way.name, index },
                    Err(error) => tracing::debug!(way = way.name, error = error.explained(), "still closed"),
                }
            }
        }
    }

    fn patience(&self) -> Duration {
        LEAVE_ALONE.mul_f64(self.rng.range(1.0..2.0))
    }
}

impl std::fmt::Debug for Way {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}
