//! Labels and annotations by which kubelet marks what it makes in the runtime.
//!
//! Ours are the same, so that `crictl`, log collectors and a stock EdgeCore recognise our containers and we adopt
//! theirs: <https://kubernetes.io/docs/reference/labels-annotations-taints/>.

use std::collections::HashMap;

use crate::flow::PodKey;

/// Name of the pod, on sandboxes and containers.
pub const POD_NAME: &str = "io.kubernetes.pod.name";
/// Namespace of the pod, on sandboxes and containers.
pub const POD_NAMESPACE: &str = "io.kubernetes.pod.namespace";
/// UID of the pod, on sandboxes and containers.
pub const POD_UID: &str = "io.kubernetes.pod.uid";
/// Name of the container in the pod's spec, on containers.
pub const CONTAINER_NAME: &str = "io.kubernetes.container.name";

/// Hash of the container's spec: another one means that the container has to be made anew.
pub const CONTAINER_HASH: &str = "io.kubernetes.container.hash";
/// How often the container had been restarted when this one was made.
pub const RESTART_COUNT: &str = "io.kubernetes.container.restartCount";
/// Where in the container a last message is looked for.
pub const TERMINATION_MESSAGE_PATH: &str = "io.kubernetes.container.terminationMessagePath";
/// `File`, or `FallbackToLogsOnError`.
pub const TERMINATION_MESSAGE_POLICY: &str = "io.kubernetes.container.terminationMessagePolicy";
/// Seconds that the pod's containers get to end.
pub const POD_TERMINATION_GRACE: &str = "io.kubernetes.pod.terminationGracePeriod";
/// JSON of the container's ports.
pub const CONTAINER_PORTS: &str = "io.kubernetes.container.ports";

/// Where the pod came from (`api` or `file`), on sandboxes.
pub const CONFIG_SOURCE: &str = "kubernetes.io/config.source";
/// UID of a static pod, on itself.
pub const CONFIG_HASH: &str = "kubernetes.io/config.hash";
/// UID of the static pod that a pod of the API shows, on the latter.
pub const CONFIG_MIRROR: &str = "kubernetes.io/config.mirror";
/// When edged first saw the pod, on sandboxes.
pub const CONFIG_SEEN: &str = "kubernetes.io/config.seen";

/// The pod that something in the runtime was made for; `None` for what is not ours or kubelet's.
pub fn pod_key(labels: &HashMap<String, String>) -> Option<PodKey> {
    Some(PodKey {
        namespace: labels.get(POD_NAMESPACE)?.clone(),
        name: labels.get(POD_NAME)?.clone(),
        uid: labels.get(POD_UID)?.clone(),
    })
}
