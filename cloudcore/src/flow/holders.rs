//! Which CloudCore holds which node, as state: one writer, and everybody who sends to nodes looks.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::NodeName;

/// Another CloudCore that lives, as its Lease says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replica {
    /// Its name: that of its Lease.
    pub name: Arc<str>,
    /// Where it takes what other replicas forward, `host:port`.
    pub forwarding: Arc<str>,
}

/// Who holds a node.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Holder {
    /// Nobody that lives, or nobody knows.
    #[default]
    Nobody,
    /// This CloudCore.
    Us,
    /// Another one of ours.
    Replica(Replica),
    /// A stock CloudCore at this address: the Node's annotation `cloudcore` names it, and no Lease is its (spec cloud-and-wire 6.3).
    Stock(Arc<str>),
}

/// Who holds which node, always the newest. Cheap to clone; clones see the same.
#[derive(Debug, Clone)]
pub struct Holders {
    shared: Arc<Shared>,
    news: watch::Receiver<()>,
}

/// The writing end; dropping it leaves everything as it is.
#[derive(Debug)]
pub struct HoldersWriter {
    shared: Arc<Shared>,
    news: watch::Sender<()>,
}

/// Nodes that somebody holds. Leaf data, never locked across an await.
#[derive(Debug, Default)]
struct Shared {
    nodes: Mutex<HashMap<NodeName, Holder>>,
}

// === impl Holders ===

impl Holders {
    /// Nobody holds any node, as far as is known.
    #[must_use]
    pub fn new() -> (HoldersWriter, Self) {
        let (tx, news) = watch::channel(());
        let shared = Arc::new(Shared::default());
        (HoldersWriter { shared: Arc::clone(&shared), news: tx }, Self { shared, news })
    }

    /// Who holds a node now.
    #[must_use]
    pub fn of(&self, node: &NodeName) -> Holder {
        self.shared.lock().get(node).cloned().unwrap_or_default()
    }

    /// Waits until somebody else than `known` holds a node, and says who. Never ends when that never comes.
    pub async fn other_than(&self, node: &NodeName, known: &Holder) -> Holder {
        let mut news = self.news.clone();
        loop {
            news.mark_unchanged();
            let holder = self.of(node);
            if holder != *known {
                return holder;
            }
            if news.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}

// === impl HoldersWriter ===

impl HoldersWriter {
    /// This one holds the node now.
    pub fn set(&self, node: &NodeName, holder: Holder) {
        let mut nodes = self.shared.lock();
        let before = match holder {
            Holder::Nobody => nodes.remove(node).unwrap_or_default(),
            ref holder => nodes.insert(node.clone(), holder.clone()).unwrap_or_default(),
        };
        drop(nodes);
        if before != holder {
            self.news.send_replace(());
        }
    }
}

// === impl Shared ===

impl Shared {
    fn lock(&self) -> MutexGuard<'_, HashMap<NodeName, Holder>> {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn whoever_waits_hears_of_the_next_holder_and_of_no_other_node() {
        let (writer, holders) = Holders::new();
        let (a, b) = (NodeName::new("a"), NodeName::new("b"));
        let stock = |address: &str| Holder::Stock(address.into());
        writer.set(&a, stock("10.0.0.1"));
        assert_eq!((holders.of(&a), holders.of(&b)), (stock("10.0.0.1"), Holder::Nobody));
        let waiting = chassis::task::spawn(tracing::Span::none(), {
            let (holders, a) = (holders.clone(), a.clone());
            async move { holders.other_than(&a, &stock("10.0.0.1")).await }
        });
        writer.set(&b, Holder::Us);
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        writer.set(&a, Holder::Nobody);
        assert_eq!(waiting.await.unwrap(), Holder::Nobody);
        assert_eq!(holders.of(&b), Holder::Us);
    }
}
