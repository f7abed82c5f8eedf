//! How the lists and structs of the built-in kinds merge: the one table of it.
//!
//! Source: the `patchStrategy`, `listType`, `mapType` and `structType` markers of the published Kubernetes API
//! types (<https://kubernetes.io/docs/reference/using-api/server-side-apply/#merge-strategy>). What is not
//! here merges by the default: lists are atomic and are replaced by a patch; objects are granular.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use Rule::{Atomic, Keyed, KeyedApply, KeyedRetain, PatchOnly, Set, SetPatch};

/// What a row says about a field (or, with an empty field name, about the type itself).
enum Rule {
    /// Owned and replaced as a whole by server-side apply.
    Atomic,
    /// Strategic merge by the first key; server-side apply by all of them.
    Keyed(&'static [&'static str]),
    /// As [`Rule::Keyed`], and a union: a patch may name with `$retainKeys` the members that stay.
    KeyedRetain(&'static [&'static str]),
    /// Keyed for server-side apply only; a strategic merge patch replaces the list.
    KeyedApply(&'static [&'static str]),
    /// Keyed for strategic merge only; atomic for server-side apply.
    PatchOnly(&'static str),
    /// A set of scalars for server-side apply only.
    Set,
    /// A set of scalars for both.
    SetPatch,
}

const CORE: &str = "io.k8s.api.core.v1.";
const STORAGE: &str = "io.k8s.api.storage.v1.";
const META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.";

#[rustfmt::skip]
const TABLE: &[(&str, &str, &str, Rule)] = &[
    (META, "LabelSelector", "", Atomic),
    (META, "ObjectMeta", "finalizers", SetPatch),
    (META, "ObjectMeta", "ownerReferences", Keyed(&["uid"])),
    (META, "OwnerReference", "", Atomic),

    (STORAGE, "CSINodeSpec", "drivers", Keyed(&["name"])),

    (CORE, "PodSpec", "containers", Keyed(&["name"])),
    (CORE, "PodSpec", "ephemeralContainers", Keyed(&["name"])),
    (CORE, "PodSpec", "hostAliases", Keyed(&["ip"])),
    (CORE, "PodSpec", "imagePullSecrets", Keyed(&["name"])),
    (CORE, "PodSpec", "initContainers", Keyed(&["name"])),
    (CORE, "PodSpec", "nodeSelector", Atomic),
    (CORE, "PodSpec", "resourceClaims", KeyedRetain(&["name"])),
    (CORE, "PodSpec", "schedulingGates", Keyed(&["name"])),
    (CORE, "PodSpec", "topologySpreadConstraints", Keyed(&["topologyKey", "whenUnsatisfiable"])),
    (CORE, "PodSpec", "volumes", KeyedRetain(&["name"])),
    (CORE, "Container", "env", Keyed(&["name"])),
    (CORE, "Container", "ports", Keyed(&["containerPort", "protocol"])),
    (CORE, "Container", "volumeDevices", Keyed(&["devicePath"])),
    (CORE, "Container", "volumeMounts", Keyed(&["mountPath"])),
    (CORE, "EphemeralContainer", "env", Keyed(&["name"])),
    (CORE, "EphemeralContainer", "ports", Keyed(&["containerPort", "protocol"])),
    (CORE, "EphemeralContainer", "volumeDevices", Keyed(&["devicePath"])),
    (CORE, "EphemeralContainer", "volumeMounts", Keyed(&["mountPath"])),
    (CORE, "ResourceRequirements", "claims", KeyedApply(&["name"])),
    (CORE, "ContainerRestartRuleOnExitCodes", "values", Set),
    (CORE, "ConfigMapKeySelector", "", Atomic),
    (CORE, "FileKeySelector", "", Atomic),
    (CORE, "LocalObjectReference", "", Atomic),
    (CORE, "ObjectFieldSelector", "", Atomic),
    (CORE, "ObjectReference", "", Atomic),
    (CORE, "ResourceFieldSelector", "", Atomic),
    (CORE, "SecretKeySelector", "", Atomic),
    (CORE, "SecretReference", "", Atomic),
    (CORE, "TypedLocalObjectReference", "", Atomic),
    (CORE, "NodeSelector", "", Atomic),
    (CORE, "NodeSelectorTerm", "", Atomic),
    (CORE, "TopologySelectorTerm", "", Atomic),

    (CORE, "PodStatus", "conditions", Keyed(&["type"])),
    (CORE, "PodStatus", "hostIPs", PatchOnly("ip")),
    (CORE, "PodStatus", "podIPs", Keyed(&["ip"])),
    (CORE, "PodStatus", "resourceClaimStatuses", KeyedRetain(&["name"])),
    (CORE, "ContainerStatus", "allocatedResourcesStatus", Keyed(&["name"])),
    (CORE, "ContainerStatus", "volumeMounts", Keyed(&["mountPath"])),
    (CORE, "ResourceStatus", "resources", KeyedApply(&["resourceID"])),

    (CORE, "NodeSpec", "podCIDRs", SetPatch),
    (CORE, "NodeStatus", "addresses", Keyed(&["type"])),
    (CORE, "NodeStatus", "conditions", Keyed(&["type"])),
    (CORE, "NamespaceStatus", "conditions", Keyed(&["type"])),
    (CORE, "PersistentVolumeClaimStatus", "conditions", Keyed(&["type"])),
    (CORE, "ServiceAccount", "secrets", Keyed(&["name"])),
    (CORE, "ServiceSpec", "ports", Keyed(&["port", "protocol"])),
    (CORE, "ServiceSpec", "selector", Atomic),
    (CORE, "ServiceStatus", "conditions", Keyed(&["type"])),
    (CORE, "EndpointAddress", "", Atomic),
    (CORE, "EndpointPort", "", Atomic),

    ("io.k8s.api.certificates.v1.", "CertificateSigningRequestStatus", "conditions", KeyedApply(&["type"])),
    ("io.k8s.api.discovery.v1.", "Endpoint", "addresses", Set),
    ("io.k8s.api.discovery.v1.", "EndpointPort", "", Atomic),
    ("io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.", "CustomResourceDefinitionStatus", "conditions", KeyedApply(&["type"])),
    ("io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.", "JSONSchemaProps", "x-kubernetes-validations", Keyed(&["rule"])),
];

