//! A watch of the Kubernetes API as changes: a list that starts anew is collected and told as a whole, so that nobody sees
//! half of it.

use std::fmt::Debug;
use std::hash::Hash;
use std::time::Duration;

use chassis::backoff::{Backoff, BackoffPolicy};
use chassis::rng::Rng;
use futures::stream::BoxStream;
use futures::{Stream, StreamExt as _};
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, Config, Event};
use kube::{Api, Resource};
use serde::de::DeserializeOwned;

/// Short at its longest (kube's own waits up to a minute): few clients wait for the API, and while one waits, no change
/// reaches a node.
const RETRY: BackoffPolicy =
    BackoffPolicy { initial: Duration::from_millis(800), max: TRIED_AGAIN, factor: 2.0, jitter: 0.5 };
/// A watch that was interrupted is tried again within this.
pub(crate) const TRIED_AGAIN: Duration = Duration::from_secs(5);

/// How long a watch that was interrupted waits: ever longer, until it has brought something.
pub(crate) struct Patience(Backoff);

// === impl Patience ===

impl Patience {
    pub(crate) fn new(rng: &Rng) -> Self {
        Self(Backoff::new(RETRY, rng.clone()))
    }
}

impl Iterator for Patience {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        Some(self.0.next_delay())
    }
}

impl kube::runtime::utils::Backoff for Patience {
    fn reset(&mut self) {
        self.0.reset();
    }
}

/// What happened to the objects of a kind.
#[derive(Debug)]
pub(crate) enum Change<K> {
    /// It is new, or has changed.
    Applied(Box<K>),
    /// It is gone; as last seen.
    Deleted(Box<K>),
    /// These are all.
    Replaced(Vec<K>),
}

/// The changes of a kind, each as a fact of who watches; a watch that was interrupted is told as which it was and why, and goes
/// on. It never ends.
pub(crate) fn facts<K, F, N>(
    api: Api<K>,
    config: Config,
    patience: Patience,
    kind: N,
    to_fact: impl Fn(Change<K>) -> F + Send + 'static,
) -> BoxStream<'static, Result<F, (N, watcher::Error)>>
where
    K: Resource<DynamicType: Debug + Default + Eq + Hash + Clone>
        + Clone
        + Debug
        + DeserializeOwned
        + Send
        + 'static,
    F: 'static,
    N: Copy + Send + 'static,
{
    let events = watcher::watcher(api, config)
        .backoff(patience)
        .modify(|object| object.meta_mut().managed_fields = None);
    changes(events).map(move |change| change.map(&to_fact).map_err(|error| (kind, error))).boxed()
}

/// The changes that the events of a watch are.
pub(crate) fn changes<K: Send + 'static>(
    events: impl Stream<Item = Result<Event<K>, watcher::Error>> + Send + 'static,
) -> impl Stream<Item = Result<Change<K>, watcher::Error>> + Send {
    let mut list = Vec::new();
    events.filter_map(move |event| {
        let change = match event {
            Ok(Event::Apply(object)) => Some(Ok(Change::Applied(Box::new(object)))),
            Ok(Event::Delete(object)) => Some(Ok(Change::Deleted(Box::new(object)))),
            Ok(Event::Init) => {
                list.clear();
                None
            }
            Ok(Event::InitApply(object)) => {
                list.push(object);
                None
            }
            Ok(Event::InitDone) => Some(Ok(Change::Replaced(std::mem::take(&mut list)))),
            Err(error) => Some(Err(error)),
        };
        std::future::ready(change)
    })
}
