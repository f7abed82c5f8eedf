//! The config maps, secrets and tokens that pods use: which ones, and their contents.
//!
//! Everything a pod refers to is fetched once into a [`ConfigSet`]; the rest of edged works on that without I/O.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;

use k8s_openapi::api::authentication::v1::TokenRequest;
use k8s_openapi::api::core::v1::{
    ConfigMap, Node, PersistentVolume, PersistentVolumeClaim, Pod, Secret, Volume,
};
use k8s_openapi::api::storage::v1::{CSIDriver, VolumeAttachment};

use crate::flow::{ClaimGrowth, ConfigKind, MetaClient, MetaError};

/// Where config maps, secrets and tokens come from: the local store, and behind it the cloud.
pub trait ConfigSource: Send + Sync {
    /// A config map of a namespace.
    fn config_map(
        &self,
        namespace: &str,
        name: &str,
    ) -> impl Future<Output = Result<Arc<ConfigMap>, MetaError>> + Send;

    /// A secret of a namespace.
    fn secret(
        &self,
        namespace: &str,
        name: &str,
    ) -> impl Future<Output = Result<Arc<Secret>, MetaError>> + Send;

    /// A claim of a namespace; one that was made for the pod `owner`, where one is named, if there is one.
    fn claim(
        &self,
        namespace: &str,
        name: &str,
        owner: Option<&str>,
    ) -> impl Future<Output = Result<PersistentVolumeClaim, MetaError>> + Send;

    /// A persistent volume.
    fn volume(&self, name: &str) -> impl Future<Output = Result<PersistentVolume, MetaError>> + Send;

    /// A persistent volume as it is now, where that can be asked.
    fn volume_now(&self, name: &str) -> impl Future<Output = Result<PersistentVolume, MetaError>> + Send;

    /// This node, as it is known here; `None` before it is.
    fn node(&self) -> impl Future<Output = Result<Option<Node>, MetaError>> + Send;

    /// What the cluster knows of a CSI driver.
    fn csi_driver(&self, name: &str) -> impl Future<Output = Result<CSIDriver, MetaError>> + Send;

    /// Whether and how a volume is attached to this node.
    fn attachment(&self, name: &str) -> impl Future<Output = Result<VolumeAttachment, MetaError>> + Send;

    /// A secret that a persistent volume names.
    fn volume_secret(
        &self,
        namespace: &str,
        name: &str,
    ) -> impl Future<Output = Result<Secret, MetaError>> + Send;

    /// Tells the cloud what came of the growth of a claim's volume.
    fn claim_growth(&self, growth: ClaimGrowth) -> impl Future<Output = Result<(), MetaError>> + Send;

    /// A token for a service account.
    fn token(
        &self,
        namespace: &str,
        service_account: &str,
        request: TokenRequest,
    ) -> impl Future<Output = Result<TokenRequest, MetaError>> + Send;
}

impl ConfigSource for MetaClient {
    async fn config_map(&self, namespace: &str, name: &str) -> Result<Arc<ConfigMap>, MetaError> {
        Self::config_map(self, namespace, name).await
    }

    async fn secret(&self, namespace: &str, name: &str) -> Result<Arc<Secret>, MetaError> {
        Self::secret(self, namespace, name).await
    }

    async fn claim(
        &self,
        namespace: &str,
        name: &str,
        owner: Option<&str>,
    ) -> Result<PersistentVolumeClaim, MetaError> {
        Self::claim(self, namespace, name, owner).await
    }

    async fn volume(&self, name: &str) -> Result<PersistentVolume, MetaError> {
        Self::volume(self, name).await
    }

    async fn volume_now(&self, name: &str) -> Result<PersistentVolume, MetaError> {
        Self::volume_now(self, name).await
    }

    async fn node(&self) -> Result<Option<Node>, MetaError> {
        Self::node(self).await
    }

    async fn csi_driver(&self, name: &str) -> Result<CSIDriver, MetaError> {
        Self::csi_driver(self, name).await
    }

