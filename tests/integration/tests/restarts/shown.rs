//! What the API shows of pods, as it comes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use chassis::task::AbortOnDrop;
use futures::StreamExt as _;
use k8s_openapi::api::core::v1::Pod;
use kube::runtime::watcher;
use kube::{Api, Client};
use tokio::sync::watch;

/// containerd's word for an end of which it knows nothing; EdgeCore's own is another one.
const UNKNOWN: &str = "Unknown";

/// The pods that there are now, by name.
pub(crate) type Pods = BTreeMap<String, Arc<Pod>>;

/// See the module.
#[derive(Debug)]
pub(crate) struct Shown {
    pods: Arc<Mutex<Pods>>,
    /// Containers of which the runtime says that it does not know how they have ended. Of each the API shows two lives.
    unknown: Arc<Mutex<BTreeSet<String>>>,
    /// How many changes there were.
    pub(crate) changes: watch::Receiver<usize>,
    _watch: AbortOnDrop<()>,
}

impl Shown {
    pub(crate) fn new(client: &Client) -> Self {
        let pods: Arc<Mutex<Pods>> = Arc::default();
        let (sender, changes) = watch::channel(0);
        let unknown: Arc<Mutex<BTreeSet<String>>> = Arc::default();
        let (known, ends) = (pods.clone(), unknown.clone());
        let api = Api::<Pod>::default_namespaced(client.clone());
        let watch = chassis::task::spawn(tracing::Span::none(), async move {
            let mut events = watcher(api, watcher::Config::default()).boxed();
            while let Some(event) = events.next().await {
                // The watch goes on by itself after an error.
                let Ok(event) = event else { continue };
                if let watcher::Event::Apply(pod) | watcher::Event::InitApply(pod) = &event {
                    ends.lock().unwrap_or_else(PoisonError::into_inner).extend(unknown_ends(pod));
                }
                take(&mut known.lock().unwrap_or_else(PoisonError::into_inner), event);
                sender.send_modify(|changes| *changes += 1);
            }
        });
        Self { pods, unknown, changes, _watch: watch }
    }

    /// Ids of containers of which the runtime does not know how they have ended.
    pub(crate) fn unknown(&self) -> BTreeSet<String> {
        self.unknown.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn now(&self) -> Pods {
        self.pods.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn unknown_ends(pod: &Pod) -> Vec<String> {
    let Some(status) = &pod.status else { return Vec::new() };
    let containers = [&status.init_container_statuses, &status.container_statuses];
    let states = containers.into_iter().flatten().flatten().flat_map(|one| [&one.state, &one.last_state]);
    let ends = states.flatten().filter_map(|state| state.terminated.as_ref());
    let unknown = ends.filter(|end| end.reason.as_deref() == Some(UNKNOWN));
    let ids = unknown.filter_map(|end| end.container_id.as_deref()?.split("://").nth(1).map(str::to_owned));
    ids.collect()
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
