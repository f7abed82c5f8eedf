//! When all has come to rest: every pod is as its manifest says, and nothing is there of any other.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{ContainerStatus, Pod};

use super::kinds::{Fate, Kind, Rule};
use super::ledger::Ledger;
use super::witness::Witness;

/// What is seen of one pod that was left alone.
#[derive(Debug)]
pub(crate) struct Rested<'a> {
    pub(crate) pod: &'a Pod,
    pub(crate) kind: Kind,
    pub(crate) uid: &'a str,
    pub(crate) witness: &'a Witness,
    pub(crate) ledger: &'a Ledger,
}

impl Rested<'_> {
    /// How much was excused: starts that containerd has lost, and restarts that were counted and that no container has seen,
    /// of containers that were made and, because containerd was killed before they had begun, not started.
    ///
    /// # Errors
    /// What is not as it should be (yet).
    pub(crate) fn judge(&self) -> Result<usize, String> {
        let mut excused = self.lost();
        self.has_met_its_fate(excused > 0)?;
        for (container, rule) in self.kind.rules() {
            let judged = self.judge_container(container, *rule);
            excused += judged.map_err(|why| format!("{container}: {why}"))?;
        }
        Ok(excused)
    }

    /// How many starts containerd has lost, of all its containers.
    fn lost(&self) -> usize {
        self.kind.rules().iter().map(|(container, _)| self.ledger.lost_starts(self.uid, container)).sum()
    }

    fn has_met_its_fate(&self, is_lost: bool) -> Result<(), String> {
        let status = self.pod.status.clone().unwrap_or_default();
        let is_ready =
            status.conditions.iter().flatten().any(|one| one.type_ == "Ready" && one.status == "True");
        let phase = status.phase.as_deref().unwrap_or_default();
        let met = match self.kind.fate() {
            // How it has ended nobody knows any more.
            Fate::Succeeds if is_lost && phase == "Failed" => true,
            Fate::Runs => phase == "Running" && is_ready,
            Fate::Struggles => phase == "Running",
            Fate::Succeeds => phase == "Succeeded",
            Fate::Fails => phase == "Failed",
        };
        if met { Ok(()) } else { Err(format!("it is {phase}, ready: {is_ready}: {:?}", status.message)) }
    }

    fn judge_container(&self, name: &str, rule: Rule) -> Result<usize, String> {
        let said = |error: anyhow::Error| format!("{error:#}");
        let testimony = self.witness.of(self.uid, name).map_err(said)?;
        let status = status(self.pod, name).ok_or("it has no status")?;
        let lost = self.ledger.lost_starts(self.uid, name);
        let lives = self.witness.lives(self.uid, name).map_err(said)?;
        let is_over = matches!(self.kind.fate(), Fate::Succeeds | Fate::Fails);
        let expected = match rule {
            Rule::Steady => (1..=1 + lost).contains(&testimony.starts) && lives != is_over,
            Rule::Once => {
                let began = testimony.starts == 1 && testimony.is_done;
                (began || lost > 0 && testimony.starts <= 1 + lost) && !lives
            }
            Rule::Until(starts) => {
                (starts..=starts + lost).contains(&testimony.starts) && testimony.is_done && !lives
            }
            Rule::Again => testimony.starts >= 1,
        };
        if !expected {
            return Err(format!("lives: {lives}, it says {testimony:?}, the API says {:?}", status.state));
        }
        let is_shown_to_run = status.state.as_ref().is_some_and(|state| state.running.is_some());
        if rule != Rule::Again && is_shown_to_run != lives {
            return Err(format!("lives: {lives}, the API says {:?}", status.state));
        }
        self.counts(name, status, testimony.starts)
    }

    fn counts(&self, name: &str, status: &ContainerStatus, starts: usize) -> Result<usize, String> {
        let counted = usize::try_from(status.restart_count).map_err(|error| error.to_string())?;
        match (counted + 1).checked_sub(starts) {
            Some(excused) if excused <= self.ledger.unbegun(self.uid, name) => Ok(excused),
            _ => Err(format!(
                "{starts} starts, restartCount {counted}, {} times it had not wholly started when containerd was killed",
                self.ledger.unbegun(self.uid, name)
            )),
        }
    }
}

/// The status of a container or init container.
fn status<'a>(pod: &'a Pod, name: &str) -> Option<&'a ContainerStatus> {
    let status = pod.status.as_ref()?;
    let lists = [&status.init_container_statuses, &status.container_statuses];
    lists.into_iter().flatten().flatten().find(|status| status.name == name)
}

/// The uids of these pods.
pub(crate) fn uids<'a>(pods: impl IntoIterator<Item = &'a Pod>) -> BTreeSet<String> {
    pods.into_iter().filter_map(|pod| pod.metadata.uid.clone()).collect()
}
