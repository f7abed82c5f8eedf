//! Runs the hooks and probes of one pod's containers: a task for each, ended with the container.
//!
//! What they come to is told through a `watch`, of which the actor takes the newest: a verdict that was overtaken by the
//! next one need not be known. Costs nothing for a pod that has neither.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chassis::task::{self, AbortOnDrop};
use k8s_openapi::api::core::v1::{Container, Pod};
use tokio::sync::watch;

use super::context::PodContext;
use super::health::{Begin, Duty, Note, Verdict, cared_for, needs_care};
use super::observed::{Observed, ObservedContainer};
use super::state::{PodState, uses_host_network};
use crate::edged::events::{Severity, about_container};
use crate::edged::hook::Hook;
use crate::edged::probe::ProbeKind;
use crate::edged::probe::schedule::Schedule;
use crate::edged::probe::spec::{Timing, probe_of};
use crate::edged::probe::worker::{Address, ProbeWorker};

/// In the pod's directory.
const NOTE: &str = "hooks.json";

/// What hooks and probes have come to, by container name.
pub(super) type Verdicts = BTreeMap<String, Verdict>;

/// Owns the tasks of one pod.
#[derive(Debug)]
pub(super) struct Keeper {
    context: Arc<PodContext>,
    desk: Option<Box<Desk>>,
}

/// Of a pod that has hooks or probes.
#[derive(Debug)]
struct Desk {
    verdicts: watch::Sender<Verdicts>,
    seen: watch::Receiver<Verdicts>,
    /// By name and restart count of the container.
    tasks: BTreeMap<(String, u32, Duty), AbortOnDrop<()>>,
    /// As it is on disk.
    noted: Note,
}

/// What a task works on.
struct Subject<'a> {
    pod: &'a Arc<Pod>,
    spec: &'a Container,
    container: &'a ObservedContainer,
    address: Address,
}

// === impl Keeper ===

impl Keeper {
    /// No tasks yet.
    pub(super) fn new(context: Arc<PodContext>) -> Self {
        Self { context, desk: None }
    }

    /// What an earlier edgecore has noted about pod `uid`.
    pub(super) async fn recall(&mut self, pod: &Pod, uid: &str) -> Note {
        if !pod.spec.as_ref().is_some_and(needs_care) {
            return Note::default();
        }
        let Some(path) = self.path(uid) else { return Note::default() };
        let noted: Note = match tokio::fs::read(&path).await {
            Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_else(|error| {
                tracing::warn!(path = %path.display(), %error, "cannot be read, hooks that were cut off are not run again");
                Note::default()
            }),
            Err(error) => {
                if error.kind() != io::ErrorKind::NotFound {
                    tracing::warn!(path = %path.display(), %error, "cannot be read, hooks that were cut off are not run again");
                }
                Note::default()
            }
        };
        self.desk = Some(Box::new(Desk::new(noted.clone())));
        noted
    }

    /// Starts what has to be done now and is not being done, and ends everything else.
    pub(super) fn keep(&mut self, state: &PodState, observed: &Observed) {
        let Some(desk) = &mut self.desk else { return };
        let pod = state.pod();
        let Some(spec) = &pod.spec else { return };
        let mut tasks = BTreeMap::new();
        let ends = state.is_stopping() || state.is_finished();
        for (name, duty, begin) in state.health().duties(spec, observed, ends) {
            let (Some(container), Some(definition)) = (observed.newest(&name), cared_for(spec, &name)) else {
                continue;
            };
            let key = (name, container.record.attempt, duty);
            let task = desk.tasks.remove(&key).unwrap_or_else(|| {
                let address = match uses_host_network(spec) {
                    true => Address::Node(self.context.node.clone()),
                    false => Address::Pod(observed.ips.first().copied()),
                };
                let subject = Subject { pod, spec: definition, container, address };
                start(&self.context, &desk.verdicts, duty, begin, &subject)
            });
            tasks.insert(key, task);
        }
        desk.tasks = tasks;
    }

    /// Waits until a hook or probe has come to something. Waits for ever where there is none.
    pub(super) async fn news(&mut self) -> Verdicts {
        let Some(desk) = &mut self.desk else { return std::future::pending().await };
        match desk.seen.changed().await {
            Ok(()) => desk.seen.borrow_and_update().clone(),
            Err(_) => std::future::pending().await,
        }
    }

    /// Keeps what has to outlive edgecore, when it has changed. Not flushed to the disk: a power cut ends the
    /// containers, too.
    pub(super) async fn note(&mut self, state: &PodState, uid: &str) {
        let Some(path) = self.path(uid) else { return };
        let Some(desk) = self.desk.as_mut().filter(|_| !state.is_stopping() && !state.is_finished()) else {
            return;
        };
        let note = state.health().note();
        if desk.noted == note {
            return;
        }
        match write(&path, &note).await {
            Ok(()) => desk.noted = note,
            Err(error) => tracing::warn!(path = %path.display(), %error, "a hook was not noted"),
        }
    }

