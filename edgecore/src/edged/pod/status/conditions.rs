//! The pod's conditions (<https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-conditions>).

use k8s_openapi::api::core::v1::{Container, ContainerStatus, PodCondition, PodSpec, PodStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::phase::is_initialized;
use super::{Phase, StatusInput};
use crate::edged::pod::containers::is_sidecar;

/// The conditions that edged owns; others (readiness gates, the scheduler's) are left as they are.
const OURS: [&str; 6] =
    ["PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled", HELD];

/// The pod waits for somebody at the edge to agree to it (spec edge-keadm-mapper 3.2).
const HELD: &str = "HeldUpgrade";

/// Set when the node ends a pod that did nothing wrong:
/// <https://kubernetes.io/docs/concepts/workloads/pods/disruptions/#pod-disruption-conditions>.
const DISRUPTION: &str = "DisruptionTarget";

/// `Ok`, or why not: reason and message.
type Verdict = Result<(), (&'static str, String)>;

/// `status` has everything but its conditions.
pub(super) fn conditions(
    spec: &PodSpec,
    status: &PodStatus,
    phase: Phase,
    input: &StatusInput<'_>,
) -> Vec<PodCondition> {
    let init = status.init_container_statuses.as_deref().unwrap_or_default();
    let containers = status.container_statuses.as_deref().unwrap_or_default();
    let containers_ready = containers_ready(spec, init, containers, phase);
    let verdicts: [(&str, Verdict); 5] = [
        ("PodReadyToStartContainers", sandbox_ready(input)),
        ("Initialized", initialized(spec, init, containers, phase)),
        ("Ready", containers_ready.clone().and_then(|()| gates(spec, input))),
        ("ContainersReady", containers_ready),
        ("PodScheduled", Ok(())),
    ];
    let mut conditions: Vec<PodCondition> =
        verdicts.into_iter().map(|(kind, verdict)| condition(kind, verdict, input)).collect();
    conditions.extend(foreign(input).cloned());
    conditions.extend(held(input));
    let is_told = conditions.iter().any(|condition| condition.type_ == DISRUPTION);
    let disruption = input.state.ending().and_then(|ending| ending.disruption.as_ref());
    if let Some(message) = disruption.filter(|_| !is_told) {
        conditions.push(PodCondition {
            reason: Some("TerminationByKubelet".to_owned()),
            message: Some(message.clone()),
            ..condition(DISRUPTION, Ok(()), input)
        });
    }
    conditions
}

/// Named only where it is so, or was: a condition cannot be taken back.
fn held(input: &StatusInput<'_>) -> Option<PodCondition> {
    let condition = if input.state.is_held() {
        let held = condition(HELD, Ok(()), input);
        PodCondition { reason: Some("HoldUpgradeEnabled".to_owned()), ..held }
    } else {
        condition(HELD, Err(("HoldUpgradeReleased", String::new())), input)
    };
    let known = [input.previous, input.state.pod().status.as_ref()].into_iter().flatten();
    let mut known = known.flat_map(|status| status.conditions.iter().flatten());
    (input.state.is_held() || known.any(|one| one.type_ == HELD)).then_some(condition)
}

fn sandbox_ready(input: &StatusInput<'_>) -> Verdict {
    match input.observed.ready_sandbox() {
        Some(_) => Ok(()),
        None => Err(("", String::new())),
    }
}

fn initialized(
    spec: &PodSpec,
    init: &[ContainerStatus],
    containers: &[ContainerStatus],
    phase: Phase,
) -> Verdict {
    if phase == Phase::Succeeded || is_initialized(spec, init, containers) {
        return Ok(());
    }
    // Of a sidecar only its start is waited for.
    let done = |(container, status): &(&Container, &ContainerStatus)| match is_sidecar(container) {
        true => status.started == Some(true),
        false => status.ready,
    };
    let pairs = spec.init_containers.iter().flatten().zip(init);
    let incomplete: Vec<&str> =
        pairs.filter(|pair| !done(pair)).map(|(_, status)| status.name.as_str()).collect();
    let message = format!("containers with incomplete status: [{}]", incomplete.join(" "));
    Err(("ContainersNotInitialized", message))
}

fn containers_ready(
    spec: &PodSpec,
    init: &[ContainerStatus],
    containers: &[ContainerStatus],
    phase: Phase,
) -> Verdict {
    if phase == Phase::Succeeded {
        return Err(("PodCompleted", String::new()));
    }
    if phase == Phase::Failed {
        return Err(("PodFailed", String::new()));
    }
    let sidecars =
        spec.init_containers.iter().flatten().zip(init).filter(|(container, _)| is_sidecar(container));
    let unready: Vec<&str> = sidecars
        .map(|(_, status)| status)
        .chain(containers)
        .filter(|status| !status.ready)
        .map(|status| status.name.as_str())
        .collect();
    if unready.is_empty() {
        return Ok(());
    }
    Err(("ContainersNotReady", format!("containers with unready status: [{}]", unready.join(" "))))
}

/// Conditions that others have to set before the pod counts as ready.
fn gates(spec: &PodSpec, input: &StatusInput<'_>) -> Verdict {
    for gate in spec.readiness_gates.iter().flatten() {
        let kind = &gate.condition_type;
        let state =
            foreign(input).find(|condition| condition.type_ == *kind).map(|condition| &condition.status);
        match state.map(String::as_str) {
            Some("True") => {}
            Some(_) => {
                let message = format!("the status of pod readiness gate {kind:?} is not \"True\"");
                return Err(("ReadinessGatesNotReady", message));
            }
            None => {
                let message =
                    format!("corresponding condition of pod readiness gate {kind:?} does not exist.");
                return Err(("ReadinessGatesNotReady", message));
            }
        }
    }
    Ok(())
}

fn foreign<'a>(input: &StatusInput<'a>) -> impl Iterator<Item = &'a PodCondition> {
    let status = input.state.pod().status.as_ref();
    let all = status.and_then(|status| status.conditions.as_ref());
    all.into_iter().flatten().filter(|condition| !OURS.contains(&condition.type_.as_str()))
}

fn condition(kind: &str, verdict: Verdict, input: &StatusInput<'_>) -> PodCondition {
    let status = if verdict.is_ok() { "True" } else { "False" };
    let (reason, message) = verdict.err().unwrap_or_default();
    let before = input.previous.and_then(|previous| previous.conditions.as_ref());
    let before = before.and_then(|all| all.iter().find(|condition| condition.type_ == kind));
    let unchanged = before.filter(|before| before.status == status);
    let since = unchanged.and_then(|before| before.last_transition_time.clone());
    PodCondition {
        type_: kind.to_owned(),
        status: status.to_owned(),
        reason: Some(reason.to_owned()).filter(|reason| !reason.is_empty()),
        message: Some(message).filter(|message| !message.is_empty()),
        last_transition_time: Some(since.unwrap_or(Time(input.now))),
        observed_generation: input.state.pod().metadata.generation,
        ..PodCondition::default()
    }
}
