//! What the server fills into a pod spec (Kubernetes API reference, PodSpec and Container: "defaults to").

use serde_json::{Map, Value, json};

use super::{DEFAULT_GRACE, account_name, containers_mut};
use crate::object::{child, set_default};

/// Taints of a node that is lost; a pod stays this long on one unless it says otherwise (the
/// DefaultTolerationSeconds admission plugin).
const LOST_NODE: [&str; 2] = ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"];
const LOST_NODE_SECONDS: i64 = 300;

/// Permissions of files in volumes, `0644`.
const FILE_MODE: i64 = 0o644;

/// Volume sources whose files have a `defaultMode`.
const FILE_SOURCES: [&str; 4] = ["configMap", "secret", "downwardAPI", "projected"];

/// How long a projected token is valid, in seconds, where the volume does not say.
const TOKEN_SECONDS: i64 = 3600;

pub(super) fn fill(pod: &mut Value) {
    let account = account_name(pod).to_owned();
    let spec = child(pod, "spec");
    let host_network = spec.get("hostNetwork").and_then(Value::as_bool).unwrap_or(false);
    set_default(spec, "restartPolicy", "Always");
    set_default(spec, "terminationGracePeriodSeconds", DEFAULT_GRACE);
    set_default(spec, "dnsPolicy", "ClusterFirst");
    set_default(spec, "serviceAccountName", account.clone());
    set_default(spec, "serviceAccount", account);
    set_default(spec, "securityContext", json!({}));
    set_default(spec, "schedulerName", "default-scheduler");
    set_default(spec, "enableServiceLinks", true);
    set_default(spec, "preemptionPolicy", "PreemptLowerPriority");
    set_default(spec, "priority", 0);
    for list in ["initContainers", "containers", "ephemeralContainers"] {
        for container in containers_mut(spec, list) {
            fill_container(container, host_network);
        }
    }
    for volume in spec.get_mut("volumes").and_then(Value::as_array_mut).into_iter().flatten() {
        fill_volume(volume);
    }
}

fn fill_container(container: &mut Map<String, Value>, host_network: bool) {
    set_default(container, "terminationMessagePath", "/dev/termination-log");
    set_default(container, "terminationMessagePolicy", "File");
    set_default(container, "resources", json!({}));
    let image = container.get("image").and_then(Value::as_str).unwrap_or_default();
    let policy = if is_latest(image) { "Always" } else { "IfNotPresent" };
    set_default(container, "imagePullPolicy", policy);
    for port in container.get_mut("ports").and_then(Value::as_array_mut).into_iter().flatten() {
        let number = port["containerPort"].clone();
        if let Some(port) = port.as_object_mut() {
            set_default(port, "protocol", "TCP");
            if host_network {
                set_default(port, "hostPort", number);
            }
        }
    }
    for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if let Some(probe) = container.get_mut(probe).and_then(Value::as_object_mut) {
            fill_probe(probe);
        }
    }
    for event in ["postStart", "preStop"] {
        let handler = container.get_mut("lifecycle").and_then(|lifecycle| lifecycle.get_mut(event));
        if let Some(get) =
            handler.and_then(|handler| handler.get_mut("httpGet")).and_then(Value::as_object_mut)
        {
            fill_http_get(get);
        }
    }
    for variable in container.get_mut("env").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(field) = variable.pointer_mut("/valueFrom/fieldRef").and_then(Value::as_object_mut) {
            set_default(field, "apiVersion", "v1");
        }
    }
    request_what_is_limited(container);
}

/// An image without a tag, or with the tag `latest`, is pulled every time.
fn is_latest(image: &str) -> bool {
    let last = image.rsplit('/').next().unwrap_or_default();
    !last.contains('@') && last.split_once(':').is_none_or(|(_, tag)| tag == "latest")
}

fn fill_probe(probe: &mut Map<String, Value>) {
    set_default(probe, "timeoutSeconds", 1);
    set_default(probe, "periodSeconds", 10);
    set_default(probe, "successThreshold", 1);
    set_default(probe, "failureThreshold", 3);
    if let Some(get) = probe.get_mut("httpGet").and_then(Value::as_object_mut) {
        fill_http_get(get);
    }
    if let Some(grpc) = probe.get_mut("grpc").and_then(Value::as_object_mut) {
        set_default(grpc, "service", "");
    }
}

fn fill_http_get(get: &mut Map<String, Value>) {
    set_default(get, "path", "/");
    set_default(get, "scheme", "HTTP");
}

/// A limit without a request is requested too.
fn request_what_is_limited(container: &mut Map<String, Value>) {
    let Some(resources) = container.get_mut("resources") else { return };
    let Some(limits) = resources.get("limits").and_then(Value::as_object).cloned() else { return };
    let requests = child(resources, "requests");
    for (name, amount) in limits {
        set_default(requests, &name, amount);
    }
}

