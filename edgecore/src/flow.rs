//! The typed messages between EdgeCore's modules. `app.rs` is the only file that connects them.
//!
//! ```text
//!   edgehub  <- ToCloud -    metamanager  <- MetaRequest (MetaClient) -   edged
//!   edgehub  - FromCloud ->  metamanager  - PodChange (PodFeed) ->        edged
//!                            metamanager  - DeviceChange (DeviceFeed) ->  devicetwin  <- DriverRequest -  dmi
//!                            metamanager  <- MetaRequest (MetaClient) -   devicetwin  - DeviceNews (TopicFeed) ->  eventbus
//!                            metamanager  - BusChange (BusFeed) ->        eventbus    - DriverRequest ->  devicetwin
//!                            metamanager  <- MetaRequest (MetaClient) -   eventbus
//!                            metamanager  - ServiceChange (ServiceFeed) -> servicebus
//!                            metamanager  <- MetaRequest (MetaClient) -   servicebus
//! ```
//!
//! State goes up newest-wins (pod status, node status: the store keeps one row per object and MetaManager
//! sends it until the cloud has accepted it); questions go up and are answered.

mod bus;
mod devices;
mod error;
mod hub;
mod links;
mod services;
mod storage;

use std::fmt;
use std::sync::Arc;

use k8s_openapi::api::authentication::v1::TokenRequest;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{
    ConfigMap, Event, Node, NodeStatus, PersistentVolume, PersistentVolumeClaim, Pod, PodStatus, Secret,
    Service,
};
use k8s_openapi::api::node::v1::RuntimeClass;
use tokio::sync::oneshot;

use chassis::channel::{Receiver, Sender};

pub use bus::{
    BusChange, BusFeed, BusInbox, DeviceNews, Member, MqttDevice, MqttDevices, MqttMessage, MqttPublish,
    NewsInbox, TopicFeed, TwinChange, UploadRequest,
};
pub use devices::{
    DeviceChange, DeviceFeed, DeviceInbox, DeviceKey, DeviceRow, DriverClient, DriverError, DriverInbox,
    DriverRecord, DriverReply, DriverRequest, Speaker, StoredDevices, TopicRequest,
};
pub use error::MetaError;
pub use hub::{FromCloud, HubFeed, HubInbox, ToCloud};
pub use links::Linked;
pub use services::{ServiceCall, ServiceChange, ServiceFeed, ServiceInbox, ServiceRequest};
pub use storage::{ClaimGrowth, DriverReport, Growth, StorageRequest};

/// `status.reason` of a pod that was ended because the machine was shut down: kubelet's word.
pub const TERMINATED: &str = "Terminated";

/// Which pod: the name can be used again, the uid never is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PodKey {
    /// Namespace of the pod.
    pub namespace: String,
    /// Name of the pod.
    pub name: String,
    /// UID of this incarnation of the pod.
    pub uid: String,
}

impl fmt::Display for PodKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.namespace, self.name, self.uid)
    }
}

/// What MetaManager tells edged. Capacity and policy: see [`PodFeed`].
#[derive(Debug, Clone)]
pub enum PodChange {
    /// Everything the local store holds, sent once, first. It may be empty (a new or rebuilt store), and that
    /// never means "remove what runs": pods are removed only by [`PodChange::Delete`].
    Restore(Vec<Arc<Pod>>),
    /// A pod is new or its spec or metadata changed (also: `deletionTimestamp` was set).
    Upsert(Arc<Pod>),
    /// The API object is gone: stop what still runs of it, now. Said again after each start, until edged has said
    /// [`MetaRequest::PodRemoved`].
    Delete(PodKey),
    /// A config map or secret of this namespace and name is new or changed in the store: pods that wait for
    /// it can go on, volumes that show it are refreshed.
    ConfigChanged {
        /// Config map or secret.
        kind: ConfigKind,
        /// Namespace of the object.
        namespace: String,
        /// Name of the object.
        name: String,
    },
}

