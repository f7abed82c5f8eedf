//! The observed side: what the runtime holds, read again whenever something may have changed.
//!
//! The runtime's events say *that* something changed; the list says what. Where there are no events the list is read
//! every second while something moves and slower while nothing does; with events it is only the safety net. Tells the
//! rest of edged through a `watch` ([`Seen`]), so a slow reader misses steps in between but never the last one.

use std::collections::BTreeMap;
use std::time::Duration;

use chassis::backoff::{Backoff, BackoffPolicy};
use chassis::rng::Rng;
use futures::StreamExt;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::metrics::Metrics;
use super::runtime::{ChangeStream, ContainerId, ContainerState, Runtime, RuntimeError};
use crate::flow::PodKey;

/// Without events: kubelet's own interval. A container that ends is noticed within it.
const MOVING: Duration = Duration::from_secs(1);
/// Without events, when nothing has changed for [`SETTLED`]: twice as long costs half the CPU and is still quicker
/// than the first back-off.
const IDLE: Duration = Duration::from_secs(3);
/// With events, the list is read only in case one was lost.
const WITH_EVENTS: Duration = Duration::from_secs(60);
/// Nothing has changed for this long: nothing moves.
const SETTLED: Duration = Duration::from_secs(20);
/// Events come in bursts (a pod's containers end together): one list serves them all.
const GATHER: Duration = Duration::from_millis(50);
/// While the runtime does not answer. The longest is short: the node is not ready until it does.
const DOWN: BackoffPolicy = BackoffPolicy {
    initial: Duration::from_millis(500),
    max: Duration::from_secs(10),
    factor: 2.0,
    jitter: 0.2,
};

/// What the runtime held when it was last asked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// By UID, every pod of which there is anything.
    pub pods: BTreeMap<String, SeenPod>,
    /// Why it cannot be asked.
    pub outage: Option<String>,
    /// Its name, once it has answered.
    pub runtime_name: Option<String>,
}

/// One pod in the runtime.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenPod {
    /// Whose it is, by its labels.
    pub key: PodKey,
    /// Ids and states of its sandboxes and containers, in order.
    parts: Vec<String>,
}

// === impl Seen ===

impl Seen {
    /// Did the container run when the runtime was last asked?
    pub fn runs(&self, uid: &str, id: &ContainerId) -> bool {
        self.pods
            .get(uid)
            .is_some_and(|pod| pod.parts.contains(&format!("{id} {:?}", ContainerState::Running)))
    }
}

/// Keeps [`Seen`] up to date.
#[derive(Debug)]
pub struct Relist {
    runtime: Runtime,
    seen: watch::Sender<Seen>,
    down: Backoff,
    metrics: Metrics,
    /// When it was last asked.
    asked: Option<Instant>,
}

// === impl Relist ===

impl Relist {
    /// A relist of this runtime and what it tells; nothing is seen until it runs.
    pub fn new(runtime: Runtime, rng: Rng, metrics: Metrics) -> (Self, watch::Receiver<Seen>) {
        let (seen, receiver) = watch::channel(Seen::default());
        (Self { runtime, seen, down: Backoff::new(DOWN, rng), metrics, asked: None }, receiver)
    }

    /// Runs until nobody listens any more.
    pub async fn run(mut self) {
        let mut events = Events::closed();
        let mut changed_at = Instant::now();
        loop {
            let begun = Instant::now();
            let listed = self.list().await;
            let interval = self.asked.replace(begun).map(|before| begun - before);
            self.metrics.relisted(begun.elapsed(), interval);
            let wait = match listed {
                Ok(listed) => {
                    self.down.reset();
                    if events.open_if_closed(&self.runtime) || self.tell(listed) {
                        changed_at = Instant::now();
                    }
                    match (events.is_open(), changed_at.elapsed() < SETTLED) {
                        (true, false) => WITH_EVENTS,
                        (true, true) => IDLE,
                        (false, true) => MOVING,
                        (false, false) => IDLE,
                    }
                }
                Err(error) => {
                    self.tell_outage(&error);
                    events = Events::closed();
                    self.down.next_delay()
                }
            };
            let due = Instant::now() + wait;
            tokio::select! {
                () = sleep_until(due) => {}
                () = events.next() => tokio::time::sleep(GATHER).await,
                () = self.seen.closed() => return,
            }
        }
    }

