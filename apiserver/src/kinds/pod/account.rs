//! The service account of a new pod, and the token that its containers find (Kubernetes documentation, "Managing
//! Service Accounts": the ServiceAccount admission controller).

use serde_json::{Value, json};

use super::{account_name, containers_mut, is_mirror, namespace_of};
use crate::call::parse;
use crate::error::{ApiError, ApiResult};
use crate::object::{self, child, list};
use crate::server::ApiServer;
use crate::store::Place;

/// Where containers look for their token.
const MOUNT_PATH: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// Name of the volume, before its suffix.
const VOLUME_PREFIX: &str = "kube-api-access-";
/// How long a token is valid, in seconds: an hour, and seven seconds that tell these tokens from others.
const TOKEN_SECONDS: i64 = 3607;

/// Gives the pod its account, the account's pull secrets, and a volume with the account's token.
///
/// # Errors
/// 403 when the account is not there. `default` may come later: it is made for every namespace, and a pod that is
/// created right after its namespace would otherwise be refused; its token is only issued once the account exists.
pub(super) fn mount(api: &ApiServer, pod: &mut Value) -> ApiResult<()> {
    if is_mirror(pod) {
        return Ok(());
    }
    let name = account_name(pod).to_owned();
    let place = Place::new(namespace_of(pod), &name);
    let account = match api.store().get("serviceaccounts", &place) {
        Some(entry) => parse(&entry.object)?,
        None if name == "default" => Value::Null,
        None => return Err(missing(api, pod, &place)),
    };
    let pull_secrets = list(&account, "/imagePullSecrets").to_vec();
    if !pull_secrets.is_empty() && list(pod, "/spec/imagePullSecrets").is_empty() {
        child(pod, "spec").insert("imagePullSecrets".to_owned(), Value::Array(pull_secrets));
    }
    let automount =
        [pod.pointer("/spec/automountServiceAccountToken"), account.get("automountServiceAccountToken")];
    if automount.into_iter().flatten().find_map(Value::as_bool).unwrap_or(true) {
        mount_token(api, pod);
    }
    Ok(())
}

fn missing(api: &ApiServer, pod: &Value, place: &Place) -> ApiError {
    let registry = api.registry();
    let why = format!(
        "error looking up service account {}/{}: serviceaccount {:?} not found",
        place.namespace, place.name, place.name
    );
    match registry.resource("", "v1", "pods") {
        Some(kind) => ApiError::forbidden(kind, object::name(pod), &why),
        None => ApiError::internal(why),
    }
}

fn mount_token(api: &ApiServer, pod: &mut Value) {
    let spec = child(pod, "spec");
    let volume = format!("{VOLUME_PREFIX}{}", api.rng().alphanumeric(5));
    let mut mounted = false;
    for containers in ["initContainers", "containers"] {
        for container in containers_mut(spec, containers) {
            let slot = container.entry("volumeMounts").or_insert_with(|| json!([]));
            let Some(mounts) = slot.as_array_mut() else { continue };
            if !mounts.iter().any(|mount| mount["mountPath"] == MOUNT_PATH) {
                mounts.push(json!({"name": volume, "readOnly": true, "mountPath": MOUNT_PATH}));
                mounted = true;
            }
        }
    }
    let volumes = spec.entry("volumes").or_insert_with(|| json!([]));
    if let Some(volumes) = volumes.as_array_mut().filter(|_| mounted) {
        volumes.push(json!({"name": volume, "projected": {"defaultMode": 0o644, "sources": [
            {"serviceAccountToken": {"expirationSeconds": TOKEN_SECONDS, "path": "token"}},
            {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
            {"downwardAPI": {"items": [
                {"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}},
            ]}},
        ]}}));
    }
}
