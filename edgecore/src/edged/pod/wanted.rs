//! What an actor is told about its pod.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;

use super::state::Ending;
use crate::flow::PodKey;

/// What one pod should be, and what has happened around it. The counters only ever grow.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// The pod as the cloud has it.
    pub pod: Arc<Pod>,
    /// The cloud has it no more.
    pub gone: bool,
    /// The runtime's list of the pod's containers has changed.
    pub changes: u64,
    /// A config map or secret that it uses has changed.
    pub configs: u64,
    /// The runtime answers again.
    pub recoveries: u64,
    /// The node wants the pod to be over.
    pub ending: Option<Ending>,
    /// It need not be held any more.
    pub let_go: bool,
    /// Whom the cloud is told about.
    pub report: ReportAs,
    /// Who has to go before the pod can begin.
    pub preempts: Option<Arc<Preempts>>,
}

/// The pods whose place a critical one takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preempts {
    /// Their UIDs.
    pub victims: Vec<String>,
    /// The first resource of which there is too little.
    pub resource: String,
    /// How long their end is waited for.
    pub patience: Duration,
}

/// As which pod of the API a pod is reported.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum ReportAs {
    /// It is one.
    #[default]
    Itself,
    /// A static pod, shown by this one.
    Mirror(PodKey),
    /// A static pod that the API does not show yet.
    Nobody,
}

impl Wanted {
    /// A pod about which nothing has happened yet.
    pub fn new(pod: Arc<Pod>) -> Self {
        Self {
            pod,
            gone: false,
            changes: 0,
            configs: 0,
            recoveries: 0,
            ending: None,
            let_go: false,
            report: ReportAs::Itself,
            preempts: None,
        }
    }
}
