//! What a controller wants done, as a value, and the doing of it.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{
    Binding, ConfigMap, Event, EventSource, Namespace, Node, ObjectReference, PersistentVolumeClaim, Pod,
    ServiceAccount, Taint,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use kube::{Client, Error};
use serde_json::json;

use super::{claims, namespaces};

/// Who says of pods where they go.
const SCHEDULER: &str = "default-scheduler";

/// Which pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PodRef {
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) uid: String,
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Action {
    /// Give a pod to a node.
    Bind { pod: PodRef, node: String },
    /// Say on the pod why it fits nowhere.
    Unschedulable { pod: PodRef, message: String },
    /// Nothing was heard of a node for `grace` seconds.
    MarkUnknown { node: String, conditions: Vec<&'static str> },
    /// Set the whole list of taints; fails when the node was changed meanwhile and is planned anew then.
    SetTaints { node: String, version: String, taints: Vec<Taint> },
    /// Make the `default` service account.
    CreateAccount { namespace: String },
    /// Make, or correct, `kube-root-ca.crt`.
    PublishRoot { namespace: String, pem: String },
    /// Empty a namespace and let it go.
    EmptyNamespace { namespace: String },
    /// Remove a pod that nothing runs any more.
    RemovePod { pod: PodRef },
    /// Make the claim of a volume of a pod.
    CreateClaim(Box<PersistentVolumeClaim>),
    /// Say on the pod that the claim of this name is somebody else's.
    ClaimInTheWay { pod: PodRef, claim: String },
    /// Remove a claim whose pod is gone.
    RemoveClaim(Box<ObjectMeta>),
}

impl PodRef {
    pub(super) fn of(pod: &Pod) -> Self {
        let meta = &pod.metadata;
        Self {
            namespace: meta.namespace.clone().unwrap_or_default(),
            name: meta.name.clone().unwrap_or_default(),
            uid: meta.uid.clone().unwrap_or_default(),
        }
    }
}

impl std::fmt::Display for PodRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

impl std::fmt::Display for Action {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Bind { pod, node } => write!(f, "bind pod {pod} to {node}"),
            Self::Unschedulable { pod, .. } => write!(f, "mark pod {pod} unschedulable"),
            Self::MarkUnknown { node, .. } => write!(f, "mark node {node} unknown"),
            Self::SetTaints { node, .. } => write!(f, "set taints of node {node}"),
            Self::CreateAccount { namespace } => {
                write!(f, "create the default service account of {namespace}")
            }
            Self::PublishRoot { namespace, .. } => write!(f, "publish the root certificate in {namespace}"),
            Self::EmptyNamespace { namespace } => write!(f, "empty namespace {namespace}"),
            Self::RemovePod { pod } => write!(f, "remove orphaned pod {pod}"),
            Self::CreateClaim(claim) => write!(f, "create claim {}", claims::shown(&claim.metadata)),
            Self::ClaimInTheWay { pod, claim } => write!(f, "say on pod {pod} whose claim {claim} is"),
            Self::RemoveClaim(claim) => write!(f, "remove claim {}", claims::shown(claim)),
        }
    }
}

impl Action {
    /// Does it. What another writer did first (conflict, not found, already there) is no error: the watch will tell,
    /// and the next plan starts from that.
    pub(super) async fn perform(self, client: &Client, now: Timestamp) -> Result<(), Error> {
        let outcome = match self {
            Self::Bind { pod, node } => bind(client, &pod, &node, now).await,
            Self::Unschedulable { pod, message } => unschedulable(client, &pod, &message, now).await,
            Self::MarkUnknown { node, conditions } => mark_unknown(client, &node, &conditions, now).await,
            Self::SetTaints { node, version, taints } => set_taints(client, &node, &version, &taints).await,
            Self::CreateAccount { namespace } => create_account(client, &namespace).await,
            Self::PublishRoot { namespace, pem } => publish_root(client, &namespace, &pem).await,
            Self::EmptyNamespace { namespace } => namespaces::empty(client, &namespace).await,
            Self::RemovePod { pod } => remove_pod(client, &pod).await,
            Self::CreateClaim(claim) => claims::create(client, &claim).await,
            Self::ClaimInTheWay { pod, claim } => claims::in_the_way(client, &pod, &claim, now).await,
            Self::RemoveClaim(claim) => claims::remove(client, &claim).await,
        };
        match outcome {
            Err(Error::Api(status)) if matches!(status.code, 404 | 409) => {
                tracing::debug!(reason = status.reason, message = status.message, "somebody was faster");
                Ok(())
            }
            other => other,
        }
    }
}

async fn bind(client: &Client, pod: &PodRef, node: &str, now: Timestamp) -> Result<(), Error> {
    let binding = Binding {
        metadata: ObjectMeta {
            name: Some(pod.name.clone()),
            uid: Some(pod.uid.clone()),
            ..ObjectMeta::default()
        },
        target: ObjectReference {
            api_version: Some("v1".into()),
            kind: Some("Node".into()),
            name: Some(node.to_owned()),
            ..ObjectReference::default()
        },
    };
    let api: Api<Pod> = Api::namespaced(client.clone(), &pod.namespace);
    let _status: serde_json::Value =
        api.create_subresource("binding", &pod.name, &PostParams::default(), &binding).await?;
    tracing::info!(%pod, node, "bound");
    let message = format!("Successfully assigned {pod} to {node}");
    record(client, pod, (SCHEDULER, "Normal", "Scheduled"), &message, now).await
}

