//! The answers to what edged asks: from the store, else from the cloud.

mod links;
mod objects;
mod services;
mod storage;
mod uploads;

use std::sync::Arc;

use chassis::clock::Clock;
use k8s_openapi::api::authentication::v1::TokenRequest;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Node, Pod};
use proto::{Content, Message, Operation, Resource, ResourceKind};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tracing::Instrument as _;

pub(super) use self::uploads::Keeping;
use super::cloud::{CallError, Cloud, called, queried, said_ok};
use super::tokens;
use crate::flow::{MetaError, MetaRequest, Reply, UploadRequest};
use crate::store::{Change, Object, Store};

/// What answering a question takes.
#[derive(Debug, Clone)]
pub(super) struct Answers {
    pub(super) cloud: Arc<Cloud>,
    pub(super) store: Store,
    /// Name of this node.
    pub(super) node: Arc<str>,
    pub(super) clock: Clock,
    /// What concerns users' messages.
    pub(super) uploads: Keeping,
}

/// A caller that went away does not need its answer.
fn reply<T>(to: Reply<T>, answer: Result<T, MetaError>) {
    drop(to.send(answer));
}

impl Answers {
    /// Answers one question.
    pub(super) async fn answer(self, question: MetaRequest) {
        match question {
            MetaRequest::RegisterNode(node, to) => reply(to, self.register(*node).await.map(Box::new)),
            MetaRequest::GetNode(to) => reply(to, self.stored_node().await),
            MetaRequest::RenewLease(lease, to) => reply(to, self.renew(*lease).await.map(Box::new)),
            MetaRequest::CreatePod(pod, to) => reply(to, self.create_pod(*pod).await.map(Box::new)),
            MetaRequest::ConfigMap { namespace, name, reply: to } => {
                let found = self.config(ResourceKind::ConfigMap, "configmap", &namespace, &name).await;
                reply(to, found.map(Arc::new));
            }
            MetaRequest::Secret { namespace, name, reply: to } => {
                let found = self.config(ResourceKind::Secret, "secret", &namespace, &name).await;
                reply(to, found.map(Arc::new));
            }
            MetaRequest::Claim { namespace, name, owner, reply: to } => {
                reply(to, self.claim(&namespace, &name, owner.as_deref()).await.map(Box::new));
            }
            MetaRequest::RuntimeClass { name, reply: to } => {
                reply(to, self.runtime_class(&name).await.map(Box::new));
            }
            MetaRequest::Volume { name, reply: to } => reply(to, self.volume(&name).await.map(Box::new)),
            MetaRequest::Token { namespace, service_account, request, reply: to } => {
                let span = tracing::info_span!("token", namespace, service_account);
                let token = self.token(&namespace, &service_account, *request).instrument(span).await;
                reply(to, token.map(Box::new));
            }
            MetaRequest::Storage(question) => self.storage(question).await,
            MetaRequest::Links(of, to) => reply(to, self.links(&of).await),
            MetaRequest::PluginDevices(to) => {
                reply(to, self.store.devices().await.map_err(|error| MetaError::Store(error.to_string())));
            }
            MetaRequest::KeepPluginDevices { owner, value, reply: to } => {
                let change = match value {
                    Some(value) => Change::PutPluginDevices { owner, value },
                    None => Change::DropPluginDevices { owner },
                };
                let kept = self.store.apply(vec![change]).await;
                reply(to, kept.map(drop).map_err(|error| MetaError::Store(error.to_string())));
            }
            MetaRequest::KeepDeviceReport { key, uid, value, reply: to } => {
                reply(to, self.apply(Change::PutState { key, uid, value }).await);
            }
            MetaRequest::Upload(UploadRequest::Keep(uploads, to)) => {
                reply(to, self.keep_uploads(uploads).await);
            }
            MetaRequest::Upload(UploadRequest::ForgetMarks(to)) => {
                reply(to, self.apply(Change::ForgetUploadMarks).await);
            }
            MetaRequest::Service(request) => self.service(request).await,
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
        if self.cloud.is_native() {
            match self.renew_by_patch(&resource, &mut lease).await {
                Ok(()) => return Ok(lease),
                // A cloud that knows no such thing, or may not do it, takes the whole lease.
                Err(error @ CallError::Refused { .. }) => tracing::debug!(%error, "the lease is sent whole"),
                Err(error) => return Err(failed(error)),
            }
        }
        self.call(Operation::Update, &resource, &lease).await.map_err(failed)
    }

    /// To a cloud of our own the node sends no more of its lease than what it writes, and no more comes back than the version
    /// that the lease has now: of all that an idle node says, this is most.
    async fn renew_by_patch(&self, resource: &Resource, lease: &mut Lease) -> Result<(), CallError> {
        let patch = serde_json::json!({"spec": lease.spec});
        let answer = self.cloud.call(Operation::Patch, resource.clone(), content(&patch)?).await?;
        said_ok(&answer)?;
        if let Some(version) = answer.header.resource_version {
            lease.metadata.resource_version = Some(version);
        }
        Ok(())
    }

    async fn create_pod(&self, pod: Pod) -> Result<Pod, MetaError> {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let (namespace, name) = (text(&pod.metadata.namespace), text(&pod.metadata.name));
        let resource = Resource::object(Some(&namespace), ResourceKind::Pod, &name);
        let created = self.call(Operation::Insert, &resource, &pod).await;
        created.map_err(|error| error.for_object("pod", &namespace, &name))
    }

    /// The answer to a question is acknowledged like anything else that is kept (spec cloud-and-wire 2.5).
    async fn acknowledge(&self, answer: &Message, resource: &Resource) {
        if !self.cloud.is_native() && self.cloud.send(answer.ack(self.cloud.stamp())).await.is_err() {
            tracing::debug!(%resource, "ack not sent");
        }
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
            (Err(CallError::Offline | CallError::Lost | CallError::Timeout(_)), Some(last)) => Ok(last),
            (Err(error), _) => Err(error.for_object("serviceaccount", namespace, account)),
        }
    }

    async fn stored_node(&self) -> Result<Option<Box<Node>>, MetaError> {
        self.stored(&Resource::object(None, ResourceKind::Node, &self.node).to_string()).await
    }

    async fn stored<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, MetaError> {
        read(key, self.seen(key).await?.as_deref())
    }

    /// As it is in the store.
    async fn seen(&self, key: &str) -> Result<Option<Vec<u8>>, MetaError> {
        let stored = self.store.object(key).await.map_err(|error| MetaError::Store(error.to_string()))?;
        Ok(stored.map(|object| object.value))
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

fn read<T: DeserializeOwned>(key: &str, stored: Option<&[u8]>) -> Result<Option<T>, MetaError> {
    let read = stored.map(serde_json::from_slice).transpose();
    read.map_err(|error| MetaError::Store(format!("{key}: unreadable: {error}")))
}

/// An object as the store keeps it.
fn filing<T: Serialize>(resource: &Resource, object: &T, uid: Option<&str>) -> Result<Object, MetaError> {
    let value = serde_json::to_vec(object).map_err(|error| MetaError::Store(error.to_string()))?;
    let kind = resource.kind().map(ToString::to_string).unwrap_or_default();
    let uid = uid.unwrap_or_default().to_owned();
    Ok(Object { key: resource.to_string(), kind, uid, value, digest: 0 })
}

fn content<T: Serialize>(object: &T) -> Result<Content, CallError> {
    Content::object(object).map_err(|error| CallError::Unreadable(error.to_string()))
}
