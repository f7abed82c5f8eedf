//! Moves the messages of one node over a link, and opens a new link when one is lost.

use std::sync::Arc;

use chassis::backoff::Backoff;
use chassis::clock::Clock;
use chassis::link::{Dialer, Frame, Link, LinkError, LinkReceiver};
use futures::FutureExt as _;
use proto::Lane;
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, sleep, sleep_until};

use super::{Machine, Now, Output, Seen};
use crate::dialect::Dialect;
use crate::stats::Stats;

/// Frames that are taken together, and acknowledged together, if they are there: as many as wait for a transaction in
/// a real edge.
const BATCH: usize = 64;

/// What a scenario wants of its nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Order {
    /// What they do.
    pub mode: Mode,
    /// Since when: what storms count from.
    pub since: Instant,
}

/// How nodes behave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Not connected; links that are open are dropped without a goodbye.
    Offline,
    /// As a good edge does.
    Online,
    /// Speaks and does not listen: its socket fills up.
    Deaf,
    /// Does not speak. It reads, only to notice when the cloud gives it up.
    Silent,
}

/// A node with all that it needs.
pub struct Node {
    /// What it says.
    pub machine: Machine,
    /// How it connects.
    pub dialer: Box<dyn Dialer>,
    /// What it speaks.
    pub dialect: Dialect,
    /// How it waits between failures.
    pub backoff: Backoff,
    /// Time of day.
    pub clock: Clock,
    /// How many nodes may be opening a link.
    pub dials: Arc<Semaphore>,
    /// Where it counts.
    pub stats: Arc<Stats>,
}

/// How a link ended.
enum End {
    /// As ordered.
    Ordered,
    /// There are no orders any more.
    Over,
    Lost(&'static str),
}

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Node").field("name", &self.machine.name()).finish_non_exhaustive()
    }
}

impl Node {
    /// Follows orders until there are none any more.
    pub async fn run(mut self, mut orders: watch::Receiver<Order>) {
        loop {
            if orders.wait_for(|order| order.mode != Mode::Offline).await.is_err() {
                return;
            }
            let since = orders.borrow_and_update().since;
            let dialed = tokio::select! {
                dialed = self.dial() => dialed,
                changed = orders.changed() => match changed {
                    Ok(()) => continue,
                    Err(_) => return,
                },
            };
            let end = match dialed {
                Ok(link) => {
                    self.stats.connections.up();
                    self.stats.online.up();
                    self.stats.connect.record(since.elapsed());
                    // Boxed: a node spends its life in here, and the rest of this future is small.
                    Box::pin(self.session(link, &mut orders)).await
                }
                Err(error) => End::Lost(error.kind()),
            };
            match end {
                End::Over => return,
                End::Ordered => self.backoff.reset(),
                End::Lost(kind) => {
                    self.stats.trouble(format!("link: {kind}"));
                    let Order { mode, since } = *orders.borrow();
                    if mode != Mode::Online {
                        // It has got what it deserves, and stays away until it is told to behave.
                        self.stats.dropped.record(since.elapsed());
                        if orders.changed().await.is_err() {
                            return;
                        }
                        continue;
                    }
                    let delay = self.backoff.next_delay();
                    tokio::select! {
                        () = sleep(delay) => {}
                        changed = orders.changed() => if changed.is_err() { return },
                    }
                }
            }
        }
    }

    async fn dial(&self) -> Result<Link, LinkError> {
        // The semaphore is never closed, so a permit always comes.
        let _permit = self.dials.acquire().await;
        self.dialer.dial().await
    }

    async fn session(&mut self, mut link: Link, orders: &mut watch::Receiver<Order>) -> End {
        let mut is_ready = false;
        let since = orders.borrow().since;
        let out = self.machine.connected(&self.now());
        let end = match self.perform(&mut link, out, since, &mut is_ready).await {
            Ok(()) => self.talk(&mut link, orders, since, &mut is_ready).await,
            Err(error) => End::Lost(error.kind()),
        };
        self.stats.online.down();
        if is_ready {
            self.stats.ready.down();
        }
        end
    }

    async fn talk(
        &mut self,
        link: &mut Link,
        orders: &mut watch::Receiver<Order>,
        since: Instant,
        is_ready: &mut bool,
    ) -> End {
        loop {
            // Looked at each time: an order that came while a message was being written is seen here and nowhere else.
            let mode = orders.borrow_and_update().mode;
            if mode == Mode::Offline {
                return End::Ordered;
            }
            let (out, end) = tokio::select! {
                changed = orders.changed() => match changed {
                    Ok(()) => continue,
                    Err(_) => return End::Over,
                },
                first = link.rx.recv(), if mode != Mode::Deaf => self.hear_all(mode, first, &mut link.rx),
                () = sleep_until(self.machine.deadline()), if mode != Mode::Silent => (self.machine.tick(&self.now()), None),
            };
            let left = out.leave;
            if let Err(error) = self.perform(link, out, since, is_ready).await {
                return End::Lost(error.kind());
            }
            if let Some(why) = end.or(left) {
                return End::Lost(why);
            }
        }
    }

    /// The frame that has come and those that are there already; and how the link ended, if it has.
    fn hear_all(
        &mut self,
        mode: Mode,
        first: Result<Option<Frame>, LinkError>,
        rx: &mut LinkReceiver,
    ) -> (Output, Option<&'static str>) {
        let (mut out, mut next, mut room) = (Output::default(), Some(first), BATCH);
        let end = loop {
            match next {
                Some(Ok(Some(frame))) => out.append(self.hear(mode, &frame)),
                Some(Ok(None)) => break Some("goodbye"),
                Some(Err(error)) => break Some(error.kind()),
                None => break None,
            }
            room -= 1;
            if room == 0 {
                break None;
            }
            next = rx.recv().now_or_never();
        };
        self.machine.settle(&mut out);
        (out, end)
    }

    fn hear(&mut self, mode: Mode, frame: &Frame) -> Output {
        self.stats.received.up();
        if mode == Mode::Silent {
            return Output::default();
        }
        match self.dialect.decode(frame) {
            Ok(said) => self.machine.received(&self.now(), &said),
            Err(error) => {
                self.stats.trouble(format!("unreadable message: {}", error.kind()));
                Output::default()
            }
        }
    }

    async fn perform(
        &mut self,
        link: &mut Link,
        out: Output,
        since: Instant,
        is_ready: &mut bool,
    ) -> Result<(), LinkError> {
        for seen in out.seen {
            if seen == Seen::Ready {
                *is_ready = true;
                self.backoff.reset();
            }
            self.stats.see(seen, since.elapsed());
        }
        for said in &out.send {
            let Some(frame) = self.dialect.encode(said) else { continue };
            let tx = match (said.lane(), &mut link.side) {
                (Lane::State, Some(side)) => &mut side.state,
                (Lane::Bulk, Some(side)) => &mut side.bulk,
                _ => &mut link.tx,
            };
            tx.send(frame).await?;
            self.stats.said(said);
        }
        Ok(())
    }

    fn now(&self) -> Now {
        Now { at: Instant::now(), wall: self.clock.now() }
    }
}

#[cfg(test)]
mod tests;