async fn unschedulable(client: &Client, pod: &PodRef, message: &str, now: Timestamp) -> Result<(), Error> {
    let patch = json!({
        "metadata": {"uid": pod.uid},
        "status": {"conditions": [{
            "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message,
            "lastTransitionTime": Time(now),
        }]},
    });
    let api: Api<Pod> = Api::namespaced(client.clone(), &pod.namespace);
    api.patch_status(&pod.name, &PatchParams::default(), &Patch::Strategic(patch)).await?;
    record(client, pod, (SCHEDULER, "Warning", "FailedScheduling"), message, now).await
}

async fn mark_unknown(client: &Client, node: &str, conditions: &[&str], now: Timestamp) -> Result<(), Error> {
    tracing::warn!(node, "nothing was heard of the node: it is marked unknown");
    let conditions: Vec<_> = conditions
        .iter()
        .map(|kind| {
            json!({
                "type": kind, "status": "Unknown", "reason": "NodeStatusUnknown",
                "message": "Kubelet stopped posting node status.", "lastTransitionTime": Time(now),
            })
        })
        .collect();
    let patch = json!({"status": {"conditions": conditions}});
    let api: Api<Node> = Api::all(client.clone());
    api.patch_status(node, &PatchParams::default(), &Patch::Strategic(patch)).await.map(drop)
}

async fn set_taints(client: &Client, node: &str, version: &str, taints: &[Taint]) -> Result<(), Error> {
    let patch = json!({"metadata": {"resourceVersion": version}, "spec": {"taints": taints}});
    let api: Api<Node> = Api::all(client.clone());
    api.patch(node, &PatchParams::default(), &Patch::Merge(patch)).await.map(drop)
}

async fn create_account(client: &Client, namespace: &str) -> Result<(), Error> {
    let account = ServiceAccount {
        metadata: ObjectMeta { name: Some(super::accounts::DEFAULT.into()), ..ObjectMeta::default() },
        ..ServiceAccount::default()
    };
    Api::namespaced(client.clone(), namespace).create(&PostParams::default(), &account).await.map(drop)
}

async fn publish_root(client: &Client, namespace: &str, pem: &str) -> Result<(), Error> {
    let root = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": super::accounts::ROOT_CA},
        "data": {super::accounts::ROOT_CA_KEY: pem},
    });
    let api: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
    let manager = PatchParams::apply("root-ca-certificate-publisher").force();
    api.patch(super::accounts::ROOT_CA, &manager, &Patch::Apply(root)).await.map(drop)
}

async fn remove_pod(client: &Client, pod: &PodRef) -> Result<(), Error> {
    let params = DeleteParams {
        grace_period_seconds: Some(0),
        preconditions: Some(Preconditions { uid: Some(pod.uid.clone()), ..Preconditions::default() }),
        ..DeleteParams::default()
    };
    let api: Api<Pod> = Api::namespaced(client.clone(), &pod.namespace);
    api.delete(&pod.name, &params).await.map(drop)
}

/// A Kubernetes event about a pod. That it could not be recorded must not undo what it is about.
pub(super) async fn record(
    client: &Client,
    pod: &PodRef,
    (component, kind, reason): (&str, &str, &str),
    message: &str,
    now: Timestamp,
) -> Result<(), Error> {
    let event = Event {
        metadata: ObjectMeta {
            name: Some(event_name(&pod.name, reason, now)),
            namespace: Some(pod.namespace.clone()),
            ..ObjectMeta::default()
        },
        involved_object: ObjectReference {
            api_version: Some("v1".into()),
            kind: Some("Pod".into()),
            namespace: Some(pod.namespace.clone()),
            name: Some(pod.name.clone()),
            uid: Some(pod.uid.clone()),
            ..ObjectReference::default()
        },
        type_: Some(kind.to_owned()),
        reason: Some(reason.to_owned()),
        message: Some(message.to_owned()),
        source: Some(EventSource { component: Some(component.to_owned()), ..EventSource::default() }),
        first_timestamp: Some(Time(now)),
        last_timestamp: Some(Time(now)),
        count: Some(1),
        ..Event::default()
    };
    let api: Api<Event> = Api::namespaced(client.clone(), &pod.namespace);
    if let Err(error) = api.create(&PostParams::default(), &event).await {
        tracing::warn!(%error, reason, "event not recorded");
    }
    Ok(())
}

/// Of one moment there may be several about a pod: where it goes, and that its claim is somebody else's.
fn event_name(pod: &str, reason: &str, now: Timestamp) -> String {
    format!("{pod}.{:x}.{}", now.as_nanosecond(), reason.to_lowercase())
}

/// Whether a namespace takes new objects.
pub(super) fn is_active(namespace: &Namespace) -> bool {
    namespace.metadata.deletion_timestamp.is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_events_of_one_moment_are_two() {
        let name = |reason| event_name("web", reason, Timestamp::UNIX_EPOCH);
        assert_eq!(name("Scheduled"), "web.0.scheduled");
        assert_ne!(name("Scheduled"), name("FailedBinding"));
    }
}
