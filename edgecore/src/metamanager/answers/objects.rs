//! Objects that pods use: from the store, else from the cloud, and kept from then on.

use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use k8s_openapi::api::node::v1::RuntimeClass;
use proto::ephemeral::is_made_for;
use proto::{Content, Operation, Resource, ResourceKind};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Answers, filing, read};
use crate::flow::MetaError;
use crate::metamanager::cloud::{CallError, queried};
use crate::store::{Change, Object};

impl Answers {
    /// A config map or secret. A stock cloud sends what was asked for from then on, so the answer is kept. A native one sends
    /// it whatever is asked, and takes it away when the last pod goes: an answer that came after that would stay for good.
    pub(super) async fn config<T: DeserializeOwned + Serialize>(
        &self,
        kind: ResourceKind,
        word: &'static str,
        namespace: &str,
        name: &str,
    ) -> Result<T, MetaError> {
        let resource = Resource::object(Some(namespace), kind, name);
        let keep = |_: &T, filing: Filing| (!self.cloud.is_native()).then(|| used(filing, namespace, name));
        self.object(resource, |_| true, keep).await.map_err(|error| error.named(word, namespace, name))
    }

    /// A claim is kept once it leads to a volume: that never changes. The cloud does not send it by itself. One that was made for a pod goes with
    /// the pod, and the next pod of its name has another.
    pub(super) async fn claim(
        &self,
        namespace: &str,
        name: &str,
        owner: Option<&str>,
    ) -> Result<PersistentVolumeClaim, MetaError> {
        let resource = Resource::object(Some(namespace), ResourceKind::PersistentVolumeClaim, name);
        let keep = |claim: &PersistentVolumeClaim, filing: Filing| {
            let phase = claim.status.as_ref().and_then(|status| status.phase.as_deref());
            (phase == Some("Bound")).then(|| used(filing, namespace, name))
        };
        let is_it = |claim: &PersistentVolumeClaim| owner.is_none_or(|owner| is_made_for(claim, owner));
        let found = self.object(resource, is_it, keep).await;
        found.map_err(|error| error.named("persistentvolumeclaim", namespace, name))
    }

    pub(super) async fn volume(&self, name: &str) -> Result<PersistentVolume, MetaError> {
        let resource = Resource::object(None, ResourceKind::PersistentVolume, name);
        let keep = |_: &PersistentVolume, filing: Filing| Some(Change::PutObject(filing.object));
        self.object(resource, |_| true, keep).await.map_err(|error| error.named("persistentvolume", "", name))
    }

    pub(super) async fn runtime_class(&self, name: &str) -> Result<RuntimeClass, MetaError> {
        let resource = Resource::object(None, ResourceKind::RuntimeClass, name);
        let keep = |_: &RuntimeClass, filing: Filing| Some(Change::PutObject(filing.object));
        self.object(resource, |_| true, keep).await.map_err(|error| error.named("runtimeclass", "", name))
    }

    /// From the store, if it is the one, else from the cloud; then `keep` says how it is kept. What the cloud has sent by itself meanwhile
    /// is newer than the answer, which may have waited behind others.
    async fn object<T: DeserializeOwned + Serialize>(
        &self,
        resource: Resource,
        is_it: impl Fn(&T) -> bool,
        keep: impl Fn(&T, Filing) -> Option<Change>,
    ) -> Result<T, ObjectError> {
        let key = resource.to_string();
        let seen = self.seen(&key).await?;
        if let Some(stored) = read(&key, seen.as_deref())?.filter(&is_it) {
            return Ok(stored);
        }
        let answer = self.cloud.call_patiently(Operation::Query, resource.clone(), Content::Null).await?;
        let object: T = queried(&answer)?;
        let filed: Filed = answer.content.decode().unwrap_or_default();
        let kept = match filing(&resource, &object, filed.metadata.uid.as_deref()) {
            Ok(filing) => match keep(&object, Filing { object: filing, seen }) {
                Some(change) => self.apply(change).await,
                None => return self.newer(&key, object, is_it).await,
            },
            Err(error) => Err(error),
        };
        if let Err(error) = kept {
            tracing::error!(%error, %resource, "used, and not in the store: a restart offline will not have it");
            return Ok(object);
        }
        self.acknowledge(&answer, &resource).await;
        self.newer(&key, object, is_it).await
    }

    /// What is in the store now, if it is it; else the answer.
    async fn newer<T: DeserializeOwned>(
        &self,
        key: &str,
        answer: T,
        is_it: impl Fn(&T) -> bool,
    ) -> Result<T, ObjectError> {
        Ok(self.stored(key).await?.filter(is_it).unwrap_or(answer))
    }
}

/// An answer as the store would keep it, and what the store had when the question was asked.
struct Filing {
    object: Object,
    seen: Option<Vec<u8>>,
}

/// Kept as long as a pod names it.
fn used(filing: Filing, namespace: &str, name: &str) -> Change {
    let (pods, name) = (format!("{namespace}/{}/", ResourceKind::Pod), name.to_owned());
    Change::PutUsed { object: filing.object, instead_of: filing.seen, pods, name }
}

/// Why there is no object.
#[derive(Debug)]
pub(super) enum ObjectError {
    Call(CallError),
    Meta(MetaError),
}

impl ObjectError {
    pub(super) fn named(self, kind: &'static str, namespace: &str, name: &str) -> MetaError {
        match self {
            Self::Call(error) => error.for_object(kind, namespace, name),
            Self::Meta(error) => error,
        }
    }
}

impl From<CallError> for ObjectError {
    fn from(error: CallError) -> Self {
        Self::Call(error)
    }
}

impl From<MetaError> for ObjectError {
    fn from(error: MetaError) -> Self {
        Self::Meta(error)
    }
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
