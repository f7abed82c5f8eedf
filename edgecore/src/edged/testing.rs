//! MetaManager as edged sees it, for tests: answers from memory and keeps what it is told.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chassis::channel::{self, ChannelMetrics};
use chassis::task::{self, AbortOnDrop};
use k8s_openapi::api::authentication::v1::TokenRequestStatus;
use k8s_openapi::api::core::v1::{
    ConfigMap, ContainerStatus, NodeStatus, PersistentVolume, PersistentVolumeClaim, Pod, PodStatus, Secret,
    Service,
};
use k8s_openapi::api::node::v1::RuntimeClass;
use k8s_openapi::api::storage::v1::{CSIDriver, VolumeAttachment};
use tokio::sync::watch;

use crate::flow::{
    ClaimGrowth, DriverReport, Linked, MetaClient, MetaError, MetaInbox, MetaRequest, PodChange, PodFeed,
    PodInbox, PodKey, Reply, StorageRequest,
};

/// As much as `app.rs` gives the real one.
const QUEUE: usize = 64;
/// How long a test waits for what it expects; on paused time that costs nothing, on real time it is a failure anyway.
const PATIENCE: Duration = Duration::from_secs(120);

/// Everything that was told or can be asked.
#[derive(Debug, Default)]
pub struct Book {
    /// The newest status of each pod, by name.
    pub statuses: BTreeMap<String, PodStatus>,
    /// Every status of every pod, by name, oldest first.
    pub history: Vec<(String, PodStatus)>,
    /// Mirror pods that were to be created.
    pub created: Vec<Pod>,
    /// Every status, with the pod that it was reported for.
    pub reports: Vec<(PodKey, PodStatus)>,
    /// Pods that were reported gone.
    pub gone: Vec<PodKey>,
    /// Pods that were reported removed.
    pub removed: Vec<PodKey>,
    /// Reason and message of each event.
    pub events: Vec<(String, String)>,
    /// The node's newest status.
    pub node: Option<NodeStatus>,
    /// What was kept about devices, by owner.
    pub devices: BTreeMap<String, Vec<u8>>,
    /// Answers, by name.
    pub config_maps: BTreeMap<String, Arc<ConfigMap>>,
    /// Answers, by name.
    pub secrets: BTreeMap<String, Arc<Secret>>,
    /// Answers, by name.
    pub runtime_classes: BTreeMap<String, RuntimeClass>,
    /// Answers, by namespace and name.
    pub claims: BTreeMap<String, PersistentVolumeClaim>,
    /// Answers, by name.
    pub volumes: BTreeMap<String, PersistentVolume>,
    /// Answers to who asks for volumes as they are now, where they have changed since.
    pub grown: BTreeMap<String, PersistentVolume>,
    /// Answers, by name.
    pub csi_drivers: BTreeMap<String, CSIDriver>,
    /// Answers, by name.
    pub attachments: BTreeMap<String, VolumeAttachment>,
    /// What was told of the drivers of the node.
    pub driver_reports: Vec<DriverReport>,
    /// What was told of claims that have grown.
    pub growth: Vec<ClaimGrowth>,
    /// The services of the cluster.
    pub services: Vec<Service>,
    /// What every request for a token gets; nobody can be asked when there is none.
    pub token: Option<TokenRequestStatus>,
}

impl Book {
    fn keep_devices(&mut self, owner: String, value: Option<Vec<u8>>) {
        match value {
            Some(value) => drop(self.devices.insert(owner, value)),
            None => drop(self.devices.remove(&owner)),
        }
    }

    fn claim(&self, namespace: &str, name: &str) -> Option<Box<PersistentVolumeClaim>> {
        self.claims.get(&format!("{namespace}/{name}")).cloned().map(Box::new)
    }

    fn linked(&self, of: &Linked) -> Vec<Service> {
        let namespaces = match of {
            Linked::Kubernetes => vec!["default"],
            Linked::Namespace(namespace) => vec!["default", namespace],
        };
        let is_there = |service: &&Service| {
            service.metadata.namespace.as_deref().is_some_and(|namespace| namespaces.contains(&namespace))
        };
        self.services.iter().filter(is_there).cloned().collect()
    }

    fn kept_devices(&self) -> Vec<(String, Vec<u8>)> {
        self.devices.clone().into_iter().collect()
    }
}

/// A MetaManager for tests. It ends when it is dropped, and edged with it.
#[derive(Debug)]
pub struct FakeMeta {
    feed: PodFeed,
    book: watch::Sender<Book>,
    _task: AbortOnDrop<()>,
}

// === impl FakeMeta ===

