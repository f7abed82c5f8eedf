//! Everything that the API shows about pods, by namespace, as it comes: each version of each pod, and the events.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chassis::task::AbortOnDrop;
use futures::StreamExt as _;
use k8s_openapi::api::core::v1::{Event, Pod};
use kube::runtime::watcher;
use kube::{Api, Client};
use tokio::sync::watch;
use tokio::time::Instant;

use super::run::{MIRROR, POD};

/// What is known of the pod of one namespace. Others that a row makes there are not looked at.
#[derive(Debug, Clone, Default)]
pub(crate) struct Known {
    /// The pod that the API has now.
    pub(crate) now: Option<Arc<Pod>>,
    /// Every version that was shown, oldest first.
    pub(crate) versions: Vec<Arc<Pod>>,
    /// By name, so each once with its newest count.
    pub(crate) events: BTreeMap<String, Event>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Seen {
    known: Arc<Mutex<BTreeMap<String, Known>>>,
    changes: watch::Receiver<u64>,
    _watches: [AbortOnDrop<()>; 2],
}

#[derive(Debug, Clone)]
struct Notes {
    known: Arc<Mutex<BTreeMap<String, Known>>>,
    changes: watch::Sender<u64>,
}

impl Notes {
    fn take(&self, namespace: Option<&String>, note: impl FnOnce(&mut Known)) {
        let namespace = namespace.cloned().unwrap_or_default();
        note(self.known.lock().unwrap_or_else(PoisonError::into_inner).entry(namespace).or_default());
        self.changes.send_modify(|changes| *changes += 1);
    }

    async fn watch_pods(self, client: Client) {
        let mut pods = watcher(Api::<Pod>::all(client), watcher::Config::default()).boxed();
        let is_it = |pod: &Pod| matches!(pod.metadata.name.as_deref(), Some(POD | MIRROR));
        while let Some(event) = pods.next().await {
            match event {
                Ok(
                    watcher::Event::Apply(pod) | watcher::Event::InitApply(pod) | watcher::Event::Delete(pod),
                ) if !is_it(&pod) => {}
                Ok(watcher::Event::Apply(pod) | watcher::Event::InitApply(pod)) => {
                    self.take(pod.metadata.namespace.clone().as_ref(), |known| {
                        let pod = Arc::new(pod);
                        known.now = Some(pod.clone());
                        known.versions.push(pod);
                    });
                }
                Ok(watcher::Event::Delete(pod)) => self.take(pod.metadata.namespace.as_ref(), |known| {
                    if known.now.as_ref().is_some_and(|now| now.metadata.uid == pod.metadata.uid) {
                        known.now = None;
                    }
                }),
                // The watch goes on by itself.
                Ok(watcher::Event::Init | watcher::Event::InitDone) | Err(_) => {}
            }
        }
    }

    async fn watch_events(self, client: Client) {
        let mut events = watcher(Api::<Event>::all(client), watcher::Config::default()).boxed();
        while let Some(event) = events.next().await {
            let Ok(watcher::Event::Apply(event) | watcher::Event::InitApply(event)) = event else { continue };
            let name = event.metadata.name.clone().unwrap_or_default();
            self.take(event.metadata.namespace.clone().as_ref(), |known| {
                known.events.insert(name, event);
            });
        }
    }
}

impl Seen {
    pub(crate) fn new(client: &Client) -> Self {
        let (changes, receiver) = watch::channel(0);
        let notes = Notes { known: Arc::default(), changes };
        let known = notes.known.clone();
        let (pods, events) = (notes.clone(), notes);
        let (of_pods, of_events) = (client.clone(), client.clone());
        let watches = [
            chassis::task::spawn(tracing::Span::none(), async move { pods.watch_pods(of_pods).await }),
            chassis::task::spawn(tracing::Span::none(), async move { events.watch_events(of_events).await }),
        ];
        Self { known, changes: receiver, _watches: watches }
    }

    /// What is known of a namespace.
    pub(crate) fn of(&self, namespace: &str) -> Known {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(namespace).cloned().unwrap_or_default()
    }

    /// Waits until `look` finds nothing wrong; the error is the last that it gave. Besides at changes it looks every
    /// `again`, for what the API does not show.
    pub(crate) async fn until(
        &self,
        namespace: &str,
        deadline: Duration,
        again: Duration,
        look: impl Fn(&Known) -> Result<(), String>,
    ) -> Result<(), String> {
        let end = Instant::now() + deadline;
        let mut changes = self.changes.clone();
        loop {
            changes.borrow_and_update();
            let Err(last) = look(&self.of(namespace)) else { return Ok(()) };
            if Instant::now() >= end {
                return Err(format!("not within {deadline:?}: {last}"));
            }
            let wait = again.min(end - Instant::now());
            if let Ok(Err(_)) = tokio::time::timeout(wait, changes.changed()).await {
                return Err("the watches have ended".to_owned());
            }
        }
    }
}
