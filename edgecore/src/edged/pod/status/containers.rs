//! The status of each container.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{
    Container, ContainerState as ApiState, ContainerStateRunning, ContainerStateTerminated,
    ContainerStateWaiting, ContainerStatus, PodSpec,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::{StatusInput, previous_container};
use crate::edged::pod::containers::{as_container, is_sidecar};
use crate::edged::pod::observed::ObservedContainer;
use crate::edged::pod::state::{Waiting, WaitingReason};
use crate::edged::runtime::ContainerState;
use crate::edged::stop_signal::StopSignal;

/// Exit code of a container that the runtime lost: as if it had been killed (128 + SIGKILL), as kubelet says it.
const LOST_EXIT_CODE: i32 = 137;

pub(super) fn statuses(spec: &PodSpec, input: &StatusInput<'_>) -> Vec<ContainerStatus> {
    let reason = if spec.init_containers.iter().flatten().next().is_some() {
        WaitingReason::PodInitializing
    } else {
        WaitingReason::ContainerCreating
    };
    spec.containers.iter().map(|container| status(container, false, reason, input)).collect()
}

pub(super) fn init_statuses(spec: &PodSpec, input: &StatusInput<'_>) -> Vec<ContainerStatus> {
    let reason = WaitingReason::PodInitializing;
    spec.init_containers.iter().flatten().map(|container| status(container, true, reason, input)).collect()
}

pub(super) fn ephemeral_statuses(spec: &PodSpec, input: &StatusInput<'_>) -> Vec<ContainerStatus> {
    let reason = WaitingReason::ContainerCreating;
    let all = spec.ephemeral_containers.iter().flatten();
    // Kubernetes does not call one ready: nobody waits for it.
    all.map(|container| ContainerStatus {
        ready: false,
        ..status(&as_container(container), false, reason, input)
    })
    .collect()
}

fn status(
    container: &Container,
    is_init: bool,
    not_yet: WaitingReason,
    input: &StatusInput<'_>,
) -> ContainerStatus {
    let name = &container.name;
    let previous = previous_container(input.previous, name);
    let newest = input.observed.newest(name);
    let waiting = || input.state.waiting(name, input.observed, input.instant);
    let (state, last_state) = match newest {
        Some(newest) => present(newest, waiting(), not_yet, input),
        None => absent(previous, waiting(), not_yet, input),
    };
    let last_state = last_state.or_else(|| last_from_before(newest, previous, input));
    let running = newest.filter(|_| state.running.is_some());
    let health = input.state.health();
    let started = running.is_some_and(|newest| health.has_started(container, newest));
    let ready = running.is_some_and(|newest| health.is_ready(container, newest));
    let ended_well = state.terminated.as_ref().is_some_and(|terminated| terminated.exit_code == 0);
    let is_init = is_init && !is_sidecar(container);
    ContainerStatus {
        name: name.clone(),
        // An init container is ready when its work is done.
        ready: if is_init { ended_well } else { ready },
        started: Some(if is_init { running.is_some() } else { started }),
        restart_count: restart_count(newest, previous),
        image: image(newest, container),
        image_id: newest
            .map(|newest| newest.status.image_id.clone())
            .unwrap_or_else(|| previous.map(|previous| previous.image_id.clone()).unwrap_or_default()),
        container_id: match newest {
            Some(newest) => Some(container_id(newest, input)),
            None => previous.and_then(|previous| previous.container_id.clone()),
        },
        state: Some(state),
        last_state: Some(last_state.unwrap_or_default()),
        stop_signal: newest
            .and_then(|newest| stop_signal(newest, container))
            .map(|signal| signal.name().to_owned()),
        ..ContainerStatus::default()
    }
}

/// State and last state of a container that the runtime holds.
fn present(
    newest: &ObservedContainer,
    wait: Option<Waiting>,
    not_yet: WaitingReason,
    input: &StatusInput<'_>,
) -> (ApiState, Option<ApiState>) {
    match newest.record.state {
        // The hook after its start has not succeeded.
        ContainerState::Running if input.state.health().awaits_hook(newest) => {
            (waiting(wait.unwrap_or(Waiting::new(not_yet, ""))), None)
        }
        ContainerState::Running => (running(newest.status.started_at), None),
        ContainerState::Created => {
            (waiting(wait.unwrap_or(Waiting::new(WaitingReason::ContainerCreating, ""))), None)
        }
        ContainerState::Exited | ContainerState::Unknown => {
            let ended = terminated(newest, input);
            match wait {
                Some(wait) => (waiting(wait), Some(ended)),
                None => (ended, None),
            }
        }
    }
}

