//! What the runtime can do for a pod, by the handler that runs it.

use k8s_cri::v1::{IdMapping, Mount};
use k8s_openapi::api::core::v1::{Container, PodSpec};

use super::Worker;
use crate::edged::admission::{NO_STRICT_GROUPS, wants_strict_groups};
use crate::edged::runtime::Handler;
use crate::edged::users::{user_namespace, wants_own_users};
use crate::flow::MetaError;

/// What a pod asks for and does not get.
#[derive(Debug)]
pub(super) enum Unable {
    /// The runtime has not been asked yet.
    Unknown,
    /// A sentence.
    Because(String),
}

impl Worker {
    /// The runtime's own word for what runs the pod: <https://kubernetes.io/docs/concepts/containers/runtime-class/>. A stock cloud
    /// knows nothing of classes; then the name of the class is taken for it, as it mostly is.
    pub(super) async fn handler(&self, spec: &PodSpec) -> Result<String, String> {
        let Some(name) = spec.runtime_class_name.as_deref().filter(|name| !name.is_empty()) else {
            return Ok(String::new());
        };
        match self.context.meta.runtime_class(name).await {
            Ok(class) => Ok(class.handler),
            Err(MetaError::Refused { .. }) => Ok(name.to_owned()),
            Err(error) => Err(format!("RuntimeClass {name:?}: {error}")),
        }
    }

    /// The first id of the pod's users, where it asks for its own. It would run as the node's own users otherwise, who may be root:
    /// never instead of what was asked for.
    pub(super) async fn own_users(&self, spec: &PodSpec, handler: &str) -> Result<Option<u32>, Unable> {
        if !wants_own_users(spec) {
            return Ok(None);
        }
        let shared = [spec.host_network, spec.host_pid, spec.host_ipc];
        if shared.contains(&Some(true)) {
            let message = "hostUsers: false goes with none of hostNetwork, hostPID and hostIPC";
            return Err(Unable::Because(message.to_owned()));
        }
        let known = {
            let facts = self.context.node.borrow();
            facts.handlers.is_some().then(|| facts.handler(handler).cloned())
        };
        let Some(found) = known else { return Err(Unable::Unknown) };
        if !found.is_some_and(|found| found.user_namespaces) {
            return Err(Unable::Because(format!(
                "user namespaces (hostUsers: false) are not supported by the node's container runtime (handler {handler:?})"
            )));
        }
        self.context.users.of(&self.key.uid).await.map(Some).map_err(Unable::Because)
    }

    /// Whether the pod gets no other groups than it asks for, where it asks for that.
    pub(super) fn strict_groups(&self, spec: &PodSpec) -> Result<(), Unable> {
        match self.context.node.borrow().has_strict_groups {
            _ if !wants_strict_groups(spec) => Ok(()),
            Some(true) => Ok(()),
            Some(false) => Err(Unable::Because(NO_STRICT_GROUPS.1.to_owned())),
            None => Err(Unable::Unknown),
        }
    }

    /// As [`Worker::own_users`], of a pod that has a sandbox.
    pub(super) async fn users(&self, spec: &PodSpec) -> Result<Option<u32>, String> {
        match wants_own_users(spec) {
            true => self.context.users.of(&self.key.uid).await.map(Some),
            false => Ok(None),
        }
    }

    /// Adapts the mounts of a container to what the runtime can do and to the pod's users. The first are those of the container's spec,
    /// in their order.
    pub(super) async fn adapt(
        &self,
        mounts: &mut [Mount],
        spec: &PodSpec,
        container: &Container,
        users: Option<u32>,
    ) -> Result<(), String> {
        let asks = |mode: &Option<String>| mode.as_deref().is_some_and(|mode| mode != "Disabled");
        if container.volume_mounts.iter().flatten().any(|mount| asks(&mount.recursive_read_only)) {
            let handler = self.handler(spec).await.unwrap_or_default();
            let found: Option<Handler> = self.context.node.borrow().handler(&handler).cloned();
            read_only_below(mounts, container, found.is_some_and(|found| found.recursive_read_only))?;
        }
        if let Some(namespace) = users.map(user_namespace) {
            // A file of the node's root is one of the pod's root for the pod, and the other way round.
            let map = |ids: &Vec<IdMapping>| ids.clone();
            for mount in mounts {
                (mount.uid_mappings, mount.gid_mappings) = (map(&namespace.uids), map(&namespace.gids));
            }
        }
        Ok(())
    }
}

/// Read-only with all that is mounted below
/// (<https://kubernetes.io/docs/concepts/storage/volumes/#recursive-read-only-mounts>).
fn read_only_below(mounts: &mut [Mount], container: &Container, can: bool) -> Result<(), String> {
    for (mount, asked) in mounts.iter_mut().zip(container.volume_mounts.iter().flatten()) {
        match asked.recursive_read_only.as_deref() {
            // `IfPossible` may fall back to the mount itself, this may not.
            Some("Enabled") if !can => {
                let name = &asked.name;
                return Err(format!(
                    "volume {name:?}: recursiveReadOnly is not supported by the node's container runtime"
                ));
            }
            Some("Enabled" | "IfPossible") if can => mount.recursive_read_only = mount.readonly,
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_mount_is_read_only_below_where_the_runtime_can() {
        let asking = |mode: &str| -> Container {
            let mount = json!({"name": "v", "mountPath": "/v", "readOnly": true, "recursiveReadOnly": mode});
            serde_json::from_value(json!({"name": "c", "volumeMounts": [mount]})).unwrap()
        };
        let made = |mode: &str, can| {
            let mut mounts = [Mount { readonly: true, ..Mount::default() }, Mount::default()];
            read_only_below(&mut mounts, &asking(mode), can)
                .map(|()| mounts.map(|one| one.recursive_read_only))
        };
        assert_eq!(made("Enabled", true), Ok([true, false]));
        assert_eq!(made("IfPossible", true), Ok([true, false]));
        assert_eq!(made("IfPossible", false), Ok([false, false]));
        assert_eq!(made("Disabled", true), Ok([false, false]));
        assert!(made("Enabled", false).unwrap_err().contains("recursiveReadOnly is not supported"));
    }
}
