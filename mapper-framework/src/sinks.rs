//! Where values are pushed besides the cloud (`pushMethod` of a property): one worker for each target, with a queue of its own,
//! so that a database that is away stops nobody.
//!
//! | kind | feature | what is sent |
//! |---|---|---|
//! | `http` | `http` | POST, form `<property>=<value>&time=<time>` (stock's) |
//! | `mqtt` | `mqtt` | text `time is <time>  <topic>: <value>` (stock's) |
//! | `dbMethod.redis` | `redis` | a sorted set for each device, members as JSON, scores in milliseconds (stock's). Environment: `PASSWORD` |
//! | `dbMethod.mysql` | `mysql` | a table for each property (stock's); MariaDB, too. Environment: `PASSWORD` |
//! | `dbMethod.influxdb2` | `influxdb2` | line protocol; numbers as numbers (stock: as texts). Environment: `TOKEN` |
//! | `dbMethod.TDEngine` | `tdengine` | SQL over REST, stock's tables. Environment: `USERNAME`, `PASSWORD` |
//! | `otel` | `otel` | OTLP/HTTP, a gauge for each property |
//!
//! For anything else a mapper can bring a sink of its own: [`crate::Mapper::sink`].
//!
//! TLS is spoken where an address says so: `https://` (http, influxdb2, tdengine, otel), `ssl://`, `tls://`, `mqtts://` (mqtt),
//! `rediss://`, `tls://` (redis), `mysqls://`, `tls://` (mysql). Certificates and names are always verified, against the authorities
//! of the system or of the file in `tls.ca_file` ([`crate::config`]).
//!
//! A target that cannot be reached is tried again, less and less often; meanwhile its queue keeps the newest [`QUEUE`] values. What
//! a target refuses is counted and dropped: it would refuse it again.

#[cfg(feature = "http")]
mod http;
#[cfg(feature = "influxdb2")]
mod influxdb2;
#[cfg(feature = "mqtt")]
mod mqtt;
#[cfg(feature = "mysql")]
mod mysql;
#[cfg(feature = "otel")]
mod otel;
mod queue;
#[cfg(feature = "redis")]
mod redis;
mod target;
#[cfg(feature = "tdengine")]
mod tdengine;
#[cfg(test)]
mod tests;
#[cfg(feature = "http")]
mod web;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use chassis::backoff::{Backoff, BackoffPolicy};
use chassis::module::Module;
use chassis::rng::Rng;
use chassis::shutdown::Shutdown;
use chassis::task::{self, AbortOnDrop};
use futures::future::BoxFuture;
use proto::dmi;
use tokio::sync::mpsc;

use self::queue::Queue;
pub use self::target::Target;
use crate::metrics::Metrics;
use crate::tls::Trust;
use crate::value::{DataType, Value};

/// Values that one target may be behind. At one a second these are ten minutes.
pub const QUEUE: usize = 600;
/// Targets of one mapper at most; a gateway has one or two.
const TARGETS: usize = 64;
/// Values on the way from all devices to the workers.
const INBOX: usize = 1024;
/// Values that are pushed together where a target takes several.
const BATCH: usize = 128;
/// A target that takes longer for a batch is away.
const PUSH_TIME: Duration = Duration::from_secs(30);
/// Between attempts at a target that is away.
const RETRY: BackoffPolicy =
    BackoffPolicy { initial: Duration::from_secs(1), max: Duration::from_secs(60), factor: 2.0, jitter: 0.5 };

/// A value on its way to a sink.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Namespace of the device.
    pub namespace: String,
    /// Name of the device.
    pub device: String,
    /// Name of the property.
    pub property: String,
    /// Its type, where one is known.
    pub data_type: Option<DataType>,
    /// Its value.
    pub value: Value,
    /// When it was read, Unix milliseconds.
    pub at: i64,
    /// What is wrong with it, if something is.
    pub anomaly: Option<String>,
}

/// A value, and what its property says of where it is pushed.
#[derive(Debug, Clone, PartialEq)]
pub struct Push {
    /// Where it is pushed; details such as a topic are in here.
    pub method: Arc<dmi::PushMethod>,
    /// The value.
    pub sample: Sample,
}

