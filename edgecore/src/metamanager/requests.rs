//! What edged asks and reports.

use std::sync::Arc;
use std::time::Duration;

use chassis::clock::Clock;
use chassis::task::until;
use k8s_openapi::api::authentication::v1::TokenRequest;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Event, Node};
use proto::{Content, Operation, Resource, ResourceKind};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::Instrument as _;

use super::cloud::{CallError, Cloud, called, queried, said_ok};
use super::outbox::Wake;
use super::unwritten::Unwritten;
use super::{patch, tokens};
use crate::flow::{MetaError, MetaInbox, MetaRequest, PodKey, Reply};
use crate::store::{Change, Object, QueueKind, Store};

/// Questions to the cloud in flight at once. A full node (110 pods) asks a few each while it starts.
const IN_FLIGHT: usize = 64;
/// Reports that could not be written (full disk) are tried again this often.
const WRITE_AGAIN: Duration = Duration::from_secs(5);
/// Reports written in one transaction.
const BATCH: usize = 64;

/// The upward loop.
#[derive(Debug)]
pub(super) struct Requests {
    inbox: MetaInbox,
    answers: Answers,
    wake: Wake,
    unwritten: Unwritten,
}

/// What answering a question takes.
#[derive(Debug, Clone)]
struct Answers {
    cloud: Arc<Cloud>,
    store: Store,
    node: Arc<str>,
    clock: Clock,
}

impl Requests {
    pub(super) fn new(
        inbox: MetaInbox,
        cloud: Arc<Cloud>,
        store: Store,
        wake: Wake,
        node: String,
        clock: Clock,
    ) -> Self {
        let answers = Answers { cloud, store, node: node.into(), clock };
        Self { inbox, answers, wake, unwritten: Unwritten::default() }
    }

    /// Ends when edged has ended; its last reports are on disk then, unless the disk refuses them.
    pub(super) async fn run(mut self) -> anyhow::Result<()> {
        let mut questions = JoinSet::new();
        let mut write_again = None;
        loop {
            let request = tokio::select! {
                request = self.inbox.recv(), if questions.len() < IN_FLIGHT => request,
                Some(ended) = questions.join_next() => { ended?; continue }
                () = until(write_again) => { write_again = self.write().await; continue }
            };
            let Some(request) = request else { break };
            if let Some(question) = self.file(request) {
                let answers = self.answers.clone();
                chassis::task::spawn_in(&mut questions, tracing::Span::current(), answers.answer(question));
                continue;
            }
            self.file_waiting(&mut questions);
            write_again = self.write().await;
        }
        questions.shutdown().await;
        match self.write().await {
            None => Ok(()),
            Some(_) => anyhow::bail!("{} reports could not be written", self.unwritten.len()),
        }
    }

    /// Files the reports that wait right behind this one, so that they share its transaction.
    fn file_waiting(&mut self, questions: &mut JoinSet<()>) {
        while self.unwritten.len() < BATCH && questions.len() < IN_FLIGHT {
            let Some(request) = self.inbox.try_recv() else { return };
            if let Some(question) = self.file(request) {
                let answers = self.answers.clone();
                chassis::task::spawn_in(questions, tracing::Span::current(), answers.answer(question));
            }
        }
    }

    /// Keeps a report for the next write; gives a question back.
    fn file(&mut self, request: MetaRequest) -> Option<MetaRequest> {
        let filed = match request {
            MetaRequest::NodeStatus(status) => {
                let key = Resource::object(None, ResourceKind::NodePatch, &self.answers.node).to_string();
                patch::node_status(&status).map(|value| {
                    let change = Change::PutState { key: key.clone(), uid: String::new(), value };
                    self.unwritten.put(key, change);
                })
            }
            MetaRequest::PodStatus(pod, status) => {
                let key = path(&pod, ResourceKind::PodPatch).to_string();
                patch::pod_status(&pod.uid, &status).map(|value| {
                    let change = Change::PutState { key: key.clone(), uid: pod.uid, value };
                    self.unwritten.put(key, change);
                })
            }
            MetaRequest::PodGone(pod) => {
                let key = path(&pod, ResourceKind::Pod).to_string();
                let change =
                    Change::Enqueue { kind: QueueKind::PodGone, key, value: pod.uid.clone().into_bytes() };
                self.unwritten.put(format!("gone {}", pod.uid), change);
                self.unwritten.put(format!("forget {}", pod.uid), Change::ForgetPod { uid: pod.uid });
                Ok(())
            }
            MetaRequest::Event(event) => self.file_event(&event),
            question => return Some(question),
        };
        if let Err(error) = filed {
            tracing::error!(%error, "a report cannot be written as JSON");
        }
        None
    }

    fn file_event(&mut self, event: &Event) -> serde_json::Result<()> {
        let namespace = event.metadata.namespace.as_deref();
        let name = event.metadata.name.as_deref().unwrap_or_default();
        let key = Resource::object(namespace, ResourceKind::Event, name).to_string();
        let value = serde_json::to_vec(event)?;
        self.unwritten.push_event(Change::Enqueue { kind: QueueKind::Event, key, value });
        Ok(())
    }

