//! Columns of kinds that belong to no namespace.

use serde_json::{Value, json};

use super::age;
use super::workload::{AGE, NAME, access_modes, column, or_none};
use crate::registry::Column;

pub(super) const NAMESPACE: &[Column] = &[
    NAME,
    column("Status", 0, "Active or Terminating.", |object, _| object["status"]["phase"].clone()),
    AGE,
];

pub(super) const NODE: &[Column] = &[
    NAME,
    column("Status", 0, "Whether the node is ready.", |node, _| json!(node_status(node))),
    column("Roles", 0, "Roles from the node's labels.", |node, _| json!(node_roles(node))),
    AGE,
    column("Version", 0, "Version of the node's agent.", |node, _| {
        json!(node["status"]["nodeInfo"]["kubeletVersion"].as_str().unwrap_or_default())
    }),
    column("Internal-IP", 1, "Address inside the cluster.", |node, _| {
        json!(node_address(node, "InternalIP"))
    }),
    column("External-IP", 1, "Address outside the cluster.", |node, _| {
        json!(node_address(node, "ExternalIP"))
    }),
    column("OS-Image", 1, "Operating system.", |node, _| json!(node_info(node, "osImage"))),
    column("Kernel-Version", 1, "Kernel.", |node, _| json!(node_info(node, "kernelVersion"))),
    column("Container-Runtime", 1, "Runtime and its version.", |node, _| {
        json!(node_info(node, "containerRuntimeVersion"))
    }),
];

fn node_status(node: &Value) -> String {
    let conditions = node["status"]["conditions"].as_array().into_iter().flatten();
    let ready = conditions.into_iter().find(|condition| condition["type"] == "Ready");
    let status = match ready.map(|condition| condition["status"] == "True") {
        Some(true) => "Ready",
        Some(false) => "NotReady",
        None => "Unknown",
    };
    let unschedulable = if node["spec"]["unschedulable"] == true { ",SchedulingDisabled" } else { "" };
    format!("{status}{unschedulable}")
}

fn node_roles(node: &Value) -> String {
    let labels = node["metadata"]["labels"].as_object().into_iter().flatten();
    let mut roles: Vec<&str> = labels
        .filter_map(|(key, value)| match key.strip_prefix("node-role.kubernetes.io/") {
            Some(role) if !role.is_empty() => Some(role),
            _ if key == "kubernetes.io/role" => value.as_str().filter(|role| !role.is_empty()),
            _ => None,
        })
        .collect();
    roles.sort_unstable();
    roles.dedup();
    if roles.is_empty() { "<none>".to_owned() } else { roles.join(",") }
}

fn node_address<'v>(node: &'v Value, kind: &str) -> &'v str {
    let mut addresses = node["status"]["addresses"].as_array().into_iter().flatten();
    addresses.find(|address| address["type"] == kind).map_or("<none>", |address| or_none(&address["address"]))
}

fn node_info<'v>(node: &'v Value, field: &str) -> &'v str {
    match or_none(&node["status"]["nodeInfo"][field]) {
        "<none>" => "<unknown>",
        known => known,
    }
}

pub(super) const DEFINITION: &[Column] = &[
    NAME,
    Column {
        kind: "date",
        ..column("Created At", 0, "Time of creation.", |object, _| {
            object["metadata"]["creationTimestamp"].clone()
        })
    },
];

pub(super) const SIGNING_REQUEST: &[Column] = &[
    NAME,
    AGE,
    column("SignerName", 0, "Who is asked to sign.", |object, _| {
        json!(or_none(&object["spec"]["signerName"]))
    }),
    column("Requestor", 0, "Who asks.", |object, _| object["spec"]["username"].clone()),
    column("RequestedDuration", 0, "How long it should be valid.", |object, _| {
        let seconds = object["spec"]["expirationSeconds"].as_i64();
        json!(seconds.map_or_else(|| "<none>".to_owned(), age::human_duration))
    }),
    column("Condition", 0, "What was decided.", |object, _| {
        let conditions = object["status"]["conditions"].as_array().into_iter().flatten();
        let mut words: Vec<&str> = conditions.filter_map(|condition| condition["type"].as_str()).collect();
        words.sort_unstable();
        if words.is_empty() {
            words.push("Pending");
        }
        if object["status"]["certificate"].as_str().is_some_and(|text| !text.is_empty()) {
            words.push("Issued");
        }
        json!(words.join(","))
    }),
];

pub(super) const PERSISTENT_VOLUME: &[Column] = &[
    NAME,
    column("Capacity", 0, "Size of the volume.", |object, _| {
        json!(object["spec"]["capacity"]["storage"].as_str().unwrap_or_default())
    }),
    column("Access Modes", 0, "How it may be mounted.", |object, _| {
        json!(access_modes(&object["spec"]["accessModes"]))
    }),
    column("Reclaim Policy", 0, "What happens after use.", |object, _| {
        object["spec"]["persistentVolumeReclaimPolicy"].clone()
    }),
    column("Status", 0, "Phase of the volume.", |object, _| object["status"]["phase"].clone()),
    column("Claim", 0, "Claim that it is bound to.", |object, _| {
        let claim = &object["spec"]["claimRef"];
        match (claim["namespace"].as_str(), claim["name"].as_str()) {
            (Some(namespace), Some(name)) => json!(format!("{namespace}/{name}")),
            _ => json!(""),
        }
    }),
    column("StorageClass", 0, "Class of the storage.", |object, _| {
        json!(object["spec"]["storageClassName"].as_str().unwrap_or_default())
    }),
    column("Reason", 0, "Why it is in this phase.", |object, _| {
        json!(object["status"]["reason"].as_str().unwrap_or_default())
    }),
    AGE,
];

pub(super) const PRIORITY_CLASS: &[Column] = &[
    NAME,
    Column {
        kind: "integer",
        ..column("Value", 0, "Priority of its pods.", |object, _| object["value"].clone())
    },
    Column {
        kind: "boolean",
        ..column("Global-Default", 0, "Whether pods without a class get it.", |object, _| {
            json!(object["globalDefault"] == true)
        })
    },
    AGE,
];

pub(super) const STORAGE_CLASS: &[Column] = &[
    NAME,
    column("Provisioner", 0, "Who makes the volumes.", |object, _| object["provisioner"].clone()),
    column("ReclaimPolicy", 0, "What happens after use.", |object, _| {
        json!(object["reclaimPolicy"].as_str().unwrap_or("Delete"))
    }),
    column("VolumeBindingMode", 0, "When a volume is bound.", |object, _| {
        json!(object["volumeBindingMode"].as_str().unwrap_or("Immediate"))
    }),
    column("AllowVolumeExpansion", 0, "Whether volumes may grow.", |object, _| {
        json!(object["allowVolumeExpansion"] == true)
    }),
    AGE,
];
