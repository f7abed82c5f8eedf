//! What CloudCore may do: [`proto::rights`], as roles.

use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::api::rbac::v1::{
    ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding, RoleRef, Subject,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::{NAME, Object, Values, cluster_metadata, metadata};
use certs::authority::NAMESPACE;
use proto::rights::{LEASES, grants};

pub(super) fn objects(values: &Values) -> anyhow::Result<Vec<Object>> {
    let account = ServiceAccount { metadata: metadata(values, NAME), ..ServiceAccount::default() };
    let role = ClusterRole {
        metadata: cluster_metadata(values, NAME),
        rules: Some(rules(None)),
        ..ClusterRole::default()
    };
    let binding = ClusterRoleBinding {
        metadata: cluster_metadata(values, NAME),
        role_ref: reference("ClusterRole"),
        subjects: Some(vec![subject()]),
    };
    let mut objects = vec![Object::of(&account)?, Object::of(&role)?, Object::of(&binding)?];
    for namespace in [NAMESPACE, LEASES] {
        let there = || ObjectMeta { namespace: Some(namespace.to_owned()), ..cluster_metadata(values, NAME) };
        let role = Role { metadata: there(), rules: Some(rules(Some(namespace))) };
        let binding =
            RoleBinding { metadata: there(), role_ref: reference("Role"), subjects: Some(vec![subject()]) };
        objects.extend([Object::of(&role)?, Object::of(&binding)?]);
    }
    Ok(objects)
}

fn rules(namespace: Option<&str>) -> Vec<PolicyRule> {
    let owned = |words: &[&str]| words.iter().map(ToString::to_string).collect::<Vec<_>>();
    grants()
        .iter()
        .filter(|grant| grant.namespace == namespace)
        .map(|grant| PolicyRule {
            api_groups: Some(vec![grant.group.to_owned()]),
            resources: Some(owned(grant.resources)),
            verbs: owned(grant.verbs),
            resource_names: (!grant.names.is_empty()).then(|| owned(grant.names)),
            ..PolicyRule::default()
        })
        .collect()
}

fn reference(kind: &str) -> RoleRef {
    RoleRef {
        api_group: Some("rbac.authorization.k8s.io".to_owned()),
        kind: kind.to_owned(),
        name: NAME.to_owned(),
    }
}

fn subject() -> Subject {
    Subject {
        kind: "ServiceAccount".to_owned(),
        name: NAME.to_owned(),
        namespace: Some(NAMESPACE.to_owned()),
        ..Subject::default()
    }
}
