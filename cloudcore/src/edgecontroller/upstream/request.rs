//! The requests that a node can make, as types (spec cloud-and-wire 3.0).

mod reports;

use k8s_openapi::api::authentication::v1::TokenRequest;
use k8s_openapi::api::certificates::v1::CertificateSigningRequest;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::api::core::v1::{Event, Node, PersistentVolumeClaim, Pod};
use k8s_openapi::api::storage::v1::CSINode;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{DeleteOptions, ObjectMeta};
use proto::message::ContentError;
use proto::reply::{ObjectResp, QueryFailure, failure_status};
use proto::{Content, Message, ObjectPath, Operation, Resource, ResourceKind, Stamp};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

pub(super) use self::reports::{NodeReport, PodReport, StatusFields, StatusPatch};
use super::answer::Shape;
use super::drivers::Drivers;
use super::from_controller;

/// What a kube-apiserver takes, in bytes. A node has no use for more, and as values a text takes up to sixteen times
/// its size.
const MAX_CONTENT: usize = 3 << 20;

/// Namespace and name of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) namespace: String,
    pub(super) name: String,
}

/// One request.
#[derive(Debug)]
pub(super) enum Request {
    CaCert,
    CreateNode(Box<Node>),
    UpdateNode(Box<Node>),
    GetNode { name: String },
    PatchNodeStatus { name: String, patch: StatusPatch },
    ReportNodeStatus { name: String, report: NodeReport },
    CreateLease(Box<Lease>),
    UpdateLease(Box<Lease>),
    RenewLease { lease: Named, spec: Box<LeaseSpec> },
    GetLease(Named),
    CreatePod(Box<Pod>),
    DeletePod { pod: Named, options: Box<DeleteOptions> },
    PatchPodStatus { pod: Named, patch: StatusPatch },
    ReportPodStatus { namespace: String, reports: Vec<PodReport> },
    GetConfig(ObjectPath),
    GetStorage(ObjectPath),
    GetServices(ObjectPath),
    ReportDrivers { report: Box<CSINode>, what: Drivers },
    ReportGrowth { claim: ObjectPath, report: Box<PersistentVolumeClaim> },
    CreateToken { account: Named, request: Box<TokenRequest> },
    CreateCsr(Box<CertificateSigningRequest>),
    GetCsr { name: String },
    CreateEvent(Box<Event>),
    UpdateEvent(Box<Event>),
    PatchEvent { event: Box<Event>, patch: Value },
}

/// Why a message is not a request.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    /// More than the API server would take.
    #[error("the content has {bytes} bytes; {MAX_CONTENT} are taken at most")]
    TooLarge { bytes: usize, shape: Shape },
    #[error("{operation} of {resource} is not supported")]
    Unsupported { operation: Operation, resource: Resource },
    #[error("{resource} names no {missing}")]
    Incomplete { resource: Resource, missing: &'static str },
    #[error("{source}")]
    Content { source: ContentError, shape: Shape },
    #[error("the object is called {found:?} and the message is about {expected:?}")]
    OtherObject { found: String, expected: String, shape: Shape },
}

/// What a node of ours writes of its lease. There is nothing else in a lease that moves.
#[derive(Deserialize)]
struct LeasePatch {
    spec: Box<LeaseSpec>,
}

#[derive(Deserialize)]
struct EventPatch {
    event: Box<Event>,
    #[serde(rename = "patchData")]
    patch_data: String,
}

// === impl Request ===

