//! Performs the steps that [`super::state`] decides: everything with side effects, and the events about it.

mod able;
mod links;
mod start;
mod stop;

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use jiff::Timestamp;
use k8s_cri::v1::PodSandboxConfig;
use k8s_openapi::api::core::v1::{Pod, PodSpec};

use self::able::Unable;
use super::context::PodContext;
use super::dns::pod_dns;
use super::observed::{Observed, ObservedContainer};
use super::sandbox_config::{SandboxInput, kernel_host_name, log_directory, sandbox_config};
use super::state::{Failure, Step, Success, uses_host_network};
use super::{dns::PodDns, files};
use crate::edged::events::{Severity, about_pod};
use crate::edged::resources::{PodLimits, QosClass, TreeLimits, pod_limits};
use crate::edged::runtime::{ContainerId, RuntimeError};
use crate::edged::sources::{ConfigSet, references};
use crate::edged::volumes::PodVolumes;
use crate::flow::PodKey;

/// What [`Step::Prepare`] made: needed by every container that is started later.
#[derive(Debug, Default)]
pub(super) struct Prepared {
    config: ConfigSet,
    volumes: PodVolumes,
}

/// What a step works on: the pod and the runtime as they were when it was decided.
#[derive(Debug, Clone)]
pub(super) struct View {
    pub(super) pod: Arc<Pod>,
    pub(super) observed: Arc<Observed>,
    pub(super) prepared: Arc<Prepared>,
    /// The pod goes, so its logs go, too.
    pub(super) is_stopping: bool,
    /// Set by a step that must not be broken off any more.
    pub(super) is_committed: Arc<AtomicBool>,
}

/// How a step ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) result: Result<Success, Failure>,
    pub(super) prepared: Option<Arc<Prepared>>,
}

/// The hands of one pod's actor.
#[derive(Debug, Clone)]
pub(super) struct Worker {
    pub(super) context: Arc<PodContext>,
    pub(super) key: PodKey,
    /// When edged first saw the pod.
    pub(super) seen: Timestamp,
    /// `preStop` hooks that were begun.
    pub(super) pre_stops: Arc<stop::PreStops>,
}

// === impl Worker ===

impl Worker {
    /// Performs one step. Dropping the future breaks it off.
    pub(super) async fn perform(self, step: Step, view: View) -> Ended {
        if step == Step::Prepare {
            return self.prepare(&view).await;
        }
        let result = match step {
            Step::Prepare => Ok(()),
            Step::RunSandbox { attempt } => self.run_sandbox(attempt, &view).await,
            Step::StopSandbox(id) => self.plain(self.context.runtime.stop_sandbox(&id)).await,
            Step::RemoveSandbox(id) => self.plain(self.context.runtime.remove_sandbox(&id)).await,
            Step::Start { container, attempt, sandbox } => {
                self.start(&container, attempt, &sandbox, &view).await
            }
            Step::Stop { containers, kill_at, why } => self.stop(&containers, kill_at, why, &view).await,
            Step::Remove(id) => self.remove(&id, &view).await,
            Step::CleanUp => self.clean_up(&view).await,
        };
        Ended { result: result.map(|()| Success::Done), prepared: None }
    }

    /// Where the pod's logs are.
    pub(super) fn log_directory(&self) -> PathBuf {
        log_directory(&self.context.settings.logs, &self.key)
    }

    async fn prepare(&self, view: &View) -> Ended {
        match self.try_prepare(view).await {
            Ok(prepared) => {
                for volume in &prepared.volumes.grown {
                    let message = format!("MountVolume.NodeExpandVolume succeeded for volume {volume:?}");
                    self.event(view, Severity::Normal, "FileSystemResizeSuccessful", &message).await;
                }
                let refresh_at = prepared.volumes.refresh_at.map(|time| self.context.instant_of(time));
                let result = Ok(Success::Prepared { refresh_at });
                Ended { result, prepared: Some(Arc::new(prepared)) }
            }
            Err((reason, message)) => {
                self.event(view, Severity::Warning, reason, &message).await;
                Ended { result: Err(Failure::Other), prepared: None }
            }
        }
    }

