//! What the server sees of edged.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use chassis::clock::Clock;
use tokio::sync::{mpsc, oneshot, watch};

use crate::edged::csi::Drivers;
use crate::edged::hold::Holds;
use crate::edged::metrics::Metrics;
use crate::edged::node::NodeFacts;
use crate::edged::relist::Seen;
use crate::edged::resources::cgroup::PodCgroups;
use crate::edged::roster::Roster;
use crate::edged::runtime::Runtime;
use crate::edged::volumes::KnownVolumes;

/// A loop that does not answer within this is stuck: each of its rounds takes microseconds. stock calls its own loop
/// healthy for two minutes; who asks (`/healthz`) waits for the answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Questions that wait for the loop; more wait to be asked.
const QUESTIONS: usize = 4;

/// Made by [`crate::edged::Edged::view`]. Cheap to clone.
#[derive(Debug, Clone)]
pub struct View {
    /// The pods.
    pub roster: Roster,
    /// The container runtime.
    pub runtime: Runtime,
    /// What the runtime holds.
    pub seen: watch::Receiver<Seen>,
    /// Whether edged's loop goes round.
    pub pulse: Pulse,
    /// About the node.
    pub node: watch::Receiver<NodeFacts>,
    /// What edged counts.
    pub metrics: Metrics,
    /// The volumes of claims that pods use.
    pub volumes: KnownVolumes,
    /// Drivers of volumes.
    pub drivers: Arc<Drivers>,
    /// Lets pods go that are held.
    pub holds: Holds,
    /// Names of the pods' cgroups.
    pub cgroups: PodCgroups,
    /// `podLogsDir`
    pub logs: PathBuf,
    /// `rootDirectory`
    pub root: PathBuf,
    /// Wall clock.
    pub clock: Clock,
}

/// Asks edged's loop whether it goes round. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Pulse {
    questions: mpsc::Sender<oneshot::Sender<()>>,
}

/// The loop's end of a [`Pulse`].
#[derive(Debug)]
pub struct PulseInbox {
    questions: mpsc::Receiver<oneshot::Sender<()>>,
}

// === impl Pulse ===

impl Pulse {
    /// A pair.
    pub fn new() -> (Self, PulseInbox) {
        let (sender, questions) = mpsc::channel(QUESTIONS);
        (Self { questions: sender }, PulseInbox { questions })
    }

    /// Does the loop go round?
    pub async fn beats(&self) -> bool {
        let asked = async {
            let (question, answer) = oneshot::channel();
            self.questions.send(question).await.ok()?;
            answer.await.ok()
        };
        tokio::time::timeout(PATIENCE, asked).await.is_ok_and(|answer| answer.is_some())
    }
}

// === impl PulseInbox ===

impl PulseInbox {
    /// Waits for the next question and answers it. Waits for ever when nobody can ask.
    pub async fn answer(&mut self) {
        match self.questions.recv().await {
            // Who asked may have gone.
            Some(question) => drop(question.send(())),
            None => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_loop_that_does_not_answer_is_not_healthy() {
        let (pulse, mut inbox) = Pulse::new();
        let (beats, ()) = tokio::join!(pulse.beats(), inbox.answer());
        assert!(beats);
        assert!(!pulse.beats().await, "nobody answers");
        drop(inbox);
        assert!(!pulse.beats().await, "it has ended");
    }
}
