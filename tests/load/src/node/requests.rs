//! The contents of what a node says, as large as a real edge's, and what is read of the answers.

use jiff::Timestamp;
use proto::reply::{ObjectResp, QueryFailure, ReplyError};
use proto::{Content, Message};
use serde::Deserialize;
use serde_json::{Value, json};

/// Annotation in which a scenario writes when it sent an object, in microseconds since 1970.
pub const SENT: &str = "load.skerry.io/sent-us";

/// The part of any object that a node looks at.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Object {
    pub(super) metadata: Metadata,
    pub(super) spec: Option<Spec>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Metadata {
    pub(super) uid: String,
    pub(super) resource_version: Option<String>,
    pub(super) deletion_timestamp: Option<String>,
    pub(super) annotations: Option<Annotations>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Annotations {
    #[serde(rename = "load.skerry.io/sent-us")]
    pub(super) sent: Option<String>,
}

/// Of a pod.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Spec {
    pub(super) containers: Option<Vec<Container>>,
    pub(super) volumes: Option<Vec<Volume>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Container {
    pub(super) name: String,
    pub(super) image: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Volume {
    pub(super) config_map: Option<Named>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Named {
    pub(super) name: String,
}

impl Object {
    /// When the scenario sent it, in microseconds since 1970.
    pub(super) fn sent_us(&self) -> Option<i64> {
        self.metadata.annotations.as_ref()?.sent.as_ref()?.parse().ok()
    }

    pub(super) fn config_maps(&self) -> impl Iterator<Item = &str> {
        let volumes = self.spec.iter().flat_map(|spec| spec.volumes.iter().flatten());
        volumes.filter_map(|volume| Some(volume.config_map.as_ref()?.name.as_str()))
    }
}

/// What an answer to a call of the API says: the object, or the reason of the failure.
pub(super) fn called(answer: &Message) -> Result<Object, String> {
    if let Some(failure) = QueryFailure::from_answer(answer) {
        return Err(failure.reason);
    }
    let answer: ObjectResp<Object> = answer.content.decode().map_err(|_| "Unreadable".to_owned())?;
    answer.into_result().map_err(|error| match error {
        ReplyError::Refused(status) => status.reason.unwrap_or_default(),
        ReplyError::Unknown | ReplyError::Nothing => "Unknown".to_owned(),
    })
}

/// What an answer to a query says.
pub(super) fn queried(answer: &Message) -> Result<Object, String> {
    if let Some(failure) = QueryFailure::from_answer(answer) {
        return Err(failure.reason);
    }
    answer.content.decode().map_err(|_| "Unreadable".to_owned())
}

/// What an answer to a renewal by patch says: the version that the lease has now.
pub(super) fn renewed(answer: &Message) -> Result<Object, String> {
    if let Some(failure) = QueryFailure::from_answer(answer) {
        return Err(failure.reason);
    }
    let metadata =
        Metadata { resource_version: answer.header.resource_version.clone(), ..Metadata::default() };
    Ok(Object { metadata, spec: None })
}

fn content(value: &Value) -> Content {
    Content::object(value).unwrap_or_default()
}

pub(super) fn node(name: &str, times: Times) -> Content {
    content(&json!({
        "metadata": {
            "name": name,
            "labels": {
                "beta.kubernetes.io/arch": "amd64",
                "beta.kubernetes.io/os": "linux",
                "kubernetes.io/arch": "amd64",
                "kubernetes.io/hostname": name,
                "kubernetes.io/os": "linux",
                "node-role.kubernetes.io/agent": "",
                "node-role.kubernetes.io/edge": "",
            },
            "annotations": {"volumes.kubernetes.io/controller-managed-attach-detach": "true"},
        },
        "spec": {},
        "status": status(name, times),
    }))
}

/// A string, as stock sends it.
pub(super) fn node_patch(name: &str, times: Times) -> Content {
    Content::text(json!({"status": status(name, times)}).to_string())
}

/// The times that conditions have.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    /// Since when the node is as it is: as long as it runs, whatever becomes of its connections.
    pub(super) since: Timestamp,
    pub(super) now: Timestamp,
}

fn status(name: &str, times: Times) -> Value {
    let resources = json!({
        "cpu": "4", "memory": "8024684Ki", "ephemeral-storage": "264212084Ki", "pods": "110",
        "hugepages-1Gi": "0", "hugepages-2Mi": "0",
    });
    json!({
        "capacity": resources.clone(),
        "allocatable": resources,
        "conditions": [
            condition("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available", times),
            condition("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure", times),
            condition("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available", times),
            condition("Ready", "True", "KubeletReady", "edge is posting ready status", times),
        ],
        "addresses": [
            {"type": "InternalIP", "address": "192.0.2.1"},
            {"type": "Hostname", "address": name},
        ],
        "nodeInfo": {
            "machineID": "", "systemUUID": "", "bootID": "", "kernelVersion": "6.1.0", "osImage": "Debian GNU/Linux 12",
            "containerRuntimeVersion": "containerd://1.6.20", "kubeletVersion": "v1.32.10-hollow", "kubeProxyVersion": "",
            "operatingSystem": "linux", "architecture": "amd64",
        },
    })
}

fn condition(kind: &str, status: &str, reason: &str, message: &str, times: Times) -> Value {
    json!({
        "type": kind, "status": status, "reason": reason, "message": message,
        "lastHeartbeatTime": seconds(times.now), "lastTransitionTime": seconds(times.since),
    })
}

pub(super) fn lease(name: &str, version: Option<&str>, wall: Timestamp) -> Content {
    let mut metadata = json!({"name": name, "namespace": "kube-node-lease"});
    if let Some(version) = version {
        metadata["resourceVersion"] = version.into();
    }
    content(&json!({
        "metadata": metadata,
        "spec": lease_spec(name, wall),
    }))
}

/// What a node of ours sends when it renews its lease.
pub(super) fn lease_patch(name: &str, wall: Timestamp) -> Content {
    content(&json!({"spec": lease_spec(name, wall)}))
}

fn lease_spec(name: &str, wall: Timestamp) -> Value {
    json!({"holderIdentity": name, "leaseDurationSeconds": 40, "renewTime": format!("{wall:.6}")})
}

pub(super) fn pod_running(pod: &Object, wall: Timestamp) -> Content {
    let time = seconds(wall);
    let conditions: Vec<Value> = [
        "PodReadyToStartContainers",
        "Initialized",
        "Ready",
        "ContainersReady",
        "PodScheduled",
    ]
    .iter()
    .map(|kind| json!({"type": kind, "status": "True", "lastProbeTime": null, "lastTransitionTime": time}))
    .collect();
    let containers = pod.spec.iter().flat_map(|spec| spec.containers.iter().flatten());
    let containers: Vec<Value> = containers
        .map(|container| {
            json!({
                "name": container.name, "image": container.image, "imageID": "", "ready": true, "started": true,
                "restartCount": 0, "lastState": {}, "state": {"running": {"startedAt": time}},
            })
        })
        .collect();
    let patch = json!({
        "metadata": {"uid": pod.metadata.uid},
        "status": {
            "phase": "Running", "conditions": conditions, "containerStatuses": containers,
            "hostIP": "192.0.2.1", "hostIPs": [{"ip": "192.0.2.1"}],
            "podIP": "192.0.2.2", "podIPs": [{"ip": "192.0.2.2"}], "startTime": time,
        },
    });
    Content::text(patch.to_string())
}

pub(super) fn delete_now(uid: &str) -> Content {
    content(&json!({"gracePeriodSeconds": 0, "preconditions": {"uid": uid}}))
}

/// As `metav1.Time` is written: whole seconds.
fn seconds(wall: Timestamp) -> String {
    format!("{wall:.0}")
}
