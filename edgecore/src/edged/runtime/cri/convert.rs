//! From CRI's messages to the types that edged works with. What has none of kubelet's labels is not ours and
//! is left out; times of 0 mean "not yet".

use std::net::IpAddr;

use jiff::Timestamp;
use k8s_cri::v1 as cri;

use super::super::{
    ContainerId, ContainerRecord, ContainerState, ContainerStatus, Handler, Image, RuntimeError,
    RuntimeStatus, SandboxId, SandboxRecord, SandboxStatus,
};
use crate::edged::labels;

pub(super) fn runtime_status(answer: cri::StatusResponse) -> RuntimeStatus {
    let conditions = answer.status.map(|status| status.conditions).unwrap_or_default();
    let problem = |kind: &str| match conditions.iter().find(|condition| condition.r#type == kind) {
        Some(condition) if condition.status => None,
        Some(condition) => Some(format!("{}: {}", condition.reason, condition.message)),
        None => Some(format!("the runtime does not report {kind}")),
    };
    let handlers = answer.runtime_handlers.into_iter().map(|handler| {
        let features = handler.features.unwrap_or_default();
        Handler {
            name: handler.name,
            recursive_read_only: features.recursive_read_only_mounts,
            user_namespaces: features.user_namespaces,
        }
    });
    RuntimeStatus {
        runtime_problem: problem("RuntimeReady"),
        network_problem: problem("NetworkReady"),
        handlers: handlers.collect(),
        has_strict_groups: answer.features.is_some_and(|features| features.supplemental_groups_policy),
    }
}

/// containerd shows its configuration as JSON among what it says about itself; 2.x and CRI-O pin the image instead.
pub(super) fn sandbox_image(answer: &cri::StatusResponse) -> Option<String> {
    let config: serde_json::Value = serde_json::from_str(answer.info.get("config")?).ok()?;
    Some(config.get("sandboxImage")?.as_str()?.to_owned()).filter(|image| !image.is_empty())
}

pub(super) fn sandbox(listed: cri::PodSandbox) -> Option<SandboxRecord> {
    Some(SandboxRecord {
        pod: labels::pod_key(&listed.labels)?,
        ready: listed.state() == cri::PodSandboxState::SandboxReady,
        attempt: listed.metadata.as_ref().map_or(0, |metadata| metadata.attempt),
        created_at: listed.created_at,
        id: SandboxId(listed.id),
    })
}

pub(super) fn sandbox_status(answer: cri::PodSandboxStatusResponse) -> Result<SandboxStatus, RuntimeError> {
    const CALL: &str = "PodSandboxStatus";
    let status = answer.status.ok_or_else(|| malformed(CALL, "no status"))?;
    let ready = status.state() == cri::PodSandboxState::SandboxReady;
    let network = status.network.unwrap_or_default();
    let texts = std::iter::once(network.ip).chain(network.additional_ips.into_iter().map(|ip| ip.ip));
    let ips = texts
        .filter(|text| !text.is_empty())
        .map(|text| text.parse::<IpAddr>().map_err(|_| malformed(CALL, &format!("{text:?} is no address"))))
        .collect::<Result<_, _>>()?;
    Ok(SandboxStatus { ready, ips })
}

pub(super) fn container(listed: cri::Container) -> Option<ContainerRecord> {
    Some(ContainerRecord {
        pod: labels::pod_key(&listed.labels)?,
        name: listed.labels.get(labels::CONTAINER_NAME)?.clone(),
        state: state(listed.state()),
        attempt: listed.metadata.as_ref().map_or(0, |metadata| metadata.attempt),
        sandbox: SandboxId(listed.pod_sandbox_id),
        id: ContainerId(listed.id),
        image: if listed.image_ref.is_empty() {
            listed.image.map(|image| image.image).unwrap_or_default()
        } else {
            listed.image_ref
        },
    })
}

