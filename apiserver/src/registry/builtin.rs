//! The table: one entry per kind that is always served.

use super::{KindInfo, Subresource, View};
use crate::kinds;

/// All built-in kinds. A kind whose controller we do not run (Deployment, ReplicaSet, Job, ...) is left out on
/// purpose: storing it would look as if it worked.
pub(super) fn kinds() -> Vec<KindInfo> {
    [core(), workload(), coordination(), reviews(), others()].concat()
}

fn core() -> Vec<KindInfo> {
    use Subresource::{Finalize, Status};
    vec![
        KindInfo::new("", "v1", "ConfigMap", "configmaps").short(&["cm"]).hooked(kinds::config_map::HOOKS),
        KindInfo { singular: "endpoints".to_owned(), ..KindInfo::new("", "v1", "Endpoints", "endpoints") }
            .short(&["ep"]),
        event("", "v1")
            .field("involvedObject.kind", "")
            .field("involvedObject.namespace", "")
            .field("involvedObject.name", "")
            .field("involvedObject.uid", "")
            .field("involvedObject.apiVersion", "")
            .field("involvedObject.resourceVersion", "")
            .field("involvedObject.fieldPath", "")
            .field("reason", "")
            .field("reportingComponent", "")
            .field("source", "")
            .field("type", ""),
        KindInfo::new("", "v1", "Namespace", "namespaces")
            .short(&["ns"])
            .cluster()
            .with(&[Status, Finalize])
            .field("status.phase", "")
            .hooked(kinds::namespace::HOOKS),
        KindInfo::new("", "v1", "Node", "nodes")
            .short(&["no"])
            .cluster()
            .with(&[Status])
            .field("spec.unschedulable", "false"),
        KindInfo::new("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims")
            .short(&["pvc"])
            .with(&[Status])
            .returning_deleted()
            .hooked(kinds::storage::CLAIM),
        KindInfo::new("", "v1", "PersistentVolume", "persistentvolumes")
            .short(&["pv"])
            .cluster()
            .with(&[Status])
            .returning_deleted()
            .hooked(kinds::storage::VOLUME),
    ]
}

fn workload() -> Vec<KindInfo> {
    use Subresource::{Binding, EphemeralContainers, Eviction, Status, Token};
    vec![
        KindInfo::new("", "v1", "Pod", "pods")
            .short(&["po"])
            .in_category("all")
            .with(&[Status, Binding, Eviction, EphemeralContainers])
            .field("spec.nodeName", "")
            .field("spec.restartPolicy", "")
            .field("spec.schedulerName", "")
            .field("spec.serviceAccountName", "")
            .field("spec.hostNetwork", "false")
            .field("status.phase", "")
            .field("status.podIP", "")
            .field("status.nominatedNodeName", "")
            .returning_deleted()
            .with_generation()
            .hooked(kinds::pod::HOOKS),
        KindInfo::new("", "v1", "Secret", "secrets").field("type", "").hooked(kinds::secret::HOOKS),
        KindInfo::new("", "v1", "ServiceAccount", "serviceaccounts")
            .short(&["sa"])
            .with(&[Token])
            .returning_deleted(),
        KindInfo::new("", "v1", "Service", "services")
            .short(&["svc"])
            .in_category("all")
            .with(&[Status])
            .field("spec.clusterIP", "")
            .field("spec.type", "")
            .returning_deleted()
            .hooked(kinds::service::HOOKS),
    ]
}

fn coordination() -> Vec<KindInfo> {
    let regarding = KindInfo::new("events.k8s.io", "v1", "Event", "events");
    vec![
        KindInfo::new("coordination.k8s.io", "v1", "Lease", "leases"),
        KindInfo::new("node.k8s.io", "v1", "RuntimeClass", "runtimeclasses").cluster(),
        KindInfo { storage: event("", "v1").storage, view: View::Events, ..regarding }
            .short(&["ev"])
            .field("regarding.kind", "")
            .field("regarding.namespace", "")
            .field("regarding.name", "")
            .field("regarding.uid", "")
            .field("reason", "")
            .field("reportingController", "")
            .field("type", ""),
    ]
}

fn reviews() -> Vec<KindInfo> {
    let authorization = |kind: &str, plural: &str| {
        KindInfo::new("authorization.k8s.io", "v1", kind, plural).cluster().review()
    };
    let authentication = |kind: &str, plural: &str| {
        KindInfo::new("authentication.k8s.io", "v1", kind, plural).cluster().review()
    };
    vec![
        authorization("SelfSubjectAccessReview", "selfsubjectaccessreviews"),
        authorization("SelfSubjectRulesReview", "selfsubjectrulesreviews"),
        authorization("SubjectAccessReview", "subjectaccessreviews"),
        authentication("SelfSubjectReview", "selfsubjectreviews"),
        authentication("TokenReview", "tokenreviews"),
    ]
}

fn others() -> Vec<KindInfo> {
    use Subresource::{Approval, Status};
    vec![
        KindInfo::new("apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions")
            .short(&["crd", "crds"])
            .in_category("api-extensions")
            .cluster()
            .with(&[Status])
            .with_generation()
            .hooked(kinds::definition::HOOKS),
        KindInfo::new("certificates.k8s.io", "v1", "CertificateSigningRequest", "certificatesigningrequests")
            .short(&["csr"])
            .cluster()
            .with(&[Status, Approval])
            .field("spec.signerName", "")
            .hooked(kinds::signing_request::HOOKS),
        KindInfo::new("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices").with_generation(),
        KindInfo::new("scheduling.k8s.io", "v1", "PriorityClass", "priorityclasses")
            .short(&["pc"])
            .cluster()
            .with_generation()
            .hooked(kinds::priority_class::HOOKS),
        KindInfo::new("storage.k8s.io", "v1", "CSIDriver", "csidrivers").cluster(),
        KindInfo::new("storage.k8s.io", "v1", "CSINode", "csinodes").cluster(),
        KindInfo::new("storage.k8s.io", "v1", "VolumeAttachment", "volumeattachments")
            .cluster()
            .with(&[Status]),
        KindInfo::new("storage.k8s.io", "v1", "StorageClass", "storageclasses")
            .short(&["sc"])
            .cluster()
            .hooked(kinds::storage::CLASS),
    ]
}

fn event(group: &str, version: &str) -> KindInfo {
    KindInfo::new(group, version, "Event", "events").short(&["ev"])
}
