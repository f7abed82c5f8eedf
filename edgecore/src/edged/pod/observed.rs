//! What the runtime holds of one pod: the other half of what decides the next action.

use std::collections::HashMap;
use std::net::IpAddr;

use crate::edged::runtime::{
    ContainerId, ContainerRecord, ContainerState, ContainerStatus, Runtime, RuntimeError, SandboxId,
    SandboxRecord,
};

/// Exit code of a process that was killed: 128 + SIGKILL.
const KILLED: i32 = 137;

/// Sandboxes and containers of one pod, as last read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Observed {
    /// Newest first.
    pub sandboxes: Vec<SandboxRecord>,
    /// Addresses of the newest sandbox while it is ready; empty on the node's network.
    pub ips: Vec<IpAddr>,
    /// Highest attempt first within each name.
    pub containers: Vec<ObservedContainer>,
}

/// One container with its details.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedContainer {
    /// From the list.
    pub record: ContainerRecord,
    /// Its details.
    pub status: ContainerStatus,
    /// The last message that it left (`terminationMessagePath`), once it has ended.
    pub last_words: Option<String>,
}

impl Observed {
    /// The newest sandbox.
    pub fn sandbox(&self) -> Option<&SandboxRecord> {
        self.sandboxes.first()
    }

    /// The newest sandbox, if it can hold containers.
    pub fn ready_sandbox(&self) -> Option<&SandboxRecord> {
        self.sandbox().filter(|sandbox| sandbox.ready)
    }

    /// Every container of this name, newest first.
    pub fn of(&self, name: &str) -> impl Iterator<Item = &ObservedContainer> {
        self.containers.iter().filter(move |container| container.record.name == name)
    }

    /// The newest container of this name.
    pub fn newest(&self, name: &str) -> Option<&ObservedContainer> {
        self.containers.iter().find(|container| container.record.name == name)
    }

    /// Containers whose process may be alive.
    pub fn alive(&self) -> impl Iterator<Item = &ObservedContainer> {
        self.containers.iter().filter(|container| container.is_alive())
    }

    /// Is there anything left in the runtime?
    pub fn is_empty(&self) -> bool {
        self.sandboxes.is_empty() && self.containers.is_empty()
    }

    /// Reads everything of pod `uid` anew. Details that cannot change are taken from `self`.
    pub async fn read_again(&self, runtime: &Runtime, uid: &str) -> Result<Self, RuntimeError> {
        let mut sandboxes = runtime.sandboxes(Some(uid)).await?;
        sandboxes.sort_by_key(|sandbox| std::cmp::Reverse((sandbox.attempt, sandbox.created_at)));
        let ips = match sandboxes.first() {
            Some(newest) if newest.ready => self.ips_of(newest, runtime).await?,
            _ => Vec::new(),
        };
        let mut records = runtime.containers(Some(uid)).await?;
        records.sort_by(|a, b| a.name.cmp(&b.name).then(b.attempt.cmp(&a.attempt)));
        let mut known: HashMap<&ContainerId, &ObservedContainer> =
            self.containers.iter().map(|container| (&container.record.id, container)).collect();
        let mut containers = Vec::with_capacity(records.len());
        for record in records {
            let known = known.remove(&record.id);
            match known.filter(|known| known.record.state == record.state && !known.may_be_explained()) {
                Some(known) => containers.push(known.clone()),
                None => containers.extend(ObservedContainer::read(record, runtime).await?),
            }
        }
        Ok(Self { sandboxes, ips, containers })
    }

    async fn ips_of(&self, sandbox: &SandboxRecord, runtime: &Runtime) -> Result<Vec<IpAddr>, RuntimeError> {
        // A sandbox gets its addresses before it is ready and keeps them as long as it is.
        if self.sandbox() == Some(sandbox) && !self.ips.is_empty() {
            return Ok(self.ips.clone());
        }
        match runtime.sandbox_status(&sandbox.id).await {
            Ok(status) => Ok(status.ips),
            Err(RuntimeError::NotFound { .. }) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }
}

/// What containerd (1.6) gives as the reason of an end of which it knows nothing.
const UNKNOWN: &str = "Unknown";

/// An edged that is killed while containerd (1.6) makes a container's first process takes that back, and a containerd that is
/// killed while it makes the container itself knows nothing of it after: the container counts as ended, though its program has
/// never run. It must not look like a program that has failed.
fn has_never_run(status: &ContainerStatus) -> bool {
    let why = is_broken_off(&status.message) || status.reason == UNKNOWN;
    status.state == ContainerState::Exited && status.started_at.is_none() && why
}

/// Does the runtime say that whoever wanted the container to be started has gone before it was?
pub fn is_broken_off(message: &str) -> bool {
    // What has failed to *start* instead may have run for a moment.
    let Some(why) = message.strip_prefix("failed to create containerd task") else { return false };
    // The shim is a process of its own, and is killed while it begins.
    why.contains("context canceled")
        || (why.contains("failed to start shim") && why.contains("signal: killed"))
}

impl ObservedContainer {
    /// `None`: it was removed between the two calls.
    async fn read(record: ContainerRecord, runtime: &Runtime) -> Result<Option<Self>, RuntimeError> {
        let status = match runtime.container_status(&record.id).await {
            Ok(status) => status,
            Err(RuntimeError::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        // The details are the newer of the two answers.
        let state = if has_never_run(&status) { ContainerState::Created } else { status.state };
        let record = ContainerRecord { state, ..record };
        let last_words = match record.state {
            ContainerState::Exited => super::last_words::read(&status).await,
            _ => None,
        };
        Ok(Some(Self { record, status, last_words }))
    }

    /// Was it killed, and the runtime has not said why? It learns that the kernel was out of memory a moment later or
    /// sooner than that the process has ended.
    fn may_be_explained(&self) -> bool {
        self.is_exited() && self.status.exit_code == KILLED && self.status.reason != "OOMKilled"
    }

    /// May its process be alive?
    pub fn is_alive(&self) -> bool {
        matches!(self.record.state, ContainerState::Running | ContainerState::Unknown)
    }

    /// Was it ever started?
    pub fn has_begun(&self) -> bool {
        self.record.state != ContainerState::Created
    }

    /// Has its process ended?
    pub fn is_exited(&self) -> bool {
        self.record.state == ContainerState::Exited
    }

    /// Has it done what it was there for?
    pub fn is_completed(&self) -> bool {
        self.is_exited() && self.status.exit_code == 0
    }

    /// Does it belong to this sandbox?
    pub fn is_in(&self, sandbox: &SandboxId) -> bool {
        self.record.sandbox == *sandbox
    }
}

#[cfg(test)]
mod tests {
    use super::is_broken_off;

    #[test]
    fn only_a_start_that_was_taken_back_before_the_program_began_is_broken_off() {
        let is = |why: &str| is_broken_off(&format!("failed to {why}: unknown"));
        assert!(is("create containerd task: failed to create shim task: context canceled"));
        assert!(is("create containerd task: failed to start shim: start failed: : signal: killed"));
        assert!(!is("start containerd task \"0676a057\": context canceled"));
        assert!(!is(
            "create containerd task: failed to create shim task: OCI runtime create failed: runc create failed"
        ));
        assert!(!is("create containerd task: failed to create shim task: OCI runtime: signal: killed"));
    }
}
