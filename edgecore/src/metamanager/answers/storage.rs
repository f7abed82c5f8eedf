//! Drivers of volumes, attachments and secrets of volumes. Other than what a pod names itself, these change while they are used: the cloud
//! is asked first, and the store answers when it cannot be.

use k8s_openapi::api::core::v1::Node;
use k8s_openapi::api::storage::v1::{CSINode, CSINodeDriver, CSINodeSpec};
use proto::{Content, Operation, Resource, ResourceKind};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::super::cloud::{CallError, queried, said_ok};
use super::objects::ObjectError;
use super::{Answers, content, filing, reply};
use crate::flow::{DriverReport, MetaError, StorageRequest};
use crate::store::{Change, Object};

/// Where stock looks for attachments.
const ATTACHMENTS: &str = "default";
/// Kind under which secrets of volumes are kept: as `secret` they would count among those that pods name, of which the cloud
/// takes away what no pod does.
const VOLUME_SECRET: &str = "volumesecret";
/// What a driver calls the node, as controllers of before `CSINode` read it.
const NODE_ID_ANNOTATION: &str = "csi.volume.kubernetes.io/nodeid";

impl Answers {
    pub(super) async fn storage(&self, question: StorageRequest) {
        match question {
            StorageRequest::Driver { name, reply: to } => {
                let resource = Resource::object(None, ResourceKind::CsiDriver, &name);
                let found = match self.cloud.is_connected() && !self.cloud.is_native() {
                    true => Err(unknown_to_stock()),
                    false => self.fresh(&resource, &resource.to_string()).await,
                };
                reply(to, found.map(Box::new).map_err(|error| error.named("csidriver", "", &name)));
            }
            StorageRequest::Volume { name, reply: to } => {
                let resource = Resource::object(None, ResourceKind::PersistentVolume, &name);
                let found = self.fresh(&resource, &resource.to_string()).await;
                reply(to, found.map(Box::new).map_err(|error| error.named("persistentvolume", "", &name)));
            }
            StorageRequest::Attachment { name, reply: to } => {
                let resource = Resource::object(Some(ATTACHMENTS), ResourceKind::VolumeAttachment, &name);
                let found = self.fresh(&resource, &resource.to_string()).await;
                reply(to, found.map(Box::new).map_err(|error| error.named("volumeattachment", "", &name)));
            }
            StorageRequest::Secret { namespace, name, reply: to } => {
                let resource = Resource::object(Some(&namespace), ResourceKind::Secret, &name);
                let found = self.fresh(&resource, &format!("{namespace}/{VOLUME_SECRET}/{name}")).await;
                reply(to, found.map(Box::new).map_err(|error| error.named("secret", &namespace, &name)));
            }
            StorageRequest::NodeDrivers(report, to) => reply(to, self.report_drivers(*report).await),
            StorageRequest::Growth(report) => tracing::error!(?report, "a report was taken for a question"),
        }
    }

    /// From the cloud, else from the store, where it is kept as `key`.
    async fn fresh<T: DeserializeOwned + Serialize>(
        &self,
        resource: &Resource,
        key: &str,
    ) -> Result<T, ObjectError> {
        let stored: Option<T> = self.stored(key).await?;
        let query = (Operation::Query, resource.clone(), Content::Null);
        let asked = match stored.is_some() {
            true => self.cloud.call(query.0, query.1, query.2).await,
            false => self.cloud.call_patiently(query.0, query.1, query.2).await,
        };
        match (asked.and_then(|answer| Ok((queried(&answer)?, answer))), stored) {
            (Ok((object, answer)), _) => {
                let kept = match filing(resource, &object, None) {
                    Ok(filed) => {
                        let kind = key.split('/').nth(1).unwrap_or_default().to_owned();
                        self.apply(Change::PutObject(Object { key: key.to_owned(), kind, ..filed })).await
                    }
                    Err(error) => Err(error),
                };
                match kept {
                    Ok(()) => self.acknowledge(&answer, resource).await,
                    Err(error) => {
                        tracing::error!(%error, %resource, "used, and not in the store: a restart offline will not have it");
                    }
                }
                Ok(object)
            }
            (Err(CallError::Offline | CallError::Lost | CallError::Timeout(_)), Some(stored)) => Ok(stored),
            (Err(error), stored) => {
                if error.is_not_found() && stored.is_some() {
                    self.apply(Change::DeleteObject { key: key.to_owned(), uid: String::new() }).await?;
                }
                Err(error.into())
            }
        }
    }

    async fn report_drivers(&self, report: DriverReport) -> Result<(), MetaError> {
        let mut link = self.cloud.link();
        link.wait_for(|up| *up).await.map_err(|_| MetaError::Closed)?;
        let failed = |error: CallError| error.for_object("csinode", "", &self.node);
        let DriverReport { drivers, gone, node_ids, topology } = report;
        let mut node = Node::default();
        node.metadata.name = Some(self.node.to_string());
        let ids = serde_json::to_string(&node_ids).map_err(|error| MetaError::Store(error.to_string()))?;
        node.metadata.annotations = Some([(NODE_ID_ANNOTATION.to_owned(), ids)].into());
        node.metadata.labels = Some(topology);
        let resource = Resource::object(None, ResourceKind::Node, &self.node);
        self.said_ok(Operation::Update, resource, &node).await.map_err(failed)?;
        if !self.cloud.is_native() {
            return Ok(());
        }
        let resource = Resource::object(None, ResourceKind::CsiNode, &self.node);
        if !drivers.is_empty() {
            let news = self.csi_node(drivers);
            self.said_ok(Operation::Update, resource.clone(), &news).await.map_err(failed)?;
        }
        if !gone.is_empty() {
            let gone = gone.into_iter().map(|name| CSINodeDriver { name, ..CSINodeDriver::default() });
            let gone = self.csi_node(gone.collect());
            self.said_ok(Operation::Delete, resource, &gone).await.map_err(failed)?;
        }
        Ok(())
    }

    fn csi_node(&self, drivers: Vec<CSINodeDriver>) -> CSINode {
        let mut node = CSINode { spec: CSINodeSpec { drivers }, ..CSINode::default() };
        node.metadata.name = Some(self.node.to_string());
        node
    }

    async fn said_ok<T: Serialize>(
        &self,
        operation: Operation,
        resource: Resource,
        object: &T,
    ) -> Result<(), CallError> {
        said_ok(&self.cloud.call(operation, resource, content(object)?).await?)
    }
}

fn unknown_to_stock() -> ObjectError {
    let message = "a KubeEdge cloud tells its nodes of no CSIDriver".to_owned();
    ObjectError::Call(CallError::Refused { reason: "NotSupported".to_owned(), message })
}
