//! A watch of the Kubernetes API as changes: a list that starts anew is collected and told as a whole, so that nobody sees
//! half of it.

use futures::{Stream, StreamExt as _};
use kube::runtime::watcher::{self, Event};

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