    /// Writes what is filed. When the disk refuses, it stays, the cloud is told all the same, and the answer is when to
    /// try again.
    async fn write(&mut self) -> Option<Instant> {
        if self.unwritten.len() == 0 {
            return None;
        }
        match self.answers.store.apply(self.unwritten.changes()).await {
            Ok(_) => {
                self.unwritten.clear();
                self.wake.wake(Vec::new());
                None
            }
            Err(error) => {
                tracing::error!(%error, reports = self.unwritten.len(), "reports wait in memory");
                self.wake.wake(self.unwritten.states());
                Some(Instant::now() + WRITE_AGAIN)
            }
        }
    }
}

fn path(pod: &PodKey, kind: ResourceKind) -> Resource {
    Resource::object(Some(&pod.namespace), kind, &pod.name)
}

/// A caller that went away does not need its answer.
fn reply<T>(to: Reply<T>, answer: Result<T, MetaError>) {
    drop(to.send(answer));
}

// === impl Answers ===

impl Answers {
    async fn answer(self, question: MetaRequest) {
        match question {
            MetaRequest::RegisterNode(node, to) => reply(to, self.register(*node).await.map(Box::new)),
            MetaRequest::GetNode(to) => reply(to, self.stored_node().await),
            MetaRequest::RenewLease(lease, to) => reply(to, self.renew(*lease).await.map(Box::new)),
            MetaRequest::ConfigMap { namespace, name, reply: to } => {
                let found = self.object(ResourceKind::ConfigMap, "configmap", &namespace, &name).await;
                reply(to, found.map(Arc::new));
            }
            MetaRequest::Secret { namespace, name, reply: to } => {
                let found = self.object(ResourceKind::Secret, "secret", &namespace, &name).await;
                reply(to, found.map(Arc::new));
            }
            MetaRequest::Token { namespace, service_account, request, reply: to } => {
                let span = tracing::info_span!("token", namespace, service_account);
                let token = self.token(&namespace, &service_account, *request).instrument(span).await;
                reply(to, token.map(Box::new));
            }
            report => tracing::error!(?report, "a report was taken for a question"),
        }
    }

    /// Waits for a link as long as it takes: until the node is registered nothing else matters to the cloud.
    async fn register(&self, node: Node) -> Result<Node, MetaError> {
        let mut link = self.cloud.link();
        link.wait_for(|up| *up).await.map_err(|_| MetaError::Closed)?;
        let resource = Resource::object(None, ResourceKind::Node, &self.node);
        let failed = |error: CallError| error.for_object("node", "", &self.node);
        let inserted = self.call::<Node>(Operation::Insert, &resource, &node).await;
        let registered = match inserted {
            Err(error) if error.has_reason("AlreadyExists") => {
                self.adopt(&resource, &node).await.map_err(failed)?
            }
            other => other.map_err(failed)?,
        };
        if let Err(error) = self.keep(&resource, &registered, registered.metadata.uid.as_deref()).await {
            tracing::error!(%error, "the node is registered, and not in the store");
        }
        Ok(registered)
    }

    /// The node is known: brings its labels and annotations up to date.
    async fn adopt(&self, resource: &Resource, node: &Node) -> Result<Node, CallError> {
        let content = content(node)?;
        said_ok(&self.cloud.call(Operation::Update, resource.clone(), content).await?)?;
        queried(&self.cloud.call(Operation::Query, resource.clone(), Content::Null).await?)
    }

    /// A lease whose version is not known is looked up first, as stock does it: an API server replaces none blindly.
    async fn renew(&self, mut lease: Lease) -> Result<Lease, MetaError> {
        let namespace = lease.metadata.namespace.clone().unwrap_or_else(|| "kube-node-lease".to_owned());
        let resource = Resource::object(Some(&namespace), ResourceKind::Lease, &self.node);
        let failed = |error: CallError| error.for_object("lease", &namespace, &self.node);
        if lease.metadata.resource_version.is_none() {
            let known = self.cloud.call(Operation::Query, resource.clone(), Content::Null).await;
            match known.and_then(|answer| called::<Lease>(&answer)) {
                Ok(known) => lease.metadata.resource_version = known.metadata.resource_version,
                Err(error) if error.is_not_found() => {
                    return self.call(Operation::Insert, &resource, &lease).await.map_err(failed);
                }
                Err(error) => return Err(failed(error)),
            }
        }
        self.call(Operation::Update, &resource, &lease).await.map_err(failed)
    }

