//! What can be done about a pod, and how it ends.

use tokio::time::Instant;

use super::Waiting;
use crate::edged::probe::ProbeKind;
use crate::edged::runtime::{ContainerId, SandboxId};

/// One thing to do. Each is safe to repeat and to break off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Fetch config maps and secrets, make the volumes and the cgroup, or bring them up to date.
    Prepare,
    /// Make a sandbox.
    RunSandbox {
        /// Counts the sandboxes of the pod.
        attempt: u32,
    },
    /// End a sandbox and give its network back.
    StopSandbox(SandboxId),
    /// Remove a sandbox with the containers in it.
    RemoveSandbox(SandboxId),
    /// Pull the image if need be, make a container and start it.
    Start {
        /// Name in the pod's spec.
        container: String,
        /// Its restart count.
        attempt: u32,
        /// Where it runs.
        sandbox: SandboxId,
    },
    /// End containers, all at once.
    Stop {
        /// Which ones.
        containers: Vec<ContainerId>,
        /// What still runs then is killed.
        kill_at: Instant,
        /// For the pod's events.
        why: StopReason,
    },
    /// Remove a container that has ended, with its log.
    Remove(ContainerId),
    /// Take away volumes, cgroup and (when the pod goes) logs.
    CleanUp,
}

/// Why containers are ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopReason {
    /// The pod goes, or is done.
    PodEnds,
    /// The container's definition has changed.
    Changed,
    /// Its sandbox is dead, so it has no network any more.
    SandboxLost,
    /// A probe has given it up.
    Unhealthy(ProbeKind),
    /// Its `postStart` hook has failed.
    HookFailed,
}

/// What comes next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// This step.
    Do(Step),
    /// Nothing before this time, or before something happens.
    Wait(Option<Instant>),
    /// Nothing ever: all of the pod is gone.
    Ended,
}

/// How a step ended well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Success {
    /// It is done.
    Done,
    /// Volumes are there.
    Prepared {
        /// When they have to be brought up to date.
        refresh_at: Option<Instant>,
    },
}

/// How a step failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The runtime cannot be reached.
    Outage,
    /// This container could not be started.
    Container {
        /// What its status shows.
        waiting: Waiting,
        /// The container exists, so its end counts as a crash.
        created: bool,
    },
    /// Anything else, told by an event.
    Other,
}
