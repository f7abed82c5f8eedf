//! Kubernetes Secrets as the store of the hub's shared secrets (`certs::store`).

use std::collections::BTreeMap;

use certs::authority::NAMESPACE;
use certs::store::{SecretData, SecretStore, StoreError, Versioned};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{Namespace, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::PostParams;
use kube::{Api, Client};

use crate::namespace::ensure_namespace;

/// Type of the Secrets (spec cloud-and-wire 2.9).
const SECRET_TYPE: &str = "Opaque";

/// Secrets in namespace `kubeedge`, which is made when it is missing.
#[derive(Clone)]
pub struct KubeSecrets {
    secrets: Api<Secret>,
    namespaces: Api<Namespace>,
}

impl KubeSecrets {
    /// Secrets that are reached through `client`.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self { secrets: Api::namespaced(client.clone(), NAMESPACE), namespaces: Api::all(client) }
    }
}

impl std::fmt::Debug for KubeSecrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KubeSecrets")
    }
}

impl SecretStore for KubeSecrets {
    async fn get(&self, name: &str) -> Result<Option<Versioned>, StoreError> {
        let found = self.secrets.get_opt(name).await.map_err(|error| refused(name, error))?;
        Ok(found.map(|secret| Versioned {
            version: secret.metadata.resource_version.clone().unwrap_or_default(),
            data: from_kubernetes(secret),
        }))
    }

    async fn create(&self, name: &str, data: &SecretData) -> Result<(), StoreError> {
        let metadata = ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() };
        let secret = Secret {
            metadata,
            type_: Some(SECRET_TYPE.to_owned()),
            data: Some(to_kubernetes(data)),
            ..Secret::default()
        };
        let mut created = self.secrets.create(&PostParams::default(), &secret).await;
        // The only thing that a create can fail to find is the namespace.
        if matches!(&created, Err(kube::Error::Api(status)) if status.is_not_found()) {
            ensure_namespace(&self.namespaces).await.map_err(|error| refused(name, error))?;
            created = self.secrets.create(&PostParams::default(), &secret).await;
        }
        created.map(drop).map_err(|error| refused(name, error))
    }

    async fn replace(&self, name: &str, data: &SecretData, version: &str) -> Result<(), StoreError> {
        // What is read here only keeps labels and annotations that others set; whether it is still the version that
        // the caller decided on is for the API server to say.
        let found = self.secrets.get_opt(name).await.map_err(|error| refused(name, error))?;
        let mut secret = found.ok_or_else(|| StoreError::Conflict(name.to_owned()))?;
        secret.metadata.resource_version = Some(version.to_owned());
        secret.data = Some(to_kubernetes(data));
        let replaced = self.secrets.replace(name, &PostParams::default(), &secret).await;
        replaced.map(drop).map_err(|error| refused(name, error))
    }
}

fn refused(name: &str, error: kube::Error) -> StoreError {
    match error {
        kube::Error::Api(status) if status.is_conflict() || status.is_already_exists() => {
            StoreError::Conflict(name.to_owned())
        }
        error => StoreError::Unavailable { name: name.to_owned(), source: error.into() },
    }
}

fn to_kubernetes(data: &SecretData) -> BTreeMap<String, ByteString> {
    data.0.iter().map(|(key, value)| (key.clone(), ByteString(value.clone()))).collect()
}

fn from_kubernetes(secret: Secret) -> SecretData {
    let data = secret.data.unwrap_or_default();
    SecretData(data.into_iter().map(|(key, value)| (key, value.0)).collect())
}

#[cfg(test)]
mod tests;
