//! An object of any kind that knows where in the API it belongs.

use anyhow::Context as _;
use kube::api::{ApiResource, DynamicObject};
use kube::core::GroupVersionKind;
use kube::{Api, Client, Resource, ResourceExt as _};
use serde::Serialize;
use serde_json::Value;

/// Documents of one file that a user gives: enough for anything that one writes by hand.
const MAX_DOCUMENTS: usize = 1000;

/// An object, and the resource that it is one of.
#[derive(Debug, Clone, PartialEq)]
pub struct Object {
    resource: Place,
    body: DynamicObject,
}

/// Where objects of a kind are.
#[derive(Debug, Clone, PartialEq)]
enum Place {
    Known(ApiResource),
    /// Of a user's file: the API server is asked.
    Asked(GroupVersionKind),
}

impl Object {
    /// A typed object. Keys that say nothing are left out, as Helm leaves them out.
    ///
    /// # Errors
    /// When it cannot be written as JSON.
    pub fn of<K>(object: &K) -> anyhow::Result<Self>
    where
        K: Resource<DynamicType = ()> + Serialize,
    {
        let body = serde_json::from_value(serde_json::to_value(object)?)?;
        Ok(Self { resource: Place::Known(ApiResource::erase::<K>(&())), body })
    }

    /// An object as a file has it.
    fn of_document(document: Value) -> anyhow::Result<Self> {
        let body: DynamicObject = serde_json::from_value(document).context("it is no Kubernetes object")?;
        let types = body.types.clone().context("apiVersion and kind are missing")?;
        anyhow::ensure!(body.metadata.name.is_some(), "metadata.name is missing");
        Ok(Self { resource: Place::Asked(GroupVersionKind::try_from(types)?), body })
    }

    /// As people call it: `Deployment kubeedge/cloudcore`.
    #[must_use]
    pub fn title(&self) -> String {
        let kind = self.kind();
        match self.body.namespace() {
            Some(namespace) => format!("{kind} {namespace}/{}", self.body.name_any()),
            None => format!("{kind} {}", self.body.name_any()),
        }
    }

    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> &str {
        self.body.types.as_ref().map_or("object", |types| &types.kind)
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> String {
        self.body.name_any()
    }

    /// The object itself.
    #[must_use]
    pub fn body(&self) -> &DynamicObject {
        &self.body
    }

    /// As JSON.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn to_json(&self) -> anyhow::Result<Value> {
        Ok(serde_json::to_value(&self.body)?)
    }

    /// As one YAML document.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn to_yaml(&self) -> anyhow::Result<String> {
        Ok(chassis::config::to_yaml(&self.to_json()?)?)
    }

    /// Where it is to be put.
    ///
    /// # Errors
    /// When the API server has to be asked for the kind and does not know it.
    pub async fn api(&self, client: &Client) -> anyhow::Result<Api<DynamicObject>> {
        let resource = match &self.resource {
            Place::Known(resource) => resource.clone(),
            Place::Asked(kind) => {
                let found = kube::discovery::pinned_kind(client, kind).await;
                found.with_context(|| format!("{}: look for the kind {}", self.title(), kind.kind))?.0
            }
        };
        Ok(match self.body.namespace() {
            Some(namespace) => Api::namespaced_with(client.clone(), &namespace, &resource),
            None => Api::all_with(client.clone(), &resource),
        })
    }
}

/// The objects of a file with any number of YAML documents.
///
/// # Errors
/// Which document is no object, and why.
pub fn parse_documents(text: &str) -> anyhow::Result<Vec<Object>> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(text).context("it is no YAML")?;
    anyhow::ensure!(documents.len() <= MAX_DOCUMENTS, "it has more than {MAX_DOCUMENTS} documents");
    let numbered = documents.into_iter().enumerate().filter(|(_, document)| !document.is_null());
    numbered
        .map(|(at, document)| Object::of_document(document).with_context(|| format!("document {}", at + 1)))
        .collect()
}
