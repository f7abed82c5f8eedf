//! Why a pod has failed, where its containers do not tell.

use std::time::Duration;

use k8s_openapi::api::core::v1::PodStatus;

use crate::edged::preemption;

/// How the message of every eviction for the node's sake begins.
pub(in crate::edged) const LOW: &str = "The node was low on resource: ";

/// The node has decided that the pod is over: it is stopped, its phase becomes `Failed`, and nothing of it is ever started
/// again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// `status.reason`, and the reason of the event about it: one of kubelet's words.
    pub reason: String,
    /// `status.message`
    pub message: String,
    /// How long its containers get to end; as the pod says where this is none.
    pub grace: Option<Duration>,
    /// What the condition `DisruptionTarget` says, which tells the pod apart from those that failed by themselves
    /// (<https://kubernetes.io/docs/concepts/workloads/pods/disruptions/#pod-disruption-conditions>); `None`: it has none.
    pub disruption: Option<String>,
}

impl Ending {
    /// A pod that this node cannot take.
    pub fn rejected(reason: impl Into<String>, message: impl Into<String>) -> Self {
        Self { reason: reason.into(), message: message.into(), grace: None, disruption: None }
    }

    /// `activeDeadlineSeconds` are over.
    pub(super) fn deadline() -> Self {
        Self::rejected("DeadlineExceeded", "Pod was active on the node longer than the specified deadline")
    }

    /// An eviction that was begun before edged ended: what was reported then is all that is left of it.
    pub(super) fn begun(status: &PodStatus) -> Option<Self> {
        let mut conditions = status.conditions.iter().flatten();
        let condition = conditions.find(|condition| {
            let by_node = condition.reason.as_deref() == Some("TerminationByKubelet");
            condition.type_ == "DisruptionTarget" && condition.status == "True" && by_node
        })?;
        let message = condition.message.clone()?;
        if message == preemption::CONDITION {
            return Some(preemption::preempted());
        }
        // The node's shutdown sets the same condition; a pod that it stopped runs again.
        let disruption = Some(message.clone()).filter(|message| message.starts_with(LOW));
        let reason = "Evicted".to_owned();
        disruption.is_some().then_some(Self { reason, message, grace: Some(Duration::ZERO), disruption })
    }

    /// What a status that was reported before says.
    pub(super) fn reported(status: &PodStatus) -> Option<Self> {
        let reason = status.reason.clone().filter(|_| status.phase.as_deref() == Some("Failed"))?;
        Some(Self::rejected(reason, status.message.clone().unwrap_or_default()))
    }
}