/// The two kinds of configuration objects that pods mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ConfigKind {
    /// `v1/ConfigMap`
    ConfigMap,
    /// `v1/Secret`
    Secret,
}

/// A question with the place for its answer.
pub type Reply<T> = oneshot::Sender<Result<T, MetaError>>;

/// What edged asks of MetaManager or tells it. Built by [`MetaClient`]'s methods only.
#[derive(Debug)]
pub enum MetaRequest {
    /// Create the Node, or update labels and so on when it exists; answers with the Node as the cloud has it.
    RegisterNode(Box<Node>, Reply<Box<Node>>),
    /// The Node from the local store.
    GetNode(Reply<Option<Box<Node>>>),
    /// Newest wins.
    NodeStatus(Box<NodeStatus>),
    /// Create or renew. Fails with `Offline` at once when there is no link: a late lease is worth nothing.
    RenewLease(Box<Lease>, Reply<Box<Lease>>),
    /// Create a mirror pod. Fails with `Offline` at once when there is no link.
    CreatePod(Box<Pod>, Reply<Box<Pod>>),
    /// Newest wins, per pod.
    PodStatus(PodKey, Box<PodStatus>),
    /// Every container of a pod that is being deleted has ended and its sandbox is gone: the API object may go
    /// (a delete with grace 0 and the UID as precondition). Durable: repeated until the cloud has said OK.
    PodGone(PodKey),
    /// Nothing is left of a pod that the cloud has removed ([`PodChange::Delete`]). Until this is said, it is told again
    /// after each start.
    PodRemoved(PodKey),
    /// From the local store, else from the cloud (and then kept).
    ConfigMap {
        /** Namespace. */
        namespace: String,
        /** Name. */
        name: String,
        /** Answer. */
        reply: Reply<Arc<ConfigMap>>,
    },
    /// From the local store, else from the cloud (and then kept).
    Secret {
        /** Namespace. */
        namespace: String,
        /** Name. */
        name: String,
        /** Answer. */
        reply: Reply<Arc<Secret>>,
    },
    /// From the local store once it is bound, else from the cloud.
    Claim {
        /** Namespace. */
        namespace: String,
        /** Name. */
        name: String,
        /** UID of the pod that it has to be made for; another one in the store does not count. */
        owner: Option<String>,
        /** Answer. */
        reply: Reply<Box<PersistentVolumeClaim>>,
    },
    /// From the local store, else from the cloud (and then kept).
    Volume {
        /** Name. */
        name: String,
        /** Answer. */
        reply: Reply<Box<PersistentVolume>>,
    },
    /// From the local store, else from the cloud (and then kept: its handler never changes).
    RuntimeClass {
        /** Name. */
        name: String,
        /** Answer. */
        reply: Reply<Box<RuntimeClass>>,
    },
    /// About drivers of volumes.
    Storage(StorageRequest),
    /// Services of the cluster: from the cloud, else those that it last told of; none where it has never been asked.
    Links(Linked, Reply<Vec<Service>>),
    /// A token for a service account. Offline, the last token that was issued for the same request is served.
    Token {
        /** Namespace. */
        namespace: String,
        /** Service account. */
        service_account: String,
        /** Request. */
        request: Box<TokenRequest>,
        /** Answer. */
        reply: Reply<Box<TokenRequest>>,
    },
    /// The twin or the state of a device; newest wins, per device and kind.
    DeviceReport {
        /** Resource path that it goes to. */
        key: String,
        /** UID of the device. */
        uid: String,
        /** What is said, as JSON. */
        value: Vec<u8>,
    },
    /// Many of them, in one transaction.
    DeviceReports(Vec<DeviceRow>),
    /// The same as one; answered when it is on disk.
    KeepDeviceReport {
        /// Resource path that it goes to.
        key: String,
        /// UID of the device.
        uid: String,
        /// What is said, as JSON.
        value: Vec<u8>,
        /// Answer.
        reply: Reply<()>,
    },
    /// A driver, to be remembered over a restart.
    Driver(Box<DriverRecord>),
    /// A driver that need not be remembered any more, by name.
    DriverGone(String),
    /// Everything that was kept about devices of plugins, by owner.
    PluginDevices(Reply<Vec<(String, Vec<u8>)>>),
    /// Keeps what an owner has of them, or that it has none any more; answered when it is on disk.
    KeepPluginDevices {
        /// UID of a pod; empty for the names of the resources.
        owner: String,
        /// What it has.
        value: Option<Vec<u8>>,
        /// Answer.
        reply: Reply<()>,
    },
    /// A Kubernetes event, durable in the outbox (bounded: the oldest go first).
    Event(Box<Event>),
    /// About users' messages.
    Upload(UploadRequest),
    /// About calls of services.
    Service(ServiceRequest),
}