fn fill_volume(volume: &mut Value) {
    let Some(fields) = volume.as_object_mut() else { return };
    if fields.len() == 1 {
        // Only a name: an empty directory, as the API reference says.
        fields.insert("emptyDir".to_owned(), json!({}));
    }
    for source in FILE_SOURCES {
        if let Some(source) = fields.get_mut(source).and_then(Value::as_object_mut) {
            set_default(source, "defaultMode", FILE_MODE);
        }
    }
    if let Some(path) = fields.get_mut("hostPath").and_then(Value::as_object_mut) {
        set_default(path, "type", "");
    }
    for items in ["/downwardAPI/items", "/projected/sources"] {
        for item in volume.pointer_mut(items).and_then(Value::as_array_mut).into_iter().flatten() {
            fill_projection(item);
        }
    }
}

/// Fills one source of a projected volume, or one item of a downward API volume.
fn fill_projection(source: &mut Value) {
    if let Some(field) = source.get_mut("fieldRef").and_then(Value::as_object_mut) {
        set_default(field, "apiVersion", "v1");
    }
    for item in source.pointer_mut("/downwardAPI/items").and_then(Value::as_array_mut).into_iter().flatten() {
        fill_projection(item);
    }
    if let Some(token) = source.get_mut("serviceAccountToken").and_then(Value::as_object_mut) {
        set_default(token, "expirationSeconds", TOKEN_SECONDS);
    }
}

/// Lets a new pod stay on a lost node for five minutes.
pub(super) fn tolerate_lost_nodes(pod: &mut Value) {
    let slot = child(pod, "spec").entry("tolerations").or_insert_with(|| json!([]));
    let Some(tolerations) = slot.as_array_mut() else { return };
    for taint in LOST_NODE {
        let tolerated = tolerations.iter().any(|own| {
            let key = own["key"].as_str().unwrap_or_default();
            let effect = own["effect"].as_str().unwrap_or_default();
            (key == taint || key.is_empty()) && (effect == "NoExecute" || effect.is_empty())
        });
        if !tolerated {
            tolerations.push(json!({
                "key": taint, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": LOST_NODE_SECONDS,
            }));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{fill, is_latest, tolerate_lost_nodes};

    #[test]
    fn images_without_a_fixed_version_are_pulled_every_time() {
        for image in ["nginx", "nginx:latest", "registry:5000/nginx"] {
            assert!(is_latest(image), "{image}");
        }
        for image in ["nginx:1.25", "registry:5000/nginx:1", "nginx@sha256:0123"] {
            assert!(!is_latest(image), "{image}");
        }
    }

    #[test]
    fn fills_what_was_left_out_and_nothing_else() {
        let mut pod = json!({"metadata": {"name": "web"}, "spec": {
            "restartPolicy": "Never",
            "containers": [{"name": "c", "image": "nginx:1", "ports": [{"containerPort": 80}],
                "resources": {"limits": {"cpu": "1"}}, "livenessProbe": {"httpGet": {"port": 80}, "periodSeconds": 3}}],
            "volumes": [{"name": "v", "configMap": {"name": "m"}}, {"name": "e"}],
        }});
        fill(&mut pod);
        let spec = &pod["spec"];
        assert_eq!(spec["restartPolicy"], "Never");
        assert_eq!(spec["terminationGracePeriodSeconds"], 30);
        assert_eq!(spec["serviceAccountName"], "default");
        let container = &spec["containers"][0];
        assert_eq!(container["imagePullPolicy"], "IfNotPresent");
        assert_eq!(container["ports"], json!([{"containerPort": 80, "protocol": "TCP"}]));
        assert_eq!(container["resources"]["requests"], json!({"cpu": "1"}));
        assert_eq!(container["livenessProbe"]["periodSeconds"], 3);
        assert_eq!(container["livenessProbe"]["httpGet"], json!({"port": 80, "path": "/", "scheme": "HTTP"}));
        assert_eq!(spec["volumes"][0]["configMap"]["defaultMode"], 420);
        assert_eq!(spec["volumes"][1], json!({"name": "e", "emptyDir": {}}));

        let once = pod.clone();
        fill(&mut pod);
        assert_eq!(pod, once, "filling twice changes nothing");
    }

    #[test]
    fn own_tolerations_of_lost_nodes_stay() {
        let own = json!({"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute"});
        let mut pod = json!({"spec": {"tolerations": [own]}});
        tolerate_lost_nodes(&mut pod);
        let tolerations = pod["spec"]["tolerations"].as_array().unwrap();
        assert_eq!(tolerations.len(), 2);
        assert_eq!(tolerations[0], own);
        assert_eq!(tolerations[1]["tolerationSeconds"], 300);
    }
}
