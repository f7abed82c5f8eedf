//! The doing of what [`super::ephemeral`] wants done.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Api, DeleteParams, PostParams, Preconditions};
use kube::{Client, Error};

use super::action::{PodRef, record};

/// Namespace and name, for people.
pub(super) fn shown(claim: &ObjectMeta) -> String {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    format!("{}/{}", text(&claim.namespace), text(&claim.name))
}

pub(super) async fn create(client: &Client, claim: &PersistentVolumeClaim) -> Result<(), Error> {
    claims(client, &claim.metadata).create(&PostParams::default(), claim).await.map(drop)
}

/// In the words of Kubernetes' own controller.
pub(super) async fn in_the_way(
    client: &Client,
    pod: &PodRef,
    claim: &str,
    now: Timestamp,
) -> Result<(), Error> {
    let message = format!("PVC {}/{claim} was not created for pod {pod} (pod is not owner)", pod.namespace);
    record(client, pod, ("ephemeral_volume", "Warning", "FailedBinding"), &message, now).await
}

/// Unless its pod is there after all: who made the claim may have seen more than our picture shows.
pub(super) async fn remove(client: &Client, claim: &ObjectMeta) -> Result<(), Error> {
    let namespace = claim.namespace.as_deref().unwrap_or_default();
    let owner = claim.owner_references.iter().flatten().find(|owner| owner.controller == Some(true));
    if let Some(owner) = owner {
        let pod = Api::<Pod>::namespaced(client.clone(), namespace).get_opt(&owner.name).await?;
        if pod.is_some_and(|pod| pod.metadata.uid.as_deref() == Some(&owner.uid)) {
            return Ok(());
        }
    }
    let params = DeleteParams {
        preconditions: Some(Preconditions { uid: claim.uid.clone(), ..Preconditions::default() }),
        ..DeleteParams::default()
    };
    claims(client, claim).delete(claim.name.as_deref().unwrap_or_default(), &params).await.map(drop)
}

fn claims(client: &Client, claim: &ObjectMeta) -> Api<PersistentVolumeClaim> {
    Api::namespaced(client.clone(), claim.namespace.as_deref().unwrap_or_default())
}