    fn path(&self, uid: &str) -> Option<PathBuf> {
        self.context.volumes.pod_dir(uid).map(|directory| directory.join(NOTE))
    }
}

impl Desk {
    fn new(noted: Note) -> Self {
        let (verdicts, seen) = watch::channel(Verdicts::new());
        Self { verdicts, seen, tasks: BTreeMap::new(), noted }
    }
}

async fn write(path: &Path, note: &Note) -> io::Result<()> {
    let beside = path.with_extension("new");
    if let Some(directory) = path.parent() {
        tokio::fs::create_dir_all(directory).await?;
    }
    tokio::fs::write(&beside, serde_json::to_vec(note)?).await?;
    tokio::fs::rename(&beside, path).await
}

fn start(
    context: &Arc<PodContext>,
    verdicts: &watch::Sender<Verdicts>,
    duty: Duty,
    begin: Begin,
    subject: &Subject<'_>,
) -> AbortOnDrop<()> {
    let tell = teller(verdicts.clone(), &subject.container.record.name, subject.container.record.attempt);
    let span = tracing::Span::current();
    match duty {
        Duty::PostStart => task::spawn(span, post_start(context, subject, tell)),
        Duty::Probe(kind) => {
            let worker = Box::new(probe(context, kind, begin, subject));
            task::spawn(span, async move {
                worker
                    .run(|value| {
                        tell(&|verdict: &mut Verdict| match kind {
                            ProbeKind::Startup => verdict.started = Some(value),
                            ProbeKind::Liveness => verdict.alive = Some(value),
                            ProbeKind::Readiness => verdict.ready = Some(value),
                        });
                    })
                    .await;
            })
        }
    }
}

/// Changes what is known of one container.
fn teller(
    verdicts: watch::Sender<Verdicts>,
    name: &str,
    attempt: u32,
) -> impl Fn(&dyn Fn(&mut Verdict)) + Send + Sync + 'static {
    let name = name.to_owned();
    move |change| {
        verdicts.send_modify(|all| {
            let verdict = all.entry(name.clone()).or_default();
            if verdict.attempt != attempt {
                *verdict = Verdict { attempt, ..Verdict::default() };
            }
            change(verdict);
        });
    }
}

fn post_start(
    context: &Arc<PodContext>,
    subject: &Subject<'_>,
    tell: impl Fn(&dyn Fn(&mut Verdict)) + Send + 'static,
) -> impl Future<Output = ()> + Send + 'static {
    let (context, pod, name) = (context.clone(), subject.pod.clone(), subject.spec.name.clone());
    let id = subject.container.record.id.clone();
    let handler = subject.spec.lifecycle.as_ref().and_then(|lifecycle| lifecycle.post_start.as_ref());
    let hook = handler.map(|handler| Hook::of(handler, subject.spec, subject.address.ip()));
    async move {
        let ended = match hook {
            Some(hook) => Box::pin(hook.run(&context.runtime, &id, None)).await,
            None => Ok(()),
        };
        if let Err(error) = &ended {
            tracing::warn!(container = name, error, "postStart hook failed");
            let (about, message) = (about_container(&pod, &name), format!("PostStartHook failed: {error}"));
            context.events.record(about, Severity::Warning, "FailedPostStartHook", &message).await;
        }
        tell(&|verdict: &mut Verdict| verdict.hook = Some(ended.clone()));
    }
}

fn probe(context: &Arc<PodContext>, kind: ProbeKind, begin: Begin, subject: &Subject<'_>) -> ProbeWorker {
    let missing = Default::default();
    let probe = probe_of(subject.spec, kind).unwrap_or(&missing);
    let schedule = Schedule::new(kind, Timing::of(kind, probe), begin.since);
    let id = subject.container.record.id.clone();
    let schedule = match begin.is_adopted {
        true => schedule.resumed(point_of(&id.0), begin.verdict),
        false => schedule,
    };
    ProbeWorker {
        kind,
        schedule,
        address: subject.address.clone(),
        id,
        container: subject.spec.name.clone(),
        pod: subject.pod.clone(),
        runtime: context.runtime.clone(),
        events: context.events.clone(),
        metrics: context.metrics.clone(),
    }
}

/// A number from 0 to 1 that is another one for every container.
fn point_of(id: &str) -> f64 {
    let mut hasher = DefaultHasher::new();
    id.hash(&mut hasher);
    f64::from(u32::try_from(hasher.finish() >> 32).unwrap_or_default()) / f64::from(u32::MAX)
}