/// State and last state of a container that the runtime does not hold.
fn absent(
    previous: Option<&ContainerStatus>,
    wait: Option<Waiting>,
    not_yet: WaitingReason,
    input: &StatusInput<'_>,
) -> (ApiState, Option<ApiState>) {
    let before = previous.and_then(|previous| previous.state.as_ref());
    let ended = before.filter(|state| state.terminated.is_some());
    let was_running = before.is_some_and(|state| state.running.is_some());
    let over = input.state.is_stopping() || input.state.is_finished();
    match ended {
        Some(ended) if over => return (ended.clone(), None),
        None if over && was_running => return (lost(previous), None),
        _ => {}
    }
    let wait = wait.unwrap_or(Waiting::new(not_yet, ""));
    let last = ended.cloned().or_else(|| was_running.then(|| lost(previous)));
    (waiting(wait), last)
}

/// The life before this one: an older container, or what was reported of it.
fn last_from_before(
    newest: Option<&ObservedContainer>,
    previous: Option<&ContainerStatus>,
    input: &StatusInput<'_>,
) -> Option<ApiState> {
    let older = newest.and_then(|newest| {
        input
            .observed
            .of(&newest.record.name)
            .find(|other| other.is_exited() && other.record.id != newest.record.id)
    });
    if let Some(older) = older {
        return Some(terminated(older, input));
    }
    let previous = previous?;
    let id = newest.map(|newest| container_id(newest, input));
    let state = previous.state.clone().filter(|state| state.terminated.is_some());
    // What was reported as the state is the last state once another container has taken its place.
    let replaced = previous.container_id != id && newest.is_some();
    state.filter(|_| replaced).or_else(|| previous.last_state.clone())
}

fn running(started: Option<Timestamp>) -> ApiState {
    ApiState { running: Some(ContainerStateRunning { started_at: started.map(Time) }), ..ApiState::default() }
}

fn waiting(wait: Waiting) -> ApiState {
    let waiting = ContainerStateWaiting {
        reason: Some(wait.reason.as_str().to_owned()),
        message: Some(wait.message).filter(|message| !message.is_empty()),
    };
    ApiState { waiting: Some(waiting), ..ApiState::default() }
}

fn terminated(container: &ObservedContainer, input: &StatusInput<'_>) -> ApiState {
    let status = &container.status;
    let unknown = container.record.state == ContainerState::Unknown;
    let exit_code = if unknown { LOST_EXIT_CODE } else { status.exit_code };
    let reason = match status.reason.as_str() {
        _ if unknown => "ContainerStatusUnknown",
        "" if exit_code == 0 => "Completed",
        "" => "Error",
        reason => reason,
    };
    let message = container.last_words.clone().unwrap_or_else(|| status.message.clone());
    let terminated = ContainerStateTerminated {
        exit_code,
        reason: Some(reason.to_owned()),
        message: Some(message).filter(|message| !message.is_empty()),
        started_at: status.started_at.map(Time),
        finished_at: status.finished_at.map(Time),
        container_id: Some(container_id(container, input)),
        signal: None,
    };
    ApiState { terminated: Some(terminated), ..ApiState::default() }
}

/// A container that was running when last heard of, and that nothing is left of.
fn lost(previous: Option<&ContainerStatus>) -> ApiState {
    let terminated = ContainerStateTerminated {
        exit_code: LOST_EXIT_CODE,
        reason: Some("ContainerStatusUnknown".to_owned()),
        message: Some("The container could not be located when the pod was terminated".to_owned()),
        container_id: previous.and_then(|previous| previous.container_id.clone()),
        ..ContainerStateTerminated::default()
    };
    ApiState { terminated: Some(terminated), ..ApiState::default() }
}

fn restart_count(newest: Option<&ObservedContainer>, previous: Option<&ContainerStatus>) -> i32 {
    match newest {
        Some(newest) => i32::try_from(newest.record.attempt).unwrap_or(i32::MAX),
        None => previous.map(|previous| previous.restart_count).unwrap_or_default(),
    }
}

fn image(newest: Option<&ObservedContainer>, container: &Container) -> String {
    let asked = container.image.clone().unwrap_or_default();
    match newest.map(|newest| newest.status.image.as_str()) {
        // Made from an image id, as kubelet and we do: the name is what people know.
        None | Some("") => asked,
        Some(id) if id.starts_with("sha256:") => asked,
        Some(name) => name.to_owned(),
    }
}

/// What the container is stopped with: by the runtime, or by edged where it takes no signals. With one that does not say and a container that does not
/// ask, nobody here knows: the image may name one.
fn stop_signal(newest: &ObservedContainer, container: &Container) -> Option<StopSignal> {
    let own = || StopSignal::of(container).ok().flatten().filter(|signal| signal.to_linux().is_some());
    newest.status.stop_signal.or_else(own)
}

fn container_id(container: &ObservedContainer, input: &StatusInput<'_>) -> String {
    format!("{}://{}", input.runtime_name, container.record.id)
}