impl Request {
    /// What a message of a node asks for.
    ///
    /// # Errors
    /// When it asks for nothing that we know, or its content is not what belongs to the request.
    pub(super) fn parse(message: &Message) -> Result<Self, Refusal> {
        let route = &message.route;
        let path = match &route.resource {
            Resource::CaCert if route.operation == Operation::Query => return Ok(Self::CaCert),
            Resource::Object(path) => path,
            _ => return Err(unsupported(message)),
        };
        let about = About { message, path };
        match path.kind {
            ResourceKind::Node | ResourceKind::NodePatch | ResourceKind::NodeStatus => about.node(),
            ResourceKind::Pod | ResourceKind::PodPatch | ResourceKind::PodStatus => about.pod(),
            ResourceKind::Lease => about.lease(),
            ResourceKind::Event => about.event(),
            ResourceKind::CertificateSigningRequest => about.csr(),
            ResourceKind::CsiNode => about.drivers(),
            ResourceKind::PersistentVolumeClaim if route.operation == Operation::Patch => about.growth(),
            ResourceKind::Service if route.operation == Operation::Query => {
                about.namespace().map(|_| Self::GetServices(path.clone()))
            }
            _ => about.other(),
        }
    }

    /// One word for metrics and logs.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::CaCert => "ca_certificate",
            Self::CreateNode(_) => "node_create",
            Self::UpdateNode(_) => "node_update",
            Self::GetNode { .. } => "node_get",
            Self::PatchNodeStatus { .. } | Self::ReportNodeStatus { .. } => "node_status",
            Self::CreateLease(_) | Self::UpdateLease(_) | Self::RenewLease { .. } => "lease",
            Self::GetLease(_) => "lease_get",
            Self::CreatePod(_) => "pod_create",
            Self::DeletePod { .. } => "pod_delete",
            Self::PatchPodStatus { .. } | Self::ReportPodStatus { .. } => "pod_status",
            Self::GetConfig(_) => "config_get",
            Self::GetStorage(_) => "storage_get",
            Self::GetServices(_) => "services_get",
            Self::ReportDrivers { .. } => "csi_drivers",
            Self::ReportGrowth { .. } => "claim_growth",
            Self::CreateToken { .. } => "token",
            Self::CreateCsr(_) | Self::GetCsr { .. } => "csr",
            Self::CreateEvent(_) | Self::UpdateEvent(_) | Self::PatchEvent { .. } => "event",
        }
    }

    /// The form of its answer.
    pub(super) fn shape(&self) -> Shape {
        match self {
            Self::CreateNode(_)
            | Self::PatchNodeStatus { .. }
            | Self::CreateLease(_)
            | Self::UpdateLease(_)
            | Self::GetLease(_)
            | Self::CreatePod(_)
            | Self::PatchPodStatus { .. }
            | Self::CreateCsr(_) => Shape::ObjectResp,
            Self::CaCert => Shape::FromHub,
            _ => Shape::Bare,
        }
    }
}

/// A message and the object path in it.
struct About<'a> {
    message: &'a Message,
    path: &'a ObjectPath,
}

