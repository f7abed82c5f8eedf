//! One device: a task that owns its driver, and calls it whenever something is due. Nobody else waits for a device that does
//! not answer.
//!
//! What the device should be is a state that the task follows; what somebody wants to know or set now (REST) comes as a
//! [`Command`], and goes before the next reading. The task ends when nobody says any more what the device should be.

mod commands;
mod desired;
mod link;
mod reading;
mod streams;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use chassis::backoff::{Backoff, BackoffPolicy};
use chassis::clock::Clock;
use chassis::rng::Rng;
use chassis::task::until;
use futures::FutureExt as _;
use serde_json::Value as Json;
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use self::streams::Streams;
use crate::anomaly::Watch;
use crate::device::Device;
use crate::driver::{Driver, DriverError, limited};
use crate::health::{Health, State};
use crate::metrics::Metrics;
use crate::outbox::{News, Outbox, Reading};
use crate::schedule::{Due, Schedule};
use crate::sinks::Pushes;
use crate::value::Value;

/// Between attempts at a device that cannot be reached, and at a desired value that cannot be set.
const RETRY: BackoffPolicy = BackoffPolicy {
    initial: Duration::from_millis(500),
    max: Duration::from_secs(60),
    factor: 2.0,
    jitter: 0.5,
};

/// What somebody wants of a device now.
#[derive(Debug)]
pub(crate) enum Command {
    /// The value of a property, read now.
    Read(String, oneshot::Sender<Result<Taken, DriverError>>),
    /// Sets a property.
    Write(String, Json, oneshot::Sender<Result<(), DriverError>>),
    /// Calls a method with values for properties.
    Call(String, Vec<(String, Json)>, oneshot::Sender<Result<Option<Value>, DriverError>>),
}

/// A value that was read.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Taken {
    pub(crate) value: Value,
    /// Unix milliseconds.
    pub(crate) at: i64,
    /// What is wrong with it, if something is.
    pub(crate) anomaly: Option<String>,
}

/// What everybody may see of a device.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Shown {
    pub(crate) state: State,
    pub(crate) values: BTreeMap<String, Taken>,
    /// What went wrong last, while something is wrong.
    pub(crate) error: Option<String>,
}

/// What all devices share.
#[derive(Debug, Clone)]
pub(crate) struct Outlets {
    pub(crate) outbox: Outbox,
    pub(crate) pushes: Pushes,
    pub(crate) metrics: Metrics,
    pub(crate) clock: Clock,
    pub(crate) rng: Rng,
    pub(crate) limits: Limits,
}

/// How patient the mapper is, and where it may write; from its configuration.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    /// For one call of a driver.
    pub(crate) timeout: Duration,
    /// Between reports of the state of a device that does not say itself how often; none where it is not to be reported.
    pub(crate) state_cycle: Option<Duration>,
    /// Streams are kept below it.
    pub(crate) stream_root: PathBuf,
}

/// The wires of one device.
#[derive(Debug)]
pub(crate) struct Wires {
    pub(crate) device: watch::Receiver<Arc<Device>>,
    pub(crate) commands: mpsc::Receiver<Command>,
    pub(crate) shown: watch::Sender<Shown>,
}

/// See the module's documentation.
pub(crate) struct Actor<D, M> {
    make: Arc<M>,
    driver: Option<D>,
    device: Arc<Device>,
    wires: Wires,
    outlets: Outlets,
    health: Health,
    schedule: Schedule,
    /// What is due and was not read yet.
    pending: VecDeque<Due>,
    /// What was read and not reported yet.
    batch: BTreeMap<String, Reading>,
    watches: HashMap<String, Watch>,
    connect: Retry,
    /// Properties whose desired values are not set yet.
    unset: BTreeSet<String>,
    set: Retry,
    streams: Streams,
    state_at: Instant,
    said: Option<State>,
}

/// When to try again.
struct Retry {
    at: Instant,
    backoff: Backoff,
}

impl Retry {
    fn now(rng: &Rng) -> Self {
        Self { at: Instant::now(), backoff: Backoff::new(RETRY, rng.clone()) }
    }

    fn later(&mut self) {
        self.at = Instant::now() + self.backoff.next_delay();
    }

    fn at_once(&mut self) {
        self.backoff.reset();
        self.at = Instant::now();
    }
}

impl Shown {
    pub(crate) fn new() -> Self {
        Self { state: State::Unknown, values: BTreeMap::new(), error: None }
    }
}

