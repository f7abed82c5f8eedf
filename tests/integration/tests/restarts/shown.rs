//! What the API shows of pods, as it comes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use chassis::task::AbortOnDrop;
use futures::StreamExt as _;
use k8s_openapi::api::core::v1::Pod;
use kube::runtime::watcher;
use kube::{Api, Client};
use tokio::sync::watch;

/// The pods that there are now, by name.
pub(crate) type Pods = BTreeMap<String, Arc<Pod>>;

/// See the module.
#[derive(Debug)]
pub(crate) struct Shown {
    pods: Arc<Mutex<Pods>>,
    /// How many changes there were.
    pub(crate) changes: watch::Receiver<usize>,
    _watch: AbortOnDrop<()>,
}

impl Shown {
    pub(crate) fn new(client: &Client) -> Self {
        let pods: Arc<Mutex<Pods>> = Arc::default();
        let (sender, changes) = watch::channel(0);
        let (known, api) = (pods.clone(), Api::<Pod>::default_namespaced(client.clone()));
        let watch = chassis::task::spawn(tracing::Span::none(), async move {
            let mut events = watcher(api, watcher::Config::default()).boxed();
            while let Some(event) = events.next().await {
                // The watch goes on by itself after an error.
                let Ok(event) = event else { continue };
                take(&mut known.lock().unwrap_or_else(PoisonError::into_inner), event);
                sender.send_modify(|changes| *changes += 1);
            }
        });
        Self { pods, changes, _watch: watch }
    }

    pub(crate) fn now(&self) -> Pods {
        self.pods.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn take(pods: &mut Pods, event: watcher::Event<Pod>) {
    match event {
        watcher::Event::Apply(pod) | watcher::Event::InitApply(pod) => {
            pods.insert(pod.metadata.name.clone().unwrap_or_default(), Arc::new(pod));
        }
        watcher::Event::Delete(pod) => {
            pods.remove(pod.metadata.name.as_deref().unwrap_or_default());
        }
        watcher::Event::Init => pods.clear(),
        watcher::Event::InitDone => {}
    }
}
