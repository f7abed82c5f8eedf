//! Reports about devices on their way to the cloud.
//!
//! The cloud answers when a report is in the cluster, and writes there only so often for each device. So these wait beside
//! everything else: nodes' and pods' statuses pass them by. For each device and kind one is on its way at most, and the newest is
//! what the store holds then. A native cloud gets many in one message; a stock one gets each in its own.

use std::collections::HashSet;
use std::sync::Arc;

use chassis::task;
use proto::Resource;
use tokio::task::{JoinError, JoinSet};

use super::{Attempt, devices, finish};
use crate::metamanager::cloud::{CallError, Cloud};
use crate::store::{Change, State};

/// Messages on their way at most to a native cloud: while these are, what is new gathers for the next ones.
const MESSAGES: usize = 8;
/// Messages on their way at most to a stock cloud, one report each.
const SINGLE: usize = 64;
/// Reports in one message.
const BATCH: usize = 256;
/// Bytes of reports in one message, unless a single one has more: well below what a link takes.
const BATCH_BYTES: usize = 256 * 1024;

/// See the module's documentation.
#[derive(Debug, Default)]
pub(super) struct Reports {
    messages: JoinSet<Vec<(State, Attempt)>>,
    on_their_way: HashSet<String>,
}

/// Whether this state is such a report.
pub(super) fn is_report(state: &State) -> bool {
    matches!(Resource::from(state.key.as_str()), Resource::DeviceTwin { .. } | Resource::DeviceState { .. })
}

impl Reports {
    /// Whether one of this object is on its way.
    pub(super) fn has(&self, key: &str) -> bool {
        self.on_their_way.contains(key)
    }

    /// Sends what can go; the rest stays where it is, for the next time.
    pub(super) fn send(&mut self, mut due: Vec<State>, cloud: &Arc<Cloud>) {
        let is_native = cloud.is_native();
        let most = if is_native { MESSAGES } else { SINGLE };
        due.retain(|state| !self.on_their_way.contains(&state.key));
        let mut due = due.into_iter().peekable();
        while self.messages.len() < most {
            let mut batch: Vec<State> = Vec::new();
            let mut bytes = 0;
            while batch.len() < if is_native { BATCH } else { 1 } {
                let fits = |state: &State| batch.is_empty() || bytes + state.value.len() <= BATCH_BYTES;
                let Some(state) = due.next_if(fits) else { break };
                bytes += state.value.len();
                batch.push(state);
            }
            if batch.is_empty() {
                return;
            }
            self.on_their_way.extend(batch.iter().map(|state| state.key.clone()));
            let cloud = Arc::clone(cloud);
            task::spawn_in(&mut self.messages, tracing::Span::current(), async move {
                match is_native {
                    true => say_all(&cloud, batch).await,
                    false => say_each(&cloud, batch).await,
                }
            });
        }
    }

    /// What became of the reports of a message; none when there is none.
    pub(super) async fn arrived(&mut self) -> Option<Vec<(State, Attempt)>> {
        let mut ended = self.messages.join_next().await;
        let mut all = Vec::new();
        while let Some(one) = ended {
            all.extend(self.note(one));
            ended = self.messages.try_join_next();
        }
        Some(all).filter(|all| !all.is_empty())
    }

    fn note(&mut self, ended: Result<Vec<(State, Attempt)>, JoinError>) -> Vec<(State, Attempt)> {
        match ended {
            Ok(done) => {
                for (state, _) in &done {
                    self.on_their_way.remove(&state.key);
                }
                done
            }
            // Only a panic ends one early, and then nobody knows which: all go again.
            Err(error) => {
                tracing::error!(%error, "reports about devices were not sent");
                self.messages.abort_all();
                self.on_their_way.clear();
                Vec::new()
            }
        }
    }
}

async fn say_each(cloud: &Cloud, batch: Vec<State>) -> Vec<(State, Attempt)> {
    let mut done = Vec::new();
    for state in batch {
        let accepted = devices::report(cloud, Resource::from(state.key.as_str()), &state.value).await;
        done.push(settled(state, accepted));
    }
    done
}

async fn say_all(cloud: &Cloud, batch: Vec<State>) -> Vec<(State, Attempt)> {
    let (readable, answer) = devices::report_all(cloud, &batch).await;
    let outcome = |state: &State| -> Result<(), CallError> {
        if !readable.contains(&state.key) {
            return Err(CallError::Refused { reason: "Invalid".into(), message: "it cannot be read".into() });
        }
        let open = answer.as_ref().map_err(Clone::clone)?;
        match open.iter().find(|open| open.path == state.key) {
            None => Ok(()),
            Some(open) if open.reason.is_empty() => Err(CallError::Unreadable(open.message.clone())),
            Some(open) => {
                Err(CallError::Refused { reason: open.reason.clone(), message: open.message.clone() })
            }
        }
    };
    batch
        .into_iter()
        .map(|state| {
            let outcome = outcome(&state);
            settled(state, outcome)
        })
        .collect()
}

fn settled(state: State, accepted: Result<(), CallError>) -> (State, Attempt) {
    let (key, uid, version) = (state.key.clone(), state.uid.clone(), state.version);
    let done = match accepted {
        Ok(()) => Change::AcceptState { key, uid, version },
        Err(_) => Change::ClearState { key, uid, version },
    };
    let attempt = finish(&state.key, accepted, done);
    (state, attempt)
}