    async fn attachment(&self, name: &str) -> Result<VolumeAttachment, MetaError> {
        Self::attachment(self, name).await
    }

    async fn volume_secret(&self, namespace: &str, name: &str) -> Result<Secret, MetaError> {
        Self::volume_secret(self, namespace, name).await
    }

    async fn claim_growth(&self, growth: ClaimGrowth) -> Result<(), MetaError> {
        Self::claim_growth(self, growth).await
    }

    async fn token(
        &self,
        namespace: &str,
        service_account: &str,
        request: TokenRequest,
    ) -> Result<TokenRequest, MetaError> {
        Self::token(self, namespace, service_account, request).await
    }
}

/// A config map or secret in the namespace of the pod that refers to it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ConfigRef {
    /// Which of the two kinds.
    pub kind: ConfigKind,
    /// Name of the object.
    pub name: String,
}

impl ConfigRef {
    fn config_map(name: impl Into<String>) -> Self {
        Self { kind: ConfigKind::ConfigMap, name: name.into() }
    }

    fn secret(name: impl Into<String>) -> Self {
        Self { kind: ConfigKind::Secret, name: name.into() }
    }
}

/// Everything that `pod` mounts or reads into its environment, each once.
pub fn references(pod: &Pod) -> Vec<ConfigRef> {
    let mut found = Vec::new();
    let Some(spec) = &pod.spec else { return found };
    for volume in spec.volumes.iter().flatten() {
        volume_references(volume, &mut found);
    }
    let usual = spec.containers.iter().chain(spec.init_containers.iter().flatten());
    let usual = usual.map(|container| (&container.env_from, &container.env));
    let ephemeral = spec.ephemeral_containers.iter().flatten();
    for (env_from, env) in usual.chain(ephemeral.map(|container| (&container.env_from, &container.env))) {
        for from in env_from.iter().flatten() {
            found.extend(from.config_map_ref.iter().map(|map| ConfigRef::config_map(&map.name)));
            found.extend(from.secret_ref.iter().map(|secret| ConfigRef::secret(&secret.name)));
        }
        for value in env.iter().flatten().filter_map(|variable| variable.value_from.as_ref()) {
            found.extend(value.config_map_key_ref.iter().map(|key| ConfigRef::config_map(&key.name)));
            found.extend(value.secret_key_ref.iter().map(|key| ConfigRef::secret(&key.name)));
        }
    }
    deduplicated(found)
}

fn volume_references(volume: &Volume, found: &mut Vec<ConfigRef>) {
    found.extend(volume.config_map.iter().map(|map| ConfigRef::config_map(&map.name)));
    found
        .extend(volume.secret.iter().filter_map(|secret| secret.secret_name.as_ref()).map(ConfigRef::secret));
    for source in volume.projected.iter().flat_map(|projected| projected.sources.iter().flatten()) {
        found.extend(source.config_map.iter().map(|map| ConfigRef::config_map(&map.name)));
        found.extend(source.secret.iter().map(|secret| ConfigRef::secret(&secret.name)));
    }
}

fn deduplicated(refs: Vec<ConfigRef>) -> Vec<ConfigRef> {
    let mut unique: Vec<ConfigRef> = Vec::with_capacity(refs.len());
    for reference in refs {
        if !unique.contains(&reference) {
            unique.push(reference);
        }
    }
    unique
}

/// A config map or secret that cannot be used now. The texts are those that kubelet's users know.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ConfigError {
    /// The cloud says that there is none.
    #[error("{kind} {name:?} not found")]
    NotFound {
        /// `configmap` or `secret`.
        kind: &'static str,
        /// Name of the object.
        name: String,
    },
    /// It could not be looked up.
    #[error("{0}")]
    Unavailable(MetaError),
}

/// What was found for each reference of a pod.
#[derive(Debug, Clone, Default)]
pub struct ConfigSet {
    config_maps: BTreeMap<String, Result<Arc<ConfigMap>, MetaError>>,
    secrets: BTreeMap<String, Result<Arc<Secret>, MetaError>>,
}

