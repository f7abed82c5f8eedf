//! `ObjectSync` and `ClusterObjectSync` records: reads those that exist, writes down what stock edges acknowledge.
//!
//! It shares [`SyncRecords`] with CloudHub, which notes acknowledgements there, and EdgeController, which asks what a node
//! holds. It keeps nothing else. A record that cannot be written holds nobody up: it is tried again, later each time, and the
//! node gets its objects meanwhile. When shutdown is requested it writes down what is left, within [`FLUSH`], and ends.

mod calls;
mod metrics;

use std::time::Duration;

use chassis::backoff::{Backoff, BackoffPolicy};
use chassis::module::Module;
use chassis::readiness::ReadyGuard;
use chassis::rng::Rng;
use chassis::shutdown::Shutdown;
use chassis::task;
use futures::stream::{BoxStream, FuturesUnordered, SelectAll};
use futures::{StreamExt as _, stream};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, watcher as watch_objects};
use kube::{Api, Client};
use proto::api::reliablesync::{ClusterObjectSync, ObjectSync, ObjectSyncSpec, ObjectSyncStatus, RecordName};
use tokio::time::Instant;

pub use self::metrics::Metrics;
use crate::flow::{Leadership, NodeName, Outcome, Record, RecordId, Step, SyncRecords, Task};
use crate::watching::{Change, Patience, changes};

/// Calls under way at a time. Records matter less than what else CloudCore wants of the API server.
const CALLS: usize = 16;

/// Between attempts while the API server takes nothing; for all records together, as they fail together.
const RETRY: BackoffPolicy =
    BackoffPolicy { initial: Duration::from_secs(1), max: Duration::from_secs(60), factor: 2.0, jitter: 0.5 };

/// Nobody waits longer than this for the records at the start: without them a stock edge keeps what was removed while it
/// was away, with them late it gets nothing at all meanwhile.
const PATIENCE: Duration = Duration::from_secs(30);

/// For writing down what is left when CloudCore ends.
const FLUSH: Duration = Duration::from_secs(5);

/// The module.
pub struct SyncController {
    /// Where the records are.
    pub client: Client,
    /// Spreads retries.
    pub rng: Rng,
    /// What they say.
    pub records: SyncRecords,
    /// Of all replicas one removes the records of nodes that are gone.
    pub leadership: Leadership,
    /// Counts.
    pub metrics: Metrics,
    /// Let go when the records have been read, or there are none to be had.
    pub ready: Option<ReadyGuard>,
}

/// What a watch has brought.
enum Fact {
    Seen(Record),
    Unseen(RecordId),
    /// These are all of their scope.
    Replaced {
        is_cluster: bool,
        all: Vec<Record>,
    },
}

type Facts = SelectAll<BoxStream<'static, Result<Option<Fact>, watcher::Error>>>;

/// Which lists have been read.
#[derive(Default)]
struct Listed {
    namespaced: bool,
    cluster: bool,
}

impl std::fmt::Debug for SyncController {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SyncController")
    }
}

impl Module for SyncController {
    const NAME: &'static str = "synccontroller";

    async fn run(mut self, shutdown: Shutdown) -> anyhow::Result<()> {
        let mut calls = FuturesUnordered::new();
        let mut backoff = Backoff::new(RETRY, self.rng.clone());
        let mut facts = self.watch();
        let mut listed = Listed::default();
        let mut news = self.records.news();
        let mut give_up = Some(Instant::now() + PATIENCE);
        let mut flushed_by = None;
        loop {
            news.mark_unchanged();
            while calls.len() < CALLS
                && let Some(task) = self.records.next()
            {
                if task.step == Step::Collect && !self.leadership.is_leading() {
                    // Who leads finds it by itself.
                    self.records.done(&task, Outcome::Refused);
                    continue;
                }
                calls.push(calls::perform(self.client.clone(), task));
            }
            self.metrics.waiting(self.records.waiting() + calls.len());
            let is_ending = flushed_by.is_some();
            if is_ending && calls.is_empty() && self.records.waiting() == 0 {
                return Ok(());
            }
            let due = self.records.deadline().filter(|_| calls.len() < CALLS);
            tokio::select! {
                () = shutdown.requested(), if !is_ending => {
                    self.records.hurry();
                    flushed_by = Some(Instant::now() + FLUSH);
                }
                () = task::until(flushed_by) => {
                    tracing::warn!(left = self.records.waiting(), "records could not be written before the end");
                    return Ok(());
                }
                Some(fact) = facts.next(), if !is_ending => self.learn(fact, &mut listed),
                Some((task, result)) = calls.next() => self.done(&task, result, &mut backoff),
                _ = news.changed() => {}
                () = task::until(due) => {}
                () = task::until(give_up) => {
                    give_up = None;
                    self.go_on_without("it takes too long");
                }
            }
            if self.records.is_known() {
                give_up = None;
            }
        }
    }
}