/// edged's way to MetaManager. Waits when the queue is full (capacity in `app.rs`): edged slows down, nothing is lost.
#[derive(Debug, Clone)]
pub struct MetaClient {
    tx: Sender<MetaRequest>,
}

impl MetaClient {
    /// Wraps the sending half of the queue to MetaManager.
    pub fn new(tx: Sender<MetaRequest>) -> Self {
        Self { tx }
    }

    async fn ask<T>(&self, build: impl FnOnce(Reply<T>) -> MetaRequest) -> Result<T, MetaError> {
        let (reply, answer) = oneshot::channel();
        self.tx.send(build(reply)).await.map_err(|_| MetaError::Closed)?;
        answer.await.map_err(|_| MetaError::Closed)?
    }

    async fn tell(&self, request: MetaRequest) -> Result<(), MetaError> {
        self.tx.send(request).await.map_err(|_| MetaError::Closed)
    }

    /// Creates the Node in the cluster, or updates its labels, annotations and taints when it is there.
    pub async fn register_node(&self, node: Node) -> Result<Node, MetaError> {
        self.ask(|reply| MetaRequest::RegisterNode(Box::new(node), reply)).await.map(|node| *node)
    }

    /// The Node as last seen, from the local store.
    pub async fn node(&self) -> Result<Option<Node>, MetaError> {
        self.ask(MetaRequest::GetNode).await.map(|node| node.map(|node| *node))
    }

    /// Reports the node's status; only the newest is kept until it has been delivered.
    pub async fn report_node_status(&self, status: NodeStatus) -> Result<(), MetaError> {
        self.tell(MetaRequest::NodeStatus(Box::new(status))).await
    }

    /// Creates or renews the node's lease.
    pub async fn renew_lease(&self, lease: Lease) -> Result<Lease, MetaError> {
        self.ask(|reply| MetaRequest::RenewLease(Box::new(lease), reply)).await.map(|lease| *lease)
    }

    /// Reports a pod's status; only the newest per pod is kept until it has been delivered.
    pub async fn report_pod_status(&self, pod: PodKey, status: PodStatus) -> Result<(), MetaError> {
        self.tell(MetaRequest::PodStatus(pod, Box::new(status))).await
    }

    /// Creates a pod of the API that shows a static pod of this node.
    pub async fn create_pod(&self, pod: Pod) -> Result<Pod, MetaError> {
        self.ask(|reply| MetaRequest::CreatePod(Box::new(pod), reply)).await.map(|pod| *pod)
    }

    /// Says that nothing of a terminating pod is left on this node.
    pub async fn pod_gone(&self, pod: PodKey) -> Result<(), MetaError> {
        self.tell(MetaRequest::PodGone(pod)).await
    }

    /// Says that nothing is left on this node of a pod that the cloud has removed.
    pub async fn pod_removed(&self, pod: PodKey) -> Result<(), MetaError> {
        self.tell(MetaRequest::PodRemoved(pod)).await
    }