impl ConfigSet {
    /// Looks up all `references`; failures are kept and shown to whoever asks for that object.
    pub async fn load(namespace: &str, references: &[ConfigRef], source: &impl ConfigSource) -> Self {
        let mut set = Self::default();
        for ConfigRef { kind, name } in references {
            match kind {
                ConfigKind::ConfigMap => {
                    set.config_maps.insert(name.clone(), source.config_map(namespace, name).await);
                }
                ConfigKind::Secret => {
                    set.secrets.insert(name.clone(), source.secret(namespace, name).await);
                }
            }
        }
        set
    }

    /// The config map of this name.
    pub fn config_map(&self, name: &str) -> Result<&ConfigMap, ConfigError> {
        found(self.config_maps.get(name), "configmap", name)
    }

    /// The secret of this name.
    pub fn secret(&self, name: &str) -> Result<&Secret, ConfigError> {
        found(self.secrets.get(name), "secret", name)
    }
}

fn found<'a, T>(
    entry: Option<&'a Result<Arc<T>, MetaError>>,
    kind: &'static str,
    name: &str,
) -> Result<&'a T, ConfigError> {
    match entry {
        Some(Ok(object)) => Ok(object),
        None | Some(Err(MetaError::NotFound { .. })) => {
            Err(ConfigError::NotFound { kind, name: name.to_owned() })
        }
        Some(Err(error)) => Err(ConfigError::Unavailable(error.clone())),
    }
}

/// `Ok(None)` where the object is optional and does not exist.
pub fn optional<T>(result: Result<T, ConfigError>, optional: Option<bool>) -> Result<Option<T>, ConfigError> {
    match result {
        Err(ConfigError::NotFound { .. }) if optional == Some(true) => Ok(None),
        other => other.map(Some),
    }
}

#[cfg(any(test, feature = "testing"))]
pub mod testing;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::testing::FakeSource;
    use super::*;

    #[test]
    fn references_are_found_everywhere_once() {
        let pod: Pod = serde_json::from_value(json!({"spec": {
            "volumes": [
                {"name": "a", "configMap": {"name": "cm1"}},
                {"name": "b", "secret": {"secretName": "s1"}},
                {"name": "c", "projected": {"sources": [{"configMap": {"name": "cm2"}}, {"secret": {"name": "s2"}}]}},
            ],
            "initContainers": [{"name": "i", "env": [
                {"name": "X", "valueFrom": {"secretKeyRef": {"name": "s3", "key": "k"}}}]}],
            "containers": [{"name": "c", "envFrom": [{"configMapRef": {"name": "cm1"}}, {"secretRef": {"name": "s1"}}]}],
        }}))
        .unwrap();
        let names: Vec<_> = references(&pod).into_iter().map(|reference| reference.name).collect();
        assert_eq!(names, ["cm1", "s1", "cm2", "s2", "s3"]);
    }

    #[tokio::test]
    async fn a_missing_object_is_named_as_kubelet_does() {
        let source = FakeSource::default().with_config_map("here", &[("k", "v")]);
        let set =
            ConfigSet::load("ns", &[ConfigRef::config_map("here"), ConfigRef::config_map("gone")], &source)
                .await;
        assert!(set.config_map("here").is_ok());
        let error = set.config_map("gone").unwrap_err();
        assert_eq!(error.to_string(), "configmap \"gone\" not found");
        assert!(optional(set.config_map("gone"), Some(true)).unwrap().is_none());
        assert!(optional(set.config_map("gone"), None).is_err());
    }

    #[tokio::test]
    async fn offline_is_not_the_same_as_not_found() {
        let source = FakeSource::default().offline();
        let set = ConfigSet::load("ns", &[ConfigRef::secret("s")], &source).await;
        assert!(optional(set.secret("s"), Some(true)).is_err(), "optional does not mean: guess");
    }
}
