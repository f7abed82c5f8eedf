//! The calls that edged makes, on the fake's world.

use std::collections::HashMap;
use std::time::Duration;

use k8s_cri::v1::{
    Container, ContainerState, ContainerStatus, CreateContainerRequest, PodSandbox, PodSandboxConfig,
    PodSandboxNetworkStatus, PodSandboxState, PodSandboxStatus,
};
use tonic::Status;

use super::FakeRuntime;
use super::world::{Entry, FakeSandbox, KILLED, LOST};

impl FakeRuntime {
    pub(super) fn run_sandbox(&self, config: PodSandboxConfig, handler: String) -> String {
        let mut world = self.world();
        let id = world.new_id("s");
        let created_at = world.nanoseconds();
        let on_node = config.linux.as_ref().is_some_and(|linux| {
            let options =
                linux.security_context.as_ref().and_then(|context| context.namespace_options.as_ref());
            options.is_some_and(|options| options.network() == k8s_cri::v1::NamespaceMode::Node)
        });
        let ip = if on_node { String::new() } else { format!("10.1.0.{}", world.sandboxes.len() + 2) };
        world.sandboxes.push(FakeSandbox { id: id.clone(), config, handler, ready: true, created_at, ip });
        id
    }

    pub(super) fn stop_sandbox(&self, id: &str) {
        let mut world = self.world();
        world.kill_all_in(id);
        if let Ok(sandbox) = world.sandbox(id) {
            sandbox.ready = false;
        }
    }

    pub(super) fn remove_sandbox(&self, id: &str) {
        let mut world = self.world();
        world.containers.retain(|container| container.sandbox != id);
        world.sandboxes.retain(|sandbox| sandbox.id != id);
    }

    pub(super) fn list_sandboxes(&self, labels: &HashMap<String, String>) -> Vec<PodSandbox> {
        let world = self.world();
        let all = world.sandboxes.iter().filter(|sandbox| has(&sandbox.config.labels, labels));
        all.map(|sandbox| PodSandbox {
            id: sandbox.id.clone(),
            metadata: sandbox.config.metadata.clone(),
            state: state(sandbox).into(),
            created_at: sandbox.created_at,
            labels: sandbox.config.labels.clone(),
            ..PodSandbox::default()
        })
        .collect()
    }

    pub(super) fn sandbox_of(&self, id: &str) -> Result<PodSandboxStatus, Status> {
        let mut world = self.world();
        let sandbox = world.sandbox(id)?;
        Ok(PodSandboxStatus {
            id: sandbox.id.clone(),
            metadata: sandbox.config.metadata.clone(),
            state: state(sandbox).into(),
            created_at: sandbox.created_at,
            network: Some(PodSandboxNetworkStatus { ip: sandbox.ip.clone(), additional_ips: Vec::new() }),
            labels: sandbox.config.labels.clone(),
            ..PodSandboxStatus::default()
        })
    }

    pub(super) fn create(&self, request: CreateContainerRequest) -> Result<String, Status> {
        let mut world = self.world();
        if !world.sandbox(&request.pod_sandbox_id)?.ready {
            return Err(Status::unknown("sandbox container is not running"));
        }
        let config = request.config.unwrap_or_default();
        let image = config.image.as_ref().map(|image| image.user_specified_image.clone()).unwrap_or_default();
        let known = world.images.get(&image).filter(|image| image.present);
        let behaviour =
            known.ok_or_else(|| Status::not_found(format!("image {image:?}: not found")))?.behaviour.clone();
        if world.containers.iter().any(|other| full_name(&other.config) == full_name(&config)) {
            return Err(Status::unknown(format!(
                "failed to reserve container name {:?}",
                full_name(&config)
            )));
        }
        let (id, now) = (world.new_id("c"), world.nanoseconds());
        world.containers.push(Entry::new(id.clone(), request.pod_sandbox_id, config, behaviour, now));
        Ok(id)
    }

    /// See [`Entry::break_off`].
    pub(super) fn break_off(&self, id: &str) {
        let mut world = self.world();
        let now = world.nanoseconds();
        if let Ok(container) = world.container(id) {
            container.break_off(now);
        }
    }