impl About<'_> {
    fn node(&self) -> Result<Request, Refusal> {
        let name = self.name()?;
        Ok(match (&self.path.kind, &self.message.route.operation) {
            (ResourceKind::Node, Operation::Insert) => {
                let mut node: Box<Node> = self.content(Shape::ObjectResp)?;
                self.claim(&mut node.metadata, Shape::ObjectResp)?;
                Request::CreateNode(node)
            }
            (ResourceKind::Node, Operation::Update) => {
                let mut node: Box<Node> = self.content(Shape::Bare)?;
                self.claim(&mut node.metadata, Shape::Bare)?;
                Request::UpdateNode(node)
            }
            (ResourceKind::Node, Operation::Query) => Request::GetNode { name },
            (ResourceKind::NodePatch, Operation::Patch) => {
                Request::PatchNodeStatus { name, patch: self.content(Shape::ObjectResp)? }
            }
            (ResourceKind::NodeStatus, Operation::Insert | Operation::Update) => {
                Request::ReportNodeStatus { name, report: self.content(Shape::Bare)? }
            }
            _ => return Err(unsupported(self.message)),
        })
    }

    fn pod(&self) -> Result<Request, Refusal> {
        Ok(match (&self.path.kind, &self.message.route.operation) {
            (ResourceKind::Pod, Operation::Insert) => {
                let mut pod: Box<Pod> = self.content(Shape::ObjectResp)?;
                self.claim(&mut pod.metadata, Shape::ObjectResp)?;
                pod.metadata.namespace = Some(self.namespace()?);
                Request::CreatePod(pod)
            }
            (ResourceKind::Pod, Operation::Delete) => {
                Request::DeletePod { pod: self.named()?, options: self.delete_options()? }
            }
            (ResourceKind::PodPatch, Operation::Patch) => {
                Request::PatchPodStatus { pod: self.named()?, patch: self.content(Shape::ObjectResp)? }
            }
            (ResourceKind::PodStatus, Operation::Update) => {
                Request::ReportPodStatus { namespace: self.namespace()?, reports: self.pod_reports()? }
            }
            _ => return Err(unsupported(self.message)),
        })
    }

    fn lease(&self) -> Result<Request, Refusal> {
        let object = self.named()?;
        match self.message.route.operation {
            Operation::Query => return Ok(Request::GetLease(object)),
            Operation::Patch => {
                let LeasePatch { spec } = self.content(Shape::Bare)?;
                return Ok(Request::RenewLease { lease: object, spec });
            }
            _ => {}
        }
        let mut lease: Box<Lease> = self.content(Shape::ObjectResp)?;
        self.claim(&mut lease.metadata, Shape::ObjectResp)?;
        lease.metadata.namespace = Some(object.namespace);
        match self.message.route.operation {
            Operation::Insert => Ok(Request::CreateLease(lease)),
            Operation::Update => Ok(Request::UpdateLease(lease)),
            _ => Err(unsupported(self.message)),
        }
    }

    fn event(&self) -> Result<Request, Refusal> {
        let namespace = self.namespace()?;
        let own = |mut event: Box<Event>| {
            event.metadata.namespace = Some(namespace.clone());
            event
        };
        match self.message.route.operation {
            Operation::Insert => self.content(Shape::Bare).map(own).map(Request::CreateEvent),
            Operation::Update => self.content(Shape::Bare).map(own).map(Request::UpdateEvent),
            Operation::Patch => {
                let EventPatch { event, patch_data } = self.content(Shape::Bare)?;
                let patch = decode(&Content::text(patch_data), Shape::Bare)?;
                Ok(Request::PatchEvent { event: own(event), patch })
            }
            _ => Err(unsupported(self.message)),
        }
    }

    fn csr(&self) -> Result<Request, Refusal> {
        match self.message.route.operation {
            Operation::Insert => {
                let mut csr: Box<CertificateSigningRequest> = self.content(Shape::ObjectResp)?;
                self.claim(&mut csr.metadata, Shape::ObjectResp)?;
                Ok(Request::CreateCsr(csr))
            }
            Operation::Query => Ok(Request::GetCsr { name: self.name()? }),
            _ => Err(unsupported(self.message)),
        }
    }

    fn drivers(&self) -> Result<Request, Refusal> {
        let what = match self.message.route.operation {
            Operation::Update => Drivers::There,
            Operation::Delete => Drivers::Gone,
            _ => return Err(unsupported(self.message)),
        };
        let mut report: Box<CSINode> = self.content(Shape::Bare)?;
        self.claim(&mut report.metadata, Shape::Bare)?;
        Ok(Request::ReportDrivers { report, what })
    }

    fn growth(&self) -> Result<Request, Refusal> {
        let mut report: Box<PersistentVolumeClaim> = self.content(Shape::Bare)?;
        self.claim(&mut report.metadata, Shape::Bare)?;
        self.namespace()?;
        Ok(Request::ReportGrowth { claim: self.path.clone(), report })
    }

    fn other(&self) -> Result<Request, Refusal> {
        if self.message.route.operation != Operation::Query {
            return Err(unsupported(self.message));
        }
        self.name()?;
        match self.path.kind {
            ResourceKind::ConfigMap | ResourceKind::Secret => Ok(Request::GetConfig(self.path.clone())),
            ResourceKind::PersistentVolume
            | ResourceKind::RuntimeClass
            | ResourceKind::CsiDriver
            | ResourceKind::PersistentVolumeClaim
            | ResourceKind::VolumeAttachment => Ok(Request::GetStorage(self.path.clone())),
            ResourceKind::ServiceAccountToken => {
                Ok(Request::CreateToken { account: self.named()?, request: self.content(Shape::Bare)? })
            }
            _ => Err(unsupported(self.message)),
        }
    }

    fn name(&self) -> Result<String, Refusal> {
        self.path.name.clone().ok_or_else(|| self.incomplete("name"))
    }

    fn namespace(&self) -> Result<String, Refusal> {
        self.path.namespace.clone().ok_or_else(|| self.incomplete("namespace"))
    }

    fn named(&self) -> Result<Named, Refusal> {
        Ok(Named { namespace: self.namespace()?, name: self.name()? })
    }

    fn incomplete(&self, missing: &'static str) -> Refusal {
        Refusal::Incomplete { resource: self.message.route.resource.clone(), missing }
    }

    fn content<T: DeserializeOwned>(&self, shape: Shape) -> Result<T, Refusal> {
        decode(&self.message.content, shape)
    }

    /// The object is the one that the path names: an object that says otherwise is refused, one that says
    /// nothing gets the name.
    fn claim(&self, metadata: &mut ObjectMeta, shape: Shape) -> Result<(), Refusal> {
        let expected = self.name()?;
        match metadata.name.take().filter(|name| !name.is_empty()) {
            Some(found) if found != expected => Err(Refusal::OtherObject { found, expected, shape }),
            _ => {
                metadata.name = Some(expected);
                Ok(())
            }
        }
    }

    /// `DeleteOptions`, or in the legacy form the uid as a plain string: then at once, and only that pod.
    fn delete_options(&self) -> Result<Box<DeleteOptions>, Refusal> {
        match &self.message.content {
            Content::Null => Ok(Box::default()),
            Content::Text(text) if !text.trim_start().starts_with('{') => {
                let preconditions = k8s_openapi::apimachinery::pkg::apis::meta::v1::Preconditions {
                    uid: Some(text.clone()).filter(|uid| !uid.is_empty()),
                    ..Default::default()
                };
                Ok(Box::new(DeleteOptions {
                    grace_period_seconds: Some(0),
                    preconditions: Some(preconditions),
                    ..DeleteOptions::default()
                }))
            }
            content => decode(content, Shape::Bare),
        }
    }

    /// One report with the name in the path, or a list of them.
    fn pod_reports(&self) -> Result<Vec<PodReport>, Refusal> {
        let Some(name) = &self.path.name else { return self.content(Shape::Bare) };
        let mut report: PodReport = self.content(Shape::Bare)?;
        report.name.clone_from(name);
        Ok(vec![report])
    }
}

