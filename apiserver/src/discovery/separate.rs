//! Discovery as one document per group and version.

use serde_json::{Value, json};

use super::{by_preference, verbs};
use crate::registry::{KindInfo, Registry};

/// `/api`
pub(super) fn core_versions() -> Value {
    json!({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []})
}

/// `/apis`
pub(super) fn groups(registry: &Registry) -> Value {
    let groups = registry.groups();
    let names = groups.keys().filter(|name| !name.is_empty());
    let groups: Vec<Value> = names.filter_map(|name| describe(registry, name)).collect();
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
}

/// `/apis/GROUP`
pub(super) fn group(registry: &Registry, name: &str) -> Option<Value> {
    let mut group = describe(registry, name).filter(|_| !name.is_empty())?;
    group["kind"] = "APIGroup".into();
    group["apiVersion"] = "v1".into();
    Some(group)
}

fn describe(registry: &Registry, name: &str) -> Option<Value> {
    let groups = registry.groups();
    let versions: Vec<Value> = by_preference(groups.get(name)?.keys().copied())
        .iter()
        .map(|version| json!({"groupVersion": format!("{name}/{version}"), "version": version}))
        .collect();
    Some(json!({"name": name, "preferredVersion": versions.first(), "versions": versions}))
}

/// `/api/v1`, `/apis/GROUP/VERSION`
pub(super) fn resources(registry: &Registry, group: &str, version: &str) -> Option<Value> {
    let groups = registry.groups();
    let kinds = groups.get(group)?.get(version)?;
    let resources: Vec<Value> = kinds.iter().flat_map(|kind| describe_kind(kind)).collect();
    let group_version = kinds.first()?.api_version();
    Some(json!({
        "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": resources,
    }))
}

fn describe_kind(kind: &KindInfo) -> Vec<Value> {
    let mut own = json!({
        "name": kind.plural, "singularName": kind.singular, "namespaced": kind.is_namespaced(),
        "kind": kind.kind, "verbs": verbs(kind),
    });
    if !kind.short_names.is_empty() {
        own["shortNames"] = json!(kind.short_names);
    }
    if !kind.categories.is_empty() {
        own["categories"] = json!(kind.categories);
    }
    let below = kind.subresources.iter().map(|subresource| {
        let mut entry = json!({
            "name": format!("{}/{}", kind.plural, subresource.name()), "singularName": "",
            "namespaced": kind.is_namespaced(), "kind": kind.kind, "verbs": subresource.verbs(),
        });
        if let Some((group, version, name)) = subresource.kind() {
            entry["kind"] = name.into();
            if !group.is_empty() {
                entry["group"] = group.into();
                entry["version"] = version.into();
            }
        }
        entry
    });
    std::iter::once(own).chain(below).collect()
}
