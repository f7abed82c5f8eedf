//! Objects, said in a line: `pod("web").on("edge-1").with_config("settings")`.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{
    ConfigMap, ConfigMapVolumeSource, Container, DownwardAPIVolumeFile, DownwardAPIVolumeSource,
    ObjectFieldSelector, Pod, PodSpec, Secret, SecretVolumeSource, Volume, VolumeMount,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

/// An image that every node has: serves until it is told to stop.
pub(super) const APP: &str = "app:1";
/// Its next version.
pub(super) const APP_2: &str = "app:2";

/// A pod with one container of its own name, which serves from the image `app:1`.
#[must_use]
pub fn pod(name: &str) -> Pod {
    let container = Container { name: name.to_owned(), image: Some(APP.to_owned()), ..Container::default() };
    let spec = PodSpec { containers: vec![container], ..PodSpec::default() };
    Pod { metadata: named(name), spec: Some(spec), ..Pod::default() }
}

/// A config map with one entry, `value`.
#[must_use]
pub fn config_map(name: &str, value: &str) -> ConfigMap {
    let data = BTreeMap::from([("value".to_owned(), value.to_owned())]);
    ConfigMap { metadata: named(name), data: Some(data), ..ConfigMap::default() }
}

/// A secret with one entry, `value`.
#[must_use]
pub fn secret(name: &str, value: &str) -> Secret {
    let data = BTreeMap::from([("value".to_owned(), ByteString(value.as_bytes().to_vec()))]);
    Secret { metadata: named(name), data: Some(data), ..Secret::default() }
}

/// What a test says of a pod.
pub trait PodFixture: Sized {
    /// It is bound to this node, without a scheduler.
    #[must_use]
    fn on(self, node: &str) -> Self;
    /// Its container is of this image.
    #[must_use]
    fn image(self, image: &str) -> Self;
    /// It has this label.
    #[must_use]
    fn labelled(self, key: &str, value: &str) -> Self;
    /// It reads this config map, as a volume of that name.
    #[must_use]
    fn with_config(self, config_map: &str) -> Self;
    /// It reads this config map if there is one, as a volume of that name.
    #[must_use]
    fn with_config_if_any(self, config_map: &str) -> Self;
    /// It reads this secret, as a volume of that name.
    #[must_use]
    fn with_secret(self, secret: &str) -> Self;
    /// It reads its labels, from the file `labels` of the volume `about`.
    #[must_use]
    fn with_labels_file(self) -> Self;
    /// Its container is not started again when it ends.
    #[must_use]
    fn runs_once(self) -> Self;
}

impl PodFixture for Pod {
    fn on(self, node: &str) -> Self {
        edit(self, |spec| spec.node_name = Some(node.to_owned()))
    }

    fn image(self, image: &str) -> Self {
        edit(self, |spec| spec.containers[0].image = Some(image.to_owned()))
    }

    fn labelled(mut self, key: &str, value: &str) -> Self {
        self.metadata.labels.get_or_insert_default().insert(key.to_owned(), value.to_owned());
        self
    }

    fn with_config(self, config_map: &str) -> Self {
        let source = ConfigMapVolumeSource { name: config_map.to_owned(), ..Default::default() };
        mount(self, Volume { name: config_map.to_owned(), config_map: Some(source), ..Volume::default() })
    }

    fn with_config_if_any(self, config_map: &str) -> Self {
        let source = ConfigMapVolumeSource {
            name: config_map.to_owned(),
            optional: Some(true),
            ..ConfigMapVolumeSource::default()
        };
        mount(self, Volume { name: config_map.to_owned(), config_map: Some(source), ..Volume::default() })
    }

    fn with_secret(self, secret: &str) -> Self {
        let source = SecretVolumeSource { secret_name: Some(secret.to_owned()), ..Default::default() };
        mount(self, Volume { name: secret.to_owned(), secret: Some(source), ..Volume::default() })
    }

    fn with_labels_file(self) -> Self {
        let field = ObjectFieldSelector { field_path: "metadata.labels".to_owned(), api_version: None };
        let file =
            DownwardAPIVolumeFile { path: "labels".to_owned(), field_ref: Some(field), ..Default::default() };
        let source = DownwardAPIVolumeSource { items: Some(vec![file]), ..Default::default() };
        mount(self, Volume { name: "about".to_owned(), downward_api: Some(source), ..Volume::default() })
    }

    fn runs_once(self) -> Self {
        edit(self, |spec| spec.restart_policy = Some("Never".to_owned()))
    }
}

fn named(name: &str) -> ObjectMeta {
    ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() }
}

fn edit(mut pod: Pod, change: impl FnOnce(&mut PodSpec)) -> Pod {
    change(pod.spec.get_or_insert_default());
    pod
}

fn mount(pod: Pod, volume: Volume) -> Pod {
    edit(pod, |spec| {
        let name = volume.name.clone();
        let path = format!("/{name}");
        spec.containers[0].volume_mounts.get_or_insert_default().push(VolumeMount {
            name,
            mount_path: path,
            ..VolumeMount::default()
        });
        spec.volumes.get_or_insert_default().push(volume);
    })
}
