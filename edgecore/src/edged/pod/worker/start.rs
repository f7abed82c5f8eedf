//! Starting one container: image, environment, mounts, then the runtime's two calls.

use std::sync::atomic::Ordering;

use k8s_cri::v1::{ContainerConfig, NamespaceMode, PodSandboxConfig};
use k8s_openapi::api::core::v1::{Container, PodSpec, Secret};

use super::{View, Worker};
use crate::edged::env::{EnvContext, Environment};
use crate::edged::events::{Severity, about_container};
use crate::edged::image::{ImageError, keyring, pull_secrets};
use crate::edged::metrics::Kind;
use crate::edged::pod::container_config::{ContainerInput, container_config, log_path};
use crate::edged::pod::containers::{Role, find};
use crate::edged::pod::dns::pod_dns;
use crate::edged::pod::files::{HostNames, container_files};
use crate::edged::pod::observed::{Observed, is_broken_off};
use crate::edged::pod::sandbox_config::pod_domain;
use crate::edged::pod::security::{SecurityDefaults, container_security};
use crate::edged::pod::state::{Failure, Waiting, WaitingReason};
use crate::edged::resources::{container_resources, hugepages};
use crate::edged::runtime::{Image, RuntimeError, SandboxId};
use crate::edged::stop_signal::StopSignal;

/// What a container is made of besides its spec.
struct Made<'a> {
    attempt: u32,
    image: &'a Image,
    /// The first id of its users, where the pod has its own.
    users: Option<u32>,
}

impl Worker {
    pub(super) async fn start(
        &self,
        name: &str,
        attempt: u32,
        sandbox: &SandboxId,
        view: &View,
    ) -> Result<(), Failure> {
        let found = view.pod.spec.as_ref().and_then(|spec| Some((spec, find(spec, name)?)));
        let Some((spec, (role, container))) = found else { return Err(Failure::Other) };
        let started = self.try_start(spec, container.as_ref(), attempt, sandbox, view).await;
        let kind = match role {
            Role::Init | Role::Sidecar => Kind::Init,
            Role::App => Kind::Container,
            Role::Ephemeral => Kind::Ephemeral,
        };
        self.context.metrics.container_started(kind, started.is_ok());
        started
    }

    async fn try_start(
        &self,
        spec: &PodSpec,
        container: &Container,
        attempt: u32,
        sandbox: &SandboxId,
        view: &View,
    ) -> Result<(), Failure> {
        let name = container.name.as_str();
        let sandbox_attempt = view.observed.sandbox().map_or(0, |sandbox| sandbox.attempt);
        let dns = pod_dns(&view.pod, &self.context.settings.dns, &self.context.host_resolver().await);
        let users = match self.users(spec).await {
            Ok(users) => users,
            Err(message) => {
                let reason = WaitingReason::CreateContainerConfigError;
                return Err(self.cannot(view, name, reason, message, false).await);
            }
        };
        let sandbox_config = self.sandbox_config(view, sandbox_attempt, dns, users);
        let image = self.image(container, &sandbox_config, view).await?;
        let made = Made { attempt, image: &image, users };
        let config = match self.configure(spec, container, &made, view).await {
            Ok(config) => into_target(config, spec, name, &view.observed),
            Err(message) => {
                let reason = WaitingReason::CreateContainerConfigError;
                return Err(self.cannot(view, name, reason, message, false).await);
            }
        };
        self.make_log_directory(name, attempt).await;
        // containerd (1.6) loses track of a container whose start is broken off: it can then be neither stopped nor
        // removed. What is begun here is stopped properly afterwards.
        view.is_committed.store(true, Ordering::Relaxed);
        let runtime = &self.context.runtime;
        let stop_signal = StopSignal::of(container).ok().flatten();
        let id = match runtime.create_container(sandbox, config, sandbox_config, stop_signal).await {
            Ok(id) => id,
            Err(error) => {
                return Err(self
                    .runtime_failed(view, name, WaitingReason::CreateContainerError, &error)
                    .await);
            }
        };
        self.container_event(view, name, Severity::Normal, "Created", &format!("Created container: {name}"))
            .await;
        match runtime.start_container(&id).await {
            Ok(()) => {
                self.container_event(
                    view,
                    name,
                    Severity::Normal,
                    "Started",
                    &format!("Started container {name}"),
                )
                .await;
                Ok(())
            }
            Err(error) => {
                Err(self.runtime_failed(view, name, WaitingReason::RunContainerError, &error).await)
            }
        }
    }