impl FakeMeta {
    /// One that knows nothing yet, with what edged needs of it.
    pub fn start() -> (Self, PodInbox, MetaClient) {
        let metrics = ChannelMetrics::default();
        let (changes, pod_inbox) = channel::bounded_with("pod_changes", QUEUE, &metrics);
        let (requests, meta_inbox) = channel::bounded_with("meta_requests", QUEUE, &metrics);
        let (book, _) = watch::channel(Book::default());
        let task = task::spawn(tracing::info_span!("fake_meta"), serve(meta_inbox, book.clone()));
        let fake = Self { feed: PodFeed::new(changes), book, _task: task };
        (fake, pod_inbox, MetaClient::new(requests))
    }

    /// Tells edged.
    ///
    /// # Panics
    /// edged has ended.
    pub async fn tell(&self, change: PodChange) {
        self.feed.tell(change).await.expect("edged runs");
    }

    /// Tells edged that there is this pod, or that it has changed.
    pub async fn apply(&self, pod: &Pod) {
        self.tell(PodChange::Upsert(Arc::new(pod.clone()))).await;
    }

    /// Changes what can be asked for.
    pub fn edit(&self, change: impl FnOnce(&mut Book)) {
        self.book.send_modify(change);
    }

    /// Looks something up.
    pub fn read<T>(&self, look: impl FnOnce(&Book) -> T) -> T {
        look(&self.book.borrow())
    }

    /// Waits until `look` finds something.
    ///
    /// # Panics
    /// It does not within two minutes; says what there is instead.
    pub async fn until<T>(&self, what: &str, mut look: impl FnMut(&Book) -> Option<T>) -> T {
        let mut book = self.book.subscribe();
        let mut found = None;
        let waited = tokio::time::timeout(
            PATIENCE,
            book.wait_for(|book| {
                found = look(book);
                found.is_some()
            }),
        );
        let in_time = waited.await.is_ok_and(|waited| waited.is_ok());
        match found.filter(|_| in_time) {
            Some(found) => found,
            None => panic!("never saw {what}; {}", self.read(describe)),
        }
    }

    /// Waits until the status of pod `name` is as `is` wants it.
    ///
    /// # Panics
    /// As [`FakeMeta::until`].
    pub async fn until_status(&self, name: &str, what: &str, is: impl Fn(&PodStatus) -> bool) -> PodStatus {
        self.until(&format!("pod {name} {what}"), |book| {
            book.statuses.get(name).filter(|status| is(status)).cloned()
        })
        .await
    }

    /// Waits until the pod's containers run and are ready.
    ///
    /// # Panics
    /// As [`FakeMeta::until`].
    pub async fn until_ready(&self, name: &str) -> PodStatus {
        self.until_status(name, "ready", is_ready).await
    }

    /// Waits until the pod is reported gone.
    ///
    /// # Panics
    /// As [`FakeMeta::until`].
    pub async fn until_gone(&self, uid: &str) {
        self.until(&format!("the end of {uid}"), |book| {
            book.gone.iter().any(|key| key.uid == uid).then_some(())
        })
        .await;
    }

    /// Waits for an event.
    ///
    /// # Panics
    /// As [`FakeMeta::until`].
    pub async fn until_event(&self, reason: &str) -> String {
        self.until(&format!("event {reason}"), |book| {
            book.events.iter().find(|(known, _)| known == reason).map(|(_, message)| message.clone())
        })
        .await
    }
}

/// Is the pod ready, by its condition?
pub fn is_ready(status: &PodStatus) -> bool {
    let mut conditions = status.conditions.iter().flatten();
    conditions.any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

/// The status of container `name`, also of an init container.
///
/// # Panics
/// There is none.
pub fn container<'a>(status: &'a PodStatus, name: &str) -> &'a ContainerStatus {
    let lists = [&status.container_statuses, &status.init_container_statuses];
    let mut all = lists.into_iter().flatten().flatten();
    all.find(|container| container.name == name)
        .unwrap_or_else(|| panic!("no container {name} in {status:?}"))
}

/// Why container `name` waits, if it does.
pub fn waiting_reason(status: &PodStatus, name: &str) -> Option<String> {
    container(status, name).state.as_ref()?.waiting.as_ref()?.reason.clone()
}

fn describe(book: &Book) -> String {
    let statuses = serde_json::to_string_pretty(&book.statuses).unwrap_or_default();
    format!("there is: {statuses}\ngone: {:?}\nevents: {:#?}", book.gone, book.events)
}

fn keep(book: &watch::Sender<Book>, owner: String, value: Option<Vec<u8>>, reply: Reply<()>) {
    book.send_modify(|book| book.keep_devices(owner, value));
    drop(reply.send(Ok(())));
}