fn decode<T: DeserializeOwned>(content: &Content, shape: Shape) -> Result<T, Refusal> {
    if content.len() > MAX_CONTENT {
        return Err(Refusal::TooLarge { bytes: content.len(), shape });
    }
    content.decode().map_err(|source| Refusal::Content { source, shape })
}

fn unsupported(message: &Message) -> Refusal {
    let route = &message.route;
    Refusal::Unsupported { operation: route.operation.clone(), resource: route.resource.clone() }
}

// === impl Refusal ===

impl Refusal {
    /// Tells the node, in the form of the answer that it waits for.
    pub(super) fn into_answer(self, request: &Message, stamp: Stamp) -> Message {
        let shape = match &self {
            Self::Content { shape, .. } | Self::OtherObject { shape, .. } | Self::TooLarge { shape, .. } => {
                *shape
            }
            Self::Unsupported { .. } | Self::Incomplete { .. } => Shape::Bare,
        };
        let (code, reason) = match &self {
            Self::TooLarge { .. } => (413, "RequestEntityTooLarge"),
            _ => (400, "BadRequest"),
        };
        let status = failure_status(code, reason, self.to_string());
        let answer = match (shape, Content::object(&ObjectResp::<Value>::failure(status.clone()))) {
            (Shape::ObjectResp, Ok(content)) => request.reply(stamp, content),
            _ => request.error(stamp, QueryFailure::from_status(&status).to_string()),
        };
        from_controller(answer)
    }
}
