//! The OpenAPI documents: `/openapi/v3`, one document per group and version, and `/openapi/v2`.
//!
//! `kubectl explain` reads the schemas, `kubectl apply` the patch strategies in them, and both look into the paths
//! for what a kind's requests can carry (`fieldValidation`, `dryRun`). Documents are made when they are asked
//! for, from the deflated schemas and the registry, and are not kept.

mod paths;
mod schemas;

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::registry::{KindInfo, Registry};

/// The Kubernetes version whose schemas the built-in kinds have.
const KUBERNETES_VERSION: &str = "v1.37.0";

/// The dialect of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dialect {
    V2,
    V3,
}

impl Dialect {
    fn reference(self, definition: &str) -> String {
        match self {
            Self::V2 => format!("#/definitions/{definition}"),
            Self::V3 => format!("#/components/schemas/{definition}"),
        }
    }
}

/// `/openapi/v3`: where the document of each group and version is. The address changes with the document, so
/// that clients may keep it.
pub fn index(registry: &Registry) -> Value {
    let mut paths = Map::new();
    for (group, versions) in registry.groups() {
        for (version, kinds) in versions {
            let path = root(group, version);
            let hash = fingerprint(kinds.iter().map(AsRef::as_ref));
            let url = format!("/openapi/v3/{path}?hash={hash}");
            paths.insert(path, json!({ "serverRelativeURL": url }));
        }
    }
    json!({ "paths": paths })
}

/// `/openapi/v3/<path>`, where `path` is `api/v1` or `apis/<group>/<version>`; `None` if nothing is served there.
pub fn group_version(registry: &Registry, path: &str) -> Option<Value> {
    let kinds: Vec<&KindInfo> =
        registry.kinds().map(AsRef::as_ref).filter(|kind| root(&kind.group, &kind.version) == path).collect();
    if kinds.is_empty() {
        return None;
    }
    Some(json!({
        "openapi": "3.0.0",
        "info": { "title": "Kubernetes", "version": KUBERNETES_VERSION },
        "paths": paths::of(&kinds, Dialect::V3),
        "components": { "schemas": schemas::of(&kinds, Dialect::V3) },
    }))
}

/// The media type that clients ask of `/openapi/v2` before JSON.
pub const V2_PROTOBUF: &str = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";

/// The same as the content type of an answer, where `@` is not allowed (RFC 7231 section 3.1.1.1).
pub const V2_PROTOBUF_CONTENT: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

/// `/openapi/v2` in protobuf: the document's head without paths and definitions.
///
/// `kubectl` up to 1.28 takes nothing but protobuf here and does not start without it, yet needs nothing of it
/// from a server that has `/openapi/v3` and validates fields itself. So this is all of it: `swagger` (field 1) and
/// `info` (field 2: `title` 1, `version` 2) of gnostic's `openapi.v2.Document`.
pub fn v2_protobuf() -> Vec<u8> {
    let info =
        [text_field(1, "Kubernetes".as_bytes()), text_field(2, KUBERNETES_VERSION.as_bytes())].concat();
    [text_field(1, b"2.0"), text_field(2, &info)].concat()
}

/// One length-delimited field of protobuf (wire type 2), shorter than 128 bytes, so that its length is one byte.
fn text_field(number: u8, content: &[u8]) -> Vec<u8> {
    debug_assert!(content.len() < 128);
    let length = u8::try_from(content.len()).unwrap_or_default();
    [&[number << 3 | 2, length], content].concat()
}

/// `/openapi/v2` in JSON: everything in one document.
pub fn v2(registry: &Registry) -> Value {
    let kinds: Vec<&KindInfo> = registry.kinds().map(AsRef::as_ref).collect();
    json!({
        "swagger": "2.0",
        "info": { "title": "Kubernetes", "version": KUBERNETES_VERSION },
        "paths": paths::of(&kinds, Dialect::V2),
        "definitions": schemas::of(&kinds, Dialect::V2),
    })
}

/// The path of a group and version below `/openapi/v3/` and below `/`.
fn root(group: &str, version: &str) -> String {
    if group.is_empty() { format!("api/{version}") } else { format!("apis/{group}/{version}") }
}

/// Changes when the document of these kinds changes.
fn fingerprint<'a>(kinds: impl Iterator<Item = &'a KindInfo>) -> String {
    let mut hash = Sha256::new();
    hash.update(env!("CARGO_PKG_VERSION"));
    for kind in kinds {
        hash.update(kind.kind.as_bytes());
        hash.update([0]);
        if let Some(custom) = &kind.custom {
            hash.update(custom.document.as_bytes());
        }
    }
    hash.finalize().iter().map(|byte| format!("{byte:02X}")).collect()
}

/// `x-kubernetes-group-version-kind` of a kind.
fn group_version_kind(kind: &KindInfo) -> Value {
    json!({ "group": kind.group, "version": kind.version, "kind": kind.kind })
}

#[cfg(test)]
mod tests;
