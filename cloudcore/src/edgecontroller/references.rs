//! Which config maps, secrets, volume claims and service account a pod uses.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{Container, EnvFromSource, EnvVar, EphemeralContainer, PodSpec, Volume};
use proto::ResourceKind;
use proto::ephemeral::claim_name;

/// An object in the namespace of the pod.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Reference {
    /// Config map, secret or volume claim.
    pub(crate) kind: ResourceKind,
    /// Its name.
    pub(crate) name: String,
}

/// Everything that the pod of this name names, in every place where a pod can name something: containers of all three sorts,
/// volumes of all sources, and pull secrets.
pub(crate) fn of_pod(pod: &str, spec: &PodSpec) -> BTreeSet<Reference> {
    let mut found = Found::default();
    for container in spec.containers.iter().chain(spec.init_containers.iter().flatten()) {
        found.container(container);
    }
    for container in spec.ephemeral_containers.iter().flatten() {
        found.ephemeral_container(container);
    }
    for volume in spec.volumes.iter().flatten() {
        found.volume(volume);
        if volume.ephemeral.is_some() {
            found.add(ResourceKind::PersistentVolumeClaim, &claim_name(pod, &volume.name));
        }
    }
    for secret in spec.image_pull_secrets.iter().flatten() {
        found.secret(&secret.name);
    }
    found.0
}

/// The service account that the pod runs as.
pub(crate) fn service_account(spec: &PodSpec) -> &str {
    spec.service_account_name.as_deref().filter(|name| !name.is_empty()).unwrap_or("default")
}

#[derive(Default)]
struct Found(BTreeSet<Reference>);

impl Found {
    fn add(&mut self, kind: ResourceKind, name: &str) {
        if !name.is_empty() {
            self.0.insert(Reference { kind, name: name.to_owned() });
        }
    }

    fn secret(&mut self, name: &str) {
        self.add(ResourceKind::Secret, name);
    }

    fn config_map(&mut self, name: &str) {
        self.add(ResourceKind::ConfigMap, name);
    }

    fn container(&mut self, container: &Container) {
        self.environment(container.env.as_deref(), container.env_from.as_deref());
    }

    fn ephemeral_container(&mut self, container: &EphemeralContainer) {
        self.environment(container.env.as_deref(), container.env_from.as_deref());
    }

    fn environment(&mut self, variables: Option<&[EnvVar]>, sources: Option<&[EnvFromSource]>) {
        for source in variables.into_iter().flatten().filter_map(|variable| variable.value_from.as_ref()) {
            if let Some(key) = &source.config_map_key_ref {
                self.config_map(&key.name);
            }
            if let Some(key) = &source.secret_key_ref {
                self.secret(&key.name);
            }
        }
        for source in sources.into_iter().flatten() {
            if let Some(map) = &source.config_map_ref {
                self.config_map(&map.name);
            }
            if let Some(secret) = &source.secret_ref {
                self.secret(&secret.name);
            }
        }
    }

    fn volume(&mut self, volume: &Volume) {
        if let Some(map) = &volume.config_map {
            self.config_map(&map.name);
        }
        if let Some(secret) = &volume.secret {
            self.secret(secret.secret_name.as_deref().unwrap_or_default());
        }
        for source in volume.projected.iter().flat_map(|projected| projected.sources.iter().flatten()) {
            if let Some(map) = &source.config_map {
                self.config_map(&map.name);
            }
            if let Some(secret) = &source.secret {
                self.secret(&secret.name);
            }
        }
        if let Some(claim) = &volume.persistent_volume_claim {
            self.add(ResourceKind::PersistentVolumeClaim, &claim.claim_name);
        }
        self.driver_secrets(volume);
    }

    /// Secrets that a volume's driver needs on the node.
    fn driver_secrets(&mut self, volume: &Volume) {
        let references = [
            volume.csi.as_ref().and_then(|source| source.node_publish_secret_ref.as_ref()),
            volume.cephfs.as_ref().and_then(|source| source.secret_ref.as_ref()),
            volume.cinder.as_ref().and_then(|source| source.secret_ref.as_ref()),
            volume.flex_volume.as_ref().and_then(|source| source.secret_ref.as_ref()),
            volume.iscsi.as_ref().and_then(|source| source.secret_ref.as_ref()),
            volume.rbd.as_ref().and_then(|source| source.secret_ref.as_ref()),
            volume.scale_io.as_ref().map(|source| &source.secret_ref),
            volume.storageos.as_ref().and_then(|source| source.secret_ref.as_ref()),
        ];
        for reference in references.into_iter().flatten() {
            self.secret(&reference.name);
        }
        if let Some(file) = &volume.azure_file {
            self.secret(&file.secret_name);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_place_where_a_pod_names_something_counts() {
        let spec: PodSpec = serde_json::from_value(json!({
            "containers": [{
                "name": "a",
                "env": [
                    {"name": "A", "valueFrom": {"configMapKeyRef": {"name": "env-map", "key": "k"}}},
                    {"name": "B", "valueFrom": {"secretKeyRef": {"name": "env-secret", "key": "k"}}},
                    {"name": "C", "value": "plain"},
                ],
            }],
            "initContainers": [{"name": "b", "envFrom": [{"configMapRef": {"name": "init-map"}}]}],
            "ephemeralContainers": [{"name": "c", "envFrom": [{"secretRef": {"name": "debug-secret"}}]}],
            "volumes": [
                {"name": "v1", "configMap": {"name": "volume-map"}},
                {"name": "v2", "secret": {"secretName": "volume-secret"}},
                {"name": "v3", "projected": {"sources": [
                    {"configMap": {"name": "kube-root-ca.crt"}},
                    {"secret": {"name": "projected-secret"}},
                    {"serviceAccountToken": {"path": "token"}},
                ]}},
                {"name": "v4", "persistentVolumeClaim": {"claimName": "claim"}},
                {"name": "v5", "csi": {"driver": "d", "nodePublishSecretRef": {"name": "csi-secret"}}},
                {"name": "v6", "emptyDir": {}},
                {"name": "v7", "ephemeral": {"volumeClaimTemplate": {"spec": {}}}},
            ],
            "imagePullSecrets": [{"name": "pull-secret"}],
        }))
        .unwrap();
        let found: Vec<String> =
            of_pod("web", &spec).into_iter().map(|found| format!("{}/{}", found.kind, found.name)).collect();
        assert_eq!(
            found,
            [
                "configmap/env-map",
                "configmap/init-map",
                "configmap/kube-root-ca.crt",
                "configmap/volume-map",
                "secret/csi-secret",
                "secret/debug-secret",
                "secret/env-secret",
                "secret/projected-secret",
                "secret/pull-secret",
                "secret/volume-secret",
                "persistentvolumeclaim/claim",
                "persistentvolumeclaim/web-v7",
            ]
        );
        assert_eq!(service_account(&spec), "default");
    }
}