    async fn image(
        &self,
        container: &Container,
        sandbox: &PodSandboxConfig,
        view: &View,
    ) -> Result<Image, Failure> {
        let (name, image) = (&container.name, container.image.as_deref().unwrap_or_default());
        let found = match self.context.images.present(container).await {
            Ok(Some(found)) => {
                let message = format!("Container image {image:?} already present on machine");
                self.container_event(view, name, Severity::Normal, "Pulled", &message).await;
                Ok(found)
            }
            Ok(None) => {
                let message = format!("Pulling image {image:?}");
                self.container_event(view, name, Severity::Normal, "Pulling", &message).await;
                self.pull(image, name, sandbox, view).await
            }
            Err(error) => Err(error),
        };
        match found {
            Ok(image) => Ok(image),
            Err(error) => Err(self.no_image(view, name, &error).await),
        }
    }

    async fn pull(
        &self,
        image: &str,
        container: &str,
        sandbox: &PodSandboxConfig,
        view: &View,
    ) -> Result<Image, ImageError> {
        let mut secrets: Vec<std::sync::Arc<Secret>> = Vec::new();
        for name in pull_secrets(&view.pod) {
            match self.context.meta.secret(&self.key.namespace, name).await {
                Ok(secret) => secrets.push(secret),
                // The image may be public, or another secret may fit: the registry decides.
                Err(error) => {
                    let message = format!("Unable to retrieve the image pull secret {name}: {error}");
                    self.event(view, Severity::Warning, "FailedToRetrieveImagePullSecret", &message).await;
                }
            }
        }
        let begun = tokio::time::Instant::now();
        let keyring = keyring(secrets.iter().map(AsRef::as_ref));
        let found = self.context.images.pull(image, &keyring, sandbox.clone()).await?;
        let took = begun.elapsed();
        let message =
            format!("Successfully pulled image {image:?} in {took:.3?}. Image size: {} bytes.", found.size);
        self.container_event(view, container, Severity::Normal, "Pulled", &message).await;
        Ok(found)
    }

    async fn no_image(&self, view: &View, name: &str, error: &ImageError) -> Failure {
        let reason = match error {
            ImageError::Runtime(error) if error.is_outage() => return Failure::Outage,
            ImageError::InvalidName { .. } => WaitingReason::InvalidImageName,
            ImageError::NeverPull(_) => WaitingReason::ErrImageNeverPull,
            ImageError::Pull { .. } | ImageError::Runtime(_) => WaitingReason::ErrImagePull,
        };
        self.cannot(view, name, reason, error.to_string(), false).await
    }

    /// The error is the message of `CreateContainerConfigError`.
    async fn configure(
        &self,
        spec: &PodSpec,
        container: &Container,
        made: &Made<'_>,
        view: &View,
    ) -> Result<ContainerConfig, String> {
        StopSignal::of(container)?;
        let Made { attempt, image, users } = *made;
        let (context, settings) = (&self.context, &self.context.settings);
        let facts = context.facts(&self.addresses(spec, view));
        let (config, services) = (&view.prepared.config, self.services(spec).await);
        let env = EnvContext { pod: &view.pod, facts: &facts, config, services: &services };
        let environment = Environment::of(container, &env).map_err(text)?;
        let volumes = &context.volumes;
        let mut mounts =
            volumes.mounts(&view.pod, container, &environment, &view.prepared.volumes).await.map_err(text)?;
        let devices = volumes.devices(container, &view.prepared.volumes).map_err(text)?;
        let pod_dir = volumes.pod_dir(&self.key.uid).ok_or("the pod's uid cannot be a directory's name")?;
        let domain = pod_domain(spec, &self.key.namespace, &settings.dns.domain);
        let names = HostNames { ips: &facts.pod_ips, domain };
        let files = container_files(&pod_dir, &view.pod, container, attempt, &names).await;
        mounts.extend(files.map_err(|error| format!("{}: {error}", pod_dir.display()))?);
        self.adapt(&mut mounts, spec, container, users).await?;
        let memory = context.node.borrow().memory;
        let mut resources =
            container_resources(&view.pod, container, memory, settings.quota_period).map_err(text)?;
        resources.hugepage_limits = hugepages::container_limits(container, &context.node.borrow().page_sizes);
        let defaults = SecurityDefaults {
            seccomp: settings.seccomp_default,
            seccomp_root: &settings.seccomp_root,
            users,
        };
        let security = container_security(spec, container, image, &defaults).map_err(text)?;
        let granted = context.devices.equip(&self.key.uid, spec, container).await.map_err(text)?;
        let config = container_config(ContainerInput {
            pod: &view.pod,
            key: &self.key,
            container,
            attempt,
            image_id: &image.id,
            environment: &environment,
            mounts,
            resources,
            security,
        });
        let mut config = ContainerConfig { devices, ..config };
        granted.put_into(&mut config);
        Ok(config)
    }

