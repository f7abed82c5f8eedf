//! Changes made of objects of the API.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use proto::hello::Held;
use proto::{Content, ObjectPath, Operation, ResourceKind, Source};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::state::Change;

impl Change {
    /// `essence` is what the edge acts on beside the metadata. Status comes from the edge itself: sending it back would
    /// echo each report. `None` for an object without a name, which the API server never sends.
    pub(crate) fn of<T: Serialize, E: Serialize>(
        (source, operation): (Source, Operation),
        kind: ResourceKind,
        metadata: &ObjectMeta,
        object: &T,
        essence: &E,
    ) -> Option<Self> {
        let path =
            ObjectPath { namespace: metadata.namespace.clone(), kind, name: Some(metadata.name.clone()?) };
        Some(Self {
            source,
            operation,
            path,
            uid: metadata.uid.clone().unwrap_or_default(),
            resource_version: metadata.resource_version.clone().unwrap_or_default(),
            digest: digest(metadata, essence)?,
            is_echo: false,
            content: Content::object(object).ok()?,
        })
    }

    /// Whether a node that says it holds `object` has this already.
    pub(crate) fn is_held_as(&self, object: &Held) -> bool {
        let is_same = match object.digest {
            0 => object.version == self.resource_version,
            digest => digest == self.digest,
        };
        object.uid == self.uid && is_same
    }

    /// Whether this replaces `other`, which came before it. Versions of one object are compared as numbers, as
    /// the API server writes them; where they are none, what came last wins.
    pub(super) fn supersedes(&self, other: &Self) -> bool {
        let version = |change: &Self| change.resource_version.parse::<u64>();
        match (version(self), version(other)) {
            (Ok(new), Ok(old)) if self.uid == other.uid => new >= old,
            _ => true,
        }
    }
}

/// The first eight bytes of SHA-256 over the JSON of what counts; never 0, which stands for "none". The bookkeeping in
/// the metadata moves with every write of a status, so it does not count.
fn digest<E: Serialize>(metadata: &ObjectMeta, essence: &E) -> Option<u64> {
    let metadata =
        ObjectMeta { resource_version: None, generation: None, managed_fields: None, ..metadata.clone() };
    let text = serde_json::to_vec(&(metadata, essence)).ok()?;
    let hash = Sha256::digest(&text);
    let first = hash.first_chunk::<8>()?;
    Some(u64::from_le_bytes(*first).max(1))
}