impl<D, M> Actor<D, M>
where
    D: Driver,
    M: Fn(&Device) -> Result<D, DriverError> + Send + Sync + 'static,
{
    pub(crate) fn new(make: Arc<M>, mut wires: Wires, outlets: Outlets) -> Self {
        let device = Arc::clone(&wires.device.borrow_and_update());
        outlets.metrics.state(None, Some(State::Unknown));
        Self {
            make,
            driver: None,
            device,
            wires,
            health: Health::default(),
            schedule: Schedule::default(),
            pending: VecDeque::new(),
            batch: BTreeMap::new(),
            watches: HashMap::new(),
            connect: Retry::now(&outlets.rng),
            unset: BTreeSet::new(),
            set: Retry::now(&outlets.rng),
            streams: Streams::new(&outlets.rng),
            state_at: Instant::now(),
            said: None,
            outlets,
        }
    }

    /// Serves the device until it is gone.
    pub(crate) async fn run(mut self) {
        self.complain();
        while self.turn().await {}
        self.flush();
        self.streams.stop();
        if let Some(driver) = &mut self.driver {
            let closed = limited(self.outlets.limits.timeout, driver.disconnect().map(Ok)).await;
            if let Err(error) = closed {
                tracing::warn!("the device was left as it is: {error}");
            }
        }
        let state = self.wires.shown.borrow().state;
        self.outlets.metrics.state(Some(state), None);
    }

    /// One thing at a time: what the device should be, what is wanted now, what is due. `false` when the device is gone.
    async fn turn(&mut self) -> bool {
        match self.wires.device.has_changed() {
            Ok(false) => {}
            Ok(true) => {
                self.follow().await;
                return true;
            }
            Err(_) => return false,
        }
        match self.wires.commands.try_recv() {
            Ok(command) => {
                self.obey(command).await;
                return true;
            }
            Err(TryRecvError::Disconnected) => return false,
            Err(TryRecvError::Empty) => {}
        }
        if let Some(due) = self.pending.pop_front() {
            self.take(due).await;
            if self.pending.is_empty() {
                self.flush();
            }
            return true;
        }
        let next = self.next();
        tokio::select! {
            changed = self.wires.device.changed() => {
                if changed.is_err() {
                    return false;
                }
                self.follow().await;
            }
            Some(command) = self.wires.commands.recv() => self.obey(command).await,
            Some((name, ended)) = self.streams.ended() => self.stream_ended(&name, ended),
            () = until(Some(next)) => self.tick().await,
        }
        true
    }

    fn next(&self) -> Instant {
        let work = if self.health.is_connected() {
            let set = (!self.unset.is_empty()).then_some(self.set.at);
            self.schedule.next().into_iter().chain(set).chain(self.streams.next()).min()
        } else {
            Some(self.connect.at)
        };
        work.map_or(self.state_at, |work| work.min(self.state_at))
    }

    async fn tick(&mut self) {
        let now = Instant::now();
        if !self.health.is_connected() && self.connect.at <= now {
            self.connect().await;
        }
        if self.health.is_connected() && !self.unset.is_empty() && self.set.at <= Instant::now() {
            self.set_desired().await;
        }
        if self.health.is_connected() {
            self.open_streams().await;
        }
        if self.health.is_connected() {
            self.look_ahead().await;
        }
        if self.state_at <= now {
            self.ask_health().await;
            self.state_at = now + self.state_cycle().unwrap_or(Duration::from_secs(60));
            self.said = None;
        }
        self.say_state();
    }

    /// How often the state is reported, if it is.
    fn state_cycle(&self) -> Option<Duration> {
        self.device.state_cycle().or(self.outlets.limits.state_cycle)
    }

    // === what is told ===

    /// Reports what was read.
    fn flush(&mut self) {
        let readings = std::mem::take(&mut self.batch);
        self.outlets.outbox.put(self.device.key(), News { readings, state: None });
    }

    fn say_state(&mut self) {
        let state = self.health.state();
        let before = self.wires.shown.borrow().state;
        if before != state {
            tracing::info!(%before, "the device is {state} now");
            self.outlets.metrics.state(Some(before), Some(state));
            self.wires.shown.send_modify(|shown| shown.state = state);
        }
        if self.said != Some(state) && state != State::Unknown && self.state_cycle().is_some() {
            self.said = Some(state);
            let news = News { readings: BTreeMap::new(), state: Some(state) };
            self.outlets.outbox.put(self.device.key(), news);
        }
    }

    /// What goes wrong again and again is said once.
    fn note_error(&self, what: &str, error: &DriverError) {
        let text = format!("{what}: {error}");
        let is_new = self.wires.shown.borrow().error.as_deref() != Some(&text);
        if is_new {
            tracing::warn!("{text}");
            self.wires.shown.send_modify(|shown| shown.error = Some(text));
        }
    }

    fn clear_error(&self) {
        if self.health.state() == State::Ok && self.wires.shown.borrow().error.is_some() {
            self.wires.shown.send_modify(|shown| shown.error = None);
        }
    }

    fn complain(&self) {
        for problem in self.device.problems() {
            tracing::warn!("{problem}");
        }
    }
}
