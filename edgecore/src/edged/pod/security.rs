//! Security contexts: what a pod says for all its containers, and what a container says for itself (which wins):
//! <https://kubernetes.io/docs/tasks/configure-pod-container/security-context/>.

use std::path::Path;

use k8s_cri::v1::security_profile::ProfileType;
use k8s_cri::v1::{
    Capability, Int64Value, LinuxContainerSecurityContext, NamespaceMode, NamespaceOption, SeLinuxOption,
    SecurityProfile, SupplementalGroupsPolicy,
};
use k8s_openapi::api::core::v1::{
    AppArmorProfile, Container, PodSecurityContext, PodSpec, SELinuxOptions, SeccompProfile, SecurityContext,
};

use crate::edged::admission::wants_strict_groups;
use crate::edged::runtime::Image;
use crate::edged::users::user_namespace;

/// Hidden from containers, because it tells about or reaches into the machine: the runtimes' common default.
const MASKED_PATHS: [&str; 11] = [
    "/proc/asound",
    "/proc/acpi",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
];
/// Shown to containers, but not to be written.
const READONLY_PATHS: [&str; 5] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// The node's own choices.
#[derive(Debug, Clone, Copy)]
pub struct SecurityDefaults<'a> {
    /// `seccompDefault`: containers that say nothing get the runtime's profile instead of none.
    pub seccomp: bool,
    /// Where local seccomp profiles are: `<rootDirectory>/seccomp`.
    pub seccomp_root: &'a Path,
    /// The first id of the pod's users, where it has its own.
    pub users: Option<u32>,
}

/// A security context that cannot be honoured.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecurityError {
    /// `runAsNonRoot`, and the user is root.
    #[error("container has runAsNonRoot and image will run as root")]
    Root,
    /// `runAsNonRoot`, and `runAsUser: 0`.
    #[error("container's runAsUser breaks non-root policy")]
    AskedForRoot,
    /// `runAsNonRoot`, and the image names its user, so that nobody knows its number.
    #[error(
        "container has runAsNonRoot and image has non-numeric user ({0}), cannot verify user is non-root"
    )]
    NamedUser(String),
    /// A profile of an unknown type, or a local one that is not named.
    #[error("{field}: {problem}")]
    Profile {
        /// `seccompProfile` or `appArmorProfile`.
        field: &'static str,
        /// What is wrong.
        problem: String,
    },
}

/// The security context of `container`; the user comes from `image` where neither pod nor container names one.
pub fn container_security(
    spec: &PodSpec,
    container: &Container,
    image: &Image,
    defaults: &SecurityDefaults<'_>,
) -> Result<LinuxContainerSecurityContext, SecurityError> {
    let pod = spec.security_context.clone().unwrap_or_default();
    let own = container.security_context.clone().unwrap_or_default();
    let user = own.run_as_user.or(pod.run_as_user);
    if own.run_as_non_root.or(pod.run_as_non_root) == Some(true) {
        refuse_root(user, image)?;
    }
    let seccomp = seccomp(&pod, &own, container, defaults)?;
    let named_user = user.is_none() && image.uid.is_none();
    let unmasked = own.proc_mount.as_deref() == Some("Unmasked");
    let paths = |paths: &[&str]| {
        if unmasked { Vec::new() } else { paths.iter().map(|path| (*path).to_owned()).collect() }
    };
    Ok(LinuxContainerSecurityContext {
        capabilities: own.capabilities.clone().map(|capabilities| Capability {
            add_capabilities: capabilities.add.unwrap_or_default(),
            drop_capabilities: capabilities.drop.unwrap_or_default(),
            ..Capability::default()
        }),
        privileged: is_privileged(container),
        namespace_options: Some(namespaces(spec, defaults.users)),
        selinux_options: own.se_linux_options.or(pod.se_linux_options).map(selinux),
        run_as_user: user.or(image.uid).map(|value| Int64Value { value }),
        run_as_username: if named_user { image.username.clone() } else { String::new() },
        run_as_group: own.run_as_group.or(pod.run_as_group).map(|value| Int64Value { value }),
        readonly_rootfs: own.read_only_root_filesystem.unwrap_or_default(),
        supplemental_groups: supplemental_groups(spec),
        supplemental_groups_policy: groups_policy(spec).into(),
        no_new_privs: own.allow_privilege_escalation == Some(false),
        masked_paths: paths(&MASKED_PATHS),
        readonly_paths: paths(&READONLY_PATHS),
        seccomp: Some(seccomp),
        apparmor: own
            .app_armor_profile
            .or(pod.app_armor_profile)
            .map(|profile| apparmor(&profile))
            .transpose()?,
        ..LinuxContainerSecurityContext::default()
    })
}