    pub(super) fn start(&self, id: &str) -> Result<(), Status> {
        let mut world = self.world();
        let now = world.nanoseconds();
        let container = world.container(id)?;
        if let Some(reason) = container.behaviour.broken.clone() {
            container.end(128, "StartError", now);
            return Err(Status::unknown(format!("failed to start container: {reason}")));
        }
        container.start(now);
        Ok(())
    }

    pub(super) async fn stop(&self, id: &str, timeout: Duration) -> Result<(), Status> {
        let (behaviour, running) = {
            let mut world = self.world();
            let now = world.nanoseconds();
            let container = world.container(id)?;
            if container.state == ContainerState::ContainerUnknown {
                container.end(LOST, "Unknown", now);
            }
            (container.behaviour.clone(), container.is_running())
        };
        if !running {
            return Ok(());
        }
        let needs = behaviour.stops_after.unwrap_or_default();
        let (wait, code) = if behaviour.stubborn || needs > timeout { (timeout, KILLED) } else { (needs, 0) };
        tokio::time::sleep(wait).await;
        let mut world = self.world();
        let now = world.nanoseconds();
        let container = world.container(id)?;
        if container.is_running() {
            container.end(code, if code == 0 { "Completed" } else { "Error" }, now);
        }
        Ok(())
    }

    pub(super) fn remove(&self, id: &str) {
        self.world().containers.retain(|container| container.id != id);
    }

    /// Makes the log file, as containerd does.
    pub(super) fn reopen(&self, id: &str) -> Result<(), Status> {
        let mut world = self.world();
        let container = world.container(id)?;
        if !container.is_running() {
            return Err(Status::failed_precondition("container is not running"));
        }
        let (sandbox, log) = (container.sandbox.clone(), container.config.log_path.clone());
        let path = std::path::Path::new(&world.sandbox(&sandbox)?.config.log_directory).join(log);
        let made = std::fs::File::options().create(true).append(true).open(path);
        made.map(drop).map_err(|error| Status::unknown(error.to_string()))
    }

    pub(super) fn list(&self, labels: &HashMap<String, String>) -> Vec<Container> {
        let world = self.world();
        let all = world.containers.iter().filter(|container| has(&container.config.labels, labels));
        all.map(|container| Container {
            id: container.id.clone(),
            pod_sandbox_id: container.sandbox.clone(),
            metadata: container.config.metadata.clone(),
            image: container.config.image.clone(),
            image_ref: container.config.image.as_ref().map(|image| image.image.clone()).unwrap_or_default(),
            state: container.state.into(),
            created_at: container.created_at,
            labels: container.config.labels.clone(),
            annotations: container.config.annotations.clone(),
            ..Container::default()
        })
        .collect()
    }

    pub(super) fn status_of(&self, id: &str) -> Result<ContainerStatus, Status> {
        let mut world = self.world();
        let container = world.container(id)?;
        Ok(ContainerStatus {
            id: container.id.clone(),
            metadata: container.config.metadata.clone(),
            state: container.state.into(),
            created_at: container.created_at,
            started_at: container.started_at,
            finished_at: container.finished_at,
            exit_code: container.exit_code,
            image: container.config.image.clone(),
            image_ref: container.config.image.as_ref().map(|image| image.image.clone()).unwrap_or_default(),
            reason: container.reason.to_owned(),
            message: container.message.to_owned(),
            labels: container.config.labels.clone(),
            annotations: container.config.annotations.clone(),
            mounts: container.config.mounts.clone(),
            log_path: container.config.log_path.clone(),
            ..ContainerStatus::default()
        })
    }
}

fn state(sandbox: &FakeSandbox) -> PodSandboxState {
    if sandbox.ready { PodSandboxState::SandboxReady } else { PodSandboxState::SandboxNotready }
}

fn has(labels: &HashMap<String, String>, wanted: &HashMap<String, String>) -> bool {
    wanted.iter().all(|(key, value)| labels.get(key) == Some(value))
}

/// What containerd reserves: no two containers may have the same.
fn full_name(config: &k8s_cri::v1::ContainerConfig) -> (String, u32, String) {
    let metadata = config.metadata.clone().unwrap_or_default();
    let uid = config.labels.get(crate::edged::labels::POD_UID).cloned().unwrap_or_default();
    (metadata.name, metadata.attempt, uid)
}
