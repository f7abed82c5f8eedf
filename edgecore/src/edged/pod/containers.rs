//! The containers of a pod's spec, whatever list they stand in.

use std::borrow::Cow;

use k8s_openapi::api::core::v1::{Container, EphemeralContainer, PodSpec};

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

/// An init container that keeps running beside the others.
pub fn is_sidecar(container: &Container) -> bool {
    container.restart_policy.as_deref() == Some("Always")
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
    let EphemeralContainer {
        args,
        command,
        env,
        env_from,
        image,
        image_pull_policy,
        name,
        resources,
        security_context,
        stdin,
        stdin_once,
        termination_message_path,
        termination_message_policy,
        tty,
        volume_devices,
        volume_mounts,
        working_dir,
        ..
    } = ephemeral.clone();
    Container {
        args,
        command,
        env,
        env_from,
        image,
        image_pull_policy,
        name,
        resources,
        security_context,
        stdin,
        stdin_once,
        termination_message_path,
        termination_message_policy,
        tty,
        volume_devices,
        volume_mounts,
        working_dir,
        ..Container::default()
    }
}
