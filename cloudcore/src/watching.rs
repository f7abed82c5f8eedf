//! A watch of the Kubernetes API as changes: a list that starts anew is collected and told as a whole, so that nobody sees
//! half of it.

use std::time::Duration;

use chassis::backoff::{Backoff, BackoffPolicy};
use chassis::rng::Rng;
use futures::{Stream, StreamExt as _};
use kube::runtime::watcher::{self, Event};

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
