//! Why pods do not run yet, from what the cluster says of them.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::{Deployment, DeploymentCondition};
use k8s_openapi::api::core::v1::{ContainerState, ContainerStatus, Event, Pod};
use kube::ResourceExt as _;

/// CloudCore does not take its configuration (`EX_USAGE`): starting it again will not help.
const BAD_CONFIG: i32 = 64;

/// What has been seen of a Deployment.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) deployment: Option<Deployment>,
    pub(super) pods: BTreeMap<String, Pod>,
    /// The newest warning of each object, by `kind/name`.
    pub(super) warnings: BTreeMap<String, String>,
}

/// How far it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Progress {
    Ready,
    Waiting(Vec<Cause>),
}

/// What stands in the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cause {
    /// For people.
    pub(super) text: String,
    /// A pod whose log says more: its name, and whether it is that of the container before.
    pub(super) log_of: Option<(String, bool)>,
    /// Waiting does not help.
    pub(super) is_final: bool,
}

impl Seen {
    pub(super) fn warning(&mut self, event: &Event) {
        let (about, message) = (&event.involved_object, event.message.as_deref());
        if let (Some(kind), Some(name), Some(message)) = (&about.kind, &about.name, message) {
            self.warnings.insert(format!("{kind}/{name}"), message.to_owned());
        }
    }

    pub(super) fn progress(&self) -> Progress {
        let Some(deployment) = &self.deployment else {
            return Progress::Waiting(vec![plain("the Deployment is not there yet")]);
        };
        let wanted = deployment.spec.replicas.unwrap_or(1);
        let status = deployment.status.clone().unwrap_or_default();
        let is_observed = status.observed_generation >= deployment.metadata.generation;
        let count = |number: Option<i32>| number.unwrap_or_default();
        let is_complete = is_observed
            && count(status.updated_replicas) >= wanted
            && count(status.replicas) == count(status.updated_replicas)
            && count(status.available_replicas) >= wanted;
        if is_complete {
            return Progress::Ready;
        }
        let ready = if is_observed { count(status.ready_replicas) } else { 0 };
        let mut causes = vec![plain(&format!("{ready} of {wanted} pods ready"))];
        let failed = |condition: &&_| is_failure(condition);
        if let Some(condition) = status.conditions.iter().flatten().find(failed) {
            causes.push(plain(condition.message.as_deref().unwrap_or("no pods can be made")));
        }
        causes.extend(self.pods.values().filter_map(|pod| self.cause_of(pod)));
        Progress::Waiting(causes)
    }

    fn cause_of(&self, pod: &Pod) -> Option<Cause> {
        if pod.metadata.deletion_timestamp.is_some() {
            return None;
        }
        let name = pod.name_any();
        let status = pod.status.as_ref()?;
        let conditions = || status.conditions.iter().flatten();
        if conditions().any(|condition| condition.type_ == "Ready" && condition.status == "True") {
            return None;
        }
        let unscheduled =
            conditions().find(|condition| condition.type_ == "PodScheduled" && condition.status == "False");
        if let Some(condition) = unscheduled {
            let why = condition.message.as_deref().unwrap_or("no reason is given");
            return Some(plain(&format!("{name} cannot be scheduled: {why}")));
        }
        let containers = status.init_container_statuses.iter().chain(&status.container_statuses).flatten();
        let cause = containers
            .filter(|container| !container.ready)
            .find_map(|container| of_container(&name, container));
        cause.or_else(|| {
            let warning = self.warnings.get(&format!("Pod/{name}"))?;
            Some(plain(&format!("{name}: {warning}")))
        })
    }
}

fn is_failure(condition: &DeploymentCondition) -> bool {
    let is = |kind: &str, status: &str| {
        condition.type_.as_deref() == Some(kind) && condition.status.as_deref() == Some(status)
    };
    is("ReplicaFailure", "True") || is("Progressing", "False")
}

fn of_container(pod: &str, container: &ContainerStatus) -> Option<Cause> {
    let state = container.state.as_ref()?;
    let before = container.last_state.as_ref().and_then(|state| state.terminated.as_ref());
    match state {
        ContainerState { waiting: Some(waiting), .. } => {
            let reason = waiting.reason.as_deref().unwrap_or_default();
            let message = waiting.message.as_deref().unwrap_or_default();
            match reason {
                // The usual beginning; if there is something to say, an event says it.
                "ContainerCreating" | "PodInitializing" => None,
                "CrashLoopBackOff" => {
                    let code = before.map(|before| before.exit_code);
                    let ended = code.map(|code| format!(" with exit code {code}")).unwrap_or_default();
                    let count = container.restart_count;
                    Some(Cause {
                        text: format!("{pod}: it has ended{ended} {count} times; its last words:"),
                        log_of: Some((pod.to_owned(), true)),
                        is_final: code == Some(BAD_CONFIG),
                    })
                }
                _ => Some(Cause {
                    text: format!("{pod}: {reason}: {message}"),
                    log_of: None,
                    is_final: reason == "InvalidImageName",
                }),
            }
        }
        ContainerState { terminated: Some(ended), .. } => Some(Cause {
            text: format!("{pod}: it has ended with exit code {}; its last words:", ended.exit_code),
            log_of: Some((pod.to_owned(), false)),
            is_final: ended.exit_code == BAD_CONFIG,
        }),
        _ => None,
    }
}

fn plain(text: &str) -> Cause {
    Cause { text: text.to_owned(), log_of: None, is_final: false }
}

#[cfg(test)]
mod tests;