    /// A pod on the node's network has the node's addresses.
    fn addresses(&self, spec: &PodSpec, view: &View) -> Vec<std::net::IpAddr> {
        match spec.host_network {
            Some(true) => self.context.node.borrow().addresses.clone(),
            _ => view.observed.ips.clone(),
        }
    }

    /// The runtime makes the file, not the directories on the way to it.
    async fn make_log_directory(&self, container: &str, attempt: u32) {
        let path = self.log_directory().join(log_path(container, attempt));
        let Some(directory) = path.parent() else { return };
        if let Err(error) = tokio::fs::create_dir_all(directory).await {
            tracing::warn!(path = %directory.display(), %error, "no directory for logs");
        }
    }

    async fn runtime_failed(
        &self,
        view: &View,
        name: &str,
        reason: WaitingReason,
        error: &RuntimeError,
    ) -> Failure {
        if error.is_outage() {
            tracing::warn!(%error, container = name, "the container runtime failed");
            return Failure::Outage;
        }
        let message = error.to_string();
        let counts = reason == WaitingReason::RunContainerError && !error.says(is_broken_off);
        self.cannot(view, name, reason, message, counts).await
    }

    async fn cannot(
        &self,
        view: &View,
        name: &str,
        reason: WaitingReason,
        message: String,
        created: bool,
    ) -> Failure {
        tracing::warn!(container = name, %reason, message, "container was not started");
        let event = match reason {
            WaitingReason::ErrImageNeverPull => "ErrImageNeverPull",
            WaitingReason::InvalidImageName => "InspectFailed",
            _ => "Failed",
        };
        let told = match reason {
            WaitingReason::ErrImagePull => message.clone(),
            _ => format!("Error: {message}"),
        };
        self.container_event(view, name, Severity::Warning, event, &told).await;
        Failure::Container { waiting: Waiting::new(reason, message), created }
    }

    async fn container_event(
        &self,
        view: &View,
        container: &str,
        severity: Severity,
        reason: &str,
        message: &str,
    ) {
        let about = about_container(&view.pod, container);
        self.context.events.record(about, severity, reason, message).await;
    }
}

/// An ephemeral container may see the processes of another one:
/// <https://kubernetes.io/docs/tasks/debug/debug-application/debug-running-pod/#ephemeral-container-example>.
fn into_target(
    mut config: ContainerConfig,
    spec: &PodSpec,
    name: &str,
    observed: &Observed,
) -> ContainerConfig {
    let mut ephemeral = spec.ephemeral_containers.iter().flatten();
    let target = ephemeral.find(|one| one.name == name).and_then(|one| one.target_container_name.as_ref());
    let target = target.and_then(|target| observed.newest(target)).filter(|target| target.is_alive());
    let security = config.linux.as_mut().and_then(|linux| linux.security_context.as_mut());
    let options = security.and_then(|security| security.namespace_options.as_mut());
    if let (Some(target), Some(options)) = (target, options) {
        options.set_pid(NamespaceMode::Target);
        options.target_id = target.record.id.to_string();
    }
    config
}

fn text(error: impl ToString) -> String {
    error.to_string()
}
