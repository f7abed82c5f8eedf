//! The containers of a pod's spec, whatever list they stand in.

use std::borrow::Cow;

use k8s_openapi::api::core::v1::{Container, EphemeralContainer, PodSpec};
pub use proto::placement::is_sidecar;

/// What a container is to its pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Runs to its end before what follows it.
    Init,
    /// An init container that keeps running beside the others:
    /// <https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/>.
    Sidecar,
    /// What the pod is for.
    App,
    /// Added while the pod runs, to look at it:
    /// <https://kubernetes.io/docs/concepts/workloads/pods/ephemeral-containers/>.
    Ephemeral,
}

/// Init containers with their roles, in the order of the spec.
pub fn init_containers(spec: &PodSpec) -> impl Iterator<Item = (Role, &Container)> {
    spec.init_containers.iter().flatten().map(|container| {
        let role = if is_sidecar(container) { Role::Sidecar } else { Role::Init };
        (role, container)
    })
}

/// Container `name` of the spec, with its role.
pub fn find<'a>(spec: &'a PodSpec, name: &str) -> Option<(Role, Cow<'a, Container>)> {
    let apps = spec.containers.iter().map(|container| (Role::App, container));
    let found = init_containers(spec).chain(apps).find(|(_, container)| container.name == name);
    let borrowed = found.map(|(role, container)| (role, Cow::Borrowed(container)));
    borrowed.or_else(|| {
        let ephemeral = spec.ephemeral_containers.iter().flatten().find(|one| one.name == name)?;
        Some((Role::Ephemeral, Cow::Owned(as_container(ephemeral))))
    })
}

/// An ephemeral container in the form of any other: the fields that it lacks are those that it must not have.
pub fn as_container(ephemeral: &EphemeralContainer) -> Container {
    let one = ephemeral.clone();
    Container {
        args: one.args,
        command: one.command,
        env: one.env,
        env_from: one.env_from,
        image: one.image,
        image_pull_policy: one.image_pull_policy,
        name: one.name,
        resources: one.resources,
        security_context: one.security_context,
        stdin: one.stdin,
        stdin_once: one.stdin_once,
        termination_message_path: one.termination_message_path,
        termination_message_policy: one.termination_message_policy,
        tty: one.tty,
        volume_devices: one.volume_devices,
        volume_mounts: one.volume_mounts,
        working_dir: one.working_dir,
        ..Container::default()
    }
}