impl SyncController {
    fn watch(&self) -> Facts {
        let config = watcher::Config::default;
        let namespaced = watch_objects(Api::<ObjectSync>::all(self.client.clone()), config());
        let cluster = watch_objects(Api::<ClusterObjectSync>::all(self.client.clone()), config());
        let namespaced = changes(namespaced.backoff(Patience::new(&self.rng))).map(|change| {
            change
                .map(|change| told(false, change, |record| read(record.metadata, record.spec, record.status)))
        });
        let cluster = changes(cluster.backoff(Patience::new(&self.rng))).map(|change| {
            change
                .map(|change| told(true, change, |record| read(record.metadata, record.spec, record.status)))
        });
        stream::select_all([namespaced.boxed(), cluster.boxed()])
    }

    fn learn(&mut self, fact: Result<Option<Fact>, watcher::Error>, listed: &mut Listed) {
        match fact {
            Ok(None) => {}
            Ok(Some(Fact::Seen(record))) => self.records.seen(record),
            Ok(Some(Fact::Unseen(id))) => self.records.unseen(&id),
            Ok(Some(Fact::Replaced { is_cluster, all })) => {
                self.records.replaced(is_cluster, all);
                *(if is_cluster { &mut listed.cluster } else { &mut listed.namespaced }) = true;
                if listed.cluster && listed.namespaced {
                    self.set_known();
                }
            }
            Err(error) if is_final(&error) => self.go_on_without(&error.to_string()),
            Err(error) => {
                self.metrics.watch_failed();
                tracing::debug!("watch of ObjectSync records interrupted: {error}");
            }
        }
    }

    /// Said once: the watch itself goes on trying.
    fn go_on_without(&mut self, why: &str) {
        if self.records.is_known() {
            return;
        }
        tracing::warn!(
            "ObjectSync records cannot be read: {why}. Stock edges will keep what is removed while they are away. \
             hint: kubectl apply -f build/crds, and let CloudCore list and write objectsyncs and clusterobjectsyncs"
        );
        self.set_known();
    }

    fn set_known(&mut self) {
        self.records.set_known();
        if let Some(ready) = self.ready.take() {
            ready.ready();
        }
    }

    fn done(&self, task: &Task, result: Result<Outcome, kube::Error>, backoff: &mut Backoff) {
        let outcome = match result {
            Ok(outcome) => {
                backoff.reset();
                outcome
            }
            Err(error) => {
                tracing::debug!(
                    record = task.id.name(),
                    "could not be written, will be tried again: {error}"
                );
                Outcome::Again(backoff.next_delay())
            }
        };
        self.metrics.written(outcome);
        self.records.done(task, outcome);
    }
}

/// The API server knows no such kind, or lets CloudCore not read it: asking again soon is no use.
fn is_final(error: &watcher::Error) -> bool {
    use watcher::Error::{InitialListFailed, WatchError, WatchFailed, WatchStartFailed};
    match error {
        InitialListFailed(kube::Error::Api(status))
        | WatchStartFailed(kube::Error::Api(status))
        | WatchFailed(kube::Error::Api(status))
        | WatchError(status) => matches!(status.code, 401 | 403 | 404 | 405),
        _ => false,
    }
}

/// The record, where it is one.
fn read(metadata: ObjectMeta, object: ObjectSyncSpec, status: ObjectSyncStatus) -> Option<Record> {
    let name = RecordName::parse(metadata.name.as_deref()?)?;
    let id = RecordId { node: NodeName::new(name.node), namespace: metadata.namespace, uid: name.uid };
    Some(Record { id, object, version: status.object_resource_version })
}

/// What is no record of ours is left alone.
fn told<K>(is_cluster: bool, change: Change<K>, read: impl Fn(K) -> Option<Record>) -> Option<Fact> {
    match change {
        Change::Applied(record) => read(*record).map(Fact::Seen),
        Change::Deleted(record) => read(*record).map(|record| Fact::Unseen(record.id)),
        Change::Replaced(all) => {
            Some(Fact::Replaced { is_cluster, all: all.into_iter().filter_map(read).collect() })
        }
    }
}