/// List keys that an item may leave out, with the value they then have.
const KEY_DEFAULTS: &[(&str, &str, &str)] =
    &[("ContainerPort", "protocol", "TCP"), ("ServicePort", "protocol", "TCP")];

/// Writes the table into the definitions as `x-kubernetes-*` extensions.
pub(crate) fn annotate(definitions: &mut BTreeMap<String, Value>) {
    for (package, name, field, rule) in TABLE {
        let definition = definitions.get_mut(&format!("{package}{name}"));
        let definition = definition.unwrap_or_else(|| panic!("{package}{name} was not generated"));
        let target = if field.is_empty() { definition } else { &mut definition["properties"][*field] };
        assert!(target.is_object(), "{name} has no field {field}");
        apply(target, rule);
    }
    for (name, field, default) in KEY_DEFAULTS {
        if let Some(definition) = definitions.get_mut(&format!("{CORE}{name}")) {
            definition["properties"][*field]["default"] = json!(default);
        }
    }
}

fn apply(target: &mut Value, rule: &Rule) {
    match rule {
        Atomic => target["x-kubernetes-map-type"] = json!("atomic"),
        Keyed(keys) => {
            list_map(target, keys);
            patch(target, "merge", Some(keys[0]));
        }
        KeyedRetain(keys) => {
            list_map(target, keys);
            patch(target, "merge,retainKeys", Some(keys[0]));
        }
        KeyedApply(keys) => list_map(target, keys),
        PatchOnly(key) => patch(target, "merge", Some(key)),
        Set => target["x-kubernetes-list-type"] = json!("set"),
        SetPatch => {
            target["x-kubernetes-list-type"] = json!("set");
            patch(target, "merge", None);
        }
    }
}

fn list_map(target: &mut Value, keys: &[&str]) {
    target["x-kubernetes-list-type"] = json!("map");
    target["x-kubernetes-list-map-keys"] = json!(keys);
}

fn patch(target: &mut Value, strategy: &str, key: Option<&str>) {
    target["x-kubernetes-patch-strategy"] = json!(strategy);
    if let Some(key) = key {
        target["x-kubernetes-patch-merge-key"] = json!(key);
    }
}
