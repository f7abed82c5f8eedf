//! Which nodes are banned, as state: one writer, and everybody who lets nodes in looks.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use proto::ban::{self, BanList};
use tokio::sync::watch;

use super::NodeName;

/// The list of bans, always the newest. Until it has been read nobody may come in.
#[derive(Debug, Clone)]
pub struct Bans {
    list: watch::Receiver<Option<Arc<BanList>>>,
}

/// The writing end; dropping it leaves the list as it is.
#[derive(Debug)]
pub struct BansWriter {
    list: watch::Sender<Option<Arc<BanList>>>,
}

/// Why somebody may not come in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Barred {
    /// The list has not been read yet.
    #[error("the list of banned nodes has not been read yet")]
    Unknown,
    /// The list says so.
    #[error(transparent)]
    Refused(#[from] ban::Refusal),
}

/// Nodes that carry the annotation [`ban::ANNOTATION`], with its value. EdgeController sees them, and says so here.
#[derive(Debug, Clone, Default)]
pub struct AnnotatedNodes {
    nodes: watch::Sender<BTreeMap<NodeName, String>>,
}

// === impl Bans ===

impl Bans {
    /// A list that is not known yet.
    #[must_use]
    pub fn new() -> (BansWriter, Self) {
        let (writer, list) = watch::channel(None);
        (BansWriter { list: writer }, Self { list })
    }

    /// A list that is known and stays as it is.
    #[must_use]
    pub fn fixed(list: BanList) -> Self {
        Self { list: watch::channel(Some(Arc::new(list))).1 }
    }

    /// Waits until the list has been read. When it never will be, waits for ever.
    pub async fn known(&self) {
        if self.list.clone().wait_for(Option::is_some).await.is_err() {
            std::future::pending().await
        }
    }

    /// Waits until the list is another than when this was called last.
    pub async fn changed(&mut self) {
        if self.list.changed().await.is_err() {
            std::future::pending().await
        }
    }

    /// Whether a node with a certificate that is valid from `not_before` may come in; `None` when nobody can say.
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self, node: &str, not_before: Option<Timestamp>) -> Result<(), Barred> {
        Ok(self.get()?.check(node, not_before)?)
    }

    /// The list.
    ///
    /// # Errors
    /// When it has not been read yet.
    pub fn get(&self) -> Result<Arc<BanList>, Barred> {
        self.list.borrow().clone().ok_or(Barred::Unknown)
    }
}

// === impl BansWriter ===

impl BansWriter {
    /// This is the list now.
    pub fn set(&self, list: BanList) {
        self.list.send_if_modified(|current| {
            let is_news = current.as_deref() != Some(&list);
            if is_news {
                *current = Some(Arc::new(list));
            }
            is_news
        });
    }
}

// === impl AnnotatedNodes ===

impl AnnotatedNodes {
    /// A reading end.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<BTreeMap<NodeName, String>> {
        self.nodes.subscribe()
    }

    /// A Node has this annotation, or has none.
    pub fn set(&self, node: &NodeName, reason: Option<&str>) {
        self.nodes.send_if_modified(|nodes| match reason {
            Some(reason) if nodes.get(node).is_some_and(|known| known == reason) => false,
            Some(reason) => {
                nodes.insert(node.clone(), reason.to_owned());
                true
            }
            None => nodes.remove(node).is_some(),
        });
    }

    /// These are all that carry it.
    pub fn replace(&self, all: BTreeMap<NodeName, String>) {
        self.nodes.send_if_modified(|nodes| {
            let is_news = *nodes != all;
            *nodes = all;
            is_news
        });
    }
}
