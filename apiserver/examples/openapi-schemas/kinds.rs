//! The built-in kinds whose schemas are generated.

use k8s_openapi::api::{
    authentication::v1::{SelfSubjectReview, TokenRequest, TokenReview},
    authorization::v1::{SelfSubjectAccessReview, SelfSubjectRulesReview, SubjectAccessReview},
    certificates::v1::CertificateSigningRequest,
    coordination::v1::Lease,
    core::v1::{
        Binding, ConfigMap, Endpoints, Event, Namespace, Node, PersistentVolume, PersistentVolumeClaim, Pod,
        Secret, Service, ServiceAccount,
    },
    discovery::v1::EndpointSlice,
    events::v1::Event as EventsV1Event,
    node::v1::RuntimeClass,
    policy::v1::Eviction,
    scheduling::v1::PriorityClass,
    storage::v1::{CSIDriver, CSINode, StorageClass, VolumeAttachment},
};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{DeleteOptions, Status};
use k8s_openapi::schemars::SchemaGenerator;

macro_rules! kinds {
    ($( $definition:literal $group:literal $version:literal $kind:literal : $ty:ty ),* $(,)?) => {
        /// (definition, group, version, kind) of every kind below.
        pub(crate) const GROUP_VERSION_KINDS: &[(&str, &str, &str, &str)] =
            &[$(($definition, $group, $version, $kind)),*];

        /// Puts every kind, and what it refers to, into the generator's definitions.
        pub(crate) fn register(generator: &mut SchemaGenerator) {
            $(generator.subschema_for::<$ty>();)*
        }
    };
}

kinds! {
    "io.k8s.api.core.v1.Binding" "" "v1" "Binding": Binding,
    "io.k8s.api.core.v1.ConfigMap" "" "v1" "ConfigMap": ConfigMap,
    "io.k8s.api.core.v1.Endpoints" "" "v1" "Endpoints": Endpoints,
    "io.k8s.api.core.v1.Event" "" "v1" "Event": Event,
    "io.k8s.api.core.v1.Namespace" "" "v1" "Namespace": Namespace,
    "io.k8s.api.core.v1.Node" "" "v1" "Node": Node,
    "io.k8s.api.core.v1.PersistentVolume" "" "v1" "PersistentVolume": PersistentVolume,
    "io.k8s.api.core.v1.PersistentVolumeClaim" "" "v1" "PersistentVolumeClaim": PersistentVolumeClaim,
    "io.k8s.api.core.v1.Pod" "" "v1" "Pod": Pod,
    "io.k8s.api.core.v1.Secret" "" "v1" "Secret": Secret,
    "io.k8s.api.core.v1.Service" "" "v1" "Service": Service,
    "io.k8s.api.core.v1.ServiceAccount" "" "v1" "ServiceAccount": ServiceAccount,
    "io.k8s.api.authentication.v1.SelfSubjectReview" "authentication.k8s.io" "v1" "SelfSubjectReview": SelfSubjectReview,
    "io.k8s.api.authentication.v1.TokenRequest" "authentication.k8s.io" "v1" "TokenRequest": TokenRequest,
    "io.k8s.api.authentication.v1.TokenReview" "authentication.k8s.io" "v1" "TokenReview": TokenReview,
    "io.k8s.api.authorization.v1.SelfSubjectAccessReview" "authorization.k8s.io" "v1" "SelfSubjectAccessReview": SelfSubjectAccessReview,
    "io.k8s.api.authorization.v1.SelfSubjectRulesReview" "authorization.k8s.io" "v1" "SelfSubjectRulesReview": SelfSubjectRulesReview,
    "io.k8s.api.authorization.v1.SubjectAccessReview" "authorization.k8s.io" "v1" "SubjectAccessReview": SubjectAccessReview,
    "io.k8s.api.certificates.v1.CertificateSigningRequest" "certificates.k8s.io" "v1" "CertificateSigningRequest": CertificateSigningRequest,
    "io.k8s.api.coordination.v1.Lease" "coordination.k8s.io" "v1" "Lease": Lease,
    "io.k8s.api.discovery.v1.EndpointSlice" "discovery.k8s.io" "v1" "EndpointSlice": EndpointSlice,
    "io.k8s.api.events.v1.Event" "events.k8s.io" "v1" "Event": EventsV1Event,
    "io.k8s.api.node.v1.RuntimeClass" "node.k8s.io" "v1" "RuntimeClass": RuntimeClass,
    "io.k8s.api.policy.v1.Eviction" "policy" "v1" "Eviction": Eviction,
    "io.k8s.api.scheduling.v1.PriorityClass" "scheduling.k8s.io" "v1" "PriorityClass": PriorityClass,
    "io.k8s.api.storage.v1.CSIDriver" "storage.k8s.io" "v1" "CSIDriver": CSIDriver,
    "io.k8s.api.storage.v1.CSINode" "storage.k8s.io" "v1" "CSINode": CSINode,
    "io.k8s.api.storage.v1.StorageClass" "storage.k8s.io" "v1" "StorageClass": StorageClass,
    "io.k8s.api.storage.v1.VolumeAttachment" "storage.k8s.io" "v1" "VolumeAttachment": VolumeAttachment,
    "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.CustomResourceDefinition" "apiextensions.k8s.io" "v1" "CustomResourceDefinition": CustomResourceDefinition,
    "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions" "" "v1" "DeleteOptions": DeleteOptions,
    "io.k8s.apimachinery.pkg.apis.meta.v1.Status" "" "v1" "Status": Status,
}