/// Takes values to one target. A mapper's own sinks implement it, too: see [`crate::Mapper::sink`].
pub trait Sink: Send + 'static {
    /// Takes these values, in this order: all of them, or none as far as it can tell.
    fn push<'a>(&'a mut self, batch: &'a [Push]) -> BoxFuture<'a, Result<(), SinkError>>;
}

/// Why values were not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SinkError {
    /// The target is away: it is tried again.
    #[error("cannot be reached: {0}")]
    Unreachable(String),
    /// The target does not want these values, now or later.
    #[error("refuses: {0}")]
    Refused(String),
    /// The target has taken these values but for some, which it does not want, now or later.
    #[error("refuses {refused} of them: {why}")]
    Partly {
        /// How many.
        refused: usize,
        /// Why, for the last of them.
        why: String,
    },
    /// This mapper was built without it.
    #[error("this mapper was built without the feature {0:?}")]
    NotBuilt(&'static str),
}

/// Names and words for databases; from the environment, as in stock.
#[derive(Clone, Default)]
pub struct Secrets {
    /// `TOKEN`
    pub token: String,
    /// `USERNAME`
    pub username: String,
    /// `PASSWORD`
    pub password: String,
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secrets")
    }
}

/// What sinks are made with.
#[derive(Debug, Clone, Default)]
pub(crate) struct Means {
    pub(crate) secrets: Secrets,
    pub(crate) trust: Trust,
}

/// Makes the sink of a target; `None` for a target that is none of its own.
pub type Opener = dyn Fn(&Target, &Secrets) -> Option<Result<Box<dyn Sink>, SinkError>> + Send + Sync;

/// The way of values to the module. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Pushes {
    to: mpsc::Sender<Push>,
    metrics: Metrics,
}

/// The module: hands each value to the workers of its targets. Ends when no device is left.
pub(crate) struct Pusher {
    inbox: mpsc::Receiver<Push>,
    openers: Vec<Box<Opener>>,
    means: Means,
    metrics: Metrics,
    rng: Rng,
}

struct Worker {
    queue: Queue,
    _task: AbortOnDrop<()>,
}

impl Pushes {
    /// Hands over a value. Devices do not wait for targets: what finds no room is counted and dropped.
    pub(crate) fn push(&self, push: Push) {
        if self.to.try_send(push).is_err() {
            self.metrics.push_dropped("all");
        }
    }
}

impl Pusher {
    /// `openers` are asked before the built-in ones.
    pub(crate) fn new(openers: Vec<Box<Opener>>, means: Means, metrics: Metrics, rng: Rng) -> (Pushes, Self) {
        let (to, inbox) = mpsc::channel(INBOX);
        let pushes = Pushes { to, metrics: metrics.clone() };
        (pushes, Self { inbox, openers, means, metrics, rng })
    }

    fn worker(&self, target: &Target) -> Worker {
        let kind = target.kind();
        let queue = Queue::new(QUEUE);
        let own = self.openers.iter().find_map(|open| open(target, &self.means.secrets));
        let span = tracing::info_span!("sink", kind, target = target.address());
        match own.unwrap_or_else(|| open(target, &self.means, &self.rng)) {
            Ok(sink) => {
                let work = work(kind, sink, queue.clone(), self.metrics.clone(), self.rng.clone());
                Worker { queue, _task: task::spawn(span, work) }
            }
            Err(error) => {
                let _in = span.enter();
                tracing::error!("values are not pushed: the target {error}");
                let (queue_of_task, metrics) = (queue.clone(), self.metrics.clone());
                let drain = async move {
                    loop {
                        for _ in queue_of_task.take(BATCH).await {
                            metrics.push_dropped(kind);
                        }
                    }
                };
                Worker { queue, _task: task::spawn(tracing::Span::none(), drain) }
            }
        }
    }
}

impl Module for Pusher {
    const NAME: &'static str = "sinks";