    /// A config map that a pod uses.
    pub async fn config_map(&self, namespace: &str, name: &str) -> Result<Arc<ConfigMap>, MetaError> {
        let (namespace, name) = (namespace.to_owned(), name.to_owned());
        self.ask(|reply| MetaRequest::ConfigMap { namespace, name, reply }).await
    }

    /// A secret that a pod uses.
    pub async fn secret(&self, namespace: &str, name: &str) -> Result<Arc<Secret>, MetaError> {
        let (namespace, name) = (namespace.to_owned(), name.to_owned());
        self.ask(|reply| MetaRequest::Secret { namespace, name, reply }).await
    }

    /// A persistent volume claim that a pod uses. `owner`: UID of the pod that it was made for, if it has to be.
    pub async fn claim(
        &self,
        namespace: &str,
        name: &str,
        owner: Option<&str>,
    ) -> Result<PersistentVolumeClaim, MetaError> {
        let (namespace, name, owner) = (namespace.to_owned(), name.to_owned(), owner.map(str::to_owned));
        self.ask(|reply| MetaRequest::Claim { namespace, name, owner, reply }).await.map(|claim| *claim)
    }

    /// A persistent volume that a claim is bound to.
    pub async fn volume(&self, name: &str) -> Result<PersistentVolume, MetaError> {
        let name = name.to_owned();
        self.ask(|reply| MetaRequest::Volume { name, reply }).await.map(|volume| *volume)
    }

    /// The class of runtime that a pod asks for.
    pub async fn runtime_class(&self, name: &str) -> Result<RuntimeClass, MetaError> {
        let name = name.to_owned();
        self.ask(|reply| MetaRequest::RuntimeClass { name, reply }).await.map(|class| *class)
    }

    /// A service account token, bound to a pod.
    pub async fn token(
        &self,
        namespace: &str,
        service_account: &str,
        request: TokenRequest,
    ) -> Result<TokenRequest, MetaError> {
        let (namespace, service_account) = (namespace.to_owned(), service_account.to_owned());
        let request = Box::new(request);
        self.ask(|reply| MetaRequest::Token { namespace, service_account, request, reply })
            .await
            .map(|token| *token)
    }

    /// Everything that was kept about devices of plugins, by owner.
    pub async fn devices(&self) -> Result<Vec<(String, Vec<u8>)>, MetaError> {
        self.ask(MetaRequest::PluginDevices).await
    }

    /// Keeps what `owner` has of the devices of plugins, or that it has none any more. On disk when this returns.
    pub async fn keep_devices(&self, owner: String, value: Option<Vec<u8>>) -> Result<(), MetaError> {
        self.ask(|reply| MetaRequest::KeepPluginDevices { owner, value, reply }).await
    }

    /// Records a Kubernetes event.
    pub async fn event(&self, event: Event) -> Result<(), MetaError> {
        self.tell(MetaRequest::Event(Box::new(event))).await
    }
}

/// MetaManager's way to edged. Waits when the queue is full: the store already holds the object, so the cloud's
/// acks do not wait for it.
#[derive(Debug, Clone)]
pub struct PodFeed {
    tx: Option<Sender<PodChange>>,
}

impl PodFeed {
    /// Wraps the sending half of the queue to edged.
    pub fn new(tx: Sender<PodChange>) -> Self {
        Self { tx: Some(tx) }
    }

    /// A node without edged (`modules.edged.enable: false`): whoever is told nothing needs not be there.
    pub fn nobody() -> Self {
        Self { tx: None }
    }

    /// Tells edged; an error means that edged has ended.
    pub async fn tell(&self, change: PodChange) -> Result<(), MetaError> {
        let Some(tx) = &self.tx else { return Ok(()) };
        tx.send(change).await.map_err(|_| MetaError::Closed)
    }
}

/// edged's inbox from MetaManager.
pub type PodInbox = Receiver<PodChange>;
/// MetaManager's inbox from edged.
pub type MetaInbox = Receiver<MetaRequest>;
