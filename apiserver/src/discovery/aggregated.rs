//! Discovery as one `apidiscovery.k8s.io` document for all groups.

use serde_json::{Value, json};

use super::{by_preference, verbs};
use crate::registry::{KindInfo, Registry};

/// `/api` (`core`) or `/apis`, as `apidiscovery.k8s.io/VERSION`.
pub(super) fn groups(registry: &Registry, core: bool, api_version: &str) -> Value {
    let groups = registry.groups();
    let items: Vec<Value> = groups
        .iter()
        .filter(|(name, _)| name.is_empty() == core)
        .map(|(name, versions)| {
            let versions: Vec<Value> = by_preference(versions.keys().copied())
                .into_iter()
                .map(|version| {
                    let resources: Vec<Value> = versions[version].iter().map(|kind| describe(kind)).collect();
                    json!({"version": version, "resources": resources, "freshness": "Current"})
                })
                .collect();
            let metadata = if name.is_empty() { json!({}) } else { json!({"name": name}) };
            json!({"metadata": metadata, "versions": versions})
        })
        .collect();
    json!({
        "kind": "APIGroupDiscoveryList", "apiVersion": format!("apidiscovery.k8s.io/{api_version}"),
        "metadata": {}, "items": items,
    })
}

fn describe(kind: &KindInfo) -> Value {
    let subresources: Vec<Value> = kind
        .subresources
        .iter()
        .map(|subresource| {
            let own = (kind.group.as_str(), kind.version.as_str(), kind.kind.as_str());
            let (group, version, name) = subresource.kind().unwrap_or(own);
            json!({
                "subresource": subresource.name(), "verbs": subresource.verbs(),
                "responseKind": {"group": group, "version": version, "kind": name},
            })
        })
        .collect();
    let mut entry = json!({
        "resource": kind.plural, "singularResource": kind.singular, "verbs": verbs(kind),
        "responseKind": {"group": kind.group, "version": kind.version, "kind": kind.kind},
        "scope": if kind.is_namespaced() { "Namespaced" } else { "Cluster" },
    });
    for (key, list) in [("shortNames", json!(kind.short_names)), ("categories", json!(kind.categories))] {
        if list.as_array().is_some_and(|list| !list.is_empty()) {
            entry[key] = list;
        }
    }
    if !subresources.is_empty() {
        entry["subresources"] = subresources.into();
    }
    entry
}