    /// The error is reason and message of the event about it.
    async fn try_prepare(&self, view: &View) -> Result<Prepared, (&'static str, String)> {
        let (context, pod) = (&self.context, &view.pod);
        let config = ConfigSet::load(&self.key.namespace, &references(pod), &context.meta).await;
        let facts = context.facts(&view.observed.ips);
        let volumes = context.volumes.set_up(pod, &facts, &config).await;
        let volumes = volumes.map_err(|error| (error.reason(), error.to_string()))?;
        self.make_cgroup(pod).await.map_err(|error| ("FailedCreatePodContainer", error))?;
        let logs = self.log_directory();
        let made = tokio::fs::create_dir_all(&logs).await;
        made.map_err(|error| ("FailedCreatePodContainer", format!("{}: {error}", logs.display())))?;
        Ok(Prepared { config, volumes })
    }

    async fn make_cgroup(&self, pod: &Arc<Pod>) -> Result<(), String> {
        let (context, pod, uid) = (self.context.clone(), pod.clone(), self.key.uid.clone());
        blocking(move || {
            let class = QosClass::of(&pod).map_err(|error| error.to_string())?;
            let settings = &context.settings;
            let limits = pod_limits(&pod, settings.quota_period).map_err(|error| error.to_string())?;
            let limits = PodLimits { pids: settings.pids_limit, ..limits };
            context.cgroups.create(class, &uid, &limits).map_err(|error| error.to_string())?;
            weigh_all(&context, "");
            Ok(())
        })
        .await
    }

    async fn run_sandbox(&self, attempt: u32, view: &View) -> Result<(), Failure> {
        let dns = pod_dns(&view.pod, &self.context.settings.dns, &self.context.host_resolver().await);
        if dns.cluster_dns_missing {
            let message = "clusterDNS is not set on this node, so names are resolved as the node does";
            self.event(view, Severity::Warning, "MissingClusterDNS", message).await;
        }
        let empty = PodSpec::default();
        let spec = view.pod.spec.as_ref().unwrap_or(&empty);
        let network_problem = self.context.node.borrow().network_problem.clone();
        if let Some(problem) = network_problem.filter(|_| !uses_host_network(spec)) {
            let message = format!("network is not ready: container runtime network not ready: {problem}");
            self.event(view, Severity::Warning, "NetworkNotReady", &message).await;
            return Err(Failure::Other);
        }
        if let Err(message) = kernel_host_name(spec, &self.key, &self.context.settings.dns.domain) {
            self.event(view, Severity::Warning, "FailedCreatePodSandBox", &message).await;
            return Err(Failure::Other);
        }
        let handler = match self.handler(spec).await {
            Ok(handler) => handler,
            Err(message) => {
                self.event(view, Severity::Warning, "FailedCreatePodSandBox", &message).await;
                return Err(Failure::Other);
            }
        };
        let able = match self.strict_groups(spec) {
            Ok(()) => self.own_users(spec, &handler).await,
            Err(unable) => Err(unable),
        };
        let users = match able {
            Ok(users) => users,
            Err(Unable::Unknown) => return Err(Failure::Outage),
            Err(Unable::Because(message)) => {
                self.event(view, Severity::Warning, "FailedCreatePodSandBox", &message).await;
                return Err(Failure::Other);
            }
        };
        let config = self.sandbox_config(view, attempt, dns, users);
        let made = self.context.runtime.run_sandbox(config, handler).await;
        self.context.metrics.pod_started(made.is_ok());
        match made {
            Ok(_) => Ok(()),
            Err(error) => {
                let message = format!("Failed to create pod sandbox: {error}");
                Err(self.failed(view, "FailedCreatePodSandBox", &message, &error).await)
            }
        }
    }