    async fn list(&self) -> Result<BTreeMap<String, SeenPod>, RuntimeError> {
        let mut pods: BTreeMap<String, SeenPod> = BTreeMap::new();
        let mut add = |key: PodKey, part: String| {
            let pod = pods.entry(key.uid.clone()).or_insert_with(|| SeenPod { key, parts: Vec::new() });
            pod.parts.push(part);
        };
        for sandbox in self.runtime.sandboxes(None).await? {
            add(sandbox.pod, format!("{} {}", sandbox.id, sandbox.ready));
        }
        for container in self.runtime.containers(None).await? {
            add(container.pod, format!("{} {:?}", container.id, container.state));
        }
        for pod in pods.values_mut() {
            pod.parts.sort_unstable();
        }
        if self.seen.borrow().runtime_name.is_none() {
            let name = self.runtime.version().await?.name;
            self.seen.send_modify(|seen| seen.runtime_name = Some(name));
        }
        Ok(pods)
    }

    /// Is it news?
    fn tell(&self, pods: BTreeMap<String, SeenPod>) -> bool {
        self.seen.send_if_modified(|seen| {
            let news = seen.pods != pods || seen.outage.is_some();
            if seen.outage.take().is_some() {
                tracing::info!(endpoint = self.runtime.endpoint(), "the container runtime answers");
            }
            seen.pods = pods;
            news
        })
    }

    fn tell_outage(&self, error: &RuntimeError) {
        let text = error.to_string();
        self.seen.send_if_modified(|seen| {
            let news = seen.outage.is_none();
            if news {
                tracing::warn!(
                    endpoint = self.runtime.endpoint(),
                    error = text,
                    "the container runtime is down"
                );
            }
            seen.outage = Some(text);
            news
        });
    }
}

/// The runtime's events, as long as it has any to give.
struct Events {
    stream: Option<ChangeStream>,
    /// This runtime has none: asking again makes no sense before it is another one.
    none: bool,
}

impl Events {
    fn closed() -> Self {
        Self { stream: None, none: false }
    }

    fn is_open(&self) -> bool {
        self.stream.is_some()
    }

    /// Was it opened just now? Then something may have happened before it was.
    fn open_if_closed(&mut self, runtime: &Runtime) -> bool {
        let open = self.stream.is_none() && !self.none;
        if open {
            self.stream = Some(runtime.changes());
        }
        open
    }

    /// Waits for the next event, or until the stream has ended.
    async fn next(&mut self) {
        let Some(stream) = &mut self.stream else { return std::future::pending().await };
        match stream.next().await {
            Some(Ok(())) => return,
            Some(Err(RuntimeError::Unimplemented { .. })) => {
                tracing::info!("the container runtime has no events, so it is asked regularly");
                self.none = true;
            }
            Some(Err(error)) => tracing::debug!(%error, "the container runtime's events have ended"),
            None => tracing::debug!("the container runtime's events have ended"),
        }
        self.stream = None;
    }
}

impl std::fmt::Debug for Events {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Events").field("open", &self.is_open()).field("none", &self.none).finish()
    }
}

/// The pods whose part of `new` differs from `old`.
pub fn changed<'a>(old: &'a Seen, new: &'a Seen) -> impl Iterator<Item = &'a str> {
    let arrived_or_changed = new.pods.iter().filter(|(uid, pod)| old.pods.get(*uid) != Some(*pod));
    let left = old.pods.iter().filter(|(uid, _)| !new.pods.contains_key(*uid));
    arrived_or_changed.chain(left).map(|(uid, _)| uid.as_str())
}