/// Does the container get the run of the machine?
pub fn is_privileged(container: &Container) -> bool {
    container.security_context.as_ref().is_some_and(|context| context.privileged == Some(true))
}

/// Which namespaces the pod shares with the node, or its containers with each other. `users`: see [`crate::edged::users`].
pub fn namespaces(spec: &PodSpec, users: Option<u32>) -> NamespaceOption {
    let shared = |with_node: Option<bool>, otherwise| {
        if with_node == Some(true) { NamespaceMode::Node } else { otherwise }
    };
    let pid = match spec.share_process_namespace {
        Some(true) => NamespaceMode::Pod,
        _ => NamespaceMode::Container,
    };
    NamespaceOption {
        network: shared(spec.host_network, NamespaceMode::Pod).into(),
        pid: shared(spec.host_pid, pid).into(),
        ipc: shared(spec.host_ipc, NamespaceMode::Pod).into(),
        userns_options: users.map(user_namespace),
        ..NamespaceOption::default()
    }
}

/// Whether the groups that an image's `/etc/group` has for the user come to those of the pod.
pub fn groups_policy(spec: &PodSpec) -> SupplementalGroupsPolicy {
    if wants_strict_groups(spec) { SupplementalGroupsPolicy::Strict } else { SupplementalGroupsPolicy::Merge }
}

/// The pod's further groups, with the one that owns its volumes.
pub fn supplemental_groups(spec: &PodSpec) -> Vec<i64> {
    let Some(context) = &spec.security_context else { return Vec::new() };
    let further = context.supplemental_groups.iter().flatten();
    context.fs_group.iter().chain(further).copied().collect()
}

/// The runtime's own seccomp profile.
pub fn runtime_default() -> SecurityProfile {
    SecurityProfile { profile_type: ProfileType::RuntimeDefault.into(), localhost_ref: String::new() }
}

fn unconfined() -> SecurityProfile {
    SecurityProfile { profile_type: ProfileType::Unconfined.into(), localhost_ref: String::new() }
}

fn refuse_root(user: Option<i64>, image: &Image) -> Result<(), SecurityError> {
    match (user, image.uid) {
        (Some(0), _) => Err(SecurityError::AskedForRoot),
        (Some(_), _) => Ok(()),
        (None, Some(0)) => Err(SecurityError::Root),
        (None, Some(_)) => Ok(()),
        (None, None) if image.username.is_empty() => Err(SecurityError::Root),
        (None, None) => Err(SecurityError::NamedUser(image.username.clone())),
    }
}

fn seccomp(
    pod: &PodSecurityContext,
    own: &SecurityContext,
    container: &Container,
    defaults: &SecurityDefaults<'_>,
) -> Result<SecurityProfile, SecurityError> {
    let chosen: Option<&SeccompProfile> = own.seccomp_profile.as_ref().or(pod.seccomp_profile.as_ref());
    let Some(profile) = chosen else {
        let default = defaults.seccomp && !is_privileged(container);
        return Ok(if default { runtime_default() } else { unconfined() });
    };
    let field = "seccompProfile";
    match (profile.type_.as_str(), &profile.localhost_profile) {
        ("RuntimeDefault", _) => Ok(runtime_default()),
        ("Unconfined", _) => Ok(unconfined()),
        ("Localhost", Some(file)) => Ok(SecurityProfile {
            profile_type: ProfileType::Localhost.into(),
            localhost_ref: defaults.seccomp_root.join(file).to_string_lossy().into_owned(),
        }),
        ("Localhost", None) => {
            Err(SecurityError::Profile { field, problem: "localhostProfile is missing".into() })
        }
        (other, _) => Err(SecurityError::Profile { field, problem: format!("unknown type {other:?}") }),
    }
}