    fn sandbox_config(&self, view: &View, attempt: u32, dns: PodDns, users: Option<u32>) -> PodSandboxConfig {
        let class = QosClass::of(&view.pod).unwrap_or(QosClass::BestEffort);
        sandbox_config(SandboxInput {
            pod: &view.pod,
            key: &self.key,
            attempt,
            log_directory: &self.log_directory(),
            cgroup_parent: self.context.cgroups.parent(class, &self.key.uid),
            dns: dns.config,
            cluster_domain: &self.context.settings.dns.domain,
            seen: self.seen,
            users,
        })
    }

    async fn remove(&self, id: &ContainerId, view: &View) -> Result<(), Failure> {
        self.plain(self.context.runtime.remove_container(id)).await?;
        if let Some(container) = named(view, id) {
            let record = &container.record;
            if let Err(error) = files::remove_log(&self.log_directory(), &record.name, record.attempt).await {
                tracing::warn!(container = record.name, %error, "log was not removed");
            }
        }
        Ok(())
    }

    async fn clean_up(&self, view: &View) -> Result<(), Failure> {
        let uid = self.key.uid.clone();
        let torn_down = self.context.volumes.tear_down(&uid).await;
        if let Err(error) = &torn_down {
            self.event(view, Severity::Warning, error.reason(), &error.to_string()).await;
        }
        let torn_down = torn_down.map_err(|error| error.to_string());
        let context = self.context.clone();
        let removed = blocking(move || {
            // The class of a pod that only the runtime remembers is not known.
            for class in [QosClass::Guaranteed, QosClass::Burstable, QosClass::BestEffort] {
                context.cgroups.remove(class, &uid).map_err(|error| error.to_string())?;
            }
            weigh_all(&context, &uid);
            Ok(())
        })
        .await;
        let logs = match view.is_stopping {
            true => files::remove_logs(self.log_directory()).await.map_err(|error| error.to_string()),
            false => Ok(()),
        };
        torn_down.and(removed).and(logs).map_err(|error| {
            tracing::warn!(error, "the pod is not cleaned up yet");
            Failure::Other
        })
    }

    /// A call whose failure is not worth an event: it is tried again.
    async fn plain(&self, call: impl Future<Output = Result<(), RuntimeError>>) -> Result<(), Failure> {
        call.await.map_err(|error| {
            tracing::warn!(%error, kind = error.kind(), "the container runtime failed");
            if error.is_outage() { Failure::Outage } else { Failure::Other }
        })
    }

    /// An outage of the runtime is the node's problem, anything else the pod's: that gets an event.
    async fn failed(&self, view: &View, reason: &str, message: &str, error: &RuntimeError) -> Failure {
        tracing::warn!(%error, kind = error.kind(), reason, "step failed");
        if error.is_outage() {
            return Failure::Outage;
        }
        self.event(view, Severity::Warning, reason, message).await;
        Failure::Other
    }

    async fn event(&self, view: &View, severity: Severity, reason: &str, message: &str) {
        self.context.events.record(about_pod(&view.pod), severity, reason, message).await;
    }
}

/// Limits all pods together, and weighs classes, as it is right without the pod `gone`. Blocks.
fn weigh_all(context: &PodContext, gone: &str) {
    let look = || {
        let enforced = context.node.borrow().enforced;
        let pods = context.roster.known();
        let here = pods.iter().filter(|listed| !listed.is_over).map(|listed| listed.pod.as_ref());
        TreeLimits::of(here.filter(|pod| pod.metadata.uid.as_deref() != Some(gone)), enforced)
    };
    // Each pod has its own limits all the same.
    if let Err(error) = context.cgroups.limit_all(look) {
        tracing::warn!(%error, "pods are not limited together");
    }
}

fn named<'a>(view: &'a View, id: &ContainerId) -> Option<&'a ObservedContainer> {
    view.observed.containers.iter().find(|container| container.record.id == *id)
}

/// Runs file system work where it may block; a panic in it is an error here.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    tokio::task::spawn_blocking(work).await.map_err(|error| error.to_string())?
}
