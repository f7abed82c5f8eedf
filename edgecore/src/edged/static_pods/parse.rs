//! From a file to a pod, as kubelet does it: the node's name behind the pod's, a uid that changes with the content.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, Toleration};
use proto::json;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::edged::labels;
use crate::edged::sources::references;

/// Longest name of a pod: <https://kubernetes.io/docs/concepts/overview/working-with-objects/names/#dns-subdomain-names>.
const MAX_NAME: usize = 253;
/// Fields whose values, or the values in them, are quantities: YAML makes numbers of `cpu: 1`.
const QUANTITIES: [&str; 6] = ["requests", "limits", "overhead", "sizeLimit", "divisor", "capacity"];

/// The pod of a file, on the node of this name.
///
/// # Errors
/// A sentence about what is wrong with the file.
pub(super) fn pod(text: &str, node: &str, seen: Timestamp) -> Result<Pod, String> {
    let mut object: Value = serde_saphyr::from_str(text).map_err(|error| error.to_string())?;
    let kind = object.get("kind").and_then(Value::as_str).unwrap_or_default();
    if kind != "Pod" || object.get("apiVersion").and_then(Value::as_str) != Some("v1") {
        return Err(format!("it must be a Pod of v1, and is of kind {kind:?}"));
    }
    numbers_to_quantities(&mut object);
    let mut pod: Pod = json::read_value(&object).map_err(|error| error.to_string())?;
    check(&pod)?;
    let metadata = &mut pod.metadata;
    let name = format!("{}-{node}", metadata.name.as_deref().unwrap_or_default());
    if name.len() > MAX_NAME {
        return Err(format!("its name with the node's, {name:?}, is longer than {MAX_NAME}"));
    }
    metadata.name = Some(name);
    metadata.namespace.get_or_insert_with(|| "default".to_owned());
    metadata.deletion_timestamp = None;
    metadata.resource_version = None;
    pod.status = None;
    if let Some(spec) = &mut pod.spec {
        spec.node_name = Some(node.to_owned());
        // It is not the cluster that decides whether it runs.
        let everything = Toleration {
            operator: Some("Exists".to_owned()),
            effect: Some("NoExecute".to_owned()),
            ..Toleration::default()
        };
        spec.tolerations.get_or_insert_default().push(everything);
    }
    pod.metadata.uid = Some(fingerprint(&pod)?);
    let uid = pod.metadata.uid.clone().unwrap_or_default();
    let annotations = pod.metadata.annotations.get_or_insert_default();
    annotations.insert(labels::CONFIG_HASH.to_owned(), uid);
    annotations.insert(labels::CONFIG_SOURCE.to_owned(), "file".to_owned());
    annotations.insert(labels::CONFIG_SEEN.to_owned(), seen.to_string());
    Ok(pod)
}

/// What a static pod must have, and must not: it runs without the API, so it cannot use objects of it.
fn check(pod: &Pod) -> Result<(), String> {
    let name = pod.metadata.name.as_deref().unwrap_or_default();
    let is_name = |name: &str| {
        let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
        let ends = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        name.chars().all(good) && name.starts_with(ends) && name.ends_with(ends)
    };
    if !is_name(name) {
        return Err(format!("metadata.name {name:?} is not a DNS name in lower case"));
    }
    let Some(spec) = pod.spec.as_ref().filter(|spec| !spec.containers.is_empty()) else {
        return Err("spec.containers is empty".to_owned());
    };
    if let Some(reference) = references(pod).first() {
        return Err(format!("a static pod cannot use {:?} {:?} of the API", reference.kind, reference.name));
    }
    let account = spec.service_account_name.as_deref().or(spec.service_account.as_deref());
    if account.is_some_and(|account| !account.is_empty()) {
        return Err("a static pod cannot use a service account of the API".to_owned());
    }
    let volumes = spec.volumes.iter().flatten();
    if let Some(volume) = volumes
        .into_iter()
        .find(|volume| volume.persistent_volume_claim.is_some() || volume.ephemeral.is_some())
    {
        return Err(format!("volume {:?}: a static pod cannot use a claim of the API", volume.name));
    }
    let all = spec.init_containers.iter().flatten().chain(&spec.containers);
    let mut names: Vec<&str> = all.map(|container| container.name.as_str()).collect();
    names.sort_unstable();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(format!("two containers are called {:?}", pair[0])),
        None => Ok(()),
    }
}

fn numbers_to_quantities(value: &mut Value) {
    let as_text = |value: &mut Value| {
        if value.is_number() {
            *value = Value::String(value.to_string());
        }
    };
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                match field {
                    Value::Object(amounts) if QUANTITIES.contains(&name.as_str()) => {
                        amounts.values_mut().for_each(as_text);
                    }
                    field if QUANTITIES.contains(&name.as_str()) => as_text(field),
                    field => numbers_to_quantities(field),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(numbers_to_quantities),
        _ => {}
    }
}

/// As long as kubelet's, and like it another one for another content: a file that changes is another pod.
fn fingerprint(pod: &Pod) -> Result<String, String> {
    let json = serde_json::to_vec(pod).map_err(|error| error.to_string())?;
    Ok(Sha256::digest(&json).iter().take(16).map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Pod, String> {
        pod(text, "edge-1", Timestamp::UNIX_EPOCH)
    }

    fn with(spec: &str) -> String {
        format!("apiVersion: v1\nkind: Pod\nmetadata: {{name: web}}\nspec: {{{spec}}}\n")
    }

    const CONTAINERS: &str = "containers: [{name: a, image: b}]";

    #[test]
    fn a_file_becomes_a_pod_of_this_node() {
        let pod = parse(&with(CONTAINERS)).unwrap();
        assert_eq!(pod.metadata.name.as_deref(), Some("web-edge-1"));
        assert_eq!(pod.metadata.namespace.as_deref(), Some("default"));
        assert_eq!(pod.metadata.annotations.as_ref().unwrap()["kubernetes.io/config.source"], "file");
        assert_eq!(pod.spec.as_ref().unwrap().node_name.as_deref(), Some("edge-1"));
        let uid = pod.metadata.uid.unwrap();
        assert_eq!(uid.len(), 32);
        assert_eq!(parse(&with(CONTAINERS)).unwrap().metadata.uid, Some(uid.clone()));
        assert_ne!(parse(&with("containers: [{name: a, image: c}]")).unwrap().metadata.uid, Some(uid));
    }

    #[test]
    fn numbers_are_quantities_where_one_is_meant() {
        let spec = "containers: [{name: a, image: b, resources: {limits: {cpu: 1, memory: 64Mi}}, ports: [{containerPort: 80}]}]";
        let pod = parse(&with(spec)).unwrap();
        let container = &pod.spec.unwrap().containers[0];
        assert_eq!(container.resources.as_ref().unwrap().limits.as_ref().unwrap()["cpu"].0, "1");
    }

    #[test]
    fn what_cannot_be_one_is_named() {
        for (text, problem) in [
            ("kind: Service\napiVersion: v1".to_owned(), "Service"),
            (with("containers: []"), "spec.containers is empty"),
            (with(&format!("{CONTAINERS}, serviceAccountName: x")), "service account"),
            (with(&format!("{CONTAINERS}, volumes: [{{name: v, secret: {{secretName: s}}}}]")), "Secret"),
            (with("containers: [{name: a, image: b}, {name: a, image: c}]"), "two containers"),
            (with(CONTAINERS).replace("web", "Web_1"), "DNS name"),
            ("{".to_owned(), ""),
        ] {
            let error = parse(&text).unwrap_err();
            assert!(error.contains(problem), "{error}");
        }
    }
}