    /// From the store, else from the cloud. A stock cloud sends what was asked for from then on, so the answer is kept. A
    /// native one sends it whatever is asked, and takes it away when the last pod goes: an answer that came after that
    /// would stay for good.
    async fn object<T: DeserializeOwned + Serialize>(
        &self,
        kind: ResourceKind,
        word: &'static str,
        namespace: &str,
        name: &str,
    ) -> Result<T, MetaError> {
        let resource = Resource::object(Some(namespace), kind, name);
        if let Some(stored) = self.stored(&resource).await? {
            return Ok(stored);
        }
        let failed = |error: CallError| error.for_object(word, namespace, name);
        let answer = self
            .cloud
            .call_patiently(Operation::Query, resource.clone(), Content::Null)
            .await
            .map_err(failed)?;
        let object: T = queried(&answer).map_err(failed)?;
        if self.cloud.is_native() {
            return Ok(object);
        }
        let filed: Filed = answer.content.decode().unwrap_or_default();
        let used = filing(&resource, &object, filed.metadata.uid.as_deref()).map(|object| Change::PutUsed {
            object,
            pods: format!("{namespace}/{}/", ResourceKind::Pod),
            name: name.to_owned(),
        });
        let kept = match used {
            Ok(change) => self.apply(change).await,
            Err(error) => Err(error),
        };
        if let Err(error) = kept {
            tracing::error!(%error, %resource, "used, and not in the store: a restart offline will not have it");
            return Ok(object);
        }
        // The answer to this question is acknowledged like anything else that is kept (spec cloud-and-wire 2.5).
        if self.cloud.send(answer.ack(self.cloud.stamp())).await.is_err() {
            tracing::debug!(%resource, "ack not sent");
        }
        Ok(object)
    }

    /// A fresh token from the store, else a new one, else (offline) the last one.
    async fn token(
        &self,
        namespace: &str,
        account: &str,
        request: TokenRequest,
    ) -> Result<TokenRequest, MetaError> {
        let key = tokens::key(namespace, account, &request);
        let last: Option<TokenRequest> = self
            .store
            .token(&key)
            .await
            .map_err(|error| MetaError::Store(error.to_string()))?
            .and_then(|value| serde_json::from_slice(&value).ok());
        if let Some(fresh) = last.clone().filter(|token| tokens::is_fresh(token, self.clock.now())) {
            return Ok(fresh);
        }
        let resource = Resource::object(Some(namespace), ResourceKind::ServiceAccountToken, account);
        let asked = match content(&request) {
            Ok(content) if last.is_some() => self.cloud.call(Operation::Query, resource, content).await,
            Ok(content) => self.cloud.call_patiently(Operation::Query, resource, content).await,
            Err(error) => Err(error),
        };
        let issued: Result<TokenRequest, CallError> = asked.and_then(|answer| queried(&answer));
        match (issued, last) {
            (Ok(issued), _) => {
                let value =
                    serde_json::to_vec(&issued).map_err(|error| MetaError::Store(error.to_string()))?;
                let change = Change::PutToken { request: key, pod_uid: tokens::pod_uid(&request), value };
                if let Err(error) = self.apply(change).await {
                    tracing::error!(%error, "used, and not in the store: a restart offline will not have it");
                }
                Ok(issued)
            }
            (Err(CallError::Offline | CallError::Timeout(_)), Some(last)) => Ok(last),
            (Err(error), _) => Err(error.for_object("serviceaccount", namespace, account)),
        }
    }

    async fn stored_node(&self) -> Result<Option<Box<Node>>, MetaError> {
        self.stored(&Resource::object(None, ResourceKind::Node, &self.node)).await
    }

    async fn stored<T: DeserializeOwned>(&self, resource: &Resource) -> Result<Option<T>, MetaError> {
        let key = resource.to_string();
        let stored = self.store.object(&key).await.map_err(|error| MetaError::Store(error.to_string()))?;
        let Some(object) = stored else { return Ok(None) };
        serde_json::from_slice(&object.value)
            .map(Some)
            .map_err(|error| MetaError::Store(format!("{key}: unreadable: {error}")))
    }

    async fn keep<T: Serialize>(
        &self,
        resource: &Resource,
        object: &T,
        uid: Option<&str>,
    ) -> Result<(), MetaError> {
        self.apply(Change::PutObject(filing(resource, object, uid)?)).await
    }

    async fn apply(&self, change: Change) -> Result<(), MetaError> {
        self.store.apply(vec![change]).await.map(drop).map_err(|error| MetaError::Store(error.to_string()))
    }

    async fn call<T: DeserializeOwned + Serialize>(
        &self,
        operation: Operation,
        resource: &Resource,
        object: &T,
    ) -> Result<T, CallError> {
        called(&self.cloud.call(operation, resource.clone(), content(object)?).await?)
    }
}

/// An object as the store keeps it.
fn filing<T: Serialize>(resource: &Resource, object: &T, uid: Option<&str>) -> Result<Object, MetaError> {
    let value = serde_json::to_vec(object).map_err(|error| MetaError::Store(error.to_string()))?;
    let kind = resource.kind().map(ToString::to_string).unwrap_or_default();
    let uid = uid.unwrap_or_default().to_owned();
    Ok(Object { key: resource.to_string(), kind, uid, value, digest: 0 })
}

/// The part of any object that filing needs.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
struct Filed {
    metadata: FiledMetadata,
}

#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
struct FiledMetadata {
    uid: Option<String>,
}

fn content<T: Serialize>(object: &T) -> Result<Content, CallError> {
    Content::object(object).map_err(|error| CallError::Unreadable(error.to_string()))
}
