//! A source that answers from memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use k8s_openapi::ByteString;
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestStatus};
use k8s_openapi::api::core::v1::{ConfigMap, Node, PersistentVolume, PersistentVolumeClaim, Secret};
use k8s_openapi::api::storage::v1::{CSIDriver, VolumeAttachment};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::ConfigSource;
use crate::flow::{ClaimGrowth, MetaError};

/// Config maps, secrets and tokens for tests; see the methods for what it can be told.
#[derive(Debug, Default)]
pub struct FakeSource {
    config_maps: BTreeMap<String, Arc<ConfigMap>>,
    secrets: BTreeMap<String, Arc<Secret>>,
    claims: BTreeMap<String, (PersistentVolumeClaim, PersistentVolume)>,
    /// What the cluster knows of drivers and attachments; changed while it is used.
    pub storage: Mutex<FakeStorage>,
    token_expires: Option<jiff::Timestamp>,
    requests: Mutex<Vec<TokenRequest>>,
    offline: bool,
}

/// Drivers of volumes and attachments, by name.
#[derive(Debug, Default)]
pub struct FakeStorage {
    /// `CSIDriver`
    pub drivers: BTreeMap<String, CSIDriver>,
    /// `VolumeAttachment`
    pub attachments: BTreeMap<String, VolumeAttachment>,
    /// What was told of claims that have grown.
    pub growth: Vec<ClaimGrowth>,
    /// Nobody can be asked.
    pub is_offline: bool,
}

impl FakeSource {
    /// Adds a config map of any namespace.
    #[must_use]
    pub fn with_config_map(mut self, name: &str, data: &[(&str, &str)]) -> Self {
        let data = data.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let map = ConfigMap { data: Some(data), ..ConfigMap::default() };
        self.config_maps.insert(name.to_owned(), Arc::new(map));
        self
    }

    /// Adds a secret of any namespace.
    #[must_use]
    pub fn with_secret(mut self, name: &str, data: &[(&str, &[u8])]) -> Self {
        let data = data.iter().map(|(key, value)| ((*key).to_owned(), ByteString(value.to_vec()))).collect();
        self.secrets.insert(name.to_owned(), Arc::new(Secret { data: Some(data), ..Secret::default() }));
        self
    }

    /// Adds a claim of any namespace and the volume behind it.
    #[must_use]
    pub fn with_claim(mut self, claim: PersistentVolumeClaim, volume: PersistentVolume) -> Self {
        self.claims.insert(claim.metadata.name.clone().unwrap_or_default(), (claim, volume));
        self
    }

    /// Issues tokens that end at `expires`; without this, tokens are refused.
    #[must_use]
    pub fn with_tokens(mut self, expires: jiff::Timestamp) -> Self {
        self.token_expires = Some(expires);
        self
    }

    /// Whatever is not there cannot be asked for.
    #[must_use]
    pub fn offline(mut self) -> Self {
        self.offline = true;
        self
    }

    /// The token requests so far.
    pub fn token_requests(&self) -> Vec<TokenRequest> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn missing(&self, kind: &'static str, namespace: &str, name: &str) -> MetaError {
        if self.offline {
            return MetaError::Offline { what: format!("{kind} {namespace}/{name}") };
        }
        MetaError::NotFound { kind, namespace: namespace.to_owned(), name: name.to_owned() }
    }
}

impl ConfigSource for FakeSource {
    async fn config_map(&self, namespace: &str, name: &str) -> Result<Arc<ConfigMap>, MetaError> {
        self.config_maps.get(name).cloned().ok_or_else(|| self.missing("configmap", namespace, name))
    }

    async fn secret(&self, namespace: &str, name: &str) -> Result<Arc<Secret>, MetaError> {
        self.secrets.get(name).cloned().ok_or_else(|| self.missing("secret", namespace, name))
    }

    async fn claim(
        &self,
        namespace: &str,
        name: &str,
        _owner: Option<&str>,
    ) -> Result<PersistentVolumeClaim, MetaError> {
        let found = self.claims.get(name).map(|(claim, _)| claim.clone());
        found.ok_or_else(|| self.missing("persistentvolumeclaim", namespace, name))
    }

    async fn volume(&self, name: &str) -> Result<PersistentVolume, MetaError> {
        let mut volumes = self.claims.values().map(|(_, volume)| volume);
        let found = volumes.find(|volume| volume.metadata.name.as_deref() == Some(name)).cloned();
        found.ok_or_else(|| self.missing("persistentvolume", "", name))
    }

    async fn volume_now(&self, name: &str) -> Result<PersistentVolume, MetaError> {
        self.volume(name).await
    }

    async fn node(&self) -> Result<Option<Node>, MetaError> {
        Ok(None)
    }

    async fn csi_driver(&self, name: &str) -> Result<CSIDriver, MetaError> {
        let storage = self.storage.lock().unwrap_or_else(PoisonError::into_inner);
        if storage.is_offline {
            return Err(MetaError::Offline { what: format!("csidriver {name}") });
        }
        storage.drivers.get(name).cloned().ok_or_else(|| self.missing("csidriver", "", name))
    }

    async fn attachment(&self, name: &str) -> Result<VolumeAttachment, MetaError> {
        let storage = self.storage.lock().unwrap_or_else(PoisonError::into_inner);
        storage.attachments.get(name).cloned().ok_or_else(|| self.missing("volumeattachment", "", name))
    }

    async fn volume_secret(&self, namespace: &str, name: &str) -> Result<Secret, MetaError> {
        self.secret(namespace, name).await.map(|secret| (*secret).clone())
    }

    async fn claim_growth(&self, growth: ClaimGrowth) -> Result<(), MetaError> {
        self.storage.lock().unwrap_or_else(PoisonError::into_inner).growth.push(growth);
        Ok(())
    }

    async fn token(
        &self,
        namespace: &str,
        service_account: &str,
        mut request: TokenRequest,
    ) -> Result<TokenRequest, MetaError> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).push(request.clone());
        let expires =
            self.token_expires.ok_or_else(|| self.missing("serviceaccount", namespace, service_account))?;
        let token = format!("token-of-{service_account}");
        request.status =
            Some(TokenRequestStatus { expiration_timestamp: Some(Time(expires)), token: Some(token) });
        Ok(request)
    }
}
