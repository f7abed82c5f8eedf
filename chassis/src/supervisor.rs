//! Runs the modules of a daemon: when one ends, all end; when told to stop, all drain.

use std::collections::HashMap;
use std::future::Future;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{Instant, interval_at, timeout_at};

use crate::module::Module;
use crate::shutdown::{Shutdown, ShutdownTrigger};
use crate::task;

#[cfg(test)]
mod tests;

/// While modules drain, those that are still busy are named this often: seldom enough not to fill the log of a long
/// drain, often enough that a person who waits sees what for.
const BUSY_REPORT_INTERVAL: Duration = Duration::from_secs(5);

/// Owns the running modules of a daemon. There is no restart of a single module: what is transient is retried inside
/// it, and the rest ends the process, which systemd or Kubernetes starts again.
#[derive(Debug)]
pub struct Supervisor {
    grace: Duration,
    trigger: ShutdownTrigger,
    shutdown: Shutdown,
    modules: JoinSet<anyhow::Result<()>>,
    names: HashMap<Id, &'static str>,
}

/// Why the daemon ends with an error. The variants are ordered: a later one outranks an earlier one, because a module
/// that fails closes its neighbours' inboxes, and they may well be seen to end first.
#[derive(Debug)]
enum Failure {
    EndedEarly(&'static str),
    DeadlinePassed(Vec<&'static str>),
    Failed(anyhow::Error),
}

// === impl Supervisor ===

impl Supervisor {
    /// With no modules. `grace` is how long they may take to drain, all together.
    #[must_use]
    pub fn new(grace: Duration) -> Self {
        let (trigger, shutdown) = Shutdown::new();
        Self { grace, trigger, shutdown, modules: JoinSet::new(), names: HashMap::new() }
    }

    /// Starts a module, in a span with its name. Must be called inside a tokio runtime.
    pub fn start<M: Module>(&mut self, module: M) -> &mut Self {
        let span = tracing::info_span!("module", name = M::NAME);
        let handle = task::spawn_in(&mut self.modules, span, module.run(self.shutdown.clone()));
        self.names.insert(handle.id(), M::NAME);
        self
    }

    /// Does `work` while the modules run.
    ///
    /// # Errors
    /// Those of `work`; or a module has ended before it was done.
    pub async fn beside<T>(&mut self, work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
        tokio::select! {
            done = work => done,
            Some((name, result)) = self.next_ended() => {
                result?;
                Err(Failure::EndedEarly(name).into_error())
            }
        }
    }

    /// Waits for `stop` or for the first module to end, then asks all to shut down and waits for them, at most the
    /// grace time; what is left then is aborted.
    ///
    /// # Errors
    /// `module NAME: cause` when a module failed or panicked; else, when the grace time ran out, the names of the
    /// modules that were aborted; else the name of a module that ended although nobody had asked it to.
    pub async fn run_until(mut self, stop: impl Future<Output = ()>) -> anyhow::Result<()> {
        let mut failure = tokio::select! {
            () = stop => None,
            Some(ended) = self.next_ended() => {
                let (name, result) = ended;
                Some(match result {
                    Ok(()) => Failure::EndedEarly(name),
                    Err(cause) => Failure::Failed(cause),
                })
            }
        };
        match &failure {
            None => tracing::info!("shutting down"),
            Some(failure) => tracing::error!("shutting down: {failure:?}"),
        }
        self.trigger.request();
        if let Some(found) = self.drain().await {
            failure = Some(worse(failure, found));
        }
        failure.map_or(Ok(()), |failure| Err(failure.into_error()))
    }

    /// Waits until every module has ended or the grace time is over.
    async fn drain(&mut self) -> Option<Failure> {
        let now = Instant::now();
        let deadline = now + self.grace;
        let mut report = interval_at(now + BUSY_REPORT_INTERVAL, BUSY_REPORT_INTERVAL);
        let mut failure = None;
        while !self.modules.is_empty() {
            tokio::select! {
                ended = timeout_at(deadline, self.next_ended()) => match ended {
                    Ok(Some((_, Err(cause)))) => failure = Some(worse(failure, Failure::Failed(cause))),
                    Ok(_) => {}
                    Err(_) => return Some(worse(failure, Failure::DeadlinePassed(self.abort_all().await))),
                },
                _ = report.tick() => tracing::warn!(busy = ?self.busy(), "still shutting down"),
            }
        }
        failure
    }

    /// The next module to end, with its name and how it ended; `None` when no module is left.
    async fn next_ended(&mut self) -> Option<(&'static str, anyhow::Result<()>)> {
        let joined = self.modules.join_next_with_id().await?;
        let id = match &joined {
            Ok((id, _)) => *id,
            Err(error) => error.id(),
        };
        let name = self.names.remove(&id).expect("every module is named when it is started");
        let result = match joined {
            Ok((_, result)) => result,
            Err(error) => Err(broken(error)),
        };
        if let Err(error) = &result {
            tracing::error!("module {name}: {error:#}");
        }
        Some((name, result.with_context(|| format!("module {name}"))))
    }

    /// Aborts what still runs and returns its names.
    async fn abort_all(&mut self) -> Vec<&'static str> {
        let busy = self.busy();
        tracing::error!(aborted = ?busy, "the grace time is over");
        self.modules.shutdown().await;
        busy
    }

    fn busy(&self) -> Vec<&'static str> {
        let mut busy: Vec<_> = self.names.values().copied().collect();
        busy.sort_unstable();
        busy
    }
}

/// The error of a module whose task did not run to its end.
fn broken(error: JoinError) -> anyhow::Error {
    if !error.is_panic() {
        return anyhow!("aborted");
    }
    let payload = error.into_panic();
    let message = payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned());
    match message {
        Some(message) => anyhow!("panicked: {message}"),
        None => anyhow!("panicked"),
    }
}

// === impl Failure ===

/// The one that says more; of two alike the first, which caused the other.
fn worse(first: Option<Failure>, second: Failure) -> Failure {
    match first {
        Some(first) if first.rank() >= second.rank() => first,
        _ => second,
    }
}

impl Failure {
    fn rank(&self) -> u8 {
        match self {
            Self::EndedEarly(_) => 0,
            Self::DeadlinePassed(_) => 1,
            Self::Failed(_) => 2,
        }
    }

    fn into_error(self) -> anyhow::Error {
        match self {
            Self::EndedEarly(name) => anyhow!("module {name}: ended before shutdown"),
            Self::DeadlinePassed(names) => {
                anyhow!("still busy when the grace time was over, and aborted: {}", names.join(", "))
            }
            Self::Failed(error) => error,
        }
    }
}
