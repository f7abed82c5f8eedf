//! What CloudCore asks of the Kubernetes API, call for call: what it has to be allowed, and no more.
//!
//! The installer makes roles of it. CloudCore's own tests run behind a door that lets nothing else through, and count
//! what is never asked for.

use crate::ban::CONFIG_MAP;

/// Some verbs on some resources of one API group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grant {
    /// API group; empty: the core.
    pub group: &'static str,
    /// Resources, with a subresource behind a `/`.
    pub resources: &'static [&'static str],
    /// What may be done with them.
    pub verbs: &'static [&'static str],
    /// Only with these; empty: with all.
    pub names: &'static [&'static str],
    /// Only in this namespace; none: in all of them.
    pub namespace: Option<&'static str>,
}

/// Where nodes renew their leases.
pub const LEASES: &str = "kube-node-lease";

/// Where CloudCore keeps what is its own.
const OURS: &str = "kubeedge";

/// All of it. A node asks through CloudCore, whose own authorizer says what it may have: hence `get` beside `watch`.
const GRANTS: [Grant; 29] = [
    // EdgeController: what nodes should have, and what they ask for.
    cluster("", &["pods"], &["create", "delete", "get", "list", "watch"]),
    cluster("", &["pods/status"], &["patch"]),
    cluster("", &["nodes"], &["create", "get", "list", "patch", "watch"]),
    cluster("", &["nodes/status"], &["patch"]),
    cluster("", &["configmaps", "persistentvolumes", "secrets"], &["get", "list", "watch"]),
    cluster("", &["persistentvolumeclaims"], &["get"]),
    cluster("", &["services"], &["get", "list"]),
    cluster("", &["persistentvolumeclaims/status"], &["update"]),
    cluster("", &["events"], &["create", "patch", "update"]),
    cluster("", &["serviceaccounts/token"], &["create"]),
    cluster("certificates.k8s.io", &["certificatesigningrequests"], &["create", "get"]),
    cluster("node.k8s.io", &["runtimeclasses"], &["get"]),
    cluster("storage.k8s.io", &["csidrivers", "volumeattachments"], &["get"]),
    cluster("storage.k8s.io", &["csinodes"], &["create", "get", "update"]),
    within(LEASES, "coordination.k8s.io", &["leases"], &["create", "get", "patch", "update"], &[]),
    // DeviceController, and the webhook that looks at models.
    cluster("devices.kubeedge.io", &["devices"], &["list", "patch", "watch"]),
    // Asked for by no call: a status names its Device as the owner, which some clusters (OpenShift) take for a change of it.
    cluster("devices.kubeedge.io", &["devices/finalizers"], &["update"]),
    cluster("devices.kubeedge.io", &["devicemodels"], &["get", "list", "watch"]),
    cluster("devices.kubeedge.io", &["devicestatuses"], &["create", "list", "patch", "watch"]),
    // Router: rules, and who may send to them (`modules.router`).
    cluster("rules.kubeedge.io", &["rules"], &["list", "patch", "watch"]),
    cluster("rules.kubeedge.io", &["ruleendpoints"], &["list", "watch"]),
    cluster("authentication.k8s.io", &["tokenreviews"], &["create"]),
    cluster("authorization.k8s.io", &["subjectaccessreviews"], &["create"]),
    // SyncController.
    cluster(
        "reliablesyncs.kubeedge.io",
        &["clusterobjectsyncs", "objectsyncs"],
        &["create", "delete", "list", "patch", "watch"],
    ),
    cluster("reliablesyncs.kubeedge.io", &["clusterobjectsyncs/status", "objectsyncs/status"], &["patch"]),
    // CloudHub: its CA, which is never replaced, its certificate and token, and who is banned.
    within(OURS, "", &["configmaps", "secrets"], &["create"], &[]),
    within(OURS, "", &["secrets"], &["update"], &["cloudcoresecret", "tokensecret"]),
    within(OURS, "", &["configmaps"], &["patch"], &[CONFIG_MAP]),
    // Replicas: that each lives, who leads, and the leases of those that died.
    within(
        OURS,
        "coordination.k8s.io",
        &["leases"],
        &["create", "delete", "list", "patch", "update", "watch"],
        &[],
    ),
];

/// All that CloudCore may do.
#[must_use]
pub fn grants() -> &'static [Grant] {
    &GRANTS
}

const fn cluster(
    group: &'static str,
    resources: &'static [&'static str],
    verbs: &'static [&'static str],
) -> Grant {
    Grant { group, resources, verbs, names: &[], namespace: None }
}

const fn within(
    namespace: &'static str,
    group: &'static str,
    resources: &'static [&'static str],
    verbs: &'static [&'static str],
    names: &'static [&'static str],
) -> Grant {
    Grant { group, resources, verbs, names, namespace: Some(namespace) }
}
