//! The files of a volume, computed from its objects. No I/O.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{ConfigMap, DownwardAPIVolumeFile, Pod, Secret};

use super::plan::{Files, Item, Source, Token, checked, mode_bits};
use crate::edged::downward::{self, DownwardError, Place, PodFacts};
use crate::edged::sources::{ConfigError, ConfigSet, optional};

/// Files by their path in the volume.
pub(super) type Payload = BTreeMap<String, File>;

/// One file of a volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct File {
    pub(super) bytes: Vec<u8>,
    pub(super) mode: u32,
    /// Owner other than root: a token that only the pod's one user may read.
    pub(super) user: Option<u32>,
}

/// Tokens that were issued, by what was asked for.
pub(super) type Tokens = BTreeMap<Token, String>;

/// Why the files cannot be made now. The texts are those that kubelet's users know.
#[derive(Debug, Clone, thiserror::Error)]
pub(super) enum PayloadError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("references non-existent {kind} key: {key}")]
    Key { kind: &'static str, key: String },
    #[error("key {0:?} is not a file name")]
    KeyName(String),
    #[error(transparent)]
    Downward(#[from] DownwardError),
    #[error("downward API file {0:?} has neither fieldRef nor resourceFieldRef")]
    NoField(String),
    #[error("no token for service account was issued")]
    NoToken,
}

/// What the files are made from.
pub(super) struct Inputs<'a> {
    pub(super) pod: &'a Pod,
    pub(super) facts: &'a PodFacts,
    pub(super) config: &'a ConfigSet,
    pub(super) tokens: &'a Tokens,
}

pub(super) fn payload(files: &Files, inputs: &Inputs<'_>) -> Result<Payload, PayloadError> {
    let mut payload = Payload::new();
    for source in &files.sources {
        match source {
            Source::ConfigMap { name, items, optional: may_miss } => {
                let map = optional(inputs.config.config_map(name), Some(*may_miss))?;
                let data = map.map(config_map_data).unwrap_or_default();
                keys(&mut payload, files, &data, items.as_deref(), ("config", *may_miss))?;
            }
            Source::Secret { name, items, optional: may_miss } => {
                let secret = optional(inputs.config.secret(name), Some(*may_miss))?;
                let data = secret.map(secret_data).unwrap_or_default();
                keys(&mut payload, files, &data, items.as_deref(), ("secret", *may_miss))?;
            }
            Source::Downward(items) => {
                for item in items {
                    let mode = mode_bits(item.mode).unwrap_or(files.default_mode);
                    let bytes = downward_text(item, inputs)?.into_bytes();
                    payload.insert(item.path.clone(), File { bytes, mode, user: None });
                }
            }
            Source::Token(token) => {
                let text = inputs.tokens.get(token).ok_or(PayloadError::NoToken)?;
                let (mode, user) = token_mode(inputs.pod, files.default_mode);
                payload.insert(token.path.clone(), File { bytes: text.clone().into_bytes(), mode, user });
            }
        }
    }
    Ok(payload)
}

type Data<'a> = BTreeMap<&'a str, &'a [u8]>;

fn config_map_data(map: &ConfigMap) -> Data<'_> {
    let text = map.data.iter().flatten().map(|(key, value)| (key.as_str(), value.as_bytes()));
    let binary = map.binary_data.iter().flatten().map(|(key, value)| (key.as_str(), value.0.as_slice()));
    text.chain(binary).collect()
}

fn secret_data(secret: &Secret) -> Data<'_> {
    secret.data.iter().flatten().map(|(key, value)| (key.as_str(), value.0.as_slice())).collect()
}

fn keys(
    payload: &mut Payload,
    files: &Files,
    data: &Data<'_>,
    items: Option<&[Item]>,
    (kind, may_miss): (&'static str, bool),
) -> Result<(), PayloadError> {
    let file = |bytes: &[u8], mode: Option<u32>| File {
        bytes: bytes.to_vec(),
        mode: mode.unwrap_or(files.default_mode),
        user: None,
    };
    let Some(items) = items else {
        for (key, bytes) in data {
            // The API server sees to this; a store from elsewhere may not have.
            let path = checked(key).ok().filter(|path| !path.contains('/'));
            let path = path.ok_or_else(|| PayloadError::KeyName((*key).to_owned()))?;
            payload.insert(path, file(bytes, None));
        }
        return Ok(());
    };
    for item in items {
        match data.get(item.key.as_str()) {
            Some(bytes) => {
                payload.insert(item.path.clone(), file(bytes, item.mode));
            }
            None if may_miss => {}
            None => return Err(PayloadError::Key { kind, key: item.key.clone() }),
        }
    }
    Ok(())
}

fn downward_text(item: &DownwardAPIVolumeFile, inputs: &Inputs<'_>) -> Result<String, PayloadError> {
    if let Some(selector) = &item.field_ref {
        return Ok(downward::field(selector, inputs.pod, inputs.facts, Place::File)?);
    }
    if let Some(selector) = &item.resource_field_ref {
        return Ok(downward::resource(selector, inputs.pod, None, inputs.facts)?);
    }
    Err(PayloadError::NoField(item.path.clone()))
}

/// A token is for the pod alone: where its user or group is known, nobody else may read it
/// (<https://github.com/kubernetes/enhancements/tree/master/keps/sig-storage/2451-service-account-token-volumes>).
/// With an fsGroup, 0600 becomes 0640 when ownership is set.
fn token_mode(pod: &Pod, default_mode: u32) -> (u32, Option<u32>) {
    let user = only_user(pod);
    let has_group = super::fs_group(pod).is_some();
    (if user.is_some() || has_group { 0o600 } else { default_mode }, user)
}

/// The user of all containers, when the pod names the same for each of them.
fn only_user(pod: &Pod) -> Option<u32> {
    let spec = pod.spec.as_ref()?;
    let of_pod = spec.security_context.as_ref().and_then(|context| context.run_as_user);
    let mut users = spec.containers.iter().chain(spec.init_containers.iter().flatten()).map(|container| {
        container.security_context.as_ref().and_then(|context| context.run_as_user).or(of_pod)
    });
    let first = users.next()??;
    users.all(|user| user == Some(first)).then(|| u32::try_from(first).ok())?
}

#[cfg(test)]
mod tests;