pub(super) fn container_status(
    answer: cri::ContainerStatusResponse,
) -> Result<ContainerStatus, RuntimeError> {
    let status = answer.status.ok_or_else(|| malformed("ContainerStatus", "no status"))?;
    let image_id = if status.image_id.is_empty() { &status.image_ref } else { &status.image_id };
    Ok(ContainerStatus {
        state: state(status.state()),
        created_at: time(status.created_at).unwrap_or(Timestamp::UNIX_EPOCH),
        started_at: time(status.started_at),
        finished_at: time(status.finished_at),
        exit_code: status.exit_code,
        // `image_ref` names the repository as well; the bare `image_id` came to CRI later and is the fallback.
        image_id: if status.image_ref.is_empty() { image_id.clone() } else { status.image_ref.clone() },
        image: status.image.map(|image| image.image).unwrap_or_default(),
        reason: status.reason,
        message: status.message,
        annotations: status.annotations.into_iter().collect(),
        log_path: status.log_path,
        mounts: status.mounts.into_iter().map(|mount| (mount.container_path, mount.host_path)).collect(),
        stop_signal: None,
    })
}

pub(super) fn image(image: cri::Image) -> Image {
    Image {
        id: image.id,
        tags: image.repo_tags,
        digests: image.repo_digests,
        size: image.size,
        uid: image.uid.map(|uid| uid.value),
        username: image.username,
        pinned: image.pinned,
    }
}

fn state(state: cri::ContainerState) -> ContainerState {
    match state {
        cri::ContainerState::ContainerCreated => ContainerState::Created,
        cri::ContainerState::ContainerRunning => ContainerState::Running,
        cri::ContainerState::ContainerExited => ContainerState::Exited,
        cri::ContainerState::ContainerUnknown => ContainerState::Unknown,
    }
}

/// CRI counts nanoseconds since 1970; Go's zero time comes out as a large negative number.
fn time(nanoseconds: i64) -> Option<Timestamp> {
    (nanoseconds > 0).then(|| Timestamp::from_nanosecond(i128::from(nanoseconds)).ok()).flatten()
}

fn malformed(call: &'static str, message: &str) -> RuntimeError {
    RuntimeError::Malformed { call, message: message.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_labels_is_not_ours() {
        assert_eq!(sandbox(cri::PodSandbox { id: "s".into(), ..Default::default() }), None);
        assert_eq!(container(cri::Container { id: "c".into(), ..Default::default() }), None);
    }

    #[test]
    fn conditions_that_are_missing_are_problems() {
        let status = runtime_status(cri::StatusResponse::default());
        assert!(status.runtime_problem.unwrap().contains("RuntimeReady"));
    }

    #[test]
    fn the_image_of_sandboxes_is_found_where_containerd_shows_it() {
        let config = r#"{"sandboxImage": "registry.k8s.io/pause:3.6", "other": {}}"#;
        let info = [("config".to_owned(), config.to_owned())].into();
        let answer = cri::StatusResponse { info, ..Default::default() };
        assert_eq!(sandbox_image(&answer).as_deref(), Some("registry.k8s.io/pause:3.6"));
        assert_eq!(sandbox_image(&cri::StatusResponse::default()), None);
    }

    #[test]
    fn a_sandbox_without_network_has_no_addresses() {
        let network = cri::PodSandboxNetworkStatus::default();
        let status = cri::PodSandboxStatus { network: Some(network), ..Default::default() };
        let answer = cri::PodSandboxStatusResponse { status: Some(status), ..Default::default() };
        assert_eq!(sandbox_status(answer).unwrap(), SandboxStatus { ready: true, ips: Vec::new() });
    }

    #[test]
    fn answers_without_content_are_errors() {
        assert!(container_status(cri::ContainerStatusResponse::default()).is_err());
        assert!(sandbox_status(cri::PodSandboxStatusResponse::default()).is_err());
    }

    #[test]
    fn times_that_were_never_set_are_none() {
        assert_eq!(time(0), None);
        assert_eq!(time(i64::MIN), None);
        assert_eq!(time(1_000_000_000), Some(Timestamp::from_second(1).unwrap()));
    }
}
