//! Deleting a namespace deletes what is in it
//! (<https://kubernetes.io/docs/concepts/overview/working-with-objects/namespaces/>).

use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, DeleteParams, DynamicObject, ListParams, PostParams};
use kube::discovery::{ApiResource, Discovery, Scope, verbs};
use kube::{Client, Error};

use super::action::{Action, is_active};
use super::view::Snapshot;

/// Namespaces that are being deleted.
pub(super) fn plan(snapshot: &Snapshot) -> Vec<Action> {
    snapshot
        .namespaces
        .iter()
        .filter(|namespace| !is_active(namespace))
        .filter_map(|namespace| namespace.metadata.name.clone())
        .map(|namespace| Action::EmptyNamespace { namespace })
        .collect()
}

/// Deletes everything in the namespace, and lets it go when nothing is left. What takes its time (pods with a grace
/// period) is found gone at a later call.
pub(super) async fn empty(client: &Client, namespace: &str) -> Result<(), Error> {
    let mut left = 0;
    for resource in namespaced_resources(client).await? {
        let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &resource);
        if api.list_metadata(&ListParams::default().limit(1)).await?.items.is_empty() {
            continue;
        }
        api.delete_collection(&DeleteParams::default(), &ListParams::default()).await?;
        left += api.list_metadata(&ListParams::default().limit(1)).await?.items.len();
    }
    if left > 0 {
        tracing::debug!(namespace, "not empty yet");
        return Ok(());
    }
    finalize(client, namespace).await
}

async fn namespaced_resources(client: &Client) -> Result<Vec<ApiResource>, Error> {
    let discovery = Discovery::new(client.clone()).run().await?;
    let resources = discovery
        .groups()
        .flat_map(|group| group.recommended_resources())
        .filter(|(_, capabilities)| capabilities.scope == Scope::Namespaced)
        .filter(|(_, capabilities)| capabilities.supports_operation(verbs::DELETE_COLLECTION))
        .map(|(resource, _)| resource)
        .collect();
    Ok(resources)
}

async fn finalize(client: &Client, name: &str) -> Result<(), Error> {
    let api: Api<Namespace> = Api::all(client.clone());
    let mut namespace = api.get(name).await?;
    if let Some(spec) = &mut namespace.spec {
        spec.finalizers = None;
    }
    api.replace_subresource("finalize", name, &PostParams::default(), &namespace).await?;
    tracing::info!(namespace = name, "namespace emptied and removed");
    Ok(())
}