async fn serve(mut inbox: MetaInbox, book: watch::Sender<Book>) {
    while let Some(request) = inbox.recv().await {
        let not_found = |kind, namespace: String, name: String| MetaError::NotFound { kind, namespace, name };
        match request {
            MetaRequest::RegisterNode(mut node, reply) => {
                node.metadata.uid = Some("node-uid".to_owned());
                drop(reply.send(Ok(node)));
            }
            MetaRequest::GetNode(reply) => drop(reply.send(Ok(None))),
            MetaRequest::NodeStatus(status) => book.send_modify(|book| book.node = Some(*status)),
            MetaRequest::RenewLease(lease, reply) => drop(reply.send(Ok(lease))),
            MetaRequest::PodStatus(key, status) => book.send_modify(|book| {
                book.history.push((key.name.clone(), (*status).clone()));
                book.reports.push((key.clone(), (*status).clone()));
                book.statuses.insert(key.name, *status);
            }),
            MetaRequest::CreatePod(pod, reply) => {
                book.send_modify(|book| book.created.push((*pod).clone()));
                drop(reply.send(Ok(pod)));
            }
            MetaRequest::PodGone(key) => book.send_modify(|book| book.gone.push(key)),
            MetaRequest::PodRemoved(key) => book.send_modify(|book| book.removed.push(key)),
            MetaRequest::ConfigMap { namespace, name, reply } => {
                let found = book.borrow().config_maps.get(&name).cloned();
                drop(reply.send(found.ok_or_else(|| not_found("configmap", namespace, name))));
            }
            MetaRequest::Secret { namespace, name, reply } => {
                let found = book.borrow().secrets.get(&name).cloned();
                drop(reply.send(found.ok_or_else(|| not_found("secret", namespace, name))));
            }
            MetaRequest::Claim { namespace, name, reply, .. } => {
                let found = book.borrow().claim(&namespace, &name);
                drop(reply.send(found.ok_or_else(|| not_found("persistentvolumeclaim", namespace, name))));
            }
            MetaRequest::RuntimeClass { name, reply } => {
                let found = book.borrow().runtime_classes.get(&name).cloned().map(Box::new);
                drop(reply.send(found.ok_or_else(|| not_found("runtimeclass", String::new(), name))));
            }
            MetaRequest::Volume { name, reply } => {
                let found = book.borrow().volumes.get(&name).cloned().map(Box::new);
                drop(reply.send(found.ok_or_else(|| not_found("persistentvolume", String::new(), name))));
            }
            MetaRequest::Storage(question) => answer_storage(question, &book),
            MetaRequest::Links(of, reply) => drop(reply.send(Ok(book.borrow().linked(&of)))),
            MetaRequest::Token { mut request, reply, .. } => {
                request.status = book.borrow().token.clone();
                let offline = || MetaError::Offline { what: "a token".to_owned() };
                drop(reply.send(request.status.is_some().then_some(request).ok_or_else(offline)));
            }
            MetaRequest::PluginDevices(reply) => drop(reply.send(Ok(book.borrow().kept_devices()))),
            MetaRequest::KeepPluginDevices { owner, value, reply } => keep(&book, owner, value, reply),
            MetaRequest::Event(event) => book.send_modify(|book| {
                book.events.push((event.reason.unwrap_or_default(), event.message.unwrap_or_default()));
            }),
            // edged says nothing of devices.
            _ => {}
        }
    }
}

fn answer_storage(question: StorageRequest, book: &watch::Sender<Book>) {
    let not_found = |kind, namespace: String, name: String| MetaError::NotFound { kind, namespace, name };
    match question {
        StorageRequest::Driver { name, reply } => {
            let driver = book.borrow().csi_drivers.get(&name).cloned();
            let found = driver.ok_or_else(|| not_found("csidriver", String::new(), name));
            drop(reply.send(found.map(Box::new)));
        }
        StorageRequest::Volume { name, reply } => {
            let volume = book.borrow().grown.get(&name).or(book.borrow().volumes.get(&name)).cloned();
            let found = volume.ok_or_else(|| not_found("persistentvolume", String::new(), name));
            drop(reply.send(found.map(Box::new)));
        }
        StorageRequest::Attachment { name, reply } => {
            let attachment = book.borrow().attachments.get(&name).cloned();
            let found = attachment.ok_or_else(|| not_found("volumeattachment", String::new(), name));
            drop(reply.send(found.map(Box::new)));
        }
        StorageRequest::Secret { namespace, name, reply } => {
            let secret = book.borrow().secrets.get(&name).cloned();
            let found = secret.ok_or_else(|| not_found("secret", namespace, name));
            drop(reply.send(found.map(|secret| Box::new((*secret).clone()))));
        }
        StorageRequest::NodeDrivers(report, reply) => {
            book.send_modify(|book| book.driver_reports.push(*report));
            drop(reply.send(Ok(())));
        }
        StorageRequest::Growth(growth) => book.send_modify(|book| book.growth.push(*growth)),
    }
}
