//! Sandboxes and containers for the tests of pure code.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};

use super::hash::container_hash;
use super::observed::ObservedContainer;
use crate::edged::labels::CONTAINER_HASH;
use crate::edged::runtime::{
    ContainerId, ContainerRecord, ContainerState, ContainerStatus, SandboxId, SandboxRecord,
};
use crate::flow::PodKey;

pub(super) fn key() -> PodKey {
    PodKey { namespace: "shop".to_owned(), name: "web".to_owned(), uid: "u-1".to_owned() }
}

pub(super) fn pod(spec: Value) -> Pod {
    let metadata = json!({"namespace": "shop", "name": "web", "uid": "u-1"});
    serde_json::from_value(json!({"metadata": metadata, "spec": spec})).unwrap()
}

/// Seconds after a fixed moment.
pub(super) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}

pub(super) fn sandbox(attempt: u32, ready: bool) -> SandboxRecord {
    SandboxRecord {
        id: SandboxId(format!("s{attempt}")),
        pod: key(),
        attempt,
        ready,
        created_at: attempt.into(),
    }
}

/// A container of `pod` in the sandbox of this attempt; it runs.
pub(super) fn running(pod: &Pod, name: &str, attempt: u32, sandbox: u32) -> ObservedContainer {
    let spec = pod.spec.as_ref().unwrap();
    let mut all = spec.init_containers.iter().flatten().chain(&spec.containers);
    let hash = container_hash(all.find(|container| container.name == name).unwrap());
    let record = ContainerRecord {
        id: ContainerId(format!("{name}-{attempt}")),
        sandbox: SandboxId(format!("s{sandbox}")),
        pod: key(),
        name: name.to_owned(),
        attempt,
        state: ContainerState::Running,
        image: "sha256:app".to_owned(),
    };
    let status = ContainerStatus {
        state: ContainerState::Running,
        created_at: at(0),
        started_at: Some(at(1)),
        finished_at: None,
        exit_code: 0,
        reason: String::new(),
        message: String::new(),
        image: "app:1".to_owned(),
        image_id: "sha256:app".to_owned(),
        annotations: [(CONTAINER_HASH.to_owned(), hash)].into(),
        mounts: Vec::new(),
        log_path: String::new(),
        stop_signal: None,
    };
    ObservedContainer { record, status, last_words: None }
}

/// The same, after it has ended.
pub(super) fn exited(pod: &Pod, name: &str, attempt: u32, sandbox: u32, code: i32) -> ObservedContainer {
    let mut container = running(pod, name, attempt, sandbox);
    end(&mut container, code);
    container
}

/// Ends a container.
pub(super) fn end(container: &mut ObservedContainer, code: i32) {
    container.record.state = ContainerState::Exited;
    container.status.state = ContainerState::Exited;
    container.status.exit_code = code;
    container.status.finished_at = Some(at(9));
}
