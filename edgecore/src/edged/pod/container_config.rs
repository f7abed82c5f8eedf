//! From a container of a pod to its configuration for the runtime, as kubelet would write it.

use std::collections::HashMap;

use k8s_cri::v1::{
    ContainerConfig, ContainerMetadata, ImageSpec, KeyValue, LinuxContainerConfig, LinuxContainerResources,
    LinuxContainerSecurityContext, Mount,
};
use k8s_openapi::api::core::v1::{Container, Pod};

use super::hash::container_hash;
use crate::edged::env::Environment;
use crate::edged::labels;
use crate::flow::PodKey;

/// Where a container's last message is looked for when it does not say.
pub const DEFAULT_TERMINATION_MESSAGE_PATH: &str = "/dev/termination-log";

/// Everything about a container that is not in the pod.
#[derive(Debug, Clone)]
pub struct ContainerInput<'a> {
    /// The pod.
    pub pod: &'a Pod,
    /// Its identity.
    pub key: &'a PodKey,
    /// The container.
    pub container: &'a Container,
    /// Its restart count.
    pub attempt: u32,
    /// The image that was found on the node for it.
    pub image_id: &'a str,
    /// Its variables.
    pub environment: &'a Environment,
    /// Volumes, hosts file and message file.
    pub mounts: Vec<Mount>,
    /// What it may use.
    pub resources: LinuxContainerResources,
    /// What it may do.
    pub security: LinuxContainerSecurityContext,
}

/// Path of a container's log, under the pod's log directory.
pub fn log_path(container: &str, attempt: u32) -> String {
    format!("{container}/{attempt}.log")
}

/// Where the container leaves its last message.
pub fn termination_message_path(container: &Container) -> &str {
    let path = container.termination_message_path.as_deref().filter(|path| !path.is_empty());
    path.unwrap_or(DEFAULT_TERMINATION_MESSAGE_PATH)
}

/// Puts together the configuration of a container.
pub fn container_config(input: ContainerInput<'_>) -> ContainerConfig {
    let ContainerInput { container, environment, .. } = input;
    let expand = |texts: &Option<Vec<String>>| -> Vec<String> {
        texts.iter().flatten().map(|text| environment.expand(text)).collect()
    };
    ContainerConfig {
        metadata: Some(ContainerMetadata { name: container.name.clone(), attempt: input.attempt }),
        image: Some(ImageSpec {
            image: input.image_id.to_owned(),
            user_specified_image: container.image.clone().unwrap_or_default(),
            ..ImageSpec::default()
        }),
        command: expand(&container.command),
        args: expand(&container.args),
        working_dir: container.working_dir.clone().unwrap_or_default(),
        envs: environment
            .iter()
            .map(|(key, value)| KeyValue { key: key.to_owned(), value: value.to_owned() })
            .collect(),
        mounts: input.mounts,
        labels: container_labels(input.key, &container.name),
        annotations: annotations(input.pod, container, input.attempt),
        log_path: log_path(&container.name, input.attempt),
        stdin: container.stdin.unwrap_or_default(),
        stdin_once: container.stdin_once.unwrap_or_default(),
        tty: container.tty.unwrap_or_default(),
        linux: Some(LinuxContainerConfig {
            resources: Some(input.resources),
            security_context: Some(input.security),
        }),
        ..ContainerConfig::default()
    }
}

fn container_labels(key: &PodKey, container: &str) -> HashMap<String, String> {
    [
        (labels::POD_NAME, key.name.as_str()),
        (labels::POD_NAMESPACE, &key.namespace),
        (labels::POD_UID, &key.uid),
        (labels::CONTAINER_NAME, container),
    ]
    .map(|(label, value)| (label.to_owned(), value.to_owned()))
    .into()
}

fn annotations(pod: &Pod, container: &Container, attempt: u32) -> HashMap<String, String> {
    let policy = container.termination_message_policy.as_deref().unwrap_or("File");
    let mut all: HashMap<String, String> = [
        (labels::CONTAINER_HASH, container_hash(container)),
        (labels::RESTART_COUNT, attempt.to_string()),
        (labels::TERMINATION_MESSAGE_PATH, termination_message_path(container).to_owned()),
        (labels::TERMINATION_MESSAGE_POLICY, policy.to_owned()),
    ]
    .map(|(annotation, value)| (annotation.to_owned(), value))
    .into();
    let grace = pod.spec.as_ref().and_then(|spec| spec.termination_grace_period_seconds);
    if let Some(seconds) = grace {
        all.insert(labels::POD_TERMINATION_GRACE.to_owned(), seconds.to_string());
    }
    let ports = container.ports.as_ref().filter(|ports| !ports.is_empty());
    if let Some(ports) = ports.and_then(|ports| serde_json::to_string(ports).ok()) {
        all.insert(labels::CONTAINER_PORTS.to_owned(), ports);
    }
    all
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn config(container: serde_json::Value) -> ContainerConfig {
        let pod = json!({"spec": {"terminationGracePeriodSeconds": 5, "containers": [container]}});
        let pod: Pod = serde_json::from_value(pod).unwrap();
        container_config(ContainerInput {
            pod: &pod,
            key: &PodKey { namespace: "shop".into(), name: "web-0".into(), uid: "u-1".into() },
            container: &pod.spec.as_ref().unwrap().containers[0],
            attempt: 2,
            image_id: "sha256:abc",
            environment: &Environment::default(),
            mounts: Vec::new(),
            resources: LinuxContainerResources::default(),
            security: LinuxContainerSecurityContext::default(),
        })
    }

    #[test]
    fn names_labels_and_annotations_are_kubelets() {
        let config = config(json!({"name": "app", "image": "app:1", "ports": [{"containerPort": 80}]}));
        assert_eq!(config.log_path, "app/2.log");
        assert_eq!(config.labels["io.kubernetes.container.name"], "app");
        assert_eq!(config.labels["io.kubernetes.pod.uid"], "u-1");
        assert_eq!(config.annotations["io.kubernetes.container.restartCount"], "2");
        assert_eq!(
            config.annotations["io.kubernetes.container.terminationMessagePath"],
            "/dev/termination-log"
        );
        assert_eq!(config.annotations["io.kubernetes.container.terminationMessagePolicy"], "File");
        assert_eq!(config.annotations["io.kubernetes.pod.terminationGracePeriod"], "5");
        assert_eq!(config.annotations["io.kubernetes.container.ports"], r#"[{"containerPort":80}]"#);
        assert_eq!(config.annotations["io.kubernetes.container.hash"].len(), 8);
        let image = config.image.unwrap();
        assert_eq!((image.image.as_str(), image.user_specified_image.as_str()), ("sha256:abc", "app:1"));
    }

    #[test]
    fn command_and_arguments_are_kept_apart() {
        let config =
            config(json!({"name": "app", "command": ["/a", "$$(X)"], "args": ["-b"], "workingDir": "/w"}));
        assert_eq!(config.command, ["/a", "$(X)"]);
        assert_eq!((config.args, config.working_dir.as_str()), (vec!["-b".to_owned()], "/w"));
    }
}
