//! What nobody needs any more goes when the disk is short: containers and sandboxes that have ended, of pods that are
//! over and of pods that the node does not know
//! (<https://kubernetes.io/docs/concepts/architecture/garbage-collection/#container-image-garbage-collection>).
//!
//! What runs is left alone, also of a pod that nobody knows: only the cloud's word ends it. What a pod that may run
//! again keeps (one ended container of each name) is that pod's own business.

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;
use std::time::Duration;

use chassis::clock::Clock;

use crate::edged::pod::remove_log;
use crate::edged::pod::sandbox_config::log_directory;
use crate::edged::roster::{Listed, Roster};
use crate::edged::runtime::{ContainerRecord, ContainerState, Runtime, RuntimeError, SandboxId};

/// Removes the dead.
#[derive(Debug)]
pub(super) struct Undertaker {
    pub(super) runtime: Runtime,
    pub(super) roster: Roster,
    pub(super) clock: Clock,
    /// `podLogsDir`
    pub(super) logs: PathBuf,
    /// `minimumGCAge`
    pub(super) minimum_age: Duration,
}

// === impl Undertaker ===

impl Undertaker {
    /// Removes what may go; gives the number of containers.
    pub(super) async fn bury(&self) -> Result<usize, RuntimeError> {
        // In this order: who has a container was in the roster before it had one.
        let sandboxes = self.runtime.sandboxes(None).await?;
        let containers = self.runtime.containers(None).await?;
        let Some((pods, _)) = self.roster.pods() else { return Ok(0) };
        let mut removed = 0;
        let mut in_use: HashSet<&SandboxId> = HashSet::new();
        for container in &containers {
            if may_go(&pods, &container.pod.uid)
                && container.state == ContainerState::Exited
                && self.is_old(container).await?
            {
                self.runtime.remove_container(&container.id).await?;
                self.remove_log(container).await;
                removed += 1;
            } else {
                in_use.insert(&container.sandbox);
            }
        }
        for sandbox in &sandboxes {
            let age =
                i64::try_from(self.clock.now().as_nanosecond()).unwrap_or(i64::MAX) - sandbox.created_at;
            let is_old = u128::try_from(age).is_ok_and(|age| age >= self.minimum_age.as_nanos());
            if may_go(&pods, &sandbox.pod.uid) && !sandbox.ready && is_old && !in_use.contains(&sandbox.id) {
                // Its network is given back first; it may have died by itself.
                self.runtime.stop_sandbox(&sandbox.id).await?;
                self.runtime.remove_sandbox(&sandbox.id).await?;
            }
        }
        Ok(removed)
    }

    async fn is_old(&self, container: &ContainerRecord) -> Result<bool, RuntimeError> {
        if self.minimum_age.is_zero() {
            return Ok(true);
        }
        let status = match self.runtime.container_status(&container.id).await {
            // It went by itself meanwhile.
            Err(RuntimeError::NotFound { .. }) => return Ok(false),
            status => status?,
        };
        let ended = status.finished_at.unwrap_or(status.created_at);
        let age = Duration::try_from(self.clock.now().duration_since(ended)).unwrap_or_default();
        Ok(age >= self.minimum_age)
    }

    async fn remove_log(&self, container: &ContainerRecord) {
        let directory = log_directory(&self.logs, &container.pod);
        if let Err(error) = remove_log(&directory, &container.name, container.attempt).await {
            tracing::warn!(path = %directory.display(), %error, "log was not removed");
        }
    }
}

/// Of a pod that is over, or that nobody knows.
fn may_go(pods: &BTreeMap<String, Listed>, uid: &str) -> bool {
    pods.get(uid).is_none_or(|listed| listed.is_over)
}
