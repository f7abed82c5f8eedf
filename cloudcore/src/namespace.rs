//! Namespace `kubeedge`, where CloudCores keep what they share.

use certs::authority::NAMESPACE;
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Api;
use kube::api::PostParams;

/// Makes it, unless it is there.
///
/// # Errors
/// What the API says; not everybody may make a namespace.
pub(crate) async fn ensure_namespace(namespaces: &Api<Namespace>) -> Result<(), kube::Error> {
    let metadata = ObjectMeta { name: Some(NAMESPACE.to_owned()), ..ObjectMeta::default() };
    let namespace = Namespace { metadata, ..Namespace::default() };
    match namespaces.create(&PostParams::default(), &namespace).await {
        Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(()),
        other => other.map(drop),
    }
}
