//! The stop signal of a container whose runtime does not take it: sent by edged itself.

use tokio::time::{Instant, timeout_at};

use super::{View, Worker, named};
use crate::edged::pod::health::lasting_container;
use crate::edged::process::Process;
use crate::edged::runtime::{ContainerId, ContainerState};
use crate::edged::stop_signal::StopSignal;

impl Worker {
    /// Sends a container the signal that it asks for and waits for its end, at most until `kill_at`, where the runtime would send another one.
    /// Whether it was sent: then the container has had its time.
    pub(super) async fn signal(&self, id: &ContainerId, kill_at: Instant, view: &View) -> bool {
        let Some(signal) = wanted(id, view).and_then(StopSignal::to_linux) else { return false };
        let Some(process) = self.process(id).await else {
            tracing::warn!(container = %id, %signal, "the runtime takes no stop signal, and does not tell whom to send it");
            return false;
        };
        if let Err(error) = process.signal(signal) {
            tracing::debug!(container = %id, %error, "it has ended by itself");
            return false;
        }
        if timeout_at(kill_at, process.ended()).await.is_err() {
            tracing::debug!(container = %id, %signal, "the grace period is over");
        }
        true
    }

    /// The container's process, if it is that: the number that the runtime tells may be another's by the time that the process is opened. If it
    /// tells the same afterwards, the container's was alive meanwhile.
    async fn process(&self, id: &ContainerId) -> Option<Process> {
        let told = || async { self.context.runtime.main_process(id).await.ok().flatten() };
        let pid = told().await?;
        let process = Process::open(pid).ok()?;
        (told().await == Some(pid)).then_some(process)
    }
}

/// The signal that a container which runs asks for, where its runtime has not said that it will send it.
fn wanted(id: &ContainerId, view: &View) -> Option<StopSignal> {
    let container = named(view, id)?;
    if container.record.state != ContainerState::Running || container.status.stop_signal.is_some() {
        return None;
    }
    let definition = lasting_container(view.pod.spec.as_ref()?, &container.record.name)?;
    StopSignal::of(definition).ok()?
}