    async fn run(mut self, _shutdown: Shutdown) -> anyhow::Result<()> {
        let mut workers: HashMap<Target, Worker> = HashMap::new();
        while let Some(push) = self.inbox.recv().await {
            for target in Target::all(&push.method) {
                let kind = target.kind();
                if !workers.contains_key(&target) {
                    if workers.len() >= TARGETS {
                        self.metrics.push_dropped(kind);
                        continue;
                    }
                    workers.insert(target.clone(), self.worker(&target));
                }
                let Some(worker) = workers.get(&target) else { continue };
                if worker.queue.put(push.clone()) {
                    self.metrics.push_dropped(kind);
                }
            }
        }
        Ok(())
    }
}

async fn work(kind: &'static str, mut sink: Box<dyn Sink>, queue: Queue, metrics: Metrics, rng: Rng) {
    let mut backoff = Backoff::new(RETRY, rng);
    let mut is_away = false;
    loop {
        let batch = queue.take(BATCH).await;
        let pushed = tokio::time::timeout(PUSH_TIME, sink.push(&batch)).await;
        let pushed =
            pushed.unwrap_or_else(|_| Err(SinkError::Unreachable(format!("nothing within {PUSH_TIME:?}"))));
        match pushed {
            Ok(()) => {
                if std::mem::take(&mut is_away) {
                    tracing::info!("the target is there again");
                }
                backoff.reset();
                metrics.pushed(kind, batch.len() as u64);
            }
            Err(error @ SinkError::Unreachable(_)) => {
                metrics.push_failed(kind);
                if !std::mem::replace(&mut is_away, true) {
                    tracing::warn!("the target {error}");
                }
                for _ in 0..queue.put_back(batch) {
                    metrics.push_dropped(kind);
                }
                tokio::time::sleep(backoff.next_delay()).await;
            }
            Err(error) => {
                let refused = match &error {
                    SinkError::Partly { refused, .. } => (*refused).min(batch.len()),
                    _ => batch.len(),
                };
                metrics.push_failed(kind);
                metrics.pushed(kind, (batch.len() - refused) as u64);
                tracing::warn!("{refused} values are dropped: the target {error}");
                for _ in 0..refused {
                    metrics.push_dropped(kind);
                }
            }
        }
    }
}

/// What came of a batch of which some values, or all, were refused.
#[cfg(any(feature = "http", feature = "mysql", feature = "redis"))]
fn partly(refused: usize, of: usize, why: Option<String>) -> Result<(), SinkError> {
    match why {
        None => Ok(()),
        Some(why) if refused == of => Err(SinkError::Refused(why)),
        Some(why) => Err(SinkError::Partly { refused, why }),
    }
}

/// The built-in sink of a target.
#[cfg_attr(not(feature = "tls"), expect(unreachable_code, reason = "nothing is built in"))]
fn open(target: &Target, means: &Means, rng: &Rng) -> Result<Box<dyn Sink>, SinkError> {
    let Means { secrets, trust } = means;
    // Which of them are used is a matter of features.
    let _ = (secrets, trust, rng);
    Ok(match target {
        #[cfg(feature = "http")]
        Target::Http { address } => Box::new(http::Http::new(address, trust)?),
        #[cfg(feature = "mqtt")]
        Target::Mqtt { address } => Box::new(mqtt::Mqtt::new(address, trust, rng)?),
        #[cfg(feature = "influxdb2")]
        Target::Influxdb2 { url, org, bucket } => {
            Box::new(influxdb2::Influxdb2::new(url, (org, bucket), &secrets.token, trust)?)
        }
        #[cfg(feature = "redis")]
        Target::Redis { address, database } => {
            Box::new(redis::Redis::new(address, *database, &secrets.password, trust)?)
        }
        #[cfg(feature = "tdengine")]
        Target::TdEngine { address, database } => {
            Box::new(tdengine::TdEngine::new(address, database, secrets, trust)?)
        }
        #[cfg(feature = "mysql")]
        Target::MySql { address, database, user } => {
            Box::new(mysql::MySql::new(address, database, (user, &secrets.password), trust)?)
        }
        #[cfg(feature = "otel")]
        Target::Otel { url } => Box::new(otel::Otel::new(url, trust)?),
        #[allow(unreachable_patterns, reason = "with all features there is no other")]
        other => return Err(SinkError::NotBuilt(other.kind())),
    })
}