fn apparmor(profile: &AppArmorProfile) -> Result<SecurityProfile, SecurityError> {
    let field = "appArmorProfile";
    match (profile.type_.as_str(), &profile.localhost_profile) {
        ("RuntimeDefault", _) => Ok(runtime_default()),
        ("Unconfined", _) => Ok(unconfined()),
        ("Localhost", Some(name)) => {
            Ok(SecurityProfile { profile_type: ProfileType::Localhost.into(), localhost_ref: name.clone() })
        }
        ("Localhost", None) => {
            Err(SecurityError::Profile { field, problem: "localhostProfile is missing".into() })
        }
        (other, _) => Err(SecurityError::Profile { field, problem: format!("unknown type {other:?}") }),
    }
}

fn selinux(options: SELinuxOptions) -> SeLinuxOption {
    SeLinuxOption {
        user: options.user.unwrap_or_default(),
        role: options.role.unwrap_or_default(),
        r#type: options.type_.unwrap_or_default(),
        level: options.level.unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn security(
        pod: Value,
        own: Value,
        image: &Image,
    ) -> Result<LinuxContainerSecurityContext, SecurityError> {
        let spec = json!({"securityContext": pod, "containers": [{"name": "c", "securityContext": own}]});
        let spec: PodSpec = serde_json::from_value(spec).unwrap();
        let defaults = SecurityDefaults { seccomp: false, seccomp_root: Path::new(""), users: None };
        container_security(&spec, &spec.containers[0], image, &defaults)
    }

    #[test]
    fn the_containers_own_word_wins() {
        let pod = json!({"runAsUser": 1, "runAsGroup": 2, "fsGroup": 3, "supplementalGroups": [4]});
        let context = security(pod, json!({"runAsUser": 9}), &Image::default()).unwrap();
        assert_eq!(context.run_as_user.unwrap().value, 9);
        assert_eq!(context.run_as_group.unwrap().value, 2);
        assert_eq!(context.supplemental_groups, [3, 4]);
    }

    #[test]
    fn the_images_user_is_used_when_nobody_names_one() {
        let numbered = Image { uid: Some(65532), ..Image::default() };
        assert_eq!(security(json!({}), json!({}), &numbered).unwrap().run_as_user.unwrap().value, 65532);
        let named = Image { username: "nobody".into(), ..Image::default() };
        let context = security(json!({}), json!({}), &named).unwrap();
        assert_eq!((context.run_as_user, context.run_as_username.as_str()), (None, "nobody"));
    }

    #[test]
    fn root_is_refused_where_it_must_not_be() {
        let non_root = || json!({"runAsNonRoot": true});
        assert_eq!(security(non_root(), json!({}), &Image::default()), Err(SecurityError::Root));
        assert_eq!(
            security(non_root(), json!({"runAsUser": 0}), &Image::default()),
            Err(SecurityError::AskedForRoot)
        );
        let named = Image { username: "app".into(), ..Image::default() };
        assert_eq!(security(non_root(), json!({}), &named), Err(SecurityError::NamedUser("app".into())));
        assert!(security(non_root(), json!({"runAsNonRoot": false}), &Image::default()).is_ok());
    }

    #[test]
    fn proc_is_masked_unless_asked_otherwise() {
        let masked = security(json!({}), json!({}), &Image::default()).unwrap();
        assert!(masked.masked_paths.contains(&"/proc/kcore".to_owned()) && !masked.readonly_paths.is_empty());
        let open = security(json!({}), json!({"procMount": "Unmasked"}), &Image::default()).unwrap();
        assert!(open.masked_paths.is_empty() && open.readonly_paths.is_empty());
    }

    #[test]
    fn profiles_are_checked() {
        let profile = |value: Value| security(json!({"seccompProfile": value}), json!({}), &Image::default());
        let local =
            profile(json!({"type": "Localhost", "localhostProfile": "p.json"})).unwrap().seccomp.unwrap();
        assert_eq!((local.profile_type(), local.localhost_ref.as_str()), (ProfileType::Localhost, "p.json"));
        let error = profile(json!({"type": "Strict"})).unwrap_err();
        assert_eq!(error.to_string(), "seccompProfile: unknown type \"Strict\"");
    }
}
